/* SPDX-License-Identifier: MIT */
#include "common/pcs/canonical.h"

#include <string.h>

#include "common/sha256.h"

static char *put_text(char *at, const char *text) {
    size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

static char *put_real(char *at, double value, flk_print_t print) {
    return at + flk_number_print(flk_round9(value), print, at);
}

/* No text here needs escaping: the reader lets only hex digits and A-Z a-z 0-9 . _ : - into these members. */
size_t flk_canonical(const flk_pcs_t *pcs, flk_print_t print, char out[FLK_CANONICAL_BYTES]) {
    char *at = put_text(out, "{\"D_hat\":");
    at = put_real(at, pcs->d_hat, print);
    at = put_text(at, ",\"budget\":");
    at = put_real(at, pcs->budget, print);
    at = put_text(at, ",\"coh_star\":");
    at = put_real(at, pcs->coh_star, print);
    at = put_text(at, ",\"epoch\":");
    at += flk_integer_print(pcs->epoch, at);
    at = put_text(at, ",\"merkle_root\":\"");
    at = put_text(at, pcs->merkle_root);
    at = put_text(at, "\",\"pcs_id\":\"");
    at = put_text(at, pcs->id);
    at = put_text(at, "\",\"r\":");
    at = put_real(at, pcs->r, print);
    at = put_text(at, ",\"shard_id\":\"");
    at = put_text(at, pcs->shard_id);
    at = put_text(at, "\"}");
    *at = '\0';
    return (size_t)(at - out);
}

void flk_canonical_digest(const flk_pcs_t *pcs, flk_print_t print, uint8_t digest[FLK_DIGEST_BYTES]) {
    char text[FLK_CANONICAL_BYTES];
    size_t text_bytes = flk_canonical(pcs, print, text);
    flk_sha256(text, text_bytes, digest);
}
