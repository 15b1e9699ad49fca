/* SPDX-License-Identifier: MIT */
/* msgpack -> PCS: a refusal says where and why; an accepted PCS is written, within its bound, to msgpack that reads
 * back as the same. */
#include <stdlib.h>

#include "proto/body.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static flk_pcs_reader_t *reader;
    if (reader == NULL) {
        reader = flk_pcs_reader_new();
        FLK_ASSERT(reader != NULL);
    }
    flk_pcs_t pcs, again;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_msgpack(reader, data, data_bytes, &pcs, &fault);
    if (err != FLK_OK) {
        FLK_ASSERT(err == FLK_E_INVALID || err == FLK_E_TOO_LARGE);
        fuzz_check_text(fault.reason);
        return 0;
    }
    uint8_t digest[FLK_DIGEST_BYTES], digest_again[FLK_DIGEST_BYTES];
    fuzz_check_pcs(&pcs, digest);
    size_t bound = flk_pcs_msgpack_bound(&pcs);
    uint8_t *out = malloc(bound);
    FLK_ASSERT(out != NULL);
    size_t written = flk_pcs_to_msgpack(&pcs, out);
    FLK_ASSERT(written <= bound);
    FLK_ASSERT(flk_pcs_from_msgpack(reader, out, written, &again, &fault) == FLK_OK);
    fuzz_check_pcs(&again, digest_again);
    FLK_ASSERT(memcmp(digest, digest_again, sizeof digest) == 0);
    free(out);
    flk_pcs_fini(&again);
    flk_pcs_fini(&pcs);
    return 0;
}
