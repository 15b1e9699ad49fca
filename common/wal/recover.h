/* SPDX-License-Identifier: MIT */
/* A start: files, then items, then repairs. recover_files.c decides which files take part, recover_items.c reads them,
 * recover.c repairs the gaps. One thread, before the writer starts. */
#ifndef FLK_COMMON_WAL_RECOVER_H
#define FLK_COMMON_WAL_RECOVER_H

#include "common/wal/directory.h"
#include "common/wal/scan.h"
#include "common/wal/state.h"

/* A segment that is there, or that should be. */
typedef struct flk_wal_candidate {
    flk_wal_file_t file; /* of a missing one only number and row */
    bool on_disk;
    bool has_holes, lost_items; /* items are missing between others; items are missing that were promised */
    flk_wal_segment_t *segment; /* made from it; NULL: set aside or missing */
} flk_wal_candidate_t;

/* A start on its way. */
typedef struct flk_wal_recovery {
    flk_wal_t *wal;
    flk_wal_directory_t directory;
    flk_wal_candidate_t *candidates; /* in order of number */
    size_t len;
    flk_wal_scan_t scan;
    uint64_t accounted_lsn; /* up to here every promised item is explained */
} flk_wal_recovery_t;

/* Recovers the log that wal->config names. Errors: FLK_E_IO, FLK_E_NOMEM, FLK_E_CONFIG (a later format). */
FLK_MUST_CHECK flk_err_t flk_wal_recover(flk_wal_t *wal, char *errmsg);

/* ---- recover_files.c ---- */

/* Loads the directory, sets strangers aside, and settles the log's id and next segment number. Segments that the
 * checkpoint knows and the directory lacks become candidates too, so that their LSNs are accounted for.
 * Errors: FLK_E_IO, FLK_E_NOMEM, FLK_E_CONFIG (a later format). */
FLK_MUST_CHECK flk_err_t flk_wal_recover_files(flk_wal_recovery_t *recovery, char *errmsg);
/* The name goes, the bytes stay as *.damaged. A failure leaves the file for the next start. */
void flk_wal_recover_set_aside(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate);
flk_err_t flk_wal_recover_nomem(const flk_wal_recovery_t *recovery, char *errmsg); /* FLK_E_NOMEM, with its line */

/* ---- recover_items.c ---- */

/* Makes a segment of each candidate and reads its items where they are not known. Errors: FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_recover_items(flk_wal_recovery_t *recovery, char *errmsg);
void flk_wal_recover_settle(flk_wal_segment_t *segment); /* hands back the memory of one that needs no more acks */

#endif
