/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "agent/flk/specimen.h"
#include "common/pcs/keys.h"
#include "tests/load/load.h"

load_body_t *load_make(const load_options_t *options, bool msgpack) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_signer_t *signer;
    load_body_t *bodies = flk_start_alloc(options->distinct * sizeof *bodies);
    if (flk_signer_new(options->key != NULL ? FLK_SIGN_HMAC : FLK_SIGN_NONE, options->key, NULL, &signer, errmsg) !=
        FLK_OK) {
        fprintf(stderr, "flk-load: %s\n", errmsg);
        exit(2);
    }
    for (size_t i = 0; i < options->distinct; i++) {
        static flk_pcs_t pcs;
        flk_specimen_fill(&pcs, i, options->seed);
        flk_signer_sign(signer, &pcs);
        if (msgpack) {
            bodies[i].bytes = flk_start_alloc(flk_pcs_msgpack_bound(&pcs));
            bodies[i].bytes_len = (uint32_t)flk_pcs_to_msgpack(&pcs, bodies[i].bytes);
        } else {
            size_t len;
            FLK_ASSERT(flk_pcs_to_json(&pcs, &bodies[i].bytes, &len) == FLK_OK);
            bodies[i].bytes_len = (uint32_t)len;
        }
        flk_pcs_fini(&pcs);
    }
    flk_signer_destroy(&signer);
    return bodies;
}
