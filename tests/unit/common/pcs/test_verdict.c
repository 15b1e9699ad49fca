/* SPDX-License-Identifier: MIT */
#include <float.h>
#include <math.h>

#include "common/pcs/keyring_load.h"
#include "common/pcs/verdict.h"
#include "tests/unit/rig/pcs_vectors.h"
#include "tests/unit/rig/suite.h"

/* A valid PCS that is accepted under the default policy. */
static flk_pcs_t accepted_pcs(void) {
    flk_pcs_t pcs;
    flk_pcs_init(&pcs);
    pcs.scales_len = pcs.counts_len = 3;
    for (uint32_t i = 0; i < 3; i++) {
        pcs.scales[i] = pcs.counts[i].scale = UINT64_C(2) << i;
        pcs.counts[i].cells = UINT64_C(2) << i;
    }
    pcs.d_hat = 1;
    pcs.coh_star = 0.5;
    pcs.r = 0.5;
    pcs.budget = 0.35;
    pcs.regime = FLK_REGIME_MIXED;
    return pcs;
}

static flk_outcome_t judge(const flk_pcs_t *pcs) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    flk_outcome_t outcome;
    flk_verdict(pcs, &policy, &outcome);
    return outcome;
}

static uint32_t expected_reasons(const json_t *names) {
    uint32_t reasons = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        flk_reason_t reason = 0;
        while (reason < FLK_REASON_COUNT && strcmp(flk_reason_name(reason), name) != 0) {
            reason++;
        }
        ck_assert_int_lt(reason, FLK_REASON_COUNT);
        ck_assert_uint_lt(reasons, 1u << reason); /* the vectors list reasons in the order of the enum */
        reasons |= 1u << reason;
    }
    return reasons;
}

/* Every verdict vector, read as JSON, verifies with the test key and gets the status, reasons and recomputed values
 * that the vector says. */
START_TEST(test_verdict_vectors) {
    json_t *root = vectors_load("verdicts.json");
    json_t *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 400);
    flk_keyring_t *keyring;
    char errmsg[FLK_ERRMSG_BYTES];
    ck_assert_int_eq(
        flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_HMAC, .hmac_key = vectors_text(root, "key")}, &keyring,
                        errmsg),
        FLK_OK);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *vector = json_array_get(cases, i);
        const char *name = vectors_text(vector, "name");
        flk_pcs_t pcs;
        vectors_read_pcs(json_object_get(vector, "pcs"), &pcs);

        uint8_t digest[FLK_DIGEST_BYTES];
        flk_signature_t signature;
        ck_assert_msg(flk_keyring_verify(keyring, &pcs, 0, digest, &signature) == FLK_OK, "%s: signature", name);
        flk_outcome_t outcome = judge(&pcs);
        uint32_t reasons = expected_reasons(json_object_get(vector, "reasons"));
        ck_assert_msg(outcome.reasons == reasons, "%s: reasons %x, not %x", name, outcome.reasons, reasons);
        ck_assert_msg(outcome.status == vectors_number(vector, "status"), "%s: status %u", name, outcome.status);
        bool has_d_hat = !json_is_null(json_object_get(vector, "d_hat"));
        ck_assert_msg(outcome.has_d_hat == has_d_hat, "%s: has_d_hat", name);
        if (has_d_hat) {
            ck_assert_msg(outcome.d_hat == vectors_number(vector, "d_hat"), "%s: D-hat %.17g", name, outcome.d_hat);
        }
        ck_assert_msg(outcome.budget == vectors_number(vector, "budget"), "%s: budget %.17g", name, outcome.budget);
        ck_assert_str_eq(flk_regime_name(outcome.regime), vectors_text(vector, "regime"));
        ck_assert_str_eq(outcome.policy_version, "default-1");
        flk_pcs_fini(&pcs);
    }
    flk_keyring_destroy(&keyring);
    json_decref(root);
}
END_TEST

/* A difference that is the tolerance in decimal is within it, with any rest of the subtraction of doubles; a billionth
 * more is not. */
