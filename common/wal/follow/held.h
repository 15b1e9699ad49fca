/* SPDX-License-Identifier: MIT */
/* The holds of a log as its writer sees them. The writer's. */
#ifndef FLK_COMMON_WAL_FOLLOW_HELD_H
#define FLK_COMMON_WAL_FOLLOW_HELD_H

#include "common/wal/follow/hold.h"
#include "common/wal/segment.h"

typedef struct flk_wal_held {
    struct {
        char name[FLK_WAL_HOLD_NAME_BYTES];
        uint64_t lsn;
        bool broken; /* items that it asked for went: it holds nothing until it moves */
        bool unread; /* its file was told to be none */
    } at[FLK_WAL_HOLDS_MAX];
    size_t len;
} flk_wal_held_t;

/* Reads the files in holds/ again. A file that cannot be read holds nothing, and is told once. */
void flk_wal_held_look(flk_wal_held_t *held, const char *dir, uint64_t lineage);
/* True if some hold has not passed all acks of the segment, or all acks that settle its records. */
bool flk_wal_held_needs(const flk_wal_held_t *held, const flk_wal_segment_t *segment);
/* Breaks the holds that need the segment, which goes, and tells it. Returns how many. */
size_t flk_wal_held_break(flk_wal_held_t *held, const char *dir, const flk_wal_segment_t *segment);

#endif
