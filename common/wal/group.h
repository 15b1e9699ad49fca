/* SPDX-License-Identifier: MIT */
/* From a group of entries and acks to durable bytes in the active segment. The writer's. */
#ifndef FLK_COMMON_WAL_GROUP_H
#define FLK_COMMON_WAL_GROUP_H

#include "common/wal/state.h"

typedef struct flk_wal_group {
    flk_wal_entry_t *first; /* chained by next, ended by NULL */
    size_t entries;
    size_t acks; /* so many from the front of pending_acks */
    uint64_t bytes;
    uint64_t first_lsn;
    int64_t time_ms;
    bool written; /* by the last attempt: after a failure it was the sync that failed */
    double sync_seconds;
} flk_wal_group_t;

typedef struct flk_wal_frames flk_wal_frames_t; /* headers and iovecs of one group */
flk_wal_frames_t *flk_wal_frames_new(void);     /* NULL: out of memory. Freed with free(). */
/* Takes from backlog and pending_acks as much as one write may hold, at most `bytes_max`, half of it for acks if they
 * need it; the first item always. */
void flk_wal_group_take(flk_wal_writer_t *writer, flk_wal_group_t *group, bool entries, bool acks, uint64_t bytes_max);
/* Writes and syncs the group at the end of the active segment. Errors: FLK_E_IO, FLK_E_NO_SPACE. */
FLK_MUST_CHECK flk_err_t flk_wal_group_write(const flk_wal_config_t *config, flk_wal_writer_t *writer,
                                             flk_wal_group_t *group);
/* Notes in memory that the group is durable; its acks are freed. */
void flk_wal_group_publish(flk_wal_t *wal, flk_wal_group_t *group);

#endif
