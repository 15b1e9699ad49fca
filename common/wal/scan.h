/* SPDX-License-Identifier: MIT */
/* From one valid item to the next, over any bytes between. One thread. */
#ifndef FLK_COMMON_WAL_SCAN_H
#define FLK_COMMON_WAL_SCAN_H

#include "common/wal/format.h"
#include "common/wal/path.h"

typedef struct flk_wal_scan {
    int fd; /* -1: none open */
    char path[FLK_WAL_PATH_BYTES];
    uint64_t salt;
    uint64_t offset;          /* where the next item should be */
    uint64_t limit;           /* nothing is read from here on */
    uint64_t last_lsn;        /* items must be above it */
    uint64_t lsn_max;         /* and not above this one; the caller narrows both to the segment's */
    bool (*stop_asked)(void); /* NULL: never; asked before each read */
    uint8_t *buffer;
    size_t buffer_capacity, buffer_bytes;
    uint64_t buffer_offset;                  /* of buffer[0] in the file */
    uint64_t unreadable_from, unreadable_to; /* around all that the disk did not give since the open; to 0: nothing */
} flk_wal_scan_t;

typedef struct flk_wal_found {
    flk_wal_item_header_t header;
    uint64_t offset, bytes;  /* of the item, padding included */
    uint64_t skipped_bytes;  /* before it that are no valid item; at the end: up to the last byte that is not 0 */
    uint64_t skipped_offset; /* where they begin */
    const uint8_t *body;     /* until the next call */
} flk_wal_found_t;

void flk_wal_scan_init(flk_wal_scan_t *scan);
/* Opens the file for reading and drops it from the page cache, so that the disk itself is read. Errors: those of
 * common/io.h. */
FLK_MUST_CHECK flk_err_t flk_wal_scan_open(flk_wal_scan_t *scan, const char *path, uint64_t salt, char *errmsg);
/* The same, without a word to the page cache: for a reader that knows which bytes are durable. */
FLK_MUST_CHECK flk_err_t flk_wal_scan_open_cached(flk_wal_scan_t *scan, const char *path, uint64_t salt, char *errmsg);
/* Back to the first item of the open file. */
void flk_wal_scan_rewind(flk_wal_scan_t *scan);
/* The next valid item at or behind `offset`, over unreadable bytes. FLK_E_NOT_FOUND: none before `limit`. FLK_E_NOMEM,
 * FLK_E_CLOSED (a stop was asked for). */
FLK_MUST_CHECK flk_err_t flk_wal_scan_next(flk_wal_scan_t *scan, flk_wal_found_t *found, char *errmsg);
void flk_wal_scan_close(flk_wal_scan_t *scan); /* keeps the buffer */
void flk_wal_scan_fini(flk_wal_scan_t *scan);

#endif
