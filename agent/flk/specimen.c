/* SPDX-License-Identifier: MIT */
#include "agent/flk/specimen.h"

#include <stdio.h>
#include <string.h>

#include "common/pcs/canonical.h"
#include "common/pcs/signals.h"

/* Counts of a set of dimension about 1.5, the scales that the agent has by default. */
void flk_specimen_fill(flk_pcs_t *pcs, uint64_t number, uint64_t seed) {
    static const uint64_t scales[] = {2, 4, 8, 16, 32};
    static const uint64_t cells[] = {3, 8, 23, 64, 181};
    flk_policy_t policy;
    flk_policy_default(&policy);
    flk_pcs_init(pcs);
    strcpy(pcs->version, FLK_PCS_VERSION);
    snprintf(pcs->shard_id, sizeof pcs->shard_id, "bench-%llx", (unsigned long long)seed);
    snprintf(pcs->merkle_root, sizeof pcs->merkle_root, "%016llx%016llx%032x", (unsigned long long)seed,
             (unsigned long long)number, 0);
    snprintf(pcs->sent_at, sizeof pcs->sent_at, "2026-01-01T00:00:00Z");
    pcs->epoch = number;
    pcs->scales_len = pcs->counts_len = (uint32_t)FLK_COUNT_OF(scales);
    for (size_t i = 0; i < FLK_COUNT_OF(scales); i++) {
        pcs->scales[i] = scales[i];
        pcs->counts[i] = (flk_pcs_count_t){scales[i], cells[i]};
    }
    FLK_ASSERT(flk_theil_sen(scales, FLK_COUNT_OF(scales), pcs->counts, pcs->counts_len, FLK_MEDIAN_MEAN, &pcs->d_hat));
    pcs->coh_star = flk_round9(0.2 + (double)(number % 500) * 0.001);
    pcs->r = flk_round9(0.3 + (double)(number % 600) * 0.001);
    pcs->regime = flk_regime(&policy.terms, pcs->coh_star, pcs->d_hat);
    pcs->budget = flk_budget(&policy.terms, pcs->d_hat, pcs->coh_star, pcs->r);
    pcs->has_seed = pcs->has_attempt = true;
    pcs->seed = number;
    pcs->attempt = 1;
    flk_pcs_set_id(pcs);
}
