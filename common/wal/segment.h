/* SPDX-License-Identifier: MIT */
/* A segment in memory: one bit an item, never a body. Guarded by the lock of the log, but for the fields that are the
 * writer's. */
#ifndef FLK_COMMON_WAL_SEGMENT_H
#define FLK_COMMON_WAL_SEGMENT_H

#include "common/wal/format.h"
#include "common/wal/path.h"

/* Where to begin reading for an LSN, and roughly when it was written. */
typedef struct flk_wal_waypoint {
    uint64_t lsn, offset;
    int64_t time_ms;
} flk_wal_waypoint_t;

typedef struct flk_wal_segment {
    uint64_t number;
    char name[FLK_WAL_NAME_BYTES]; /* of the file; that of `number` unless someone renamed it */
    uint64_t durable_lsn, name_id; /* of its header */
    uint64_t first_lsn, end_lsn;   /* durable items are in [first_lsn, end_lsn) */
    uint64_t bytes;                /* durable bytes, header included: where the next item goes */
    uint64_t file_bytes;           /* of the file, preallocated part included */
    int64_t last_ms;               /* time of the last item, or of the making */
    bool sealed;
    uint64_t *acked;                     /* bit lsn - first_lsn: nothing to deliver. NULL: settled, all bits 1 */
    uint64_t acked_capacity;             /* bits */
    uint64_t first_unacked;              /* no un-acked record is below it */
    uint64_t unacked;                    /* records without an ack given */
    uint64_t unsettled;                  /* records without a durable ack; the writer's */
    uint64_t records;                    /* in the file, settled or not; the writer's */
    uint64_t acks_lsn_min, acks_lsn_max; /* which records its ack items settle; min > max: none; the writer's */
    flk_wal_waypoint_t *waypoints;       /* NULL: settled */
    size_t waypoints_len;
    unsigned waypoints_halved; /* how often the table was thinned out */
    uint64_t refused_capacity; /* bits */
    uint64_t acked_to_lsn;     /* of the last ack that settles a record of it; the writer's */
    bool acks_lost;            /* the file lacks acks that it had: compacted, or damaged; the writer's */
    uint64_t *refused;         /* bits as in `acked`: records that need not be kept. NULL: none; the writer's */
    bool noted;                /* a durable checkpoint says that it settled: its file may go; the writer's */
    uint32_t generation;       /* changes when the file is replaced */
} flk_wal_segment_t;

/* FLK_E_NOMEM → NULL. `items_max`: room for so many bits at once; more are made as needed. */
flk_wal_segment_t *flk_wal_segment_new(uint64_t number, uint64_t first_lsn, uint64_t items_max);
void flk_wal_segment_destroy(flk_wal_segment_t **segment);
/* Makes room for items up to `lsn`. */
FLK_MUST_CHECK flk_err_t flk_wal_segment_reserve(flk_wal_segment_t *segment, uint64_t lsn);
/* Takes in the next item: room was reserved, lsn >= end_lsn; numbers passed over count as acked. */
void flk_wal_segment_add(flk_wal_segment_t *segment, const flk_wal_item_header_t *item, uint64_t offset);
/* Numbers up to end_lsn - 1 count as acked; room was reserved. */
void flk_wal_segment_skip_to(flk_wal_segment_t *segment, uint64_t end_lsn);
/* True if there is a record under `lsn` that is not acked. */
bool flk_wal_segment_unacked(const flk_wal_segment_t *segment, uint64_t lsn);
/* Marks a record as acked; false if it is unknown or was acked before. */
bool flk_wal_segment_ack(flk_wal_segment_t *segment, uint64_t lsn);
/* Notes that the settled record under `lsn` need not be kept. Without memory it is kept all the same. */
void flk_wal_segment_refuse(flk_wal_segment_t *segment, uint64_t lsn);
bool flk_wal_segment_refused(const flk_wal_segment_t *segment, uint64_t lsn);
/* Where to read for the oldest un-acked record, and its time or a little before; `unacked` must not be 0. */
flk_wal_waypoint_t flk_wal_segment_oldest(flk_wal_segment_t *segment);
/* Nothing of the segment will be delivered again: hands out its bits and waypoints, for free() outside of the lock. */
void flk_wal_segment_settle(flk_wal_segment_t *segment, void *to_free[3]);

/* The segments in order of number and first LSN. */
typedef struct flk_wal_segments {
    flk_wal_segment_t **at;
    size_t len, capacity;
} flk_wal_segments_t;

/* Makes room for `capacity` segments. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_segments_reserve(flk_wal_segments_t *segments, size_t capacity);
flk_wal_segment_t *flk_wal_segments_find(const flk_wal_segments_t *segments, uint64_t lsn); /* the one that has lsn */
flk_wal_segment_t *flk_wal_segments_numbered(const flk_wal_segments_t *segments, uint64_t number);
void flk_wal_segments_remove(flk_wal_segments_t *segments, size_t index); /* does not destroy it */

#endif
