/* SPDX-License-Identifier: MIT */
/* The files of a log: listed, claims read from headers and checkpoint, strangers marked. A start and the tools share
 * it and differ only in the use of the list. One thread; nothing is written. */
#ifndef FLK_COMMON_WAL_DIRECTORY_H
#define FLK_COMMON_WAL_DIRECTORY_H

#include "common/wal/checkpoint.h"
#include "common/wal/format.h"
#include "common/wal/path.h"

typedef struct flk_wal_file {
    char name[FLK_WAL_NAME_BYTES];
    bool quarantined; /* *.damaged */
    bool header_ok, misnamed;
    bool later_format; /* a whole header of a format that this program does not know; counts as a bad one */
    bool odd;          /* no regular file, or larger than any segment: it is never opened, and stays where it is */
    bool stranger;     /* odd, of another log, or a second copy: a start sets all but the odd ones aside */
    uint64_t number;   /* of the header, or of the name when the header is bad */
    uint64_t name_number;
    flk_wal_header_t header;
    const flk_wal_row_t *row; /* of the checkpoint, or NULL */
} flk_wal_file_t;

typedef struct flk_wal_directory {
    const char *dir;
    flk_wal_checkpoint_t
        checkpoint; /* as it was after the listing: without the segments that the retention had removed */
    bool has_checkpoint, has_reserve;
    uint64_t known_number, known_lsn; /* segments below, items up to it were there before the listing */
    bool has_log_id;
    uint64_t log_id;       /* of the checkpoint, else the one that most segments have */
    flk_wal_file_t *files; /* in order of number, quarantined ones last */
    size_t len, capacity;
} flk_wal_directory_t;

/* Lists the directory, reads the headers and sorts. `believe_checkpoint`: headers of segments that it calls settled are
 * not read, as long as all the rest fits; so the length of a start depends on the un-settled ones.
 * Errors: FLK_E_NOT_FOUND (no such directory), FLK_E_IO, FLK_E_NOMEM. flk_wal_directory_fini in any case. */
FLK_MUST_CHECK flk_err_t flk_wal_directory_load(const char *dir, bool believe_checkpoint,
                                                flk_wal_directory_t *directory, char *errmsg);
void flk_wal_directory_fini(flk_wal_directory_t *directory);

/* Which log a file's items belong to: a segment without a header belongs to the log that the others belong to. */
uint64_t flk_wal_directory_log_id(const flk_wal_directory_t *directory, const flk_wal_file_t *file);
/* The number that named its records when it was made. */
uint64_t flk_wal_directory_name_id(const flk_wal_directory_t *directory, const flk_wal_file_t *file);
const flk_wal_row_t *flk_wal_directory_row(const flk_wal_directory_t *directory, uint64_t number);
/* The next segment of the log behind files[index], or NULL. */
const flk_wal_file_t *flk_wal_directory_next(const flk_wal_directory_t *directory, size_t index);
/* True if the segment of a row is gone and the retention cannot have been it: that takes settled segments, oldest
 * first. */
bool flk_wal_directory_row_missing(const flk_wal_directory_t *directory, const flk_wal_row_t *row);

#endif
