/* SPDX-License-Identifier: MIT */
/* Reading: each msgpack token becomes an event for the PCS reader, which has the rules. Ends of maps and arrays, which
 * msgpack does not spell out, come from a stack of the values still expected; the reader's depth limit bounds it. The
 * reader reports faults of the PCS, the cursor faults of the encoding; the first one counts. Writing: the members in
 * schema order; absent members are left out. */
#include <stdio.h>

#include "proto/body.h"
#include "proto/msgpack.h"

/* ---- reading ---- */

typedef struct walk {
    flk_mp_cursor_t cursor;
    flk_pcs_reader_t *reader;
    flk_mp_token_t key; /* of the top-level member that is being read; no text: none yet */
    size_t depth;       /* open containers */
    struct level {
        bool map, key_next;
        uint32_t left; /* values still expected in it */
    } levels[FLK_PCS_DEPTH_MAX + 1];
} walk_t;

/* Feeds one scalar, or the text of a key. */
static flk_err_t feed_scalar(walk_t *walk, const flk_mp_token_t *token, bool key) {
    flk_pcs_value_t value = {0};
    flk_pcs_event_t event = FLK_PCS_NULL;
    switch (token->type) {
    case FLK_MP_NIL:
        break;
    case FLK_MP_BOOL:
        event = FLK_PCS_BOOL;
        value.boolean = token->boolean;
        break;
    case FLK_MP_INTEGER:
        event = FLK_PCS_INTEGER;
        value.integer = token->integer;
        break;
    case FLK_MP_UNSIGNED:
        event = FLK_PCS_REAL;
        value.real = (double)token->uinteger;
        break;
    case FLK_MP_REAL:
        event = FLK_PCS_REAL;
        value.real = token->real;
        break;
    case FLK_MP_STRING:
        event = key ? FLK_PCS_KEY : FLK_PCS_STRING;
        value.text = (const char *)token->data;
        value.text_bytes = token->len;
        break;
    default:
        flk_mp_fail(&walk->cursor, "binary, which a PCS has no use for");
        return FLK_E_INVALID;
    }
    return flk_pcs_reader_event(walk->reader, event, &value);
}

static flk_err_t feed(walk_t *walk, const flk_mp_token_t *token) {
    if (token->type != FLK_MP_MAP && token->type != FLK_MP_ARRAY) {
        return feed_scalar(walk, token, false);
    }
    bool map = token->type == FLK_MP_MAP;
    flk_err_t err = flk_pcs_reader_event(walk->reader, map ? FLK_PCS_MAP : FLK_PCS_ARRAY, NULL);
    if (err == FLK_OK) {
        FLK_ASSERT(walk->depth < FLK_COUNT_OF(walk->levels)); /* the reader refuses deeper ones */
        walk->levels[walk->depth++] = (struct level){.map = map, .key_next = map, .left = token->len};
    }
    return err;
}

static flk_err_t feed_key(walk_t *walk, const flk_mp_token_t *token) {
    if (token->type != FLK_MP_STRING) {
        flk_mp_fail(&walk->cursor, "a key that is not a string");
        return FLK_E_INVALID;
    }
    if (walk->depth == 1) {
        walk->key = *token;
    }
    return feed_scalar(walk, token, true);
}

/* Ends the innermost container that has all its values. */
static flk_err_t feed_end(walk_t *walk) {
    struct level *level = &walk->levels[--walk->depth];
    return flk_pcs_reader_event(walk->reader, level->map ? FLK_PCS_MAP_END : FLK_PCS_ARRAY_END, NULL);
}

/* Feeds the next event: an end, a key or a value. */
static flk_err_t step(walk_t *walk) {
    struct level *level = &walk->levels[walk->depth - 1];
    if (level->left == 0) {
        return feed_end(walk);
    }
    flk_mp_token_t token;
    if (!flk_mp_next(&walk->cursor, &token)) {
        return FLK_E_INVALID;
    }
    if (level->key_next) {
        level->key_next = false;
        return feed_key(walk, &token);
    }
    level->key_next = level->map;
    level->left--;
    return feed(walk, &token);
}

static flk_err_t feed_all(walk_t *walk) {
    flk_mp_token_t token;
    if (!flk_mp_next(&walk->cursor, &token)) {
        return FLK_E_INVALID;
    }
    flk_err_t err = feed(walk, &token);
    while (err == FLK_OK && walk->depth > 0) {
        err = step(walk);
    }
    return err;
}

