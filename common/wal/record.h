/* SPDX-License-Identifier: MIT */
/* A record as it is read, and the mark that its ack keeps. */
#ifndef FLK_COMMON_WAL_RECORD_H
#define FLK_COMMON_WAL_RECORD_H

#include "common/err.h"

typedef struct flk_wal_record {
    uint64_t lsn;
    int64_t time_ms;
    uint8_t kind;
    uint32_t body_bytes;
    const void *body; /* kept until the next call on the cursor, or until the visit returns */
} flk_wal_record_t;

/* The status of records that were refused. A settled segment that is full of them is compacted: their bodies go. */
enum { FLK_WAL_STATUS_REFUSED = 401 };

/* How a record ended, kept by its ack for audit. Flags and detail are the caller's own. */
typedef struct flk_wal_mark {
    uint16_t status; /* HTTP status of the answer; never 0 */
    uint16_t flags;
    uint32_t detail;
} flk_wal_mark_t;

enum {
    FLK_WAL_SUBJECT_BYTES = 32,
    FLK_WAL_KEY_BYTES = 33, /* of a key's id, NUL included */
    FLK_WAL_OUTCOME_BYTES_MAX = 511,
};

/* The same in full, as acks keep it since format 2. The log looks at none of it. */
typedef struct flk_wal_ending {
    flk_wal_mark_t mark;
    bool has_subject;
    uint8_t subject[FLK_WAL_SUBJECT_BYTES]; /* of a gateway's record: its raw pcs_id */
    char key[FLK_WAL_KEY_BYTES];            /* id of the key that verified; "" = not known, or none did */
    uint16_t outcome_bytes;                 /* 0: there is none (a refusal, a dead letter, an ack of format 1) */
    const uint8_t *outcome; /* in the stores' layout (proto/stored_outcome.h); borrowed by a call that writes, kept
                               until the next item by one that reads */
} flk_wal_ending_t;

#endif
