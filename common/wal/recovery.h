/* SPDX-License-Identifier: MIT */
/* What the three files of a start share: wal/inventory.c finds the segments, wal/recover_items.c reads them, wal/recover.c
 * repairs what they lack and has the whole story. One thread, before the writer starts. */
#ifndef FLK_COMMON_WAL_RECOVERY_H
#define FLK_COMMON_WAL_RECOVERY_H

#include "common/wal/internal.h"

/* A segment that is there, or that should be. */
typedef struct flk_wal_candidate {
    char name[FLK_WAL_NAME_BYTES];
    uint64_t number; /* of the header, or of the name when the header is bad */
    bool misnamed, header_ok, on_disk;
    bool has_holes, lost_items; /* items are missing between others; items are missing that were promised */
    flk_wal_header_t header;
    const flk_wal_row_t *row;   /* of the checkpoint */
    flk_wal_segment_t *segment; /* made from it; NULL: set aside or missing */
} flk_wal_candidate_t;

/* A start on its way. */
typedef struct flk_wal_recovery {
    flk_wal_t *wal;
    flk_wal_checkpoint_t checkpoint;
    bool has_checkpoint;
    flk_wal_candidate_t *candidates;
    size_t len, capacity;
    flk_wal_scan_t scan;
    uint64_t accounted_lsn; /* up to here every promised item is explained */
} flk_wal_recovery_t;

/* Loads the checkpoint, finds the segments, sets aside what is none of this log's, and settles the log's id and next
 * segment number. Errors: FLK_E_IO, FLK_E_NOMEM, FLK_E_CONFIG (a later format). */
FLK_MUST_CHECK flk_err_t flk_wal_inventory(flk_wal_recovery_t *recovery, char *errmsg);
/* The name goes, the bytes stay as *.damaged. A failure leaves the file for the next start. */
void flk_wal_inventory_set_aside(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate);

/* Makes a segment of each candidate and reads what must be read. Errors: FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_replay(flk_wal_recovery_t *recovery, char *errmsg);
/* Hands back the memory of a segment that needs no more acks. */
void flk_wal_replay_settle(flk_wal_segment_t *segment);
flk_err_t flk_wal_recovery_nomem(const flk_wal_t *wal, char *errmsg);

#endif
