/* SPDX-License-Identifier: MIT */
#include "common/pcs/rule.h"

#include <check.h>
#include <math.h>
#include <string.h>

#include "tests/unit/rig/pcs_maker.h"
#include "tests/unit/rig/suite.h"

static flk_rule_t rule_of(const char *name, uint8_t block, flk_signal_t signal, flk_compare_t compare, double value) {
    flk_rule_t rule = {
        .block = block, .conditions_len = 1, .conditions = {{(uint8_t)signal, (uint8_t)compare, 0, value}}};
    strcpy(rule.name, name);
    return rule;
}

static flk_outcome_t judge(const flk_policy_t *policy, const char *shard_id, flk_pcs_t *pcs) {
    flk_outcome_t outcome;
    strcpy(pcs->shard_id, shard_id);
    flk_verdict(pcs, policy, &outcome);
    return outcome;
}

/* Each comparison holds exactly where it says; no condition holds for a signal that is not known. */
START_TEST(test_rule_conditions) {
    static const bool expected[FLK_COMPARES][3] = {[FLK_LESS] = {true, false, false},
                                                   [FLK_AT_MOST] = {true, true, false},
                                                   [FLK_GREATER] = {false, false, true},
                                                   [FLK_AT_LEAST] = {false, true, true},
                                                   [FLK_EQUAL] = {false, true, false}};
    static const double values[] = {0.499999999, 0.5, 0.500000001};
    for (unsigned compare = 0; compare < FLK_COMPARES; compare++) {
        flk_condition_t condition = {.signal = FLK_SIGNAL_R, .compare = (uint8_t)compare, .value = 0.5};
        flk_signals_t signals = {{0}};
        for (size_t i = 0; i < 3; i++) {
            signals.values[FLK_SIGNAL_R] = values[i];
            ck_assert_int_eq(flk_condition_holds(&condition, &signals), expected[compare][i]);
        }
        signals.values[FLK_SIGNAL_R] = NAN;
        ck_assert(!flk_condition_holds(&condition, &signals));
    }
}
END_TEST

/* Rules that hold are reasons by their names, in the policy's order, and escalate alone; those of a block for its
 * shards only. */
START_TEST(test_rule_names_in_verdict) {
    flk_policy_t policy;
    flk_pcs_t pcs;
    flk_policy_default(&policy);
    pcs_make(1, 0.5, &pcs);
    flk_outcome_t outcome = judge(&policy, "lab-1", &pcs);
    ck_assert_uint_eq(outcome.reasons, 0);
    policy.rules[policy.rules_len++] = rule_of("few", 0, FLK_SIGNAL_SCALE_COUNT, FLK_LESS, 64);
    policy.rules[policy.rules_len++] = rule_of("never", 0, FLK_SIGNAL_DEGRADED, FLK_EQUAL, 1);
    policy.rules[policy.rules_len++] = rule_of("lab", 1, FLK_SIGNAL_R, FLK_AT_LEAST, 0);
    policy.shards_len = 1;
    policy.shards[0].terms = policy.terms;
    strcpy(policy.shards[0].pattern, "lab-*");
    outcome = judge(&policy, "lab-1", &pcs);
    ck_assert_uint_eq(outcome.status, FLK_STATUS_ESCALATED);
    ck_assert_uint_eq(outcome.reasons, 1u << FLK_REASON_RULE);
    ck_assert_str_eq(outcome.rules, "few,lab");
    outcome = judge(&policy, "shop", &pcs);
    ck_assert_str_eq(outcome.rules, "few");
    flk_reason_each_t each = {0};
    ck_assert_str_eq(flk_reason_each(&each, outcome.reasons, outcome.rules), "rule:few");
    ck_assert_ptr_null(flk_reason_each(&each, outcome.reasons, outcome.rules));
    flk_pcs_fini(&pcs);
}
END_TEST

/* One alternative is enough, and it needs all of its conditions. */
START_TEST(test_rule_alternatives) {
    flk_policy_t policy;
    flk_signals_t signals = {{0}};
    flk_policy_default(&policy);
    policy.rules_len = 1;
    policy.rules[0] = (flk_rule_t){.name = "x",
                                   .conditions_len = 3,
                                   .conditions = {{FLK_SIGNAL_R, FLK_GREATER, 0, 0.5},
                                                  {FLK_SIGNAL_SCALE_COUNT, FLK_LESS, 0, 4},
                                                  {FLK_SIGNAL_D_HAT, FLK_LESS, 1, 0}}};
    signals.values[FLK_SIGNAL_R] = 0.6;
    signals.values[FLK_SIGNAL_SCALE_COUNT] = 4;
    ck_assert_uint_eq(flk_rules_hold(&policy, 0, &signals), 0);
    signals.values[FLK_SIGNAL_SCALE_COUNT] = 3;
    ck_assert_uint_eq(flk_rules_hold(&policy, 0, &signals), 1);
    signals.values[FLK_SIGNAL_R] = 0.5;
    ck_assert_uint_eq(flk_rules_hold(&policy, 0, &signals), 0);
    signals.values[FLK_SIGNAL_D_HAT] = -1;
    ck_assert_uint_eq(flk_rules_hold(&policy, 0, &signals), 1);
}
END_TEST

/* A block has terms of its own, the first block that fits is the shard's, and a pattern without a star is one shard. */
START_TEST(test_rule_blocks) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    policy.shards_len = 2;
    strcpy(policy.shards[0].pattern, "lab-7");
    strcpy(policy.shards[1].pattern, "lab-*");
    ck_assert_uint_eq(flk_policy_block(&policy, "lab-7"), 1);
    ck_assert_uint_eq(flk_policy_block(&policy, "lab-77"), 2);
    ck_assert_uint_eq(flk_policy_block(&policy, "lab-"), 2);
    ck_assert_uint_eq(flk_policy_block(&policy, "lab"), 0);
    policy.shards[0].terms = policy.shards[1].terms = policy.terms;
    policy.shards[1].terms.tol_d = 0.5;
    flk_pcs_t pcs;
    pcs_make(1, 0.5, &pcs);
    pcs.d_hat += 0.3;
    ck_assert_uint_eq(judge(&policy, "lab-7", &pcs).reasons & 1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE,
                      1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE);
    ck_assert_uint_eq(judge(&policy, "lab-8", &pcs).reasons & 1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE, 0);
    flk_pcs_fini(&pcs);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("rule");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_rule_conditions);
    tcase_add_test(tcase, test_rule_names_in_verdict);
    tcase_add_test(tcase, test_rule_alternatives);
    tcase_add_test(tcase, test_rule_blocks);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
