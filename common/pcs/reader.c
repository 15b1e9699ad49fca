/* SPDX-License-Identifier: MIT */
/* Events -> PCS: the place of each value. pcs/member.c has the rules for the value there.
 *
 * 1. A KEY event looks the member up in the table of the map it stands in; unknown ones are skipped with all values
 *    below them.
 * 2. The value that follows is checked by the rule of its member and stored.
 * 3. _finish asks whether the root was closed, whether each required member was seen, and whether the id is right.
 *
 * Failures: the first fault is written into the caller's flk_pcs_fault_t, the PCS is finished, and the error sticks, so
 * that a source of events may go on or stop as it likes. The work is bounded: depth, values in all and members of one
 * map are counted, in skipped parts too, and two keys are compared by a 64-bit hash. A sender that makes two keys with
 * one hash gets its own PCS refused and nothing else. Keys of known members and of N_j need no hash. */
#include "common/pcs/member.h"
#include "common/pcs/print_kind.h"
#include "common/pcs/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

typedef struct frame {
    flk_place_t place;
    bool is_map;
    bool has_key;        /* map: the key was given, its value was not */
    flk_member_t member; /* map: of that key */
    flk_member_t next;   /* map: where to look for the next key first: most agents send schema order */
    uint32_t keys_len;   /* map: keys seen so far */
    uint32_t hashes_len; /* map: how many of them are known by their hash */
} frame_t;

struct flk_pcs_reader {
    flk_pcs_t *pcs;
    flk_pcs_fault_t *fault;
    flk_err_t err; /* the first one; sticks */
    bool closed;   /* the root map has ended */
    uint32_t depth, values_len;
    uint32_t seen, given; /* bit 1 << flk_member_t; given: and not null */
    flk_written_t written[FLK_CLAIMS];
    uint64_t key_scale; /* of the current member of N_j */
    frame_t frames[FLK_PCS_DEPTH_MAX];
    uint64_t key_hashes[FLK_PCS_DEPTH_MAX][FLK_PCS_MEMBERS_MAX];
    double v_star[FLK_PCS_V_STAR_MAX];
};

flk_pcs_reader_t *flk_pcs_reader_new(void) {
    return malloc(sizeof(flk_pcs_reader_t));
}

void flk_pcs_reader_destroy(flk_pcs_reader_t **reader) {
    free(*reader);
    *reader = NULL;
}

void flk_pcs_reader_begin(flk_pcs_reader_t *reader, flk_pcs_t *pcs, flk_pcs_fault_t *fault) {
    flk_pcs_init(pcs);
    fault->field[0] = fault->reason[0] = '\0';
    reader->pcs = pcs;
    reader->fault = fault;
    reader->err = FLK_OK;
    reader->closed = false;
    memset(reader->written, 0, sizeof reader->written);
    reader->depth = reader->values_len = reader->seen = reader->given = 0;
}

/* ---- faults ---- */

/* The fault is filled. */
static flk_err_t fail(flk_pcs_reader_t *reader, flk_err_t err) {
    flk_pcs_fini(reader->pcs);
    reader->err = err;
    return err;
}

static flk_err_t pass(flk_pcs_reader_t *reader, bool taken) {
    return taken ? FLK_OK : fail(reader, FLK_E_INVALID);
}

#define refuse(reader, ...) pass((reader), flk_member_refuse((reader)->fault, __VA_ARGS__))

/* For a fault that may be anywhere below a member of the PCS: that member, "" when it is an unknown one. */
static const char *field_around(const flk_pcs_reader_t *reader) {
    if (reader->depth == 0 || !reader->frames[0].has_key || reader->frames[0].member == FLK_M_UNKNOWN) {
        return "";
    }
    return flk_members[reader->frames[0].member].name;
}

/* ---- maps and arrays ---- */

static flk_err_t open_frame(flk_pcs_reader_t *reader, flk_pcs_event_t event, flk_place_t place) {
    if (reader->depth == FLK_PCS_DEPTH_MAX) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_DEPTH, FLK_PCS_DEPTH_MAX);
    }
    reader->frames[reader->depth++] =
        (frame_t){.place = place, .is_map = event == FLK_PCS_MAP, .member = FLK_M_UNKNOWN};
    return FLK_OK;
}

static flk_err_t close_v_star(flk_pcs_reader_t *reader) {
    flk_pcs_t *pcs = reader->pcs;
    if (pcs->v_star_len == 0) {
        return FLK_OK;
    }
    pcs->v_star = malloc(pcs->v_star_len * sizeof *pcs->v_star);
    if (pcs->v_star == NULL) {
        (void)flk_member_refuse(reader->fault, "", "out of memory");
        return fail(reader, FLK_E_NOMEM);
    }
    memcpy(pcs->v_star, reader->v_star, pcs->v_star_len * sizeof *pcs->v_star);
    return FLK_OK;
}

