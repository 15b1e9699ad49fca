/* SPDX-License-Identifier: MIT */
/* A segment's file replaced by one without what is not needed. The writer's, or a start's. */
#ifndef FLK_COMMON_WAL_REWRITE_H
#define FLK_COMMON_WAL_REWRITE_H

#include "common/wal/state.h"

#define FLK_WAL_REWRITE_NAME "rewrite.tmp"

typedef struct flk_wal_rewrite flk_wal_rewrite_t; /* Opaque; fields are commented in rewrite.c. */

/* Begins one: with `live_only` the records that are not acked are kept, else every valid item. Caller frees with
 * flk_wal_rewrite_destroy, which leaves the old file in place unless the rewrite has ended. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_new(flk_wal_t *wal, flk_wal_segment_t *segment, bool live_only,
                                             flk_wal_rewrite_t **rewrite, char *errmsg);
/* Copies some more and syncs it: a few milliseconds of disk time. FLK_E_AGAIN: there is more to do. FLK_OK: the new
 * file is the segment's. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_step(flk_wal_rewrite_t *rewrite, char *errmsg);
const flk_wal_segment_t *flk_wal_rewrite_segment(const flk_wal_rewrite_t *rewrite);
void flk_wal_rewrite_destroy(flk_wal_rewrite_t **rewrite); /* NULL is allowed */

#endif
