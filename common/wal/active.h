/* SPDX-License-Identifier: MIT */
/* The segment that is being written. The writer's. */
#ifndef FLK_COMMON_WAL_ACTIVE_H
#define FLK_COMMON_WAL_ACTIVE_H

#include "common/wal/state.h"

/* Opens the next segment, with room for an item of item_bytes; none is open. `acks_only`: may use up the reserve.
 * Errors: FLK_E_NO_SPACE, FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_active_open(flk_wal_t *wal, uint64_t item_bytes, bool acks_only);
bool flk_wal_active_has_room(const flk_wal_config_t *config, const flk_wal_writer_t *writer,
                             uint64_t bytes); /* false also when it is too old */
void flk_wal_active_seal(flk_wal_t *wal);     /* no more items; the next group opens another */

#endif