START_TEST(test_verdict_tolerance_edges) {
    static const struct {
        double d_hat, budget;
        uint32_t reasons;
    } rows[] = {
        {1, 0.35, 0},
        {1, 0.36, 0},
        {1, 0.34, 0},
        {1, 0.360000001, 1u << FLK_REASON_BUDGET_MISMATCH},
        {1, 0.339999999, 1u << FLK_REASON_BUDGET_MISMATCH},
        {1.15, 0.35, 0},
        {0.85, 0.35, 0},
        {1.150000001, 0.35, 1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE},
        {0.849999999, 0.35, 1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_pcs_t pcs = accepted_pcs();
        pcs.d_hat = rows[i].d_hat;
        pcs.budget = rows[i].budget;
        flk_outcome_t outcome = judge(&pcs);
        ck_assert_msg(outcome.reasons == rows[i].reasons, "row %zu: %x", i, outcome.reasons);
    }
}
END_TEST

/* coh_star may be from 0 to 1 + tolCoh, r from 0 to 1, both inclusive. */
START_TEST(test_verdict_bounds) {
    static const struct {
        double coh_star, r;
        uint32_t reasons;
    } rows[] = {
        {0, 0.5, 0},
        {-0.0, 0.5, 0},
        {1.05, 0.5, 0},
        {-0.000000001, 0.5, 1u << FLK_REASON_COH_STAR_OUT_OF_BOUNDS},
        {1.050000001, 0.5, 1u << FLK_REASON_COH_STAR_OUT_OF_BOUNDS},
        {1e300, 0.5, 1u << FLK_REASON_COH_STAR_OUT_OF_BOUNDS},
        {0.5, 0, 0},
        {0.5, 1, 0},
        {0.5, -0.000000001, 1u << FLK_REASON_R_OUT_OF_BOUNDS},
        {0.5, 1.000000001, 1u << FLK_REASON_R_OUT_OF_BOUNDS},
        {0.5, -1e300, 1u << FLK_REASON_R_OUT_OF_BOUNDS},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_pcs_t pcs = accepted_pcs();
        pcs.coh_star = rows[i].coh_star;
        pcs.r = rows[i].r;
        flk_outcome_t outcome = judge(&pcs);
        pcs.regime = outcome.regime;
        pcs.budget = outcome.budget;
        outcome = judge(&pcs);
        ck_assert_msg(outcome.reasons == rows[i].reasons, "row %zu: %x", i, outcome.reasons);
    }
}
END_TEST

/* Digits past the ninth are not signed, so they do not change the verdict. */
START_TEST(test_verdict_depends_on_signed_digits_only) {
    flk_pcs_t pcs = accepted_pcs();
    flk_outcome_t plain = judge(&pcs);
    pcs.d_hat += 4e-10;
    pcs.coh_star -= 4e-10;
    pcs.r += 4e-10;
    pcs.budget -= 4e-10;
    flk_outcome_t noisy = judge(&pcs);
    ck_assert_mem_eq(&plain, &noisy, sizeof plain);
    pcs = accepted_pcs();
    pcs.r = 1.0000000004;
    ck_assert_uint_eq(judge(&pcs).reasons & (1u << FLK_REASON_R_OUT_OF_BOUNDS), 0);
}
END_TEST

/* All reasons are collected; none hides another. */
START_TEST(test_verdict_collects_all_reasons) {
    flk_pcs_t pcs = accepted_pcs();
    pcs.counts[1].cells = 0;
    pcs.coh_star = 2;
    pcs.r = -1;
    pcs.regime = FLK_REGIME_NON_STICKY;
    pcs.budget = 0.1;
    pcs.degraded = true;
    flk_outcome_t outcome = judge(&pcs);
    ck_assert_uint_eq(outcome.status, FLK_STATUS_ESCALATED);
    ck_assert_uint_eq(outcome.reasons, 1u << FLK_REASON_D_HAT_UNVERIFIABLE | 1u << FLK_REASON_COH_STAR_OUT_OF_BOUNDS |
                                           1u << FLK_REASON_R_OUT_OF_BOUNDS | 1u << FLK_REASON_REGIME_MISMATCH |
                                           1u << FLK_REASON_BUDGET_MISMATCH | 1u << FLK_REASON_DEGRADED);
}
END_TEST

static double extreme(uint64_t n) {
    static const double values[] = {
        0, -0.0, 1, -1, 0.5, DBL_MAX, -DBL_MAX, DBL_MIN, -DBL_MIN, 1e308, -1e308, 8388607.9999999995, 2.6};
    return values[n % FLK_COUNT_OF(values)];
}

static uint64_t extreme_count(uint64_t n) {
    static const uint64_t values[] = {
        0, 1, 2, 3, 4, (UINT64_C(1) << 53) - 1, (UINT64_C(1) << 53) - 2, (UINT64_C(1) << 52) + 1};
    return values[n % FLK_COUNT_OF(values)];
}

/* For any finite numbers in a PCS, no number of its outcome is infinite or NaN. */
START_TEST(test_verdict_is_always_finite) {
    uint64_t seed = flk_random_u64();
    printf("seed %llu\n", (unsigned long long)seed);
    srand48((long)seed);
    flk_policy_t policy;
    flk_policy_default(&policy);
    policy.terms.alpha = policy.terms.beta = policy.terms.gamma = 1;
    for (int round = 0; round < 200000; round++) {
        flk_pcs_t pcs = accepted_pcs();
        pcs.d_hat = extreme((uint64_t)lrand48());
        pcs.coh_star = extreme((uint64_t)lrand48());
        pcs.r = extreme((uint64_t)lrand48());
        pcs.budget = extreme((uint64_t)lrand48());
        for (size_t i = 0; i < 3; i++) {
            pcs.scales[i] = pcs.counts[i].scale = 2 + extreme_count((uint64_t)lrand48()) / 2 * 2 + (uint64_t)i % 2;
            pcs.counts[i].cells = extreme_count((uint64_t)lrand48());
        }
        flk_outcome_t outcome;
        flk_verdict(&pcs, &policy, &outcome);
        ck_assert(isfinite(outcome.d_hat) && isfinite(outcome.budget) && isfinite(outcome.budget_claimed));
        ck_assert(outcome.has_d_hat == ((outcome.reasons & 1u << FLK_REASON_D_HAT_UNVERIFIABLE) == 0));
    }
}
END_TEST

/* The digest of the unsigned depends on the values that the verdict reads there, and on nothing else. */
START_TEST(test_verdict_digest) {
    uint8_t first[FLK_UNSIGNED_DIGEST_BYTES], other[FLK_UNSIGNED_DIGEST_BYTES];
    flk_pcs_t pcs = accepted_pcs();
    flk_verdict_digest(&pcs, first);
    pcs.d_hat = 2; /* signed */
    uint64_t scale = pcs.scales[0];
    pcs.scales[0] = pcs.scales[2];
    pcs.scales[2] = scale;
    flk_pcs_count_t count = pcs.counts[1];
    pcs.counts[1] = pcs.counts[0];
    pcs.counts[0] = count;
    pcs.counts[pcs.counts_len++] = (flk_pcs_count_t){.scale = 1000, .cells = 7}; /* of no scale */
    flk_verdict_digest(&pcs, other);
    ck_assert_mem_eq(first, other, sizeof first);
    for (int what = 0; what < 5; what++) {
        pcs = accepted_pcs();
        pcs.regime = what == 0 ? FLK_REGIME_STICKY : pcs.regime;
        pcs.degraded = what == 1;
        pcs.scales_len -= what == 2;
        pcs.counts[1].cells += what == 3;
        pcs.counts_len -= what == 4;
        flk_verdict_digest(&pcs, other);
        ck_assert_msg(memcmp(first, other, sizeof first) != 0, "%d", what);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("verdict");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_verdict_vectors);
    tcase_add_test(tcase, test_verdict_tolerance_edges);
    tcase_add_test(tcase, test_verdict_bounds);
    tcase_add_test(tcase, test_verdict_depends_on_signed_digits_only);
    tcase_add_test(tcase, test_verdict_collects_all_reasons);
    tcase_add_test(tcase, test_verdict_is_always_finite);
    tcase_add_test(tcase, test_verdict_digest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
