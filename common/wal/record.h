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

#endif
