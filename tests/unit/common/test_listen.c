/* SPDX-License-Identifier: MIT */
#include "common/listen.h"

#include <check.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

static char errmsg[FLK_ERRMSG_BYTES];

/* Each form has its host and port, and only those of this host are loopback. */
START_TEST(test_listen_forms) {
    static const struct {
        const char *text, *host;
        unsigned port;
        bool loopback;
        const char *printed;
    } forms[] = {
        {"127.0.0.1:8080", "127.0.0.1", 8080, true, "127.0.0.1:8080"},
        {"127.9.9.9:0", "127.9.9.9", 0, true, "127.9.9.9:0"},
        {"[::1]:80", "::1", 80, true, "[::1]:80"},
        {"[::ffff:127.0.0.1]:80", "::ffff:127.0.0.1", 80, true, "[::ffff:127.0.0.1]:80"},
        {"localhost:65535", "localhost", 65535, true, "localhost:65535"},
        {"[::]:80", "::", 80, false, "[::]:80"},
        {"0.0.0.0:80", "0.0.0.0", 80, false, "0.0.0.0:80"},
        {"gateway.example:80", "gateway.example", 80, false, "gateway.example:80"},
        {"127.example:80", "127.example", 80, false, "127.example:80"},
        {":80", "", 80, false, "*:80"},
        {"*:80", "", 80, false, "*:80"},
        {"80", "", 80, false, "*:80"},
        {"00080", "", 80, false, "*:80"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(forms); i++) {
        flk_listen_t listen;
        char printed[FLK_LISTEN_TEXT_BYTES];
        ck_assert_msg(flk_listen_parse(forms[i].text, &listen, errmsg) == FLK_OK, "%s: %s", forms[i].text, errmsg);
        ck_assert_str_eq(listen.host, forms[i].host);
        ck_assert_uint_eq(listen.port, forms[i].port);
        ck_assert_msg(flk_listen_is_loopback(&listen) == forms[i].loopback, "%s", forms[i].text);
        flk_listen_print(&listen, listen.port, printed);
        ck_assert_str_eq(printed, forms[i].printed);
    }
}
END_TEST

/* Other texts are refused with a reason; a port does not wrap. */
START_TEST(test_listen_refuses) {
    static const char *const texts[] = {"",
                                        ":",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:65536",
                                        "65536",
                                        "127.0.0.1:-1",
                                        "host:+1",
                                        "host: 1",
                                        "host:0x50",
                                        "::1:80",
                                        "[::1]",
                                        "[]:80",
                                        "[::1:80",
                                        "1.2.3:80",
                                        "a b:80",
                                        "a/b:80",
                                        "[host]:80",
                                        "**:80",
                                        "host:99999999999999999999"};
    for (size_t i = 0; i < FLK_COUNT_OF(texts); i++) {
        flk_listen_t listen;
        errmsg[0] = '\0';
        ck_assert_msg(flk_listen_parse(texts[i], &listen, errmsg) == FLK_E_CONFIG, "%s", texts[i]);
        ck_assert(errmsg[0] != '\0');
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("listen");
    TCase *tcase = tcase_create("listen");
    tcase_add_test(tcase, test_listen_forms);
    tcase_add_test(tcase, test_listen_refuses);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
