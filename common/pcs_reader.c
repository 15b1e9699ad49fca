/* SPDX-License-Identifier: MIT */
/* Events -> PCS, with every rule of the schema in one place.
 *
 * 1. A KEY event looks the member up in the table of the map it stands in; unknown ones are skipped with what is below
 *    them.
 * 2. The value that follows is checked by the member's kind and stored.
 * 3. _finish asks whether the root was closed, whether each required member was seen, and whether the id is right.
 *
 * What goes wrong: the first fault is written into the caller's flk_pcs_fault_t, the PCS is finished, and the error
 * sticks, so that a source of events may go on or stop as it likes. The work is bounded: depth, values in all and
 * members of one map are counted, in skipped parts too, and two keys are compared by a 64-bit hash. A sender that
 * makes two keys with one hash gets its own PCS refused and nothing else. */
#include "common/pcs.h"
#include "common/pcs_text.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* Where a value stands, that is, what the array or map around it is. */
typedef enum place {
    PLACE_ROOT, /* nothing around it */
    PLACE_PCS,
    PLACE_SCALES,
    PLACE_COUNTS,
    PLACE_V_STAR,
    PLACE_FT,
    PLACE_FALLBACKS,
    PLACE_SKIPPED,
} place_t;

typedef enum kind { KIND_TEXT, KIND_COUNTER, KIND_SKEW, KIND_REAL, KIND_BOOL, KIND_ARRAY, KIND_MAP } kind_t;

/* In schema order, which is the order in which missing ones are reported.
 * id, name in faults, key in its map, map, kind, required, where it goes (COUNTER, SKEW, REAL, BOOL), place of its
 * elements (ARRAY, MAP) */
#define MEMBERS(X)                                                                                                     \
    X(M_PCS_ID, "pcs_id", "pcs_id", PLACE_PCS, KIND_TEXT, true, id, PLACE_ROOT)                                        \
    X(M_SCHEMA, "schema", "schema", PLACE_PCS, KIND_TEXT, true, id, PLACE_ROOT)                                        \
    X(M_VERSION, "version", "version", PLACE_PCS, KIND_TEXT, true, version, PLACE_ROOT)                                \
    X(M_SHARD_ID, "shard_id", "shard_id", PLACE_PCS, KIND_TEXT, true, shard_id, PLACE_ROOT)                            \
    X(M_EPOCH, "epoch", "epoch", PLACE_PCS, KIND_COUNTER, true, epoch, PLACE_ROOT)                                     \
    X(M_ATTEMPT, "attempt", "attempt", PLACE_PCS, KIND_COUNTER, false, attempt, PLACE_ROOT)                            \
    X(M_SENT_AT, "sent_at", "sent_at", PLACE_PCS, KIND_TEXT, false, sent_at, PLACE_ROOT)                               \
    X(M_SEED, "seed", "seed", PLACE_PCS, KIND_COUNTER, false, seed, PLACE_ROOT)                                        \
    X(M_SCALES, "scales", "scales", PLACE_PCS, KIND_ARRAY, true, scales, PLACE_SCALES)                                 \
    X(M_COUNTS, "N_j", "N_j", PLACE_PCS, KIND_MAP, true, counts, PLACE_COUNTS)                                         \
    X(M_COH_STAR, "coh_star", "coh_star", PLACE_PCS, KIND_REAL, true, coh_star, PLACE_ROOT)                            \
    X(M_V_STAR, "v_star", "v_star", PLACE_PCS, KIND_ARRAY, false, v_star, PLACE_V_STAR)                                \
    X(M_D_HAT, "D_hat", "D_hat", PLACE_PCS, KIND_REAL, true, d_hat, PLACE_ROOT)                                        \
    X(M_R, "r", "r", PLACE_PCS, KIND_REAL, true, r, PLACE_ROOT)                                                        \
    X(M_REGIME, "regime", "regime", PLACE_PCS, KIND_TEXT, true, regime, PLACE_ROOT)                                    \
    X(M_BUDGET, "budget", "budget", PLACE_PCS, KIND_REAL, true, budget, PLACE_ROOT)                                    \
    X(M_MERKLE_ROOT, "merkle_root", "merkle_root", PLACE_PCS, KIND_TEXT, true, merkle_root, PLACE_ROOT)                \
    X(M_SIG, "sig", "sig", PLACE_PCS, KIND_TEXT, false, sig, PLACE_ROOT)                                               \
    X(M_FT, "ft", "ft", PLACE_PCS, KIND_MAP, false, has_ft, PLACE_FT)                                                  \
    X(M_OUTBOX_SEQ, "ft.outbox_seq", "outbox_seq", PLACE_FT, KIND_COUNTER, false, outbox_seq, PLACE_ROOT)              \
    X(M_DEGRADED, "ft.degraded", "degraded", PLACE_FT, KIND_BOOL, false, degraded, PLACE_ROOT)                         \
    X(M_FALLBACKS, "ft.fallbacks", "fallbacks", PLACE_FT, KIND_ARRAY, false, fallbacks, PLACE_FALLBACKS)               \
    X(M_CLOCK_SKEW, "ft.clock_skew_ms", "clock_skew_ms", PLACE_FT, KIND_SKEW, false, clock_skew_ms, PLACE_ROOT)

