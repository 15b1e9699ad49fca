/* SPDX-License-Identifier: MIT */
/* The verdict: a pure function of a PCS and a policy. No I/O, clock, randomness or state. */
#ifndef FLK_COMMON_VERDICT_H
#define FLK_COMMON_VERDICT_H

#include "common/pcs.h"
#include "common/policy.h"

/* In the order in which they are reported. `dead_letter` is given by the broker, never by flk_verdict. */
#define FLK_REASONS(X)                                                                                                 \
    X(FLK_REASON_D_HAT_UNVERIFIABLE, "d_hat_unverifiable")                                                             \
    X(FLK_REASON_D_HAT_OUT_OF_TOLERANCE, "d_hat_out_of_tolerance")                                                     \
    X(FLK_REASON_COH_STAR_OUT_OF_BOUNDS, "coh_star_out_of_bounds")                                                     \
    X(FLK_REASON_R_OUT_OF_BOUNDS, "r_out_of_bounds")                                                                   \
    X(FLK_REASON_REGIME_MISMATCH, "regime_mismatch")                                                                   \
    X(FLK_REASON_BUDGET_MISMATCH, "budget_mismatch")                                                                   \
    X(FLK_REASON_DEGRADED, "degraded")                                                                                 \
    X(FLK_REASON_DEAD_LETTER, "dead_letter")

typedef enum flk_reason {
#define FLK_REASON_ID(id, name) id,
    FLK_REASONS(FLK_REASON_ID)
#undef FLK_REASON_ID
        FLK_REASON_COUNT
} flk_reason_t;
const char *flk_reason_name(flk_reason_t reason);

enum { FLK_STATUS_ACCEPTED = 200, FLK_STATUS_ESCALATED = 202 };

/* What the store keeps for a pcs_id, for ever the same (first write wins). */
typedef struct flk_outcome {
    uint16_t status;  /* FLK_STATUS_ACCEPTED without reasons, FLK_STATUS_ESCALATED with some */
    uint32_t reasons; /* bit (1u << flk_reason_t) */
    bool has_d_hat;   /* false: unverifiable, printed as null */
    double d_hat;     /* recomputed */
    double budget;    /* recomputed; from the claimed D-hat when d_hat cannot be recomputed */
    double budget_claimed;
    flk_regime_t regime; /* recomputed */
    char policy_version[FLK_POLICY_VERSION_BYTES];
} flk_outcome_t;

void flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome);

#endif
