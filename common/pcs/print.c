/* SPDX-License-Identifier: MIT */
/* PCS -> JSON text, in one allocation of the greatest size that the PCS can need. */
#include "common/pcs/canonical.h"
#include "common/pcs/pcs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ESCAPED_BYTES = 6, /* \u001f */
    /* All members but the arrays and N_j: names, punctuation, texts, 10 numbers. */
    FIXED_BYTES = 1024 + FLK_PCS_ID_HEX + FLK_PCS_VERSION_MAX + FLK_PCS_SHARD_MAX + FLK_PCS_MERKLE_MAX +
                  FLK_PCS_SENT_AT_MAX + FLK_PCS_SIG_MAX * ESCAPED_BYTES,
};

static size_t json_bound(const flk_pcs_t *pcs) {
    return FIXED_BYTES + pcs->scales_len * (FLK_INTEGER_BYTES + 1u) + pcs->counts_len * (2u * FLK_INTEGER_BYTES + 4u) +
           pcs->v_star_len * (FLK_NUMBER_BYTES + 1u) + pcs->fallbacks_len * (FLK_PCS_FALLBACK_MAX + 3u);
}

static char *put(char *at, const char *text) {
    size_t bytes = strlen(text);
    memcpy(at, text, bytes);
    return at + bytes;
}

/* `name` has its comma, quotes and colon. */
static char *put_unsigned(char *at, const char *name, uint64_t value) {
    at = put(at, name);
    return at + flk_integer_print(value, at);
}

/* A claim as its sender printed it, where that matters: its signature covers that print. */
static char *put_claim(char *at, const char *name, double value, const char *print) {
    at = put(at, name);
    return print[0] != '\0' ? put(at, print) : at + flk_number_print(value, FLK_PRINT_PYTHON, at);
}

static char *put_real(char *at, const char *name, double value) {
    at = put(at, name);
    return at + flk_number_print(value, FLK_PRINT_PYTHON, at);
}

/* Any UTF-8 without U+0000: a signature that nobody has verified may hold quotes. */
static char *put_string(char *at, const char *name, const char *text) {
    at = put(at, name);
    *at++ = '"';
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            *at++ = '\\';
            *at++ = *text;
        } else if ((unsigned char)*text < 0x20) {
            at += snprintf(at, ESCAPED_BYTES + 1, "\\u%04x", (unsigned)*text);
        } else {
            *at++ = *text;
        }
    }
    *at++ = '"';
    return at;
}

static char *put_scales(char *at, const flk_pcs_t *pcs) {
    at = put(at, ",\"scales\":[");
    for (uint32_t i = 0; i < pcs->scales_len; i++) {
        at = put_unsigned(at, i == 0 ? "" : ",", pcs->scales[i]);
    }
    return put(at, "]");
}

static char *put_counts(char *at, const flk_pcs_t *pcs) {
    at = put(at, ",\"N_j\":{");
    for (uint32_t i = 0; i < pcs->counts_len; i++) {
        at = put_unsigned(at, i == 0 ? "\"" : ",\"", pcs->counts[i].scale);
        at = put_unsigned(at, "\":", pcs->counts[i].cells);
    }
    return put(at, "}");
}

static char *put_v_star(char *at, const flk_pcs_t *pcs) {
    if (pcs->v_star_len == 0) {
        return at;
    }
    at = put(at, ",\"v_star\":[");
    for (uint32_t i = 0; i < pcs->v_star_len; i++) {
        at = put_real(at, i == 0 ? "" : ",", pcs->v_star[i]);
    }
    return put(at, "]");
}

static char *put_ft(char *at, const flk_pcs_t *pcs) {
    if (!pcs->has_ft) {
        return at;
    }
    at = put(at, ",\"ft\":{");
    if (pcs->has_outbox_seq) {
        at = put_unsigned(at, "\"outbox_seq\":", pcs->outbox_seq);
        at = put(at, ",");
    }
    at = put(at, pcs->degraded ? "\"degraded\":true,\"fallbacks\":[" : "\"degraded\":false,\"fallbacks\":[");
    for (uint32_t i = 0; i < pcs->fallbacks_len; i++) {
        at = put_string(at, i == 0 ? "" : ",", pcs->fallbacks[i]);
    }
    at = put(at, "]");
    if (pcs->has_clock_skew) {
        const char *name = pcs->clock_skew_ms < 0 ? ",\"clock_skew_ms\":-" : ",\"clock_skew_ms\":";
        at = put_unsigned(at, name, (uint64_t)llabs(pcs->clock_skew_ms));
    }
    return put(at, "}");
}

static char *put_pcs(char *at, const flk_pcs_t *pcs) {
    at = put_string(at, "{\"pcs_id\":", pcs->id);
    at = put_string(at, ",\"schema\":", FLK_PCS_SCHEMA);
    at = put_string(at, ",\"version\":", pcs->version);
    at = put_string(at, ",\"shard_id\":", pcs->shard_id);
    at = put_unsigned(at, ",\"epoch\":", pcs->epoch);
    at = pcs->has_attempt ? put_unsigned(at, ",\"attempt\":", pcs->attempt) : at;
    at = pcs->sent_at[0] != '\0' ? put_string(at, ",\"sent_at\":", pcs->sent_at) : at;
    at = pcs->has_seed ? put_unsigned(at, ",\"seed\":", pcs->seed) : at;
    at = put_scales(at, pcs);
    at = put_counts(at, pcs);
    at = put_claim(at, ",\"coh_star\":", pcs->coh_star, pcs->prints[FLK_CLAIM_COH_STAR]);
    at = put_v_star(at, pcs);
    at = put_claim(at, ",\"D_hat\":", pcs->d_hat, pcs->prints[FLK_CLAIM_D_HAT]);
    at = put_claim(at, ",\"r\":", pcs->r, pcs->prints[FLK_CLAIM_R]);
    at = put_string(at, ",\"regime\":", flk_regime_name(pcs->regime));
    at = put_claim(at, ",\"budget\":", pcs->budget, pcs->prints[FLK_CLAIM_BUDGET]);
    at = put_string(at, ",\"merkle_root\":", pcs->merkle_root);
    at = pcs->sig[0] != '\0' ? put_string(at, ",\"sig\":", pcs->sig) : at;
    at = put_ft(at, pcs);
    return put(at, "}");
}

flk_err_t flk_pcs_to_json(const flk_pcs_t *pcs, char **json, size_t *json_bytes) {
    size_t bound = json_bound(pcs);
    char *text = malloc(bound);
    if (text == NULL) {
        return FLK_E_NOMEM;
    }
    char *end = put_pcs(text, pcs);
    *json_bytes = (size_t)(end - text);
    FLK_ASSERT(*json_bytes < bound);
    *end = '\0';
    *json = text;
    return FLK_OK;
}