typedef enum member {
#define MEMBER_ID(id, ...) id,
    MEMBERS(MEMBER_ID)
#undef MEMBER_ID
        M_UNKNOWN,
    M_COUNT = M_UNKNOWN
} member_t;

static const struct {
    const char *name, *key;
    uint8_t key_bytes;
    place_t map;
    kind_t kind;
    bool required;
    size_t offset;
    place_t inner;
} members[M_COUNT] = {
#define MEMBER_ROW(id, name, key, map, kind, required, field, inner)                                                   \
    [id] = {name, key, sizeof key - 1, map, kind, required, offsetof(flk_pcs_t, field), inner},
    MEMBERS(MEMBER_ROW)
#undef MEMBER_ROW
};

/* Looks from member `first` on and round: most agents send members in schema order. */
static member_t find_member(place_t map, const char *key, size_t key_bytes, member_t first) {
    member_t member = first;
    for (size_t tried = 0; tried < M_COUNT; tried++, member++) {
        member = member >= M_COUNT ? 0 : member;
        if (members[member].map == map && members[member].key_bytes == key_bytes &&
            memcmp(members[member].key, key, key_bytes) == 0) {
            return member;
        }
    }
    return M_UNKNOWN;
}

const char *flk_pcs_member_name(const char *key, size_t key_bytes) {
    member_t member = find_member(PLACE_PCS, key, key_bytes, 0);
    return member == M_UNKNOWN ? "" : members[member].name;
}

typedef struct frame {
    place_t place;
    bool is_map;
    bool has_key;      /* map: the key was given, its value was not */
    member_t member;   /* map: of that key */
    member_t next;     /* map: where to look for the next one first */
    uint32_t keys_len; /* map: keys seen so far */
} frame_t;

struct flk_pcs_reader {
    flk_pcs_t *pcs;
    flk_pcs_fault_t *fault;
    flk_err_t err; /* the first one; sticks */
    bool closed;   /* the root map has ended */
    uint32_t depth, values_len;
    uint32_t seen;      /* bit 1 << member_t */
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
    reader->depth = reader->values_len = reader->seen = 0;
}

/* ---- faults ---- */

static flk_err_t fail(flk_pcs_reader_t *reader, flk_err_t err, const char *field) {
    snprintf(reader->fault->field, sizeof reader->fault->field, "%s", field);
    flk_pcs_fini(reader->pcs);
    reader->err = err;
    return err;
}

static flk_err_t refuse(flk_pcs_reader_t *reader, const char *field, const char *format, ...) FLK_PRINTF(3, 4);
static flk_err_t refuse(flk_pcs_reader_t *reader, const char *field, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reader->fault->reason, sizeof reader->fault->reason, format, args);
    va_end(args);
    return fail(reader, FLK_E_INVALID, field);
}