/* Puts a fault of the encoding into the words of the JSON door. */
static flk_err_t report(const walk_t *walk, flk_pcs_fault_t *fault) {
    *fault = (flk_pcs_fault_t){0};
    if (walk->cursor.error == flk_mp_short) {
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_SHORT);
    } else {
        snprintf(fault->field, sizeof fault->field, "%s",
                 flk_pcs_member_name((const char *)walk->key.data, walk->key.len));
        snprintf(fault->reason, sizeof fault->reason, "the body is not valid msgpack for a PCS: %s",
                 walk->cursor.error);
    }
    return FLK_E_INVALID;
}

flk_err_t flk_pcs_from_msgpack(flk_pcs_reader_t *reader, const void *body, size_t body_bytes, flk_pcs_t *pcs,
                               flk_pcs_fault_t *fault) {
    if (body_bytes > FLK_PCS_BODY_BYTES_MAX) {
        *fault = (flk_pcs_fault_t){0};
        snprintf(fault->reason, sizeof fault->reason, FLK_PCS_WHY_BODY, FLK_PCS_BODY_BYTES_MAX);
        return FLK_E_TOO_LARGE;
    }
    walk_t walk = {.reader = reader, .key = {.data = (const uint8_t *)""}};
    flk_mp_open(&walk.cursor, body, body_bytes);
    flk_pcs_reader_begin(reader, pcs, fault);
    flk_err_t err = feed_all(&walk);
    if (err == FLK_OK && walk.cursor.at != walk.cursor.end) {
        err = flk_pcs_reader_event(reader, FLK_PCS_NULL, NULL); /* refused by the reader: the PCS has ended */
    }
    if (walk.cursor.error == NULL) {
        return err != FLK_OK ? err : flk_pcs_reader_finish(reader);
    }
    err = flk_pcs_reader_finish(reader); /* frees the members read so far: the root map is still open */
    FLK_ASSERT(err != FLK_OK);
    return report(&walk, fault);
}

/* ---- writing ---- */

enum {
    NUMBER_BYTES = 9,
    FIXED_BYTES = 1024, /* all member names, heads and texts of bounded length but these lists: */
    COUNT_BYTES = 1 + 20 + NUMBER_BYTES,
    FALLBACK_BYTES = 2 + FLK_PCS_FALLBACK_MAX,
};

size_t flk_pcs_msgpack_bound(const flk_pcs_t *pcs) {
    return FIXED_BYTES + (size_t)pcs->scales_len * NUMBER_BYTES + (size_t)pcs->counts_len * COUNT_BYTES +
           (size_t)pcs->v_star_len * NUMBER_BYTES + (size_t)pcs->fallbacks_len * FALLBACK_BYTES;
}

static void put_text(msgpack_packer *packer, const char *name, const char *value) {
    flk_mp_put_text(packer, name);
    flk_mp_put_text(packer, value);
}

static void put_uint(msgpack_packer *packer, const char *name, uint64_t value) {
    flk_mp_put_text(packer, name);
    msgpack_pack_uint64(packer, value);
}

static void put_real(msgpack_packer *packer, const char *name, double value) {
    flk_mp_put_text(packer, name);
    msgpack_pack_double(packer, value);
}

static void put_scales(msgpack_packer *packer, const flk_pcs_t *pcs) {
    flk_mp_put_text(packer, "scales");
    msgpack_pack_array(packer, pcs->scales_len);
    for (uint32_t i = 0; i < pcs->scales_len; i++) {
        msgpack_pack_uint64(packer, pcs->scales[i]);
    }
}

static void put_counts(msgpack_packer *packer, const flk_pcs_t *pcs) {
    flk_mp_put_text(packer, "N_j");
    msgpack_pack_map(packer, pcs->counts_len);
    for (uint32_t i = 0; i < pcs->counts_len; i++) {
        char scale[21];
        snprintf(scale, sizeof scale, "%llu", (unsigned long long)pcs->counts[i].scale);
        put_uint(packer, scale, pcs->counts[i].cells);
    }
}

static void put_v_star(msgpack_packer *packer, const flk_pcs_t *pcs) {
    flk_mp_put_text(packer, "v_star");
    msgpack_pack_array(packer, pcs->v_star_len);
    for (uint32_t i = 0; i < pcs->v_star_len; i++) {
        msgpack_pack_double(packer, pcs->v_star[i]);
    }
}

