/* SPDX-License-Identifier: MIT */
/* A segment's file replaced by one without the items that are not needed. The writer's, or a start's. */
#ifndef FLK_COMMON_WAL_REWRITE_H
#define FLK_COMMON_WAL_REWRITE_H

#include "common/wal/state.h"

#define FLK_WAL_REWRITE_NAME "rewrite.tmp"

typedef struct flk_wal_rewrite flk_wal_rewrite_t; /* Opaque; fields are commented in rewrite.c. */

typedef enum flk_wal_rewrite_kind {
    FLK_WAL_REWRITE_ALL,     /* keeps every valid item */
    FLK_WAL_REWRITE_LIVE,    /* keeps records that are not acked */
    FLK_WAL_REWRITE_REFUSED, /* keeps all but the refused records, if these take a good part of the file */
} flk_wal_rewrite_kind_t;

/* Begins one. Caller frees with flk_wal_rewrite_destroy, which leaves the old file in place unless the rewrite has
 * ended. Errors: FLK_E_NOMEM, and those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_new(flk_wal_t *wal, flk_wal_segment_t *segment, flk_wal_rewrite_kind_t kind,
                                             flk_wal_rewrite_t **rewrite, char *errmsg);
/* Copies some more and syncs it: a few milliseconds of disk time. FLK_E_AGAIN: there is more to do. FLK_OK: the new
 * file is the segment's. FLK_E_EXISTS: the old one is as good. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_step(flk_wal_rewrite_t *rewrite, char *errmsg);
const flk_wal_segment_t *flk_wal_rewrite_segment(const flk_wal_rewrite_t *rewrite);
void flk_wal_rewrite_destroy(flk_wal_rewrite_t **rewrite); /* NULL is allowed */

#endif
