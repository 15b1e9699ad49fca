/* SPDX-License-Identifier: MIT */
#include "common/pcs/pcs.h"

#include "common/pcs/canonical.h"
#include "common/sha256.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const char *const regime_names[] = {
    [FLK_REGIME_STICKY] = "sticky",
    [FLK_REGIME_MIXED] = "mixed",
    [FLK_REGIME_NON_STICKY] = "non_sticky",
};

const char *flk_regime_name(flk_regime_t regime) {
    FLK_ASSERT((size_t)regime < FLK_COUNT_OF(regime_names));
    return regime_names[regime];
}

bool flk_regime_parse(const char *text, size_t text_bytes, flk_regime_t *regime) {
    for (size_t i = 0; i < FLK_COUNT_OF(regime_names); i++) {
        if (strlen(regime_names[i]) == text_bytes && memcmp(regime_names[i], text, text_bytes) == 0) {
            *regime = (flk_regime_t)i;
            return true;
        }
    }
    return false;
}

void flk_pcs_init(flk_pcs_t *pcs) {
    memset(pcs, 0, sizeof *pcs);
}

void flk_pcs_fini(flk_pcs_t *pcs) {
    free(pcs->v_star);
    pcs->v_star = NULL;
    pcs->v_star_len = 0;
}

void flk_pcs_set_id(flk_pcs_t *pcs) {
    char text[FLK_PCS_MERKLE_MAX + FLK_PCS_SHARD_MAX + FLK_INTEGER_BYTES + sizeof "||"];
    char *at = stpcpy(text, pcs->merkle_root);
    *at++ = '|';
    at += flk_integer_print(pcs->epoch, at);
    *at++ = '|';
    at = stpcpy(at, pcs->shard_id);
    flk_sha256(text, (size_t)(at - text), pcs->id_raw);
    sodium_bin2hex(pcs->id, sizeof pcs->id, pcs->id_raw, sizeof pcs->id_raw);
}
