/* SPDX-License-Identifier: MIT */
/* A Proof-of-Computation Summary in memory, and its reader.
 *
 * The reader is fed events, so that the JSON door and the ZeroMQ door share one set of rules: pcs/json.c turns
 * JSON text into events, proto/pcs_msgpack.c does so for msgpack. A PCS that one door refuses, the other refuses with
 * the same words. The rules are those of PCS schema version 0.x (proto/pcs.schema.json). */
#ifndef FLK_COMMON_PCS_PCS_H
#define FLK_COMMON_PCS_PCS_H

#include "common/base.h"
#include "common/err.h"

#define FLK_PCS_SCHEMA  "fractal-lba-kakeya"
#define FLK_PCS_VERSION "0.1"

enum {
    FLK_PCS_VERSION_MAJOR = 0,
    FLK_PCS_ID_BYTES = 32,
    FLK_PCS_ID_HEX = 64,
    FLK_PCS_SHARD_MAX = 128,  /* bytes */
    FLK_PCS_MERKLE_MAX = 128, /* hex digits */
    FLK_PCS_SIG_MAX = 128,    /* base64 characters */
    FLK_PCS_PRINT_MAX = 24,   /* bytes of a claim's print */
    FLK_PCS_VERSION_MAX = 32,
    FLK_PCS_SENT_AT_MAX = 40,
    FLK_PCS_SCALES_MAX = 64,
    FLK_PCS_COUNTS_MAX = 128, /* members of N_j; a scale may lack one, and a member may lack its scale */
    FLK_PCS_V_STAR_MAX = 4096,
    FLK_PCS_FALLBACKS_MAX = 16,
    FLK_PCS_FALLBACK_MAX = 64, /* bytes */
    FLK_PCS_DEPTH_MAX = 16,
    FLK_PCS_MEMBERS_MAX = 256,  /* of any one map, known members or not */
    FLK_PCS_VALUES_MAX = 16384, /* scalars, arrays and maps in all */
    FLK_PCS_BODY_BYTES_MAX = 1 << 20,
};
#define FLK_PCS_INTEGER_MAX ((UINT64_C(1) << 53) - 1) /* the largest integer that a JSON number holds exactly */

typedef enum flk_regime { FLK_REGIME_STICKY, FLK_REGIME_MIXED, FLK_REGIME_NON_STICKY } flk_regime_t;
const char *flk_regime_name(flk_regime_t regime);
FLK_MUST_CHECK bool flk_regime_parse(const char *text, size_t text_bytes, flk_regime_t *regime);

typedef struct flk_pcs_count {
    uint64_t scale;
    uint64_t cells; /* non-empty cells at that scale */
} flk_pcs_count_t;

/* The four numbers that are signed. */
typedef enum flk_claim { FLK_CLAIM_D_HAT, FLK_CLAIM_BUDGET, FLK_CLAIM_COH_STAR, FLK_CLAIM_R, FLK_CLAIMS } flk_claim_t;

typedef struct flk_pcs {
    char id[FLK_PCS_ID_HEX + 1]; /* lowercase hex, checked against merkle_root|epoch|shard_id */
    uint8_t id_raw[FLK_PCS_ID_BYTES];
    char version[FLK_PCS_VERSION_MAX + 1];
    char shard_id[FLK_PCS_SHARD_MAX + 1];
    char merkle_root[FLK_PCS_MERKLE_MAX + 1];
    char sig[FLK_PCS_SIG_MAX + 1]; /* "" when absent */
    uint64_t epoch;
    double d_hat, coh_star, r, budget;
    /* How the claims are printed in the signed bytes, when neither the Python nor the ECMAScript print fits all of
     * them; "" for one of which nothing was said. Each reads as its claim, rounded to 9 decimals. */
    bool has_prints;
    char prints[FLK_CLAIMS][FLK_PCS_PRINT_MAX + 1];
    flk_regime_t regime;
    uint32_t scales_len, counts_len;
    uint64_t scales[FLK_PCS_SCALES_MAX];
    flk_pcs_count_t counts[FLK_PCS_COUNTS_MAX]; /* N_j as sent, in the order sent */

    /* Optional members; has_* tells whether they were sent. */
    bool has_attempt, has_seed, has_ft, has_outbox_seq, has_clock_skew, degraded;
    uint64_t attempt, seed, outbox_seq;
    int64_t clock_skew_ms;
    char sent_at[FLK_PCS_SENT_AT_MAX + 1]; /* "" when absent */
    uint32_t v_star_len, fallbacks_len;
    double *v_star; /* heap; freed by flk_pcs_fini */
    char fallbacks[FLK_PCS_FALLBACKS_MAX][FLK_PCS_FALLBACK_MAX + 1];
} flk_pcs_t;