/* For a fault that may be anywhere below a member of the PCS: that member, "" when it is an unknown one. */
static const char *field_around(const flk_pcs_reader_t *reader) {
    if (reader->depth == 0 || !reader->frames[0].has_key || reader->frames[0].member == M_UNKNOWN) {
        return "";
    }
    return members[reader->frames[0].member].name;
}

static void element_field(char field[48], member_t member, uint32_t index) {
    snprintf(field, 48, "%s[%" PRIu32 "]", members[member].name, index);
}

/* ---- single values ---- */

static bool is_counter(flk_pcs_event_t event, const flk_pcs_value_t *value) {
    return event == FLK_PCS_INTEGER && value->integer >= 0 && value->integer <= (int64_t)FLK_PCS_INTEGER_MAX;
}

/* A float member takes integers too: agents print 1.0 as 1. */
static bool is_real(flk_pcs_event_t event, const flk_pcs_value_t *value, double *real) {
    if (event == FLK_PCS_INTEGER) {
        *real = (double)value->integer;
        return true;
    }
    if (event == FLK_PCS_REAL && isfinite(value->real)) {
        *real = value->real;
        return true;
    }
    return false;
}

static void copy_text(char *to, const flk_pcs_value_t *value) {
    memcpy(to, value->text, value->text_bytes);
    to[value->text_bytes] = '\0';
}

static flk_err_t take_version(flk_pcs_reader_t *reader, const flk_pcs_value_t *value) {
    uint32_t major;
    if (!flk_text_is_version(value->text, value->text_bytes, &major)) {
        return refuse(reader, "version", "must be MAJOR.MINOR or MAJOR.MINOR.PATCH, at most %d bytes",
                      FLK_PCS_VERSION_MAX);
    }
    if (major != FLK_PCS_VERSION_MAJOR) {
        return refuse(reader, "version", "major version must be %d", FLK_PCS_VERSION_MAJOR);
    }
    copy_text(reader->pcs->version, value);
    return FLK_OK;
}

static flk_err_t take_text(flk_pcs_reader_t *reader, member_t member, const flk_pcs_value_t *value) {
    flk_pcs_t *pcs = reader->pcs;
    const char *field = members[member].name;
    const char *text = value->text;
    size_t text_bytes = value->text_bytes;
    switch (member) {
    case M_PCS_ID:
        if (text_bytes != FLK_PCS_ID_HEX || !flk_text_is_hex(text, text_bytes, FLK_PCS_ID_HEX, false)) {
            return refuse(reader, field, "must be %d lowercase hex digits", FLK_PCS_ID_HEX);
        }
        copy_text(pcs->id, value);
        return FLK_OK;
    case M_SCHEMA:
        if (text_bytes != sizeof FLK_PCS_SCHEMA - 1 || memcmp(text, FLK_PCS_SCHEMA, text_bytes) != 0) {
            return refuse(reader, field, "must be %s", FLK_PCS_SCHEMA);
        }
        return FLK_OK;
    case M_VERSION:
        return take_version(reader, value);
    case M_SHARD_ID:
        if (!flk_text_is_name(text, text_bytes, FLK_PCS_SHARD_MAX)) {
            return refuse(reader, field, "must be 1 to %d of A-Z a-z 0-9 . _ : -", FLK_PCS_SHARD_MAX);
        }
        copy_text(pcs->shard_id, value);
        return FLK_OK;
    case M_SENT_AT:
        if (!flk_text_is_rfc3339(text, text_bytes)) {
            return refuse(reader, field, "must be an RFC 3339 date and time of at most %d bytes", FLK_PCS_SENT_AT_MAX);
        }
        copy_text(pcs->sent_at, value);
        return FLK_OK;
    case M_REGIME:
        if (!flk_regime_parse(text, text_bytes, &pcs->regime)) {
            return refuse(reader, field, "must be sticky, mixed or non_sticky");
        }
        return FLK_OK;
    case M_MERKLE_ROOT:
        if (!flk_text_is_hex(text, text_bytes, FLK_PCS_MERKLE_MAX, true)) {
            return refuse(reader, field, "must be 1 to %d hex digits", FLK_PCS_MERKLE_MAX);
        }
        copy_text(pcs->merkle_root, value);
        return FLK_OK;
    case M_SIG:
        if (text_bytes > FLK_PCS_SIG_MAX) {
            return refuse(reader, field, "must be at most %d bytes", FLK_PCS_SIG_MAX);
        }
        copy_text(pcs->sig, value);
        return FLK_OK;
    default:
        FLK_ASSERT(false); /* a text member without a rule */
        return FLK_E_INVALID;
    }
}

