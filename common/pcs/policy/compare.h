/* SPDX-License-Identifier: MIT */
/* Two policies side by side: the bounds that moved, and whether one of them became wider. */
#ifndef FLK_COMMON_PCS_POLICY_COMPARE_H
#define FLK_COMMON_PCS_POLICY_COMPARE_H

#include "common/pcs/policy.h"

typedef enum flk_move { FLK_MOVE_OTHER, FLK_MOVE_WIDER, FLK_MOVE_NARROWER } flk_move_t;

typedef struct flk_policy_move {
    const char *shard; /* a shard for which it is so; "": those without a block in either policy */
    const char *name;  /* tolD, …, median, dedup_ttl_s, escalate */
    const char *rule;  /* of escalate: the rule that came, went or changed; else NULL */
    double before, after;
    flk_move_t move;
} flk_policy_move_t;

/* Gets one move, kept until it returns. */
typedef void flk_policy_move_fn(void *arg, const flk_policy_move_t *move);

/* Calls `tell` for each term that moved: for shards without a block, and for one shard of each block of either policy.
 * A tolerance that grew is wider, and so is a rule that went; a tolerance that fell and a rule that came are narrower.
 */
void flk_policy_compare(const flk_policy_t *before, const flk_policy_t *after, flk_policy_move_fn *tell, void *arg);

/* FLK_E_CONFIG when `after` has the version of `before` and a tolerance that is wider: errmsg tells which one. */
FLK_MUST_CHECK flk_err_t flk_policy_may_follow(const flk_policy_t *before, const flk_policy_t *after, char *errmsg);

#endif
