/* SPDX-License-Identifier: MIT */
/* Whether records can be made durable now, and in which segment. A failure lasts until a new segment opens, with tries
 * every 50 ms at first, every second later. Little space refuses entries and lets acks go on. The writer's. */
#ifndef FLK_COMMON_WAL_HEALTH_H
#define FLK_COMMON_WAL_HEALTH_H

#include "common/wal/state.h"

/* At the start: looks at the space and opens the first segment, or leaves the log unhealthy. */
void flk_wal_health_init(flk_wal_t *wal);
/* At each turn: tries again after a failure, when that is due or the log is `stopping`, and looks at the space. */
void flk_wal_health_check(flk_wal_t *wal, bool stopping);
/* Sees to it that the active segment takes an item of `item_bytes`; the reserve is for acks alone. After an error the
 * log is unhealthy. Errors: FLK_E_NO_SPACE, FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_wal_health_room(flk_wal_t *wal, uint64_t item_bytes, bool acks_only);
/* Seals the active segment, which failed, and opens the next. FLK_E_NO_SPACE, FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_health_replace(flk_wal_t *wal, uint64_t item_bytes, bool acks_only);
/* Nothing can be made durable until a new segment is open. */
void flk_wal_health_fail(flk_wal_t *wal, flk_err_t err);
/* When flk_wal_health_check has something to do next; UINT64_MAX: not by itself. */
uint64_t flk_wal_health_due_ms(const flk_wal_writer_t *writer);

#endif