static void put_ft(msgpack_packer *packer, const flk_pcs_t *pcs) {
    bool has_fallbacks = pcs->fallbacks_len > 0;
    flk_mp_put_text(packer, "ft");
    msgpack_pack_map(packer, 1u + pcs->has_outbox_seq + has_fallbacks + pcs->has_clock_skew);
    if (pcs->has_outbox_seq) {
        put_uint(packer, "outbox_seq", pcs->outbox_seq);
    }
    flk_mp_put_text(packer, "degraded");
    pcs->degraded ? msgpack_pack_true(packer) : msgpack_pack_false(packer);
    if (has_fallbacks) {
        flk_mp_put_text(packer, "fallbacks");
        msgpack_pack_array(packer, pcs->fallbacks_len);
        for (uint32_t i = 0; i < pcs->fallbacks_len; i++) {
            flk_mp_put_text(packer, pcs->fallbacks[i]);
        }
    }
    if (pcs->has_clock_skew) {
        flk_mp_put_text(packer, "clock_skew_ms");
        msgpack_pack_int64(packer, pcs->clock_skew_ms);
    }
}

static void put_prints(msgpack_packer *packer, const flk_pcs_t *pcs) {
    static const char *const names[FLK_CLAIMS] = {[FLK_CLAIM_D_HAT] = "D_hat",
                                                  [FLK_CLAIM_BUDGET] = "budget",
                                                  [FLK_CLAIM_COH_STAR] = "coh_star",
                                                  [FLK_CLAIM_R] = "r"};
    uint32_t len = 0;
    for (int i = 0; i < FLK_CLAIMS; i++) {
        len += pcs->prints[i][0] != '\0';
    }
    flk_mp_put_text(packer, "prints");
    msgpack_pack_map(packer, len);
    for (int i = 0; i < FLK_CLAIMS; i++) {
        if (pcs->prints[i][0] != '\0') {
            put_text(packer, names[i], pcs->prints[i]);
        }
    }
}

size_t flk_pcs_to_msgpack(const flk_pcs_t *pcs, void *out) {
    enum { REQUIRED = 13 };
    bool has_sig = pcs->sig[0] != '\0', has_sent_at = pcs->sent_at[0] != '\0', has_v_star = pcs->v_star_len > 0;
    flk_mp_buffer_t buffer = {.at = out, .end = (uint8_t *)out + flk_pcs_msgpack_bound(pcs)};
    msgpack_packer packer;
    msgpack_packer_init(&packer, &buffer, flk_mp_write);
    msgpack_pack_map(&packer, (size_t)REQUIRED + has_sig + pcs->has_attempt + has_sent_at + pcs->has_seed + has_v_star +
                                  pcs->has_ft + pcs->has_prints);
    put_text(&packer, "pcs_id", pcs->id);
    put_text(&packer, "schema", FLK_PCS_SCHEMA);
    put_text(&packer, "version", pcs->version);
    put_text(&packer, "shard_id", pcs->shard_id);
    put_uint(&packer, "epoch", pcs->epoch);
    if (pcs->has_attempt) {
        put_uint(&packer, "attempt", pcs->attempt);
    }
    if (has_sent_at) {
        put_text(&packer, "sent_at", pcs->sent_at);
    }
    if (pcs->has_seed) {
        put_uint(&packer, "seed", pcs->seed);
    }
    put_scales(&packer, pcs);
    put_counts(&packer, pcs);
    put_real(&packer, "coh_star", pcs->coh_star);
    if (has_v_star) {
        put_v_star(&packer, pcs);
    }
    put_real(&packer, "D_hat", pcs->d_hat);
    put_real(&packer, "r", pcs->r);
    put_text(&packer, "regime", flk_regime_name(pcs->regime));
    put_real(&packer, "budget", pcs->budget);
    put_text(&packer, "merkle_root", pcs->merkle_root);
    if (has_sig) {
        put_text(&packer, "sig", pcs->sig);
    }
    if (pcs->has_ft) {
        put_ft(&packer, pcs);
    }
    if (pcs->has_prints) {
        put_prints(&packer, pcs);
    }
    return (size_t)(buffer.at - (uint8_t *)out);
}
