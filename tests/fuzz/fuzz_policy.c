/* SPDX-License-Identifier: MIT */
/* A policy in either form: it is refused with one line, or keeps within the guard-rails, prints a canonical JSON that
 * is read as the same, and gives a verdict that can be sent on any PCS. */
#include "common/pcs/policy/guard.h"
#include "common/pcs/policy/json.h"
#include "common/pcs/policy/load.h"
#include "tests/fuzz/fuzz.h"

static bool in_unit(double value) {
    return value >= 0 && value <= 1;
}

static void check_terms(const flk_terms_t *terms) {
    FLK_ASSERT(in_unit(terms->tol_d) && in_unit(terms->tol_coh) && in_unit(terms->tol_budget) && in_unit(terms->base));
    FLK_ASSERT(in_unit(terms->alpha) && in_unit(terms->beta) && in_unit(terms->gamma));
    FLK_ASSERT(terms->d0 >= 0 && terms->d0 <= 16);
    FLK_ASSERT(terms->sticky_d < terms->non_sticky_d && terms->sticky_coh <= flk_round9(1 + terms->tol_coh));
}

/* The canonical form, in memory of our own: one line. */
static size_t print(const flk_policy_t *policy, char *out, size_t out_bytes) {
    FILE *file = fmemopen(out, out_bytes, "w");
    FLK_ASSERT(file != NULL);
    flk_policy_print_json(policy, file);
    const long bytes = ftell(file);
    FLK_ASSERT(fclose(file) == 0 && bytes > 0 && (size_t)bytes < out_bytes);
    return (size_t)bytes;
}

static void check_canonical(const flk_policy_t *policy) {
    static char first[65536], again[65536];
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_policy_t back;
    const size_t bytes = print(policy, first, sizeof first);
    FLK_ASSERT(flk_policy_read(first, bytes, &back, errmsg) == FLK_OK);
    FLK_ASSERT(print(&back, again, sizeof again) == bytes && memcmp(first, again, bytes) == 0);
}

static void check_verdict(const flk_policy_t *policy) {
    flk_pcs_t pcs;
    flk_outcome_t outcome;
    flk_pcs_init(&pcs);
    strcpy(pcs.shard_id, policy->shards_len > 0 ? "lab-1" : "shop");
    pcs.scales_len = pcs.counts_len = 3;
    for (uint32_t i = 0; i < 3; i++) {
        pcs.scales[i] = pcs.counts[i].scale = UINT64_C(2) << i;
        pcs.counts[i].cells = 3 + i;
    }
    pcs.d_hat = 2.5;
    pcs.coh_star = pcs.r = 0.75;
    flk_verdict(&pcs, policy, &outcome);
    FLK_ASSERT(in_unit(outcome.budget) && flk_rules_are_names(outcome.reasons, outcome.rules));
    flk_pcs_fini(&pcs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_policy_t policy;
    if (data_bytes > FLK_POLICY_FILE_BYTES_MAX) {
        return -1;
    }
    flk_err_t err = flk_policy_read((const char *)data, data_bytes, &policy, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_CONFIG && errmsg[0] != '\0' && strchr(errmsg, '\n') == NULL);
        return 0;
    }
    FLK_ASSERT(policy.version[0] != '\0' && policy.dedup_ttl_s >= 60);
    for (unsigned block = 0; block <= policy.shards_len; block++) {
        check_terms(flk_policy_terms(&policy, block));
    }
    check_canonical(&policy);
    check_verdict(&policy);
    return 0;
}
