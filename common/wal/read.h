/* SPDX-License-Identifier: MIT */
/* A log's directory read without owning it, for tools and tests. Nothing is written and no lock is taken; the log may
 * be live or a copy. */
#ifndef FLK_COMMON_WAL_READ_H
#define FLK_COMMON_WAL_READ_H

#include "common/wal/record.h"

typedef enum flk_wal_item_type {
    FLK_WAL_ITEM_RECORD,
    FLK_WAL_ITEM_ACK,
    FLK_WAL_ITEM_DAMAGE,
    FLK_WAL_ITEM_TORN,
    FLK_WAL_ITEM_MISSING,  /* a whole segment is gone, and the retention cannot have been it */
    FLK_WAL_ITEM_STRANGER, /* a file that is no segment of this log, or a second copy: a start sets it aside */
    FLK_WAL_ITEM_MISNAMED, /* a segment under another one's name: it is used all the same */
} flk_wal_item_type_t;

typedef struct flk_wal_item {
    flk_wal_item_type_t type;
    const char *segment;     /* file name, for MISSING the one it should have; kept until the visit returns */
    uint64_t log_id;         /* flk_wal_id of the log when the segment was made */
    uint64_t offset;         /* of the item in its segment, bytes */
    uint64_t bytes;          /* its length on disk; for damage and torn tails, how much was passed over */
    flk_wal_record_t record; /* RECORD; for ACK lsn and time_ms of the ack itself; for MISSING the first lsn */
    uint64_t acked_lsn;      /* ACK */
    flk_wal_ending_t ending; /* ACK; outcome kept until the visit returns */
} flk_wal_item_t;

/* Calls `visit` for each item of each segment, in order, quarantined segments last; stops early when it returns
 * false. The items of strangers are not visited. Errors: FLK_E_IO, FLK_E_NOT_FOUND (no log there), FLK_E_NOMEM. */
typedef bool flk_wal_visit_fn(void *arg, const flk_wal_item_t *item);
FLK_MUST_CHECK flk_err_t flk_wal_read(const char *dir, flk_wal_visit_fn *visit, void *arg, char *errmsg);

#endif