static flk_err_t open_frame(flk_pcs_reader_t *reader, flk_pcs_event_t event, place_t place);

/* The value of a known member of the PCS or of ft. */
static flk_err_t take_member(flk_pcs_reader_t *reader, member_t member, flk_pcs_event_t event,
                             const flk_pcs_value_t *value) {
    const char *field = members[member].name;
    void *to = (char *)reader->pcs + members[member].offset;
    reader->seen |= 1u << member;
    switch (members[member].kind) {
    case KIND_TEXT:
        return event == FLK_PCS_STRING ? take_text(reader, member, value) : refuse(reader, field, "must be a string");
    case KIND_COUNTER:
        if (!is_counter(event, value)) {
            return refuse(reader, field, "must be an integer from 0 to %" PRIu64, FLK_PCS_INTEGER_MAX);
        }
        *(uint64_t *)to = (uint64_t)value->integer;
        return FLK_OK;
    case KIND_SKEW:
        if (event != FLK_PCS_INTEGER || value->integer > (int64_t)FLK_PCS_INTEGER_MAX ||
            value->integer < -(int64_t)FLK_PCS_INTEGER_MAX) {
            return refuse(reader, field, "must be an integer from -%" PRIu64 " to %" PRIu64, FLK_PCS_INTEGER_MAX,
                          FLK_PCS_INTEGER_MAX);
        }
        *(int64_t *)to = value->integer;
        return FLK_OK;
    case KIND_REAL:
        return is_real(event, value, to) ? FLK_OK : refuse(reader, field, "must be a finite number");
    case KIND_BOOL:
        if (event != FLK_PCS_BOOL) {
            return refuse(reader, field, "must be true or false");
        }
        *(bool *)to = value->boolean;
        return FLK_OK;
    case KIND_ARRAY:
        return event == FLK_PCS_ARRAY ? open_frame(reader, event, members[member].inner)
                                      : refuse(reader, field, "must be an array");
    case KIND_MAP:
        return event == FLK_PCS_MAP ? open_frame(reader, event, members[member].inner)
                                    : refuse(reader, field, "must be an object");
    }
    FLK_ASSERT(false); /* a member of no kind */
    return FLK_E_INVALID;
}

/* ---- elements of the arrays and of N_j ---- */

static flk_err_t take_scale(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    flk_pcs_t *pcs = reader->pcs;
    char field[48];
    element_field(field, M_SCALES, pcs->scales_len);
    if (pcs->scales_len == FLK_PCS_SCALES_MAX) {
        return refuse(reader, "scales", "must have at most %d elements", FLK_PCS_SCALES_MAX);
    }
    if (!is_counter(event, value) || value->integer < 2) {
        return refuse(reader, field, "must be an integer from 2 to %" PRIu64, FLK_PCS_INTEGER_MAX);
    }
    for (uint32_t i = 0; i < pcs->scales_len; i++) {
        if (pcs->scales[i] == (uint64_t)value->integer) {
            return refuse(reader, field, "must differ from every scale before it");
        }
    }
    pcs->scales[pcs->scales_len++] = (uint64_t)value->integer;
    return FLK_OK;
}

static flk_err_t take_count(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    flk_pcs_t *pcs = reader->pcs;
    if (!is_counter(event, value)) {
        return refuse(reader, "N_j", "counts must be integers from 0 to %" PRIu64, FLK_PCS_INTEGER_MAX);
    }
    pcs->counts[pcs->counts_len++] = (flk_pcs_count_t){reader->key_scale, (uint64_t)value->integer};
    return FLK_OK;
}

