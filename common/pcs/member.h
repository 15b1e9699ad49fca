/* SPDX-License-Identifier: MIT */
/* The members of a PCS and the values that each may hold: the rules of the schema, one by one. For the reader only,
 * which sees to the place of a value. Functions that return bool return false with `fault` filled. */
#ifndef FLK_COMMON_PCS_MEMBER_H
#define FLK_COMMON_PCS_MEMBER_H

#include "common/pcs/pcs.h"

/* The place of a value: the array or map around it. */
typedef enum flk_place {
    FLK_PLACE_ROOT, /* nothing around it */
    FLK_PLACE_PCS,
    FLK_PLACE_SCALES,
    FLK_PLACE_COUNTS,
    FLK_PLACE_V_STAR,
    FLK_PLACE_FT,
    FLK_PLACE_FALLBACKS,
    FLK_PLACE_PRINTS,
    FLK_PLACE_SKIPPED, /* below an unknown member */
} flk_place_t;

typedef enum flk_member_kind {
    FLK_MEMBER_TEXT,
    FLK_MEMBER_COUNTER, /* integer from 0 to FLK_PCS_INTEGER_MAX */
    FLK_MEMBER_SKEW,    /* the same with sign */
    FLK_MEMBER_REAL,
    FLK_MEMBER_BOOL,
    FLK_MEMBER_ARRAY,
    FLK_MEMBER_MAP,
} flk_member_kind_t;

/* In schema order, which is the order in which missing ones are reported.
 * id, name in faults, key in its map, map, kind, required, where it goes (COUNTER, SKEW, REAL, BOOL), place of its
 * elements (ARRAY, MAP) */
#define FLK_PCS_MEMBERS(X)                                                                                             \
    X(FLK_M_PCS_ID, "pcs_id", "pcs_id", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, id, FLK_PLACE_ROOT)                      \
    X(FLK_M_SCHEMA, "schema", "schema", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, id, FLK_PLACE_ROOT)                      \
    X(FLK_M_VERSION, "version", "version", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, version, FLK_PLACE_ROOT)              \
    X(FLK_M_SHARD_ID, "shard_id", "shard_id", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, shard_id, FLK_PLACE_ROOT)          \
    X(FLK_M_EPOCH, "epoch", "epoch", FLK_PLACE_PCS, FLK_MEMBER_COUNTER, true, epoch, FLK_PLACE_ROOT)                   \
    X(FLK_M_ATTEMPT, "attempt", "attempt", FLK_PLACE_PCS, FLK_MEMBER_COUNTER, false, attempt, FLK_PLACE_ROOT)          \
    X(FLK_M_SENT_AT, "sent_at", "sent_at", FLK_PLACE_PCS, FLK_MEMBER_TEXT, false, sent_at, FLK_PLACE_ROOT)             \
    X(FLK_M_SEED, "seed", "seed", FLK_PLACE_PCS, FLK_MEMBER_COUNTER, false, seed, FLK_PLACE_ROOT)                      \
    X(FLK_M_SCALES, "scales", "scales", FLK_PLACE_PCS, FLK_MEMBER_ARRAY, true, scales, FLK_PLACE_SCALES)               \
    X(FLK_M_COUNTS, "N_j", "N_j", FLK_PLACE_PCS, FLK_MEMBER_MAP, true, counts, FLK_PLACE_COUNTS)                       \
    X(FLK_M_COH_STAR, "coh_star", "coh_star", FLK_PLACE_PCS, FLK_MEMBER_REAL, true, coh_star, FLK_PLACE_ROOT)          \
    X(FLK_M_V_STAR, "v_star", "v_star", FLK_PLACE_PCS, FLK_MEMBER_ARRAY, false, v_star, FLK_PLACE_V_STAR)              \
    X(FLK_M_D_HAT, "D_hat", "D_hat", FLK_PLACE_PCS, FLK_MEMBER_REAL, true, d_hat, FLK_PLACE_ROOT)                      \
    X(FLK_M_R, "r", "r", FLK_PLACE_PCS, FLK_MEMBER_REAL, true, r, FLK_PLACE_ROOT)                                      \
    X(FLK_M_REGIME, "regime", "regime", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, regime, FLK_PLACE_ROOT)                  \
    X(FLK_M_BUDGET, "budget", "budget", FLK_PLACE_PCS, FLK_MEMBER_REAL, true, budget, FLK_PLACE_ROOT)                  \
    X(FLK_M_MERKLE_ROOT, "merkle_root", "merkle_root", FLK_PLACE_PCS, FLK_MEMBER_TEXT, true, merkle_root,              \
      FLK_PLACE_ROOT)                                                                                                  \
    X(FLK_M_SIG, "sig", "sig", FLK_PLACE_PCS, FLK_MEMBER_TEXT, false, sig, FLK_PLACE_ROOT)                             \
    X(FLK_M_FT, "ft", "ft", FLK_PLACE_PCS, FLK_MEMBER_MAP, false, has_ft, FLK_PLACE_FT)                                \
    X(FLK_M_OUTBOX_SEQ, "ft.outbox_seq", "outbox_seq", FLK_PLACE_FT, FLK_MEMBER_COUNTER, false, outbox_seq,            \
      FLK_PLACE_ROOT)                                                                                                  \
    X(FLK_M_DEGRADED, "ft.degraded", "degraded", FLK_PLACE_FT, FLK_MEMBER_BOOL, false, degraded, FLK_PLACE_ROOT)       \
    X(FLK_M_FALLBACKS, "ft.fallbacks", "fallbacks", FLK_PLACE_FT, FLK_MEMBER_ARRAY, false, fallbacks,                  \
      FLK_PLACE_FALLBACKS)                                                                                             \
    X(FLK_M_CLOCK_SKEW, "ft.clock_skew_ms", "clock_skew_ms", FLK_PLACE_FT, FLK_MEMBER_SKEW, false, clock_skew_ms,      \
      FLK_PLACE_ROOT)                                                                                                  \
    X(FLK_M_PRINTS, "prints", "prints", FLK_PLACE_PCS, FLK_MEMBER_MAP, false, has_prints, FLK_PLACE_PRINTS)            \
    X(FLK_M_PRINT_D_HAT, "prints.D_hat", "D_hat", FLK_PLACE_PRINTS, FLK_MEMBER_TEXT, false, prints, FLK_PLACE_ROOT)    \
    X(FLK_M_PRINT_BUDGET, "prints.budget", "budget", FLK_PLACE_PRINTS, FLK_MEMBER_TEXT, false, prints, FLK_PLACE_ROOT) \
    X(FLK_M_PRINT_COH_STAR, "prints.coh_star", "coh_star", FLK_PLACE_PRINTS, FLK_MEMBER_TEXT, false, prints,           \
      FLK_PLACE_ROOT)                                                                                                  \
    X(FLK_M_PRINT_R, "prints.r", "r", FLK_PLACE_PRINTS, FLK_MEMBER_TEXT, false, prints, FLK_PLACE_ROOT)