static flk_err_t close_frame(flk_pcs_reader_t *reader, bool is_map) {
    FLK_ASSERT(reader->depth > 0 && reader->frames[reader->depth - 1].is_map == is_map &&
               !reader->frames[reader->depth - 1].has_key);
    flk_place_t place = reader->frames[reader->depth - 1].place;
    reader->depth--;
    if (reader->depth == 0) {
        reader->closed = true;
        return FLK_OK;
    }
    flk_err_t err = FLK_OK;
    if (place == FLK_PLACE_V_STAR) {
        err = close_v_star(reader);
    } else if (place == FLK_PLACE_SCALES && reader->pcs->scales_len == 0) {
        err = refuse(reader, "scales", "must have at least 1 element");
    }
    reader->frames[reader->depth - 1].has_key = false;
    return err;
}

/* Remembers the hash of a key that has no other memory; false when the map had it before. */
static bool hash_is_new(flk_pcs_reader_t *reader, frame_t *frame, const flk_pcs_value_t *key) {
    uint64_t *hashes = reader->key_hashes[reader->depth - 1];
    uint64_t hash = XXH3_64bits(key->text, key->text_bytes);
    for (uint32_t i = 0; i < frame->hashes_len; i++) {
        if (hashes[i] == hash) {
            return false;
        }
    }
    hashes[frame->hashes_len++] = hash;
    return true;
}

static bool scale_is_new(const flk_pcs_t *pcs, uint64_t scale) {
    for (uint32_t i = 0; i < pcs->counts_len; i++) {
        if (pcs->counts[i].scale == scale) {
            return false;
        }
    }
    return true;
}

static flk_err_t refuse_twice(flk_pcs_reader_t *reader) {
    return refuse(reader, field_around(reader), FLK_PCS_WHY_TWICE);
}

static flk_err_t take_key(flk_pcs_reader_t *reader, const flk_pcs_value_t *key) {
    FLK_ASSERT(reader->depth > 0);
    frame_t *frame = &reader->frames[reader->depth - 1];
    FLK_ASSERT(frame->is_map && !frame->has_key);
    if (!flk_text_is_utf8(key->text, key->text_bytes)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_UTF8);
    }
    if (frame->keys_len == (frame->place == FLK_PLACE_COUNTS ? FLK_PCS_COUNTS_MAX : FLK_PCS_MEMBERS_MAX)) {
        return refuse(reader, field_around(reader), "must have at most %" PRIu32 " members", frame->keys_len);
    }
    frame->has_key = true;
    frame->keys_len++;
    frame->member = FLK_M_UNKNOWN;
    if (frame->place == FLK_PLACE_COUNTS) {
        if (!flk_member_take_count_key(key, &reader->key_scale, reader->fault)) {
            return fail(reader, FLK_E_INVALID);
        }
        return scale_is_new(reader->pcs, reader->key_scale) ? FLK_OK : refuse_twice(reader);
    }
    if (frame->place == FLK_PLACE_PCS || frame->place == FLK_PLACE_FT || frame->place == FLK_PLACE_PRINTS) {
        frame->member = flk_member_find(frame->place, key->text, key->text_bytes, frame->next);
        frame->next = frame->member + 1;
    }
    bool is_new =
        frame->member != FLK_M_UNKNOWN ? (reader->seen & (1u << frame->member)) == 0 : hash_is_new(reader, frame, key);
    return is_new ? FLK_OK : refuse_twice(reader);
}

static bool opens(flk_pcs_event_t event) {
    return event == FLK_PCS_MAP || event == FLK_PCS_ARRAY;
}

static flk_err_t skip_value(flk_pcs_reader_t *reader, flk_pcs_event_t event) {
    return opens(event) ? open_frame(reader, event, FLK_PLACE_SKIPPED) : FLK_OK;
}

static flk_claim_t claim_of(flk_member_t member) {
    return member == FLK_M_D_HAT      ? FLK_CLAIM_D_HAT
           : member == FLK_M_BUDGET   ? FLK_CLAIM_BUDGET
           : member == FLK_M_COH_STAR ? FLK_CLAIM_COH_STAR
                                      : FLK_CLAIM_R;
}

static flk_err_t take_member(flk_pcs_reader_t *reader, flk_member_t member, flk_pcs_event_t event,
                             const flk_pcs_value_t *value) {
    reader->seen |= 1u << member;
    if (event == FLK_PCS_NULL && !flk_members[member].required) {
        return FLK_OK;
    }
    reader->given |= 1u << member;
    if (!flk_member_take(member, event, value, reader->pcs, reader->fault)) {
        return fail(reader, FLK_E_INVALID);
    }
    if (flk_members[member].kind == FLK_MEMBER_REAL) {
        reader->written[claim_of(member)] = (flk_written_t){value->text, value->text == NULL ? 0 : value->text_bytes};
    }
    return opens(event) ? open_frame(reader, event, flk_members[member].inner) : FLK_OK;
}

