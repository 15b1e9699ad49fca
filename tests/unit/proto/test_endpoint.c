/* SPDX-License-Identifier: MIT */
#include "proto/endpoint.h"

#include <stdio.h>
#include <string.h>

#include "proto/uplink.h"
#include "tests/unit/rig/suite.h"

static char errmsg[FLK_ERRMSG_BYTES];

/* An endpoint that can be listened on passes; another one is refused with the setting and its limits. */
START_TEST(test_endpoint_to_listen_on) {
    static const char *const good[] = {"tcp://127.0.0.1:5555", "tcp://127.0.0.1:*", "tcp://127.0.0.1:0",
                                       "tcp://[::1]:5555",     "tcp://localhost:1", "ipc:///run/flk/broker"};
    static const char *const bad[] = {"",
                                      "127.0.0.1:5555",
                                      "http://127.0.0.1:1",
                                      "tcp://",
                                      "tcp://:5555",
                                      "tcp://host",
                                      "tcp://127.0.0.1:",
                                      "tcp://127.0.0.1:65536",
                                      "tcp://127.0.0.1:-1",
                                      "tcp://127.0.0.1:5 ",
                                      "tcp://127.0.0.1 :5",
                                      "tcp://127.0.0.1:5555/x",
                                      "ipc://",
                                      "tcp://0.0.0.0:5555"};
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        ck_assert_msg(flk_endpoint_check(NULL, "FLK_X", good[i], errmsg) == FLK_OK, "%s: %s", good[i], errmsg);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        ck_assert_msg(flk_endpoint_check(NULL, "FLK_X", bad[i], errmsg) == FLK_E_CONFIG, "%s", bad[i]);
        ck_assert_msg(strncmp(errmsg, "FLK_X: endpoint '", 17) == 0, "%s", errmsg);
    }
}
END_TEST

/* A list of brokers has at least one, none twice, no more than there may be, and each a port to connect to. */
START_TEST(test_endpoint_list) {
    static const char *const cases[][2] = {
        {"", "FLK_X: names no broker"},
        {" , ", "FLK_X: names no broker"},
        {"tcp://127.0.0.1:1, tcp://127.0.0.1:1", "FLK_X: names tcp://127.0.0.1:1 twice"},
        {"tcp://127.0.0.1:*", "FLK_X: endpoint 'tcp://127.0.0.1:*'"},
        {"tcp://127.0.0.1:0", "FLK_X: endpoint 'tcp://127.0.0.1:0'"},
        {"ipc://a,tcp://broker:5555", "FLK_CURVE_KEY_FILE"},
    };
    ck_assert_int_eq(flk_endpoints_check(NULL, "FLK_X", "tcp://127.0.0.1:1, tcp://127.0.0.1:2,ipc://a", errmsg),
                     FLK_OK);
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        ck_assert_int_eq(flk_endpoints_check(NULL, "FLK_X", cases[i][0], errmsg), FLK_E_CONFIG);
        ck_assert_msg(strstr(errmsg, cases[i][1]) != NULL, "%s: %s", cases[i][0], errmsg);
    }
    char list[512] = "", long_one[200];
    for (unsigned i = 1; i <= FLK_BROKERS_MAX; i++) {
        sprintf(list + strlen(list), "tcp://127.0.0.1:%u,", i);
    }
    ck_assert_int_eq(flk_endpoints_check(NULL, "FLK_X", list, errmsg), FLK_OK);
    strcat(list, "tcp://127.0.0.1:99");
    ck_assert_int_eq(flk_endpoints_check(NULL, "FLK_X", list, errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg, "FLK_X: at most 16 brokers are allowed");
    snprintf(long_one, sizeof long_one, "tcp://%0150d:1", 0);
    ck_assert_int_eq(flk_endpoints_check(NULL, "FLK_X", long_one, errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg, "FLK_X: endpoint of 158 bytes: at most 127 are allowed");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("endpoint");
    TCase *tcase = tcase_create("endpoint");
    tcase_add_test(tcase, test_endpoint_to_listen_on);
    tcase_add_test(tcase, test_endpoint_list);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