void flk_pcs_init(flk_pcs_t *pcs); /* an empty PCS: all optional members absent */
void flk_pcs_fini(flk_pcs_t *pcs); /* frees v_star; pcs may be initialised again */

/* Fills pcs->id and id_raw from merkle_root, epoch and shard_id: lowercase hex of SHA-256 over
 * `merkle_root|epoch|shard_id` (PROTOCOL.md, "What is signed"). */
void flk_pcs_set_id(flk_pcs_t *pcs);

/* Which member is at fault and why; `field` is "" when the body as a whole is. Both are plain ASCII without any text
 * that the sender chose, so they may be echoed. */
typedef struct flk_pcs_fault {
    char field[48];
    char reason[200];
} flk_pcs_fault_t;

/* Reads one JSON text. On FLK_E_INVALID (400), FLK_E_TOO_LARGE (413: body over FLK_PCS_BODY_BYTES_MAX) and
 * FLK_E_NOMEM, `fault` is filled and pcs needs no flk_pcs_fini. */
FLK_MUST_CHECK flk_err_t flk_pcs_from_json(const char *body, size_t body_bytes, flk_pcs_t *pcs, flk_pcs_fault_t *fault);

/* Writes the PCS as one JSON text without newline; keys in schema order. Numbers are printed so that reading them
 * gives the same double. Caller frees *json with free(). Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_pcs_to_json(const flk_pcs_t *pcs, char **json, size_t *json_bytes);

/* ---- the reader, for other encodings ---- */

typedef struct flk_pcs_reader flk_pcs_reader_t; /* Opaque; fields are commented in pcs/reader.c. */

typedef enum flk_pcs_event {
    FLK_PCS_MAP,
    FLK_PCS_MAP_END,
    FLK_PCS_ARRAY,
    FLK_PCS_ARRAY_END,
    FLK_PCS_KEY,    /* text: always inside a map, before its value */
    FLK_PCS_STRING, /* text: must be valid UTF-8; the reader checks */
    FLK_PCS_INTEGER,
    FLK_PCS_REAL, /* also an integer that does not fit: the nearest double */
    FLK_PCS_BOOL,
    FLK_PCS_NULL,
} flk_pcs_event_t;

typedef struct flk_pcs_value {
    const char *text; /* KEY and STRING: borrowed until return, not NUL-terminated. INTEGER and REAL: the number as it
                       * was written, borrowed until _finish; NULL where the encoding has no text for it */
    size_t text_bytes;
    union {
        int64_t integer;
        double real;
        bool boolean;
    };
} flk_pcs_value_t;

/* Faults that a source of events finds by itself, in the words of the reader; the field is "" or a top-level member. */
#define FLK_PCS_WHY_UTF8     "must be valid UTF-8 without U+0000"
#define FLK_PCS_WHY_TWICE    "must not occur twice, nor hold a member twice"
#define FLK_PCS_WHY_RANGE    "must not hold a number out of range"
#define FLK_PCS_WHY_DEPTH    "must not nest deeper than %d"              /* FLK_PCS_DEPTH_MAX */
#define FLK_PCS_WHY_VALUES   "must not hold more than %d values"         /* FLK_PCS_VALUES_MAX */
#define FLK_PCS_WHY_BODY     "the body must not be larger than %d bytes" /* FLK_PCS_BODY_BYTES_MAX */
#define FLK_PCS_WHY_SHORT    "the body ends too early"
#define FLK_PCS_WHY_TRAILING "the body must end after the PCS"

/* Heap-allocated once and used again for each record by its one thread. NULL when out of memory. */
flk_pcs_reader_t *flk_pcs_reader_new(void);
void flk_pcs_reader_destroy(flk_pcs_reader_t **reader);

/* The name of the PCS's own member with that key as faults have it, "" for an unknown key. */
const char *flk_pcs_member_name(const char *key, size_t key_bytes);

/* Begins a record: initialises pcs and keeps it until _finish. */
void flk_pcs_reader_begin(flk_pcs_reader_t *reader, flk_pcs_t *pcs, flk_pcs_fault_t *fault);
/* Takes the next event. `value` may be NULL for events without one. The first fault sticks: every later call
 * returns it. Unknown members are skipped (SemVer: a minor version may add some), but checked for depth, UTF-8 and
 * duplicate keys as everything is. An optional member that is null counts as absent. Errors: FLK_E_INVALID,
 * FLK_E_TOO_LARGE, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_pcs_reader_event(flk_pcs_reader_t *reader, flk_pcs_event_t event,
                                              const flk_pcs_value_t *value);
/* Ends the record: required members, ranges, and that the id matches. On error (the same ones) the PCS is already
 * finished. */
FLK_MUST_CHECK flk_err_t flk_pcs_reader_finish(flk_pcs_reader_t *reader);

#endif
