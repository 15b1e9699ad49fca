/* SPDX-License-Identifier: MIT */
/* Rules of a policy that escalate: which of them hold for a PCS. Pure functions. */
#ifndef FLK_COMMON_PCS_RULE_H
#define FLK_COMMON_PCS_RULE_H

#include "common/pcs/verdict.h"

/* A value for each signal; a signal that is not known is NaN, and no condition on it holds. */
typedef struct flk_signals {
    double values[FLK_SIGNALS_LEN];
} flk_signals_t;

/* Reads has_d_hat, d_hat and budget of the outcome. */
void flk_signals_of(const flk_pcs_t *pcs, const flk_outcome_t *outcome, flk_signals_t *signals);

bool flk_condition_holds(const flk_condition_t *condition, const flk_signals_t *signals);
/* One bit for each rule that holds for a shard of that block: (1u << its index). */
uint32_t flk_rules_hold(const flk_policy_t *policy, unsigned block, const flk_signals_t *signals);
/* Their names, joined by commas. The policy's check saw to it that they fit. */
void flk_rules_names(const flk_policy_t *policy, uint32_t hold, char out[FLK_RULES_BYTES]);

#endif
