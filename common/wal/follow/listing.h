/* SPDX-License-Identifier: MIT */
/* The segments of a log as a follower sees them: which comes next, where each ends. One thread. */
#ifndef FLK_COMMON_WAL_FOLLOW_LISTING_H
#define FLK_COMMON_WAL_FOLLOW_LISTING_H

#include "common/wal/directory.h"

typedef struct flk_wal_listing {
    char dir[FLK_WAL_PATH_BYTES];
    flk_wal_directory_t directory;
} flk_wal_listing_t;

/* Lists the directory; a failure leaves the list as it was. Errors: FLK_E_NOT_FOUND (no log there), FLK_E_CONFIG (a
 * segment of a later format), FLK_E_NOMEM, FLK_E_IO. Ended by flk_wal_listing_fini. */
FLK_MUST_CHECK flk_err_t flk_wal_listing_load(flk_wal_listing_t *listing, char *errmsg);
void flk_wal_listing_fini(flk_wal_listing_t *listing);

/* The first segment with a number above this one, and the one whose LSNs `lsn` belongs to; NULL: there is none. Both
 * pass over files that are set aside, of another log, or without a good header. */
const flk_wal_file_t *flk_wal_listing_next(const flk_wal_listing_t *listing, uint64_t number);
const flk_wal_file_t *flk_wal_listing_of(const flk_wal_listing_t *listing, uint64_t lsn);
bool flk_wal_listing_has(const flk_wal_listing_t *listing, uint64_t number);
/* The last durable LSN of a segment, all others in it being void; UINT64_MAX for the last one: that depends on now. */
uint64_t flk_wal_listing_limit(const flk_wal_listing_t *listing, uint64_t number);
/* True if a segment with a number in [from, to) was set aside, or lost its header. */
bool flk_wal_listing_damaged(const flk_wal_listing_t *listing, uint64_t from, uint64_t to);
uint64_t flk_wal_listing_durable(const flk_wal_listing_t *listing); /* the log was durable up to it, at least */
uint64_t flk_wal_listing_first(const flk_wal_listing_t *listing);   /* first LSN of those without a gap to the end */

#endif
