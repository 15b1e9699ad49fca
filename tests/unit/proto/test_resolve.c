/* SPDX-License-Identifier: MIT */
/* Names of links, looked up by the real resolver. tests/integration/test_names.py has a name server that falls
 * silent. */
#include <check.h>
#include <poll.h>
#include <string.h>

#include "proto/resolve.h"
#include "tests/unit/rig/suite.h"

enum { DEADLINE_MS = 20000 };

static char errmsg[FLK_ERRMSG_BYTES];

/* Endpoints with a name are told apart from those with an address, and from those of another kind. */
START_TEST(test_resolve_names_and_addresses) {
    static const struct {
        const char *endpoint, *host, *port; /* host NULL: not a name */
    } cases[] = {
        {"tcp://localhost:5555", "localhost", "5555"},
        {"tcp://broker-0.flk.svc.cluster.local:1", "broker-0.flk.svc.cluster.local", "1"},
        {"tcp://127.0.0.1:5555", NULL, NULL},
        {"tcp://[::1]:5555", NULL, NULL},
        {"tcp://*:5555", "*", "5555"},
        {"tcp://eth0;example.org:5555", NULL, NULL},
        {"tcp://example.org", NULL, NULL},
        {"tcp://example.org:", NULL, NULL},
        {"tcp://example.org:http", NULL, NULL},
        {"tcp://:5555", NULL, NULL},
        {"ipc:///tmp/x:5", NULL, NULL},
        {"inproc://x", NULL, NULL},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        char host[FLK_HOST_BYTES];
        const char *port = NULL;
        bool is_name = flk_resolve_is_name(cases[i].endpoint, host, &port);
        ck_assert_msg(is_name == (cases[i].host != NULL), "%s", cases[i].endpoint);
        if (is_name) {
            ck_assert_str_eq(host, cases[i].host);
            ck_assert_str_eq(port, cases[i].port);
        }
    }
}
END_TEST

static flk_err_t resolve_in_time(const char *host, flk_addresses_t *addresses) {
    flk_err_t err = FLK_E_AGAIN;
    for (uint64_t until_ms = flk_mono_ms() + DEADLINE_MS; err == FLK_E_AGAIN && flk_mono_ms() < until_ms;) {
        err = flk_resolve(host, flk_mono_ms(), addresses, errmsg);
        poll(NULL, 0, 5);
    }
    return err;
}

/* The first question does not wait; the answer is there a little later. */
START_TEST(test_resolve_answers_later) {
    flk_addresses_t addresses;
    ck_assert_int_eq(flk_resolve("localhost", flk_mono_ms(), &addresses, errmsg), FLK_E_AGAIN);
    ck_assert_msg(resolve_in_time("localhost", &addresses) == FLK_OK, "%s", errmsg);
    ck_assert_uint_ge(addresses.len, 1);
    ck_assert(strcmp(addresses.text[0], "127.0.0.1") == 0 || strcmp(addresses.text[0], "[::1]") == 0);
}
END_TEST

/* A name that does not exist is told with the resolver's own words. */
START_TEST(test_resolve_unknown_name) {
    flk_addresses_t addresses;
    ck_assert_int_eq(resolve_in_time("no such name.invalid", &addresses), FLK_E_UNAVAILABLE);
    ck_assert_ptr_nonnull(strstr(errmsg, "no such name.invalid: "));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("resolve");
    TCase *tcase = tcase_create("resolve");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_resolve_names_and_addresses);
    tcase_add_test(tcase, test_resolve_answers_later);
    tcase_add_test(tcase, test_resolve_unknown_name);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
