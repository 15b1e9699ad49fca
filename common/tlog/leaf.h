/* SPDX-License-Identifier: MIT */
/* The leaf of a transparency log: a statement about one outcome, as canonical JSON (RFC 8785: keys by byte, no blanks,
 * ECMAScript's numbers), so that one log of a gateway has one leaf for each outcome, the same byte by byte whenever it
 * is made. No payload. Pure functions, any thread.
 *
 *   body_sha256     hex, of the whole body as it came: binds the parts without signature; absent: the body is gone
 *   budget, budget_claimed, d_hat, policy_version, regime, rules
 *                   of the stored outcome, if there is one; d_hat is null when it is unverifiable; rules are the names
 *                   of the policy's rules that hold, joined by commas, and absent when there are none
 *   digest          hex, of the signed bytes; absent when unknown
 *   flags           array of duplicate, conflict, dead_letter
 *   key             id of the key that verified; absent when unknown
 *   log             number of the gateway's log, 16 hex digits
 *   lsn             of the ack: leaves are in its order
 *   pcs_id          hex; absent when the body has none
 *   reasons         array, of a 202
 *   received_ms     of the record, Unix time; 0: not known
 *   record_lsn      of the record
 *   status          200, 202, 400, ...
 *   time_ms         of the ack, Unix time
 *   v               1; a change of any of these takes the next number, and readers keep all
 *
 * A gap is a leaf of its own: the events between were gone before they were read.
 *
 *   gap_first, gap_last (LSNs of acks that may be absent), log, v */
#ifndef FLK_COMMON_TLOG_LEAF_H
#define FLK_COMMON_TLOG_LEAF_H

#include "common/pcs/keys.h"
#include "common/pcs/verdict.h"

enum {
    FLK_TLOG_LEAF_BYTES_MAX = 1024,
    FLK_TLOG_LEAF_KEY_BYTES = 33,
    FLK_TLOG_LEAF_VERSION = 1,
};

/* In the order of the ack's bits. */
#define FLK_TLOG_FLAGS(X)                                                                                              \
    X(FLK_TLOG_DUPLICATE, "duplicate")                                                                                 \
    X(FLK_TLOG_CONFLICT, "conflict")                                                                                   \
    X(FLK_TLOG_DEAD_LETTER, "dead_letter")

typedef enum flk_tlog_flag {
#define FLK_TLOG_FLAG_ID(id, name) id,
    FLK_TLOG_FLAGS(FLK_TLOG_FLAG_ID)
#undef FLK_TLOG_FLAG_ID
        FLK_TLOG_FLAG_COUNT
} flk_tlog_flag_t;
const char *flk_tlog_flag_name(flk_tlog_flag_t flag);

typedef struct flk_tlog_leaf {
    uint64_t log;
    bool is_gap;
    uint64_t gap_first, gap_last; /* of a gap, and then nothing below counts */
    uint64_t lsn, record_lsn;
    int64_t received_ms, time_ms; /* not below 0; received 0: not known */
    bool has_body, has_pcs_id, has_digest, has_outcome;
    uint8_t pcs_id[FLK_PCS_ID_BYTES];
    uint8_t body_sha256[FLK_DIGEST_BYTES];
    uint8_t digest[FLK_DIGEST_BYTES];
    uint16_t status;
    uint32_t flags;                    /* bit (1u << flk_tlog_flag_t); others are left out */
    uint32_t reasons;                  /* bit (1u << flk_reason_t) */
    char key[FLK_TLOG_LEAF_KEY_BYTES]; /* "": unknown */
    flk_outcome_t outcome;             /* without its status and reasons */
} flk_tlog_leaf_t;

/* Returns the length, at most FLK_TLOG_LEAF_BYTES_MAX; without a NUL. */
size_t flk_tlog_leaf_print(const flk_tlog_leaf_t *leaf, char text[FLK_TLOG_LEAF_BYTES_MAX]);

/* Reads exactly the texts that _print writes. Errors: FLK_E_INVALID (anything else), FLK_E_UNAVAILABLE (of a later
 * version), FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_tlog_leaf_parse(const char *text, size_t text_bytes, flk_tlog_leaf_t *leaf, char *errmsg);

#endif
