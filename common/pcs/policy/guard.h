/* SPDX-License-Identifier: MIT */
/* The guard-rails: bounds that a policy keeps for every PCS, found by interval arithmetic. */
#ifndef FLK_COMMON_PCS_POLICY_GUARD_H
#define FLK_COMMON_PCS_POLICY_GUARD_H

#include "common/pcs/policy/place.h"

/* Values that a signal takes, in units of 1e-9: from `low` to `high` in steps of `step`. Empty: low > high. */
typedef struct flk_interval {
    int64_t low, high, step;
} flk_interval_t;
#define FLK_INTERVAL_UNIT INT64_C(1000000000)

/* The values of a signal in a PCS whose coh_star and r are in bounds, judged by these terms. D_hat has none, and
 * residual_spread no greatest; theirs lie at 1e9. */
flk_interval_t flk_interval_of(const flk_terms_t *terms, flk_signal_t signal);
/* Of those, the values for which the condition holds. */
flk_interval_t flk_interval_cut(flk_interval_t interval, const flk_condition_t *condition);

/* Checks, in this order: each term lies in its range; coh_star in [0, 1 + tolCoh] and r in [0, 1] give a budget in
 * [0, 1]; each regime can hold, and no two for one PCS; patterns of shards are well formed and none hides another; each
 * rule can hold, and each alternative of it for a PCS that no other one has; rules have names of their own, which fit
 * into an outcome. Errors: FLK_E_CONFIG; errmsg has the place, the rule that was broken, and a value that breaks it. */
FLK_MUST_CHECK flk_err_t flk_policy_guard(const flk_policy_t *policy, const flk_places_t *places, char *errmsg);

#endif
