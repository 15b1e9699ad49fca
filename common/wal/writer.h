/* SPDX-License-Identifier: MIT */
/* The one thread that writes and syncs. */
#ifndef FLK_COMMON_WAL_WRITER_H
#define FLK_COMMON_WAL_WRITER_H

#include "common/wal/state.h"

enum {
    FLK_WAL_ACK_DELAY_MS = 50,
    FLK_WAL_UPKEEP_MS = 1000,
    FLK_WAL_BEAT_MS_MAX = 30000, /* for one turn; a disk may take its time for a sync */
    FLK_WAL_SPACE_CHECK_MS = 100,
    FLK_WAL_RETRY_MS_MIN = 50,
    FLK_WAL_RETRY_MS_MAX = 1000,
    FLK_WAL_COMPACT_MS = 20, /* between two steps: appends come first */
};

/* Opens the first segment, or leaves the log unhealthy, to try again. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_writer_init(flk_wal_t *wal);
void *flk_wal_writer_run(void *wal);      /* the thread; ends when `stopping` is set and all that can be is written */
void flk_wal_writer_fini(flk_wal_t *wal); /* seals the last segment */

#endif
