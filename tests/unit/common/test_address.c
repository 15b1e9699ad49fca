/* SPDX-License-Identifier: MIT */
#include "common/address.h"

#include <stdio.h>

#include "common/base.h"
#include "tests/unit/rig/suite.h"

/* Running text loses the user part of each address in it, and nothing else. */
START_TEST(test_address_hides_users_in_text) {
    static const char *const rows[][2] = {
        {"", ""},
        {"no address at all", "no address at all"},
        {"ENDPOINT 'http://ann:s3cret@host:1/p' is wrong", "ENDPOINT 'http://host:1/p' is wrong"},
        {"http://ann@host", "http://host"},
        {"redis://:s3cret@h:6379/0,redis://:s3cret@i",
         "redis://i"}, /* a list is one word: too much rather than too little */
        {"a http://u:s3cr@et@h b https://v:s3cret@i/x?y#z c", "a http://h b https://i/x?y#z c"},
        {"u:s3cret@host:5", "host:5"},
        {"write to ann@example.org", "write to ann@example.org"},
        {"http://u:s3/cr?et#@host/", "http://host/"},
        {"tcp://127.0.0.1:5555 and tcp://[::1]:1", "tcp://127.0.0.1:5555 and tcp://[::1]:1"},
        {"http://u:s3cret@", "http://"},
        {"@", "@"},
        {"://@", "://"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        char text[256];
        snprintf(text, sizeof text, "%s", rows[i][0]);
        flk_address_hide_users(text);
        ck_assert_str_eq(text, rows[i][1]);
    }
}
END_TEST

/* One address of any form. */
START_TEST(test_address_shown) {
    static const char *const rows[][2] = {
        {"http://h:1/p", "http://h:1/p"},
        {"http://u:s3 cr'et@h:1/p", "http://h:1/p"},
        {"gopher u:s3cret://x@y", "y"},
        {"u:s3cret@h", "h"},
        {"x@y://z", "y://z"},
        {"http://u:s3cret@", "http://"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        char out[64];
        flk_address_show(rows[i][0], out, sizeof out);
        ck_assert_str_eq(out, rows[i][1]);
    }
    char small[8];
    flk_address_show("http://u:p@a-long-host", small, sizeof small);
    ck_assert_str_eq(small, "http://");
}
END_TEST

/* Error messages never hold a user part, from any maker. */
START_TEST(test_address_in_errmsg) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_errmsg(errmsg, "cannot connect to %s", "tcp://u:s3cret@host:1");
    ck_assert_str_eq(errmsg, "cannot connect to tcp://host:1");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("address");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_address_hides_users_in_text);
    tcase_add_test(tcase, test_address_shown);
    tcase_add_test(tcase, test_address_in_errmsg);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
