/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/pcs_maker.h"

void pcs_make(uint64_t n, double coh_star, flk_pcs_t *pcs) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    flk_pcs_init(pcs);
    strcpy(pcs->version, FLK_PCS_VERSION);
    strcpy(pcs->shard_id, "shard-1");
    strcpy(pcs->merkle_root, "00ff00ff");
    pcs->epoch = n;
    flk_pcs_set_id(pcs);
    pcs->scales_len = pcs->counts_len = 3;
    for (uint32_t i = 0; i < 3; i++) {
        pcs->scales[i] = UINT64_C(2) << i;
        pcs->counts[i] = (flk_pcs_count_t){.scale = pcs->scales[i], .cells = pcs->scales[i]};
    }
    pcs->d_hat = 1.0;
    pcs->coh_star = coh_star;
    pcs->r = 0.5;
    pcs->regime = flk_regime(&policy.terms, coh_star, pcs->d_hat);
    pcs->budget = flk_budget(&policy.terms, pcs->d_hat, pcs->coh_star, pcs->r);
}