typedef enum flk_member {
#define FLK_MEMBER_ID(id, ...) id,
    FLK_PCS_MEMBERS(FLK_MEMBER_ID)
#undef FLK_MEMBER_ID
        FLK_M_UNKNOWN,
    FLK_M_COUNT = FLK_M_UNKNOWN
} flk_member_t;

typedef struct flk_member_row {
    const char *name, *key;
    uint8_t key_bytes;
    flk_place_t map;
    flk_member_kind_t kind;
    bool required;
    size_t offset; /* in flk_pcs_t */
    flk_place_t inner;
} flk_member_row_t;
extern const flk_member_row_t flk_members[FLK_M_COUNT];

/* The member of `map` with that key, FLK_M_UNKNOWN when there is none. Looks from `first` on and round. */
flk_member_t flk_member_find(flk_place_t map, const char *key, size_t key_bytes, flk_member_t first);

/* Fills the fault and returns false. */
bool flk_member_refuse(flk_pcs_fault_t *fault, const char *field, const char *format, ...) FLK_PRINTF(3, 4);

/* Checks the value of a known member and stores it; of an array or map, which is to be opened, only its kind. */
FLK_MUST_CHECK bool flk_member_take(flk_member_t member, flk_pcs_event_t event, const flk_pcs_value_t *value,
                                    flk_pcs_t *pcs, flk_pcs_fault_t *fault);

/* The same for an element of scales, v_star and ft.fallbacks; v_star is collected in a buffer of FLK_PCS_V_STAR_MAX. */
FLK_MUST_CHECK bool flk_member_take_scale(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                                          flk_pcs_fault_t *fault);
FLK_MUST_CHECK bool flk_member_take_direction(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                                              double *v_star, flk_pcs_fault_t *fault);
FLK_MUST_CHECK bool flk_member_take_fallback(flk_pcs_event_t event, const flk_pcs_value_t *value, flk_pcs_t *pcs,
                                             flk_pcs_fault_t *fault);

/* The same for a key of N_j and for the count at that scale. The reader lets no more than FLK_PCS_COUNTS_MAX by. */
FLK_MUST_CHECK bool flk_member_take_count_key(const flk_pcs_value_t *key, uint64_t *scale, flk_pcs_fault_t *fault);
FLK_MUST_CHECK bool flk_member_take_count(uint64_t scale, flk_pcs_event_t event, const flk_pcs_value_t *value,
                                          flk_pcs_t *pcs, flk_pcs_fault_t *fault);

#endif