static flk_err_t take_direction(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    uint32_t index = reader->pcs->v_star_len;
    if (index == FLK_PCS_V_STAR_MAX) {
        return refuse(reader, "v_star", "must have at most %d elements", FLK_PCS_V_STAR_MAX);
    }
    if (!is_real(event, value, &reader->v_star[index])) {
        char field[48];
        element_field(field, M_V_STAR, index);
        return refuse(reader, field, "must be a finite number");
    }
    reader->pcs->v_star_len++;
    return FLK_OK;
}

static flk_err_t take_fallback(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    flk_pcs_t *pcs = reader->pcs;
    if (pcs->fallbacks_len == FLK_PCS_FALLBACKS_MAX) {
        return refuse(reader, "ft.fallbacks", "must have at most %d elements", FLK_PCS_FALLBACKS_MAX);
    }
    if (event != FLK_PCS_STRING || !flk_text_is_label(value->text, value->text_bytes, FLK_PCS_FALLBACK_MAX)) {
        char field[48];
        element_field(field, M_FALLBACKS, pcs->fallbacks_len);
        return refuse(reader, field, "must be a string of 1 to %d of A-Z a-z 0-9 space . _ : / -",
                      FLK_PCS_FALLBACK_MAX);
    }
    copy_text(pcs->fallbacks[pcs->fallbacks_len++], value);
    return FLK_OK;
}

/* ---- maps and arrays ---- */

static flk_err_t open_frame(flk_pcs_reader_t *reader, flk_pcs_event_t event, place_t place) {
    if (reader->depth == FLK_PCS_DEPTH_MAX) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_DEPTH, FLK_PCS_DEPTH_MAX);
    }
    reader->frames[reader->depth++] = (frame_t){.place = place, .is_map = event == FLK_PCS_MAP, .member = M_UNKNOWN};
    return FLK_OK;
}

static flk_err_t close_v_star(flk_pcs_reader_t *reader) {
    flk_pcs_t *pcs = reader->pcs;
    if (pcs->v_star_len == 0) {
        return FLK_OK;
    }
    pcs->v_star = malloc(pcs->v_star_len * sizeof *pcs->v_star);
    if (pcs->v_star == NULL) {
        snprintf(reader->fault->reason, sizeof reader->fault->reason, "out of memory");
        return fail(reader, FLK_E_NOMEM, "");
    }
    memcpy(pcs->v_star, reader->v_star, pcs->v_star_len * sizeof *pcs->v_star);
    return FLK_OK;
}

static flk_err_t close_frame(flk_pcs_reader_t *reader, bool is_map) {
    FLK_ASSERT(reader->depth > 0 && reader->frames[reader->depth - 1].is_map == is_map &&
               !reader->frames[reader->depth - 1].has_key);
    place_t place = reader->frames[reader->depth - 1].place;
    reader->depth--;
    if (reader->depth == 0) {
        reader->closed = true;
        return FLK_OK;
    }
    flk_err_t err = FLK_OK;
    if (place == PLACE_V_STAR) {
        err = close_v_star(reader);
    } else if (place == PLACE_SCALES && reader->pcs->scales_len == 0) {
        err = refuse(reader, "scales", "must have at least 1 element");
    }
    reader->frames[reader->depth - 1].has_key = false;
    return err;
}

/* Remembers the key; false when the map had it before. */
static bool key_is_new(flk_pcs_reader_t *reader, frame_t *frame, const flk_pcs_value_t *key) {
    uint64_t *hashes = reader->key_hashes[reader->depth - 1];
    uint64_t hash = XXH3_64bits(key->text, key->text_bytes);
    for (uint32_t i = 0; i < frame->keys_len; i++) {
        if (hashes[i] == hash) {
            return false;
        }
    }
    hashes[frame->keys_len++] = hash;
    return true;
}

