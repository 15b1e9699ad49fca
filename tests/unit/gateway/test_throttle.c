/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "gateway/throttle.h"
#include "tests/unit/rig/suite.h"

#define SECOND_NS UINT64_C(1000000000)

static unsigned take_all(flk_throttle_t *throttle, uint64_t now_ns, unsigned tries) {
    uint32_t retry_ms;
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++) {
        taken += flk_throttle_take(throttle, now_ns, &retry_ms);
    }
    return taken;
}

/* Rate 0 lets everything through. */
START_TEST(test_throttle_unlimited) {
    flk_throttle_t throttle;
    flk_throttle_init(&throttle, 0);
    ck_assert_uint_eq(take_all(&throttle, 5, 100000), 100000);
}
END_TEST

/* A full bucket gives one second's worth at once, then refuses. */
START_TEST(test_throttle_burst_is_one_second) {
    flk_throttle_t throttle;
    flk_throttle_init(&throttle, 100);
    ck_assert_uint_eq(take_all(&throttle, 10 * SECOND_NS, 500), 100);
}
END_TEST

/* Over ten seconds of greedy asking, the burst and ten seconds' worth come through, no more. */
START_TEST(test_throttle_long_run_rate) {
    flk_throttle_t throttle;
    flk_throttle_init(&throttle, 100);
    unsigned taken = 0;
    for (uint64_t ms = 0; ms < 10000; ms++) {
        taken += take_all(&throttle, 50 * SECOND_NS + ms * 1000000, 5);
    }
    ck_assert_uint_ge(taken, 1099);
    ck_assert_uint_le(taken, 1101);
}
END_TEST

/* A refused caller that comes back after retry_ms gets its token. */
START_TEST(test_throttle_retry_is_enough) {
    flk_throttle_t throttle;
    uint64_t now_ns = 7 * SECOND_NS;
    uint32_t retry_ms = 0;
    flk_throttle_init(&throttle, 3);
    ck_assert_uint_eq(take_all(&throttle, now_ns, 10), 3);
    ck_assert(!flk_throttle_take(&throttle, now_ns, &retry_ms));
    ck_assert_uint_gt(retry_ms, 0);
    ck_assert(flk_throttle_take(&throttle, now_ns + (uint64_t)retry_ms * 1000000, &retry_ms));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("throttle");
    TCase *tcase = tcase_create("throttle");
    tcase_add_test(tcase, test_throttle_unlimited);
    tcase_add_test(tcase, test_throttle_burst_is_one_second);
    tcase_add_test(tcase, test_throttle_long_run_rate);
    tcase_add_test(tcase, test_throttle_retry_is_enough);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
