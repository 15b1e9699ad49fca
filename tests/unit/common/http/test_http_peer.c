/* SPDX-License-Identifier: MIT */
#include "common/http/peer.h"

#include <check.h>

#include "tests/unit/rig/suite.h"

static flk_http_peer_t forwarded(const char *value) {
    flk_http_peer_t peer;
    ck_assert_msg(flk_http_peer_forwarded(value, &peer), "%s", value);
    return peer;
}

static bool same(const char *a, const char *b) {
    flk_http_peer_t one = forwarded(a), other = forwarded(b);
    return flk_http_peer_equal(&one, &other);
}

/* The last address counts, which the proxy wrote; a client may have written those before it. */
START_TEST(test_peer_forwarded_last) {
    ck_assert(same("1.2.3.4, 5.6.7.8", "5.6.7.8"));
    ck_assert(same("nonsense,,\t5.6.7.8 ", "5.6.7.8"));
    ck_assert(!same("5.6.7.8, 1.2.3.4", "5.6.7.8"));
    ck_assert(same("5.6.7.8:1234", "5.6.7.8"));
    ck_assert(same("[2001:db8::1]:80", "2001:db8::1"));
}
END_TEST

/* An IPv6 client is its /64, an IPv4 client its address, also in the form of IPv6. */
START_TEST(test_peer_networks) {
    ck_assert(same("2001:db8::1", "2001:db8::ffff:1:2"));
    ck_assert(!same("2001:db8::1", "2001:db8:0:1::1"));
    ck_assert(!same("5.6.7.8", "5.6.7.9"));
    ck_assert(same("::ffff:5.6.7.8", "5.6.7.8"));
    ck_assert(!same("::ffff:5.6.7.8", "::ffff:5.6.7.9"));
    ck_assert(same("fe80::1%eth0", "fe80::1"));
}
END_TEST

/* A text that is no address gives none. */
START_TEST(test_peer_forwarded_nonsense) {
    static const char *const nonsense[] = {
        "",          ",",
        "1.2.3",     "1.2.3.4,",
        "unknown",   "_hidden",
        "1.2.3.4 5", "[::1",
        "1.2.3.4.5", "::g",
        "[]",        "%",
        ":",         "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < FLK_COUNT_OF(nonsense); i++) {
        flk_http_peer_t peer;
        bool taken = flk_http_peer_forwarded(nonsense[i], &peer);
        bool lenient = i == 6 || i == 7; /* text behind the address is not looked at */
        ck_assert_msg(!taken || lenient, "%s", nonsense[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_peer");
    TCase *tcase = tcase_create("peer");
    tcase_add_test(tcase, test_peer_forwarded_last);
    tcase_add_test(tcase, test_peer_networks);
    tcase_add_test(tcase, test_peer_forwarded_nonsense);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
