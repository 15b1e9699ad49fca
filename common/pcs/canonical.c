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

/* As it was sent, where that is known. */
static char *put_claim(char *at, double value, flk_print_t print, const char *sent) {
    return sent != NULL && sent[0] != '\0' ? put_text(at, sent) : put_real(at, value, print);
}

static const char *sent_print(const flk_pcs_t *pcs, bool as_sent, flk_claim_t claim) {
    return as_sent ? pcs->prints[claim] : NULL;
}

/* No text here needs escaping: the reader lets only hex digits and A-Z a-z 0-9 . _ : - into these members. */
static size_t write_canonical(const flk_pcs_t *pcs, flk_print_t print, bool as_sent, char out[FLK_CANONICAL_BYTES]) {
    char *at = put_text(out, "{\"D_hat\":");
    at = put_claim(at, pcs->d_hat, print, sent_print(pcs, as_sent, FLK_CLAIM_D_HAT));
    at = put_text(at, ",\"budget\":");
    at = put_claim(at, pcs->budget, print, sent_print(pcs, as_sent, FLK_CLAIM_BUDGET));
    at = put_text(at, ",\"coh_star\":");
    at = put_claim(at, pcs->coh_star, print, sent_print(pcs, as_sent, FLK_CLAIM_COH_STAR));
    at = put_text(at, ",\"epoch\":");
    at += flk_integer_print(pcs->epoch, at);
    at = put_text(at, ",\"merkle_root\":\"");
    at = put_text(at, pcs->merkle_root);
    at = put_text(at, "\",\"pcs_id\":\"");
    at = put_text(at, pcs->id);
    at = put_text(at, "\",\"r\":");
    at = put_claim(at, pcs->r, print, sent_print(pcs, as_sent, FLK_CLAIM_R));
    at = put_text(at, ",\"shard_id\":\"");
    at = put_text(at, pcs->shard_id);
    at = put_text(at, "\"}");
    *at = '\0';
    return (size_t)(at - out);
}

size_t flk_canonical(const flk_pcs_t *pcs, flk_print_t print, char out[FLK_CANONICAL_BYTES]) {
    return write_canonical(pcs, print, false, out);
}

size_t flk_canonical_as_sent(const flk_pcs_t *pcs, char out[FLK_CANONICAL_BYTES]) {
    return write_canonical(pcs, FLK_PRINT_PYTHON, true, out);
}

void flk_canonical_digest(const flk_pcs_t *pcs, flk_print_t print, uint8_t digest[FLK_DIGEST_BYTES]) {
    char text[FLK_CANONICAL_BYTES];
    size_t text_bytes = flk_canonical(pcs, print, text);
    flk_sha256(text, text_bytes, digest);
}
