/* SPDX-License-Identifier: MIT */
/* Settled segments, and when they may go. The writer's. */
#ifndef FLK_COMMON_WAL_RETAIN_H
#define FLK_COMMON_WAL_RETAIN_H

#include "common/wal/state.h"

/* Notes which segments settled, keeps the checkpoint, removes old ones, begins to compact those in the way. */
void flk_wal_upkeep(flk_wal_t *wal, uint64_t now_ms);
/* Removes the oldest settled segment before its time and returns its bytes; 0: there is none, or the one before it is
 * compacted first.
 * Records that are not acked always stay. */
uint64_t flk_wal_give_up(flk_wal_t *wal);
void flk_wal_upkeep_compact(flk_wal_t *wal); /* one step of the compaction that is on its way, if there is one */
void flk_wal_upkeep_reserve(flk_wal_t *wal); /* makes the reserve again when it was used and there is space */

#endif
