/* SPDX-License-Identifier: MIT */
/* A policy file: it is refused with one line, or keeps within the guard-rails. */
#include "common/pcs/policy/load.h"
#include "tests/fuzz/fuzz.h"

static bool in_unit(double value) {
    return value >= 0 && value <= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_policy_t policy;
    flk_err_t err = flk_policy_load(fuzz_file(data, data_bytes), &policy, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_CONFIG && errmsg[0] != '\0' && strchr(errmsg, '\n') == NULL);
        return 0;
    }
    FLK_ASSERT(policy.version[0] != '\0');
    FLK_ASSERT(in_unit(policy.terms.tol_d) && in_unit(policy.terms.tol_coh) && in_unit(policy.terms.tol_budget) &&
               in_unit(policy.terms.base));
    FLK_ASSERT(in_unit(policy.terms.alpha) && in_unit(policy.terms.beta) && in_unit(policy.terms.gamma));
    FLK_ASSERT(policy.terms.d0 >= 0 && policy.terms.d0 <= 16 && policy.dedup_ttl_s >= 60);
    return 0;
}
