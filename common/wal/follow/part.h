/* SPDX-License-Identifier: MIT */
/* A segment that is open for a follower: its file, and a sparse table of where its items lie, by which a record is
 * found for its ack. The file stays open while the part lives, also when the log replaces or removes it: all that was
 * there when it was opened can be read. One thread. */
#ifndef FLK_COMMON_WAL_FOLLOW_PART_H
#define FLK_COMMON_WAL_FOLLOW_PART_H

#include "common/wal/scan.h"

typedef struct flk_wal_place {
    uint64_t lsn, offset;
} flk_wal_place_t;

typedef struct flk_wal_part {
    flk_wal_header_t header;
    flk_wal_scan_t scan;     /* forward, from the first item */
    uint64_t limit_lsn;      /* items above it are void, or not durable yet */
    flk_wal_place_t *places; /* by LSN, at least PLACE_BYTES of the file apart */
    size_t places_len, places_capacity;
} flk_wal_part_t;

void flk_wal_part_init(flk_wal_part_t *part);
/* Opens a segment's file and reads its header. Errors: FLK_E_NOT_FOUND, FLK_E_CORRUPT (no good header), FLK_E_CONFIG
 * (of a later format), FLK_E_NOMEM, FLK_E_IO. Ended by flk_wal_part_fini in any case. */
FLK_MUST_CHECK flk_err_t flk_wal_part_open(flk_wal_part_t *part, const char *dir, const char *name, uint64_t limit_lsn,
                                           char *errmsg);
void flk_wal_part_fini(flk_wal_part_t *part);
/* The next item up to limit_lsn, and notes its place. FLK_E_NOT_FOUND: none for now; the scan stands where it stood.
 * FLK_E_NOMEM, FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_wal_part_next(flk_wal_part_t *part, flk_wal_found_t *found, char *errmsg);
/* A step back, to where `scan` was before an item: it is given again. */
void flk_wal_part_stand_at(flk_wal_part_t *part, uint64_t offset, uint64_t last_lsn);
/* Bytes read ahead are forgotten: there may be more by now. */
void flk_wal_part_refresh(flk_wal_part_t *part);

/* Room to read single items into. */
typedef struct flk_wal_part_reader {
    uint8_t *buffer;
    size_t capacity;
    const flk_wal_part_t *part; /* the buffer holds these bytes of it; NULL: nothing */
    uint64_t offset;
    size_t bytes;
} flk_wal_part_reader_t;
/* The item under `lsn`, among those that flk_wal_part_next has passed; `found` points into the reader. FLK_E_NOT_FOUND:
 * it is not there, or damaged. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_part_find(const flk_wal_part_t *part, flk_wal_part_reader_t *reader, uint64_t lsn,
                                           flk_wal_found_t *found);

#endif
