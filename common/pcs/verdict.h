/* SPDX-License-Identifier: MIT */
/* The verdict: a pure function of a PCS and a policy. No I/O, clock, randomness or state. */
#ifndef FLK_COMMON_PCS_VERDICT_H
#define FLK_COMMON_PCS_VERDICT_H

#include "common/pcs/pcs.h"
#include "common/pcs/policy.h"

/* In the order in which they are reported. `dead_letter` is given by the broker, never by flk_verdict. `rule` stands
 * for all rules of the policy that hold; where their names are known, each is reported as rule:NAME. */
#define FLK_REASONS(X)                                                                                                 \
    X(FLK_REASON_D_HAT_UNVERIFIABLE, "d_hat_unverifiable")                                                             \
    X(FLK_REASON_D_HAT_OUT_OF_TOLERANCE, "d_hat_out_of_tolerance")                                                     \
    X(FLK_REASON_COH_STAR_OUT_OF_BOUNDS, "coh_star_out_of_bounds")                                                     \
    X(FLK_REASON_R_OUT_OF_BOUNDS, "r_out_of_bounds")                                                                   \
    X(FLK_REASON_REGIME_MISMATCH, "regime_mismatch")                                                                   \
    X(FLK_REASON_BUDGET_MISMATCH, "budget_mismatch")                                                                   \
    X(FLK_REASON_DEGRADED, "degraded")                                                                                 \
    X(FLK_REASON_DEAD_LETTER, "dead_letter")                                                                           \
    X(FLK_REASON_RULE, "rule")

typedef enum flk_reason {
#define FLK_REASON_ID(id, name) id,
    FLK_REASONS(FLK_REASON_ID)
#undef FLK_REASON_ID
        FLK_REASON_COUNT
} flk_reason_t;
const char *flk_reason_name(flk_reason_t reason);

enum { FLK_STATUS_ACCEPTED = 200, FLK_STATUS_ESCALATED = 202 };

/* The record that the store keeps for a pcs_id, for ever the same (first write wins). */
typedef struct flk_outcome {
    uint16_t status;  /* FLK_STATUS_ACCEPTED without reasons, FLK_STATUS_ESCALATED with some */
    uint32_t reasons; /* bit (1u << flk_reason_t) */
    bool has_d_hat;   /* false: unverifiable, printed as null */
    double d_hat;     /* recomputed from scales and N_j */
    double budget;    /* recomputed from the claimed D-hat, coh_star and r */
    double budget_claimed;
    flk_regime_t regime; /* recomputed from the claimed D-hat and coh_star */
    char policy_version[FLK_POLICY_VERSION_BYTES];
    char rules[FLK_RULES_BYTES]; /* names of the rules that hold, FLK_RULES_MAX at most, joined by commas; "" without
                                    FLK_REASON_RULE */
} flk_outcome_t;

#define FLK_REASON_OF_RULE "rule:"
enum { FLK_REASON_BYTES = sizeof FLK_REASON_OF_RULE - 1 + FLK_RULE_NAME_BYTES };

/* Walks the reasons as they are reported: the next one's text, kept until the next call; NULL at the end. `each` is all
 * zero at first. `rules` as an outcome has them; NULL or "": the names are not known. */
typedef struct flk_reason_each {
    unsigned next;
    size_t rules_at;
    char text[FLK_REASON_BYTES];
} flk_reason_each_t;
const char *flk_reason_each(flk_reason_each_t *each, uint32_t reasons, const char *rules);

/* Takes a reason's text, as flk_reason_each gives it, into reasons and rules. False: it is none, or the names of rules
 * are longer than FLK_RULES_BYTES. */
FLK_MUST_CHECK bool flk_reason_take(const char *text, uint32_t *reasons, char rules[FLK_RULES_BYTES]);
/* True: as flk_outcome_t says it, names and FLK_REASON_RULE together or neither. */
bool flk_rules_are_names(uint32_t reasons, const char rules[FLK_RULES_BYTES]);

/* No number of the outcome is infinite or NaN.
 *
 * The claims D_hat, coh_star, r and budget count as rounded to 9 decimals, as they are signed. D-hat is recomputed from
 * scales and N_j and compared with the claim; regime and budget are recomputed from the claimed signals, so that a
 * wrong D-hat is one reason and not three. All by the terms of the PCS's shard. Two numbers are within a tolerance when
 * their difference, rounded to 9 decimals, is at most the tolerance: 0.65 is within 0.15 of 0.5. Bounds are inclusive.
 */
void flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome);

/* Digest of the values that flk_verdict reads and no signature covers: scales with their cells, regime, ft.degraded.
 * Two PCS with one signed content and one such digest get one verdict. BLAKE2b-128 over: regime (1) · degraded (1) ·
 * then, by rising scale, scale (8, big-endian) · cells (8). */
enum { FLK_UNSIGNED_DIGEST_BYTES = 16 };
void flk_verdict_digest(const flk_pcs_t *pcs, uint8_t digest[FLK_UNSIGNED_DIGEST_BYTES]);

#endif
