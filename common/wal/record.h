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

/* How a record ended, kept by its ack for audit. Status and flags are the caller's own. */
typedef struct flk_wal_mark {
    uint16_t status; /* HTTP status class of the answer; never 0 */
    uint16_t flags;
    uint32_t detail;
} flk_wal_mark_t;

#endif