static flk_err_t take_value(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    if (++reader->values_len > FLK_PCS_VALUES_MAX) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_VALUES, FLK_PCS_VALUES_MAX);
    }
    if (event == FLK_PCS_STRING && !flk_text_is_utf8(value->text, value->text_bytes)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_UTF8);
    }
    if (event == FLK_PCS_REAL && !isfinite(value->real)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_RANGE);
    }
    if (reader->depth == 0) {
        return event == FLK_PCS_MAP ? open_frame(reader, event, FLK_PLACE_PCS)
                                    : refuse(reader, "", "a PCS must be one object");
    }
    frame_t *frame = &reader->frames[reader->depth - 1];
    FLK_ASSERT(!frame->is_map || frame->has_key);
    flk_pcs_t *pcs = reader->pcs;
    switch (frame->place) {
    case FLK_PLACE_PCS:
    case FLK_PLACE_FT:
    case FLK_PLACE_PRINTS:
        return frame->member == FLK_M_UNKNOWN ? skip_value(reader, event)
                                              : take_member(reader, frame->member, event, value);
    case FLK_PLACE_SCALES:
        return pass(reader, flk_member_take_scale(event, value, pcs, reader->fault));
    case FLK_PLACE_COUNTS:
        return pass(reader, flk_member_take_count(reader->key_scale, event, value, pcs, reader->fault));
    case FLK_PLACE_V_STAR:
        return pass(reader, flk_member_take_direction(event, value, pcs, reader->v_star, reader->fault));
    case FLK_PLACE_FALLBACKS:
        return pass(reader, flk_member_take_fallback(event, value, pcs, reader->fault));
    case FLK_PLACE_ROOT:
    case FLK_PLACE_SKIPPED:
        break;
    }
    return skip_value(reader, event);
}

flk_err_t flk_pcs_reader_event(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    if (reader->err != FLK_OK) {
        return reader->err;
    }
    if (reader->closed) {
        return refuse(reader, "", FLK_PCS_WHY_TRAILING);
    }
    if (event == FLK_PCS_KEY) {
        return take_key(reader, value);
    }
    if (event == FLK_PCS_MAP_END || event == FLK_PCS_ARRAY_END) {
        return close_frame(reader, event == FLK_PCS_MAP_END);
    }
    flk_err_t err = take_value(reader, event, value);
    if (err == FLK_OK && !opens(event)) {
        reader->frames[reader->depth - 1].has_key = false;
    }
    return err;
}

/* Prints that the sender names, or else those that it used. */
static bool take_prints(flk_pcs_reader_t *reader) {
    flk_pcs_t *pcs = reader->pcs;
    flk_claim_t wrong;
    if ((reader->given & (1u << FLK_M_PRINTS)) == 0) {
        flk_prints_keep(pcs, reader->written);
        return true;
    }
    pcs->has_prints = true;
    return flk_prints_agree(pcs, &wrong) ||
           flk_member_refuse(reader->fault, flk_members[FLK_M_PRINT_D_HAT + wrong].name,
                             "must be that number, rounded to 9 decimals");
}

flk_err_t flk_pcs_reader_finish(flk_pcs_reader_t *reader) {
    if (reader->err != FLK_OK) {
        return reader->err;
    }
    if (!reader->closed) {
        return refuse(reader, "", FLK_PCS_WHY_SHORT);
    }
    for (flk_member_t member = 0; member < FLK_M_COUNT; member++) {
        if (flk_members[member].required && (reader->seen & (1u << member)) == 0) {
            return refuse(reader, flk_members[member].name, "is required");
        }
    }
    flk_pcs_t *pcs = reader->pcs;
    char id[sizeof pcs->id];
    memcpy(id, pcs->id, sizeof id);
    flk_pcs_set_id(pcs);
    if (memcmp(id, pcs->id, sizeof id) != 0) {
        return refuse(reader, "pcs_id", "must be the SHA-256 of merkle_root|epoch|shard_id");
    }
    if (!take_prints(reader)) {
        return fail(reader, FLK_E_INVALID);
    }
    pcs->has_attempt = (reader->given & (1u << FLK_M_ATTEMPT)) != 0;
    pcs->has_seed = (reader->given & (1u << FLK_M_SEED)) != 0;
    pcs->has_ft = (reader->given & (1u << FLK_M_FT)) != 0;
    pcs->has_outbox_seq = (reader->given & (1u << FLK_M_OUTBOX_SEQ)) != 0;
    pcs->has_clock_skew = (reader->given & (1u << FLK_M_CLOCK_SKEW)) != 0;
    return FLK_OK;
}
