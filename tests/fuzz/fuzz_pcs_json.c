/* SPDX-License-Identifier: MIT */
/* JSON text -> PCS: a refusal says where and why; an accepted PCS prints to JSON that reads back as the same. */
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    flk_pcs_t pcs, again;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_json((const char *)data, data_bytes, &pcs, &fault);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_INVALID || err == FLK_E_TOO_LARGE);
        fuzz_check_text(fault.reason);
        return 0;
    }
    uint8_t digest[FLK_DIGEST_BYTES], digest_again[FLK_DIGEST_BYTES];
    fuzz_check_pcs(&pcs, digest);
    char *json;
    size_t json_bytes;
    FLK_ASSERT(flk_pcs_to_json(&pcs, &json, &json_bytes) == FLK_OK);
    FLK_ASSERT(flk_pcs_from_json(json, json_bytes, &again, &fault) == FLK_OK);
    fuzz_check_pcs(&again, digest_again);
    FLK_ASSERT(memcmp(digest, digest_again, sizeof digest) == 0);
    free(json);
    flk_pcs_fini(&again);
    flk_pcs_fini(&pcs);
    return 0;
}
