/* SPDX-License-Identifier: MIT */
/* Holds: the durable positions of those that follow a log, as files in its directory. A reader keeps one and so asks
 * the writer to keep the items behind it: retention and compaction leave alone all that the lowest hold has not passed,
 * as long as that costs no more than FLK_FEED_HOLD_BYTES. Beyond it, and before work is refused for want of space, the
 * hold is broken: its reader meets a gap. A broken hold holds again once it moves.
 *
 * holds/NAME is a text line, "LSN LINEAGE", the first decimal, the second 16 hex digits (flk_wal_follow_status_t). It
 * is replaced as a whole, durably; the writer looks once a second. A file that is none of that, or of another log,
 * holds nothing and is told in the writer's log. Any thread; one writer a name. */
#ifndef FLK_COMMON_WAL_FOLLOW_HOLD_H
#define FLK_COMMON_WAL_FOLLOW_HOLD_H

#include "common/err.h"

enum { FLK_WAL_HOLD_NAME_BYTES = 32, FLK_WAL_HOLDS_MAX = 64 };

typedef struct flk_wal_hold {
    uint64_t lsn; /* everything up to it may go */
    uint64_t lineage;
} flk_wal_hold_t;

/* Keeps a position under a name of [a-z0-9_-], shorter than FLK_WAL_HOLD_NAME_BYTES, in the log directory `dir`; makes
 * holds/ if it is missing. Two syncs: once a second is often enough, since a hold that lags only holds more. Errors:
 * FLK_E_INVALID (the name), and those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_wal_hold_set(const char *dir, const char *name, flk_wal_hold_t hold, char *errmsg);
/* Errors: FLK_E_NOT_FOUND (none), FLK_E_CORRUPT (not such a line), FLK_E_INVALID, and those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_wal_hold_get(const char *dir, const char *name, flk_wal_hold_t *hold, char *errmsg);

#endif
