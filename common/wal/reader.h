/* SPDX-License-Identifier: MIT */
/* What the two files of a read share: wal/catalog.c knows the files, wal/read.c their items. One thread. */
#ifndef FLK_COMMON_WAL_READER_H
#define FLK_COMMON_WAL_READER_H

#include "common/wal/internal.h"

typedef struct flk_wal_file {
    char name[FLK_WAL_NAME_BYTES];
    bool quarantined, header_ok, misnamed;
    bool stranger;   /* of another log, or a second copy: a start would set it aside */
    uint64_t number; /* of the header, or of the name when the header is bad */
    flk_wal_header_t header;
} flk_wal_file_t;

typedef struct flk_wal_catalog {
    const char *dir;
    flk_wal_checkpoint_t checkpoint; /* as it was after the listing: what the retention had removed is not in it */
    bool has_checkpoint;
    uint64_t known_number, known_lsn; /* segments below, items up to it were there before the listing */
    uint64_t log_id;
    flk_wal_file_t *files; /* in order of number, quarantined ones last */
    size_t len, capacity;
} flk_wal_catalog_t;

/* Lists the directory and reads the headers. Errors: FLK_E_NOT_FOUND (no log there), FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_catalog_load(const char *dir, flk_wal_catalog_t *catalog, char *errmsg);
void flk_wal_catalog_fini(flk_wal_catalog_t *catalog);

/* Which log a file's items belong to: a segment without a header belongs to the log that the others belong to. */
uint64_t flk_wal_catalog_log_id(const flk_wal_catalog_t *catalog, const flk_wal_file_t *file);
const flk_wal_row_t *flk_wal_catalog_row(const flk_wal_catalog_t *catalog, uint64_t number);
/* The next segment of the log behind files[index], or NULL. */
const flk_wal_file_t *flk_wal_catalog_next(const flk_wal_catalog_t *catalog, size_t index);
/* True if the segment of a row is gone and the retention cannot have been it: that takes settled segments, oldest
 * first. */
bool flk_wal_catalog_row_missing(const flk_wal_catalog_t *catalog, const flk_wal_row_t *row);

#endif
