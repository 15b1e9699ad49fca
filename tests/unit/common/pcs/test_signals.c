/* SPDX-License-Identifier: MIT */
#include "common/pcs/canonical.h"
#include "common/pcs/signals.h"
#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <math.h>

/* Every Theil-Sen vector gives the D-hat that the vector says, to the last of 9 decimals. */
START_TEST(test_signals_theil_sen_vectors) {
    json_t *root = vectors_load("theil_sen.json");
    json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 120);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *vector = json_array_get(cases, i), *list = json_object_get(vector, "scales");
        uint64_t scales[FLK_PCS_SCALES_MAX];
        flk_pcs_count_t counts[FLK_PCS_COUNTS_MAX];
        size_t scales_len = json_array_size(list), counts_len = 0;
        for (size_t j = 0; j < scales_len; j++) {
            scales[j] = (uint64_t)json_integer_value(json_array_get(list, j));
        }
        const char *key;
        json_t *value;
        json_object_foreach(json_object_get(vector, "N_j"), key, value) {
            counts[counts_len++] = (flk_pcs_count_t){strtoull(key, NULL, 10), (uint64_t)json_integer_value(value)};
        }
        double d_hat;
        bool known = flk_theil_sen(scales, scales_len, counts, counts_len, FLK_MEDIAN_MEAN, &d_hat);
        json_t *expected = json_object_get(vector, "d_hat");
        ck_assert_msg(known == !json_is_null(expected), "case %zu", i);
        ck_assert_msg(!known || d_hat == json_number_value(expected), "case %zu: %.17g", i, d_hat);
    }
    json_decref(root);
}
END_TEST

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double theil_sen_by_sorting(const uint64_t *scales, size_t len, const flk_pcs_count_t *counts) {
    static double slopes[FLK_PCS_SCALES_MAX * FLK_PCS_SCALES_MAX];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        for (size_t j = i + 1; j < len; j++) {
            slopes[n++] = (log2((double)counts[j].cells) - log2((double)counts[i].cells)) /
                          (log2((double)scales[j]) - log2((double)scales[i]));
        }
    }
    qsort(slopes, n, sizeof *slopes, compare);
    return flk_round9(n % 2 != 0 ? slopes[n / 2] : (slopes[n / 2 - 1] + slopes[n / 2]) / 2);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* For any number of scales and any counts (random, equal, rising, falling, few distinct) the median found by selection
 * is the one found by sorting. */
START_TEST(test_signals_theil_sen_equals_sorting) {
    uint64_t seed = 20260101, state = seed;
    for (size_t round = 0; round < 4000; round++) {
        uint64_t scales[FLK_PCS_SCALES_MAX];
        flk_pcs_count_t counts[FLK_PCS_SCALES_MAX];
        size_t len = 2 + round % 63;
        for (size_t i = 0; i < len; i++) {
            scales[i] = 2 + i * 3 + next_random(&state) % 3;
            uint64_t shapes[] = {1 + next_random(&state) % 1000000, 7, scales[i], 1000 - scales[i],
                                 1 + next_random(&state) % 3};
            counts[i] = (flk_pcs_count_t){scales[i], shapes[round / 63 % FLK_COUNT_OF(shapes)]};
        }
        double d_hat;
        ck_assert(flk_theil_sen(scales, len, counts, len, FLK_MEDIAN_MEAN, &d_hat));
        ck_assert_msg(d_hat == theil_sen_by_sorting(scales, len, counts), "seed %lu round %zu", seed, round);
    }
}
END_TEST