static flk_err_t take_key(flk_pcs_reader_t *reader, const flk_pcs_value_t *key) {
    FLK_ASSERT(reader->depth > 0);
    frame_t *frame = &reader->frames[reader->depth - 1];
    FLK_ASSERT(frame->is_map && !frame->has_key);
    if (!flk_text_is_utf8(key->text, key->text_bytes)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_UTF8);
    }
    if (frame->keys_len == (frame->place == PLACE_COUNTS ? FLK_PCS_COUNTS_MAX : FLK_PCS_MEMBERS_MAX)) {
        return refuse(reader, field_around(reader), "must have at most %" PRIu32 " members", frame->keys_len);
    }
    frame->has_key = true;
    frame->member = M_UNKNOWN;
    if (frame->place == PLACE_PCS || frame->place == PLACE_FT) {
        frame->member = find_member(frame->place, key->text, key->text_bytes, frame->next);
        frame->next = frame->member + 1;
    }
    if (!key_is_new(reader, frame, key)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_TWICE);
    }
    if (frame->place == PLACE_COUNTS &&
        (!flk_text_is_integer(key->text, key->text_bytes, &reader->key_scale) || reader->key_scale < 2)) {
        return refuse(reader, "N_j", "keys must be decimal integers from 2 to %" PRIu64 " without leading zeros",
                      FLK_PCS_INTEGER_MAX);
    }
    return FLK_OK;
}

static bool opens(flk_pcs_event_t event) {
    return event == FLK_PCS_MAP || event == FLK_PCS_ARRAY;
}

static flk_err_t take_value(flk_pcs_reader_t *reader, flk_pcs_event_t event, const flk_pcs_value_t *value) {
    if (++reader->values_len > FLK_PCS_VALUES_MAX) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_VALUES, FLK_PCS_VALUES_MAX);
    }
    if (event == FLK_PCS_STRING && !flk_text_is_utf8(value->text, value->text_bytes)) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_UTF8);
    }
    if (event == FLK_PCS_UNSIGNED || (event == FLK_PCS_REAL && !isfinite(value->real))) {
        return refuse(reader, field_around(reader), FLK_PCS_WHY_RANGE);
    }
    if (reader->depth == 0) {
        return event == FLK_PCS_MAP ? open_frame(reader, event, PLACE_PCS)
                                    : refuse(reader, "", "a PCS must be one object");
    }
    frame_t *frame = &reader->frames[reader->depth - 1];
    FLK_ASSERT(!frame->is_map || frame->has_key);
    switch (frame->place) {
    case PLACE_PCS:
    case PLACE_FT:
        if (frame->member != M_UNKNOWN) {
            return take_member(reader, frame->member, event, value);
        }
        break;
    case PLACE_SCALES:
        return take_scale(reader, event, value);
    case PLACE_COUNTS:
        return take_count(reader, event, value);
    case PLACE_V_STAR:
        return take_direction(reader, event, value);
    case PLACE_FALLBACKS:
        return take_fallback(reader, event, value);
    case PLACE_ROOT:
    case PLACE_SKIPPED:
        break;
    }
    return opens(event) ? open_frame(reader, event, PLACE_SKIPPED) : FLK_OK;
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

flk_err_t flk_pcs_reader_finish(flk_pcs_reader_t *reader) {
    if (reader->err != FLK_OK) {
        return reader->err;
    }
    if (!reader->closed) {
        return refuse(reader, "", FLK_PCS_WHY_SHORT);
    }
    for (member_t member = 0; member < M_COUNT; member++) {
        if (members[member].required && (reader->seen & (1u << member)) == 0) {
            return refuse(reader, members[member].name, "is required");
        }
    }
    flk_pcs_t *pcs = reader->pcs;
    char id[sizeof pcs->id];
    memcpy(id, pcs->id, sizeof id);
    flk_pcs_set_id(pcs);
    if (memcmp(id, pcs->id, sizeof id) != 0) {
        return refuse(reader, "pcs_id", "must be the SHA-256 of merkle_root|epoch|shard_id");
    }
    pcs->has_attempt = (reader->seen & (1u << M_ATTEMPT)) != 0;
    pcs->has_seed = (reader->seen & (1u << M_SEED)) != 0;
    pcs->has_ft = (reader->seen & (1u << M_FT)) != 0;
    pcs->has_outbox_seq = (reader->seen & (1u << M_OUTBOX_SEQ)) != 0;
    pcs->has_clock_skew = (reader->seen & (1u << M_CLOCK_SKEW)) != 0;
    return FLK_OK;
}
