/* SPDX-License-Identifier: MIT */
/* The histogram of flk-load, against the sorted values themselves. */
#include "tests/load/histogram.h"

#include <stdlib.h>

#include "tests/unit/rig/suite.h"

enum { VALUES = 20000 };

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Every quantile is within a bucket's width above the true one, from nanoseconds to minutes. */
START_TEST(test_histogram_quantiles) {
    static uint64_t values[VALUES];
    static histogram_t histogram;
    uint64_t state = 20260106;
    for (size_t i = 0; i < VALUES; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
        values[i] = (state >> 24) >> (state >> 58) % 38;
        histogram_add(&histogram, values[i]);
    }
    qsort(values, VALUES, sizeof *values, by_value);
    for (size_t rank = 1; rank <= VALUES; rank++) {
        uint64_t expected = values[rank - 1], got = histogram_ns(&histogram, (double)rank / VALUES);
        ck_assert_msg(got >= expected && got <= expected + expected / 64 + 1, "rank %zu: %lu, not %lu", rank, got,
                      expected);
    }
    ck_assert_uint_eq(histogram_ns(&histogram, 1), values[VALUES - 1]);
    ck_assert_uint_eq(histogram.count, VALUES);
}
END_TEST

/* Nothing was added, or only times longer than it can tell. */
START_TEST(test_histogram_ends) {
    static histogram_t empty, longest;
    ck_assert_uint_eq(histogram_ns(&empty, 0.5), 0);
    histogram_add(&longest, UINT64_MAX);
    ck_assert_uint_ge(histogram_ns(&longest, 0.5), UINT64_C(1) << 39);
    histogram_add(&empty, 0);
    ck_assert_uint_eq(histogram_ns(&empty, 1), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("histogram");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_histogram_quantiles);
    tcase_add_test(tcase, test_histogram_ends);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