/* The order of N_j and entries beyond the scales do not matter; a missing or zero count makes D-hat unverifiable. */
START_TEST(test_signals_theil_sen_counts) {
    uint64_t scales[] = {2, 4, 8};
    flk_pcs_count_t counts[] = {{64, 1}, {8, 512}, {2, 8}, {4, 64}};
    double d_hat = 0;
    ck_assert(flk_theil_sen(scales, 3, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    ck_assert_double_eq(d_hat, 3);
    ck_assert(!flk_theil_sen(scales, 3, counts, 3, FLK_MEDIAN_MEAN, &d_hat));
    counts[3].cells = 0;
    ck_assert(!flk_theil_sen(scales, 3, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    ck_assert(!flk_theil_sen(scales, 1, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    ck_assert(!flk_theil_sen(scales, 0, counts, 0, FLK_MEDIAN_MEAN, &d_hat));
    counts[3].cells = UINT64_MAX;
    ck_assert(flk_theil_sen(scales, 3, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
}
END_TEST

/* Scales whose logarithm is the same double make no pair; when no pair is left D-hat is unverifiable. It is never
 * infinite. */
START_TEST(test_signals_theil_sen_equal_logarithms) {
    const uint64_t top = (UINT64_C(1) << 53) - 1;
    uint64_t scales[] = {top, top - 1, top - 2, 2};
    flk_pcs_count_t counts[] = {{top, 1}, {top - 1, 2}, {top - 2, top}, {2, 1}};
    double d_hat = 0;
    ck_assert(log2((double)top) == log2((double)(top - 1)));
    ck_assert(!flk_theil_sen(scales, 2, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    ck_assert(!flk_theil_sen(scales, 3, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    counts[0].cells = counts[1].cells = counts[2].cells = 1; /* 0/0 */
    ck_assert(!flk_theil_sen(scales, 3, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    counts[0].cells = counts[1].cells = counts[2].cells = 1 << 26;
    ck_assert(flk_theil_sen(scales, 4, counts, 4, FLK_MEDIAN_MEAN, &d_hat));
    ck_assert_double_eq_tol(d_hat, 26.0 / 52.0, 0.01);
}
END_TEST

/* The regime's limits belong to sticky and non_sticky. */
START_TEST(test_signals_regime) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    ck_assert_int_eq(flk_regime(&policy.terms, 0.7, 1.5), FLK_REGIME_STICKY);
    ck_assert_int_eq(flk_regime(&policy.terms, 0.699999999, 1.5), FLK_REGIME_MIXED);
    ck_assert_int_eq(flk_regime(&policy.terms, 0.7, 1.500000001), FLK_REGIME_MIXED);
    ck_assert_int_eq(flk_regime(&policy.terms, 0.7, 2.599999999), FLK_REGIME_MIXED);
    ck_assert_int_eq(flk_regime(&policy.terms, 0.7, 2.6), FLK_REGIME_NON_STICKY);
    ck_assert_int_eq(flk_regime(&policy.terms, -1, -1), FLK_REGIME_MIXED);
    for (flk_regime_t regime = FLK_REGIME_STICKY; regime <= FLK_REGIME_NON_STICKY; regime++) {
        flk_regime_t parsed;
        const char *name = flk_regime_name(regime);
        ck_assert(flk_regime_parse(name, strlen(name), &parsed));
        ck_assert_int_eq(parsed, regime);
        ck_assert(!flk_regime_parse(name, strlen(name) - 1, &parsed));
    }
}
END_TEST

/* The budget follows the formula, stays in [0, 1] and has 9 decimals. */
START_TEST(test_signals_budget) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    ck_assert_double_eq(flk_budget(&policy.terms, 1, 0.5, 0.5), 0.35);
    ck_assert_double_eq(flk_budget(&policy.terms, 3.2, 0, 1), 0.6);
    ck_assert_double_eq(flk_budget(&policy.terms, 2.2, 0, 1), 0.1);
    ck_assert_double_eq(flk_budget(&policy.terms, 100, 1, 0), 1);
    ck_assert_double_eq(flk_budget(&policy.terms, -1e300, -1e300, 1e300), 0);
    ck_assert_double_eq(flk_budget(&policy.terms, 1e300, 1e300, -1e300), 1);
    ck_assert_double_eq(flk_budget(&policy.terms, 1, 1.0 / 3, 0.5), 0.316666667);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("signals");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_signals_theil_sen_vectors);
    tcase_add_test(tcase, test_signals_theil_sen_equals_sorting);
    tcase_add_test(tcase, test_signals_theil_sen_counts);
    tcase_add_test(tcase, test_signals_theil_sen_equal_logarithms);
    tcase_add_test(tcase, test_signals_regime);
    tcase_add_test(tcase, test_signals_budget);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
