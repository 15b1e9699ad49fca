/* SPDX-License-Identifier: MIT */
/* 1. Round the claims to the 9 decimals that the signature covers: later digits could be changed on the way.
 * 2. Recompute D-hat from N_j, and budget and regime from the claims.
 * 3. Compare: each reason by itself, none hides another. */
#include "common/pcs/verdict.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

#include "common/bytes.h"
#include "common/pcs/canonical.h"
#include "common/pcs/rule.h"
#include "common/pcs/signals.h"

/* Both numbers have 9 decimals; so has their difference, once the noise of the subtraction is taken off: 0.65 and 0.5
 * are within 0.15. */
static bool within(double a, double b, double tolerance) {
    return flk_round9(fabs(a - b)) <= tolerance;
}

static uint32_t bit_if(bool condition, flk_reason_t reason) {
    return condition ? 1u << reason : 0;
}

/* The rules' part of the verdict; apart, for most policies have none. */
static void apply_rules(const flk_pcs_t *pcs, const flk_policy_t *policy, unsigned block, flk_outcome_t *outcome) {
    flk_signals_t signals;
    flk_signals_of(pcs, outcome, &signals);
    flk_rules_names(policy, flk_rules_hold(policy, block, &signals), outcome->rules);
    outcome->reasons |= bit_if(outcome->rules[0] != '\0', FLK_REASON_RULE);
}

void flk_verdict(const flk_pcs_t *pcs, const flk_policy_t *policy, flk_outcome_t *outcome) {
    const unsigned block = flk_policy_block(policy, pcs->shard_id);
    const flk_terms_t *terms = flk_policy_terms(policy, block);
    double d_hat = flk_round9(pcs->d_hat), coh_star = flk_round9(pcs->coh_star);
    double r = flk_round9(pcs->r), budget = flk_round9(pcs->budget);

    memset(outcome, 0, sizeof *outcome);
    memcpy(outcome->policy_version, policy->version, sizeof outcome->policy_version);
    outcome->has_d_hat =
        flk_theil_sen(pcs->scales, pcs->scales_len, pcs->counts, pcs->counts_len, terms->median, &outcome->d_hat);
    outcome->budget = flk_budget(terms, d_hat, coh_star, r);
    outcome->budget_claimed = budget;
    outcome->regime = flk_regime(terms, coh_star, d_hat);

    outcome->reasons =
        bit_if(!outcome->has_d_hat, FLK_REASON_D_HAT_UNVERIFIABLE) |
        bit_if(outcome->has_d_hat && !within(d_hat, outcome->d_hat, terms->tol_d), FLK_REASON_D_HAT_OUT_OF_TOLERANCE) |
        bit_if(!(coh_star >= 0 && coh_star <= flk_round9(1 + terms->tol_coh)), FLK_REASON_COH_STAR_OUT_OF_BOUNDS) |
        bit_if(!(r >= 0 && r <= 1), FLK_REASON_R_OUT_OF_BOUNDS) |
        bit_if(outcome->regime != pcs->regime, FLK_REASON_REGIME_MISMATCH) |
        bit_if(!within(budget, outcome->budget, terms->tol_budget), FLK_REASON_BUDGET_MISMATCH) |
        bit_if(pcs->degraded, FLK_REASON_DEGRADED);
    if (policy->rules_len != 0) {
        apply_rules(pcs, policy, block, outcome);
    }
    outcome->status = outcome->reasons == 0 ? FLK_STATUS_ACCEPTED : FLK_STATUS_ESCALATED;
}

/* Insertion sort: agents send scales in order. */
static void sort_scales(uint64_t *scales, size_t scales_len) {
    for (size_t i = 1; i < scales_len; i++) {
        uint64_t scale = scales[i];
        size_t at = i;
        for (; at > 0 && scales[at - 1] > scale; at--) {
            scales[at] = scales[at - 1];
        }
        scales[at] = scale;
    }
}

void flk_verdict_digest(const flk_pcs_t *pcs, uint8_t digest[FLK_UNSIGNED_DIGEST_BYTES]) {
    enum { PAIR_BYTES = 16 };
    uint64_t scales[FLK_PCS_SCALES_MAX];
    uint8_t read[2 + FLK_PCS_SCALES_MAX * PAIR_BYTES], *at = read;
    memcpy(scales, pcs->scales, pcs->scales_len * sizeof *scales);
    sort_scales(scales, pcs->scales_len);
    *at++ = (uint8_t)pcs->regime;
    *at++ = pcs->degraded;
    for (size_t i = 0; i < pcs->scales_len; i++, at += PAIR_BYTES) {
        flk_put_be64(at, scales[i]);
        flk_put_be64(at + 8, flk_cells_at(pcs->counts, pcs->counts_len, scales[i], i));
    }
    (void)crypto_generichash(digest, FLK_UNSIGNED_DIGEST_BYTES, read, (size_t)(at - read), NULL, 0);
}
