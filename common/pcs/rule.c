/* SPDX-License-Identifier: MIT */
#include "common/pcs/rule.h"

#include <math.h>
#include <string.h>

#include "common/pcs/canonical.h"
#include "common/pcs/signals.h"

_Static_assert(FLK_RULES_MAX <= 32, "one bit a rule");

void flk_signals_of(const flk_pcs_t *pcs, const flk_outcome_t *outcome, flk_signals_t *signals) {
    double *values = signals->values;
    values[FLK_SIGNAL_D_HAT] = flk_round9(pcs->d_hat);
    values[FLK_SIGNAL_COH_STAR] = flk_round9(pcs->coh_star);
    values[FLK_SIGNAL_R] = flk_round9(pcs->r);
    values[FLK_SIGNAL_BUDGET] = outcome->budget;
    values[FLK_SIGNAL_RESIDUAL_SPREAD] =
        outcome->has_d_hat
            ? flk_residual_spread(pcs->scales, pcs->scales_len, pcs->counts, pcs->counts_len, outcome->d_hat)
            : NAN;
    values[FLK_SIGNAL_SCALE_COUNT] = pcs->scales_len;
    values[FLK_SIGNAL_DEGRADED] = pcs->degraded;
}

bool flk_condition_holds(const flk_condition_t *condition, const flk_signals_t *signals) {
    double value = signals->values[condition->signal];
    switch ((flk_compare_t)condition->compare) {
    case FLK_LESS:
        return value < condition->value;
    case FLK_AT_MOST:
        return value <= condition->value;
    case FLK_GREATER:
        return value > condition->value;
    case FLK_AT_LEAST:
        return value >= condition->value;
    case FLK_EQUAL:
        return value == condition->value;
    case FLK_COMPARES:
        break;
    }
    return false;
}

static bool holds(const flk_rule_t *rule, const flk_signals_t *signals) {
    for (unsigned i = 0; i < rule->conditions_len;) {
        const unsigned alternative = rule->conditions[i].alternative;
        bool all = true;
        for (; i < rule->conditions_len && rule->conditions[i].alternative == alternative; i++) {
            all = all && flk_condition_holds(&rule->conditions[i], signals);
        }
        if (all) {
            return true;
        }
    }
    return false;
}

uint32_t flk_rules_hold(const flk_policy_t *policy, unsigned block, const flk_signals_t *signals) {
    uint32_t hold = 0;
    for (unsigned i = 0; i < policy->rules_len; i++) {
        const flk_rule_t *rule = &policy->rules[i];
        if ((rule->block == 0 || rule->block == block) && holds(rule, signals)) {
            hold |= 1u << i;
        }
    }
    return hold;
}

void flk_rules_names(const flk_policy_t *policy, uint32_t hold, char out[FLK_RULES_BYTES]) {
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < policy->rules_len; i++) {
        if ((hold & 1u << i) == 0) {
            continue;
        }
        size_t name_len = strlen(policy->rules[i].name);
        FLK_ASSERT(len + 1 + name_len < FLK_RULES_BYTES);
        if (len > 0) {
            out[len++] = ',';
        }
        memcpy(out + len, policy->rules[i].name, name_len + 1);
        len += name_len;
    }
}
