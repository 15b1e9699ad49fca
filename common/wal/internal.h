/* SPDX-License-Identifier: MIT */
/* What the files of the write-ahead log share. Read in this order: wal/format.c (bytes), wal/scan.c (finding items),
 * wal/segment.c (what memory keeps), wal/file.c and wal/rewrite.c (making and replacing files), wal/checkpoint.c, wal/recover.c with
 * wal/inventory.c and wal/recover_items.c (opening), wal/group.c, wal/active.c, wal/writer.c (committing), wal/retain.c
 * (forgetting), wal/cursor.c, wal/catalog.c and wal/read.c (tools), wal.c (the API).
 *
 * Words. Item: what a segment holds, a record or an ack. LSN: number of an item, +1 each. Durable: covered by a
 * successful fdatasync. Settled: a record whose ack is durable; a segment without any other record. Sealed: a segment
 * that gets no more items. */
#ifndef FLK_COMMON_WAL_INTERNAL_H
#define FLK_COMMON_WAL_INTERNAL_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>

#include "common/wal/wal.h"

enum {
    FLK_WAL_VERSION = 1,
    FLK_WAL_SEGMENT_HEADER_BYTES = 88,
    FLK_WAL_ITEM_HEADER_BYTES = 40,
    FLK_WAL_ACK_BYTES = 16,
    FLK_WAL_ALIGN_BYTES = 8,
    FLK_WAL_BODY_BYTES_MAX = 64 << 20, /* of the format; the caller's own limit is below it */
    FLK_WAL_PATH_BYTES = 1024,
    FLK_WAL_NAME_BYTES = 64,
    FLK_WAL_SEGMENT_LSNS_MAX = 1 << 26, /* LSNs of one segment, used or not: twice what 1 GiB of empty items has */
};
#define FLK_WAL_NUMBER_MAX (UINT64_C(1) << 62) /* of LSNs and segment numbers: one more never wraps */

/* ---- wal/format.c: the bytes on disk ---- */

typedef struct flk_wal_header {
    uint32_t version; /* set by decode; encode always writes FLK_WAL_VERSION */
    uint64_t log_id, number;
    uint64_t first_lsn;   /* no item of the segment is below it; items of earlier segments from it on are void */
    uint64_t durable_lsn; /* the last durable item when the segment was made: all up to it was promised */
    uint64_t created_ms;
    bool sparse;      /* rewritten: holds `items` items with gaps between their LSNs, all of them synced */
    uint64_t end_lsn; /* sparse: one behind the last item of the original */
    uint64_t items;   /* sparse */
} flk_wal_header_t;

typedef struct flk_wal_item_header {
    uint64_t lsn;
    int64_t time_ms;
    uint32_t body_bytes;
    uint32_t unsynced; /* the item was written when everything up to lsn - unsynced was durable */
    uint8_t type;      /* flk_wal_item_type_t: RECORD or ACK */
    uint8_t kind;
} flk_wal_item_header_t;

uint64_t flk_wal_salt(uint64_t log_id, uint64_t number);

/* Goes through a log's segments in order of their numbers and tells which are not its own. */
typedef struct flk_wal_lineage {
    uint64_t log_id;
    uint64_t number, first_lsn; /* of the last segment taken, and of the last good header; 0: none yet */
} flk_wal_lineage_t;

/* False for a stranger: of another log, a second one of its number, one whose LSNs go backwards, or number 0. `header` NULL: lost. */
bool flk_wal_lineage_take(flk_wal_lineage_t *lineage, uint64_t number, const flk_wal_header_t *header);

void flk_wal_header_encode(const flk_wal_header_t *header, uint8_t out[FLK_WAL_SEGMENT_HEADER_BYTES]);
/* False for anything that is not a whole, undamaged header; the other fields mean something in a known version only. */
bool flk_wal_header_decode(const uint8_t in[FLK_WAL_SEGMENT_HEADER_BYTES], flk_wal_header_t *header);

void flk_wal_item_encode(const flk_wal_item_header_t *item, const void *body, uint64_t salt,
                         uint8_t out[FLK_WAL_ITEM_HEADER_BYTES]);
/* Reads the fields and checks magic, type and length; the checksum needs the body too: flk_wal_item_check. */
bool flk_wal_item_decode(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], flk_wal_item_header_t *item);
bool flk_wal_item_check(const uint8_t in[FLK_WAL_ITEM_HEADER_BYTES], const void *body, uint32_t body_bytes,
                        uint64_t salt);
void flk_wal_ack_encode(uint64_t lsn, flk_wal_mark_t mark, uint8_t out[FLK_WAL_ACK_BYTES]);
void flk_wal_ack_decode(const uint8_t in[FLK_WAL_ACK_BYTES], uint64_t *lsn, flk_wal_mark_t *mark);

/* Bytes of an item on disk, padding included. */
static inline uint64_t flk_wal_item_bytes(uint32_t body_bytes) {
    return (FLK_WAL_ITEM_HEADER_BYTES + (uint64_t)body_bytes + FLK_WAL_ALIGN_BYTES - 1) &
           ~(uint64_t)(FLK_WAL_ALIGN_BYTES - 1);
}

/* ---- wal/scan.c: from one valid item to the next, over whatever lies between ---- */

typedef struct flk_wal_scan {
    int fd; /* -1: none open */
    char path[FLK_WAL_PATH_BYTES];
    uint64_t salt;
    uint64_t offset;   /* where the next item should be */
    uint64_t limit;    /* nothing is read from here on */
    uint64_t last_lsn; /* items must be above it */
    uint64_t lsn_max;  /* and not above this one; the caller narrows both to the segment's */
    uint8_t *buffer;
    size_t buffer_capacity, buffer_bytes;
    uint64_t buffer_offset;                  /* of buffer[0] in the file */
    uint64_t unreadable_from, unreadable_to; /* around all that the disk did not give since the open; to 0: nothing */
} flk_wal_scan_t;

typedef struct flk_wal_found {
    flk_wal_item_header_t header;
    uint64_t offset, bytes;  /* of the item, padding included */
    uint64_t skipped_bytes;  /* before it that are no valid item; at the end: up to the last byte that is not 0 */
    uint64_t skipped_offset; /* where they begin */
    const uint8_t *body;     /* until the next call */
} flk_wal_found_t;

void flk_wal_scan_init(flk_wal_scan_t *scan);
/* Opens the file for reading and drops what the page cache has of it, so that the disk is what is read. */
FLK_MUST_CHECK flk_err_t flk_wal_scan_open(flk_wal_scan_t *scan, const char *path, uint64_t salt, char *errmsg);
/* Back to the first item of the open file. */
void flk_wal_scan_rewind(flk_wal_scan_t *scan);
/* The next valid item at or behind `offset`, over whatever cannot be read. FLK_E_NOT_FOUND: none before `limit`.
 * FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_scan_next(flk_wal_scan_t *scan, flk_wal_found_t *found, char *errmsg);
void flk_wal_scan_close(flk_wal_scan_t *scan); /* keeps the buffer */
void flk_wal_scan_fini(flk_wal_scan_t *scan);

/* ---- wal/segment.c: what memory keeps of a segment: one bit an item, never a body ---- */

/* Where to begin reading for an LSN, and roughly when it was written. */
typedef struct flk_wal_waypoint {
    uint64_t lsn, offset;
    int64_t time_ms;
} flk_wal_waypoint_t;

typedef struct flk_wal_segment {
    uint64_t number;
    char name[FLK_WAL_NAME_BYTES]; /* of the file; that of `number` unless someone renamed it */
    uint64_t durable_lsn;          /* of its header */
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
/* Where to read for the oldest un-acked record, and its time or a little before; `unacked` must not be 0. */
flk_wal_waypoint_t flk_wal_segment_oldest(flk_wal_segment_t *segment);
/* Nothing of the segment will be delivered again: hands out its bits and waypoints, for free() outside of the lock. */
void flk_wal_segment_settle(flk_wal_segment_t *segment, void *to_free[2]);

/* The segments in order of number and first LSN. */
typedef struct flk_wal_segments {
    flk_wal_segment_t **at;
    size_t len, capacity;
} flk_wal_segments_t;

FLK_MUST_CHECK flk_err_t flk_wal_segments_reserve(flk_wal_segments_t *segments, size_t capacity);
flk_wal_segment_t *flk_wal_segments_find(const flk_wal_segments_t *segments, uint64_t lsn); /* the one that has lsn */
flk_wal_segment_t *flk_wal_segments_numbered(const flk_wal_segments_t *segments, uint64_t number);
void flk_wal_segments_remove(flk_wal_segments_t *segments, size_t index); /* does not destroy it */

/* ---- the log ---- */

typedef struct flk_wal_ack_node {
    uint64_t lsn;
    flk_wal_mark_t mark;
    struct flk_wal_ack_node *next;
} flk_wal_ack_node_t;

typedef struct flk_wal_ack_list {
    flk_wal_ack_node_t *first, *last;
    size_t len;
} flk_wal_ack_list_t;

/* An entry of flk_wal_append_wait, on the caller's stack. */
typedef struct flk_wal_waiter {
    flk_wal_entry_t entry;
    sem_t returned; /* one each: a shared condition would wake all of them to fight for one lock */
} flk_wal_waiter_t;

struct flk_wal_frames;
struct flk_wal_rewrite;

struct flk_wal {
    /* set by open, then only read */
    flk_wal_options_t options; /* defaults filled in; `dir` points at the next field */
    char dir[FLK_WAL_PATH_BYTES - FLK_WAL_NAME_BYTES];
    uint64_t id;
    int lock_fd;

    /* any thread */
    _Atomic(flk_wal_entry_t *) incoming; /* stack of appended entries, newest on top */
    atomic_bool sleeping;                /* the writer waits for `wake` */
    atomic_bool healthy;

    pthread_mutex_t lock; /* never held over a system call or the copy of a body; guards down to the next comment */
    pthread_cond_t wake;  /* work for the writer */
    pthread_cond_t done;  /* acks_durable or flush_failures moved */
    bool stopping;
    flk_wal_ack_list_t acks; /* given, not yet taken by the writer */
    uint64_t acks_given, acks_durable;
    bool flush_wanted; /* do not wait for company */
    uint64_t flush_failures;
    flk_err_t flush_err;
    flk_wal_segments_t segments; /* changed by the writer only, under the lock; so it reads it without */
    flk_wal_stats_t stats;       /* the counters; the rest is filled in when asked for */

    pthread_mutex_t observer_lock;
    flk_wal_sync_fn *on_sync;
    void *on_sync_arg;

    /* the writer's (before it starts and after it ended: of open and close) */
    pthread_t thread;
    flk_wal_segment_t *active; /* NULL: none is open */
    int active_fd;
    uint64_t active_mono_ms; /* when it was made */
    bool active_is_reserve;  /* entries may not use it up */
    uint64_t acks_since_ms;  /* when the oldest of pending_acks was taken */
    uint64_t zeroed_bytes;   /* of the active file: up to here its blocks have been written */
    uint64_t next_lsn, durable_lsn, next_number;
    flk_wal_entry_t *backlog, **backlog_end; /* taken, oldest first */
    flk_wal_ack_list_t pending_acks;         /* taken, not yet durable */
    struct flk_wal_frames *frames;
    flk_err_t failure; /* FLK_OK, or why nothing can be made durable now */
    uint64_t retry_mono_ms, retry_wait_ms;
    bool space_low, has_reserve;
    uint64_t space_checked_ms;
    bool checkpoint_due;
    uint64_t upkeep_mono_ms;            /* when it is due */
    struct flk_wal_rewrite *compaction; /* on its way, or NULL */
    uint64_t compact_records;           /* un-settled in its segment when it began */
    uint64_t compact_step_ms;           /* its next step is not before */
    uint64_t compact_mono_ms;           /* no other one is begun before */
};

static inline void flk_wal_path_in(const char *dir, const char *name, char out[FLK_WAL_PATH_BYTES]) {
    size_t dir_len = strlen(dir), name_len = strlen(name);
    FLK_ASSERT(dir_len + 1 + name_len < FLK_WAL_PATH_BYTES);
    memcpy(out, dir, dir_len);
    out[dir_len] = '/';
    memcpy(out + dir_len + 1, name, name_len + 1);
}

static inline void flk_wal_path(const flk_wal_t *wal, const char *name, char out[FLK_WAL_PATH_BYTES]) {
    flk_wal_path_in(wal->dir, name, out);
}

/* ---- wal/file.c: making, replacing and cutting segment files ---- */

void flk_wal_file_name(uint64_t number, char name[FLK_WAL_NAME_BYTES]);
/* False unless `name` is what flk_wal_file_name makes. */
bool flk_wal_file_number(const char *name, uint64_t *number);
/* Makes the file of a new segment, durable with its directory entry, and opens it for writing. `spend_reserve`: takes
 * the prepared file, which needs no space, and its size for file_bytes. */
FLK_MUST_CHECK flk_err_t flk_wal_file_create(flk_wal_t *wal, const flk_wal_header_t *header, bool spend_reserve,
                                             uint64_t *file_bytes, int *fd, char *errmsg);
/* Sets space aside for the time when the disk is full. */
FLK_MUST_CHECK flk_err_t flk_wal_file_make_reserve(flk_wal_t *wal, char *errmsg);
/* Makes a temporary file of that name anew and opens it for writing. */
FLK_MUST_CHECK flk_err_t flk_wal_file_temporary(const flk_wal_t *wal, const char *name, char path[FLK_WAL_PATH_BYTES],
                                                int *fd, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_wal_file_write_header(int fd, const char *path, const flk_wal_header_t *header,
                                                   char *errmsg);
/* Gives the file a second name, *.damaged, under which it stays when the first one is replaced or removed. */
FLK_MUST_CHECK flk_err_t flk_wal_file_quarantine(flk_wal_t *wal, const char *name, char *errmsg);

/* ---- wal/rewrite.c: a segment's file replaced by one without what is not needed ---- */

#define FLK_WAL_REWRITE_NAME "rewrite.tmp"

typedef struct flk_wal_rewrite flk_wal_rewrite_t; /* Opaque; fields are commented in wal/rewrite.c. */

/* Begins one: with `live_only` the records that are not acked are kept, else every valid item. Caller frees with
 * flk_wal_rewrite_destroy, which leaves the old file in place unless the rewrite has ended. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_new(flk_wal_t *wal, flk_wal_segment_t *segment, bool live_only,
                                             flk_wal_rewrite_t **rewrite, char *errmsg);
/* Copies some more and syncs it: a few milliseconds of disk time. FLK_E_AGAIN: there is more to do. FLK_OK: the new
 * file is the segment's. */
FLK_MUST_CHECK flk_err_t flk_wal_rewrite_step(flk_wal_rewrite_t *rewrite, char *errmsg);
const flk_wal_segment_t *flk_wal_rewrite_segment(const flk_wal_rewrite_t *rewrite);
void flk_wal_rewrite_destroy(flk_wal_rewrite_t **rewrite); /* NULL is allowed */

/* ---- wal/checkpoint.c: what a start needs to know of sealed segments without reading them ---- */

typedef struct flk_wal_row {
    uint64_t number, first_lsn, end_lsn, bytes;
    int64_t last_ms;
    uint64_t unsettled, acks_lsn_min, acks_lsn_max;
} flk_wal_row_t;

typedef struct flk_wal_checkpoint {
    uint64_t log_id, next_number, next_lsn, durable_lsn;
    uint64_t kept_lsn;   /* the last durable one that was in a file */
    flk_wal_row_t *rows; /* in order of number */
    size_t rows_len;
} flk_wal_checkpoint_t;

/* FLK_E_NOT_FOUND: missing or damaged; the log can be read without. Caller frees rows. */
FLK_MUST_CHECK flk_err_t flk_wal_checkpoint_load(const char *dir, flk_wal_checkpoint_t *checkpoint, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_wal_checkpoint_store(flk_wal_t *wal, char *errmsg);

/* ---- wal/recover.c ---- */

FLK_MUST_CHECK flk_err_t flk_wal_recover(flk_wal_t *wal, char *errmsg);

/* ---- wal/writer.c ---- */

enum {
    FLK_WAL_ACK_DELAY_MS = 50,
    FLK_WAL_UPKEEP_MS = 1000,
    FLK_WAL_SPACE_CHECK_MS = 100,
    FLK_WAL_RETRY_MS_MIN = 50,
    FLK_WAL_RETRY_MS_MAX = 1000,
    FLK_WAL_COMPACT_MS = 20, /* between two steps: appends come first */
};

/* Opens the first segment, or leaves the log unhealthy, to try again. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_writer_init(flk_wal_t *wal);
void *flk_wal_writer_run(void *wal);      /* the thread; ends when `stopping` is set and all that can be is written */
void flk_wal_writer_fini(flk_wal_t *wal); /* seals the last segment */

/* ---- wal/active.c: the segment that is being written ---- */

/* Opens the next segment, with room for an item of item_bytes; none is open. `acks_only`: may use up the reserve.
 * Errors: FLK_E_NO_SPACE, FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_active_open(flk_wal_t *wal, uint64_t item_bytes, bool acks_only);
bool flk_wal_active_has_room(const flk_wal_t *wal, uint64_t bytes); /* false also when it is too old */
void flk_wal_active_seal(flk_wal_t *wal);                           /* no more items; the next group opens another */

/* ---- wal/group.c: from a group of entries and acks to durable bytes in the active segment ---- */

typedef struct flk_wal_group {
    flk_wal_entry_t *first; /* chained by next, ended by NULL */
    size_t entries;
    size_t acks; /* so many from the front of pending_acks */
    uint64_t bytes;
    uint64_t first_lsn;
    int64_t time_ms;
    double sync_seconds;
} flk_wal_group_t;

typedef struct flk_wal_frames flk_wal_frames_t; /* headers and iovecs of one group */
flk_wal_frames_t *flk_wal_frames_new(void);     /* NULL: out of memory. Freed with free(). */
/* Takes from backlog and pending_acks what one write may hold, at most `bytes_max`, half of it for acks if they need
 * it; the first item always. */
void flk_wal_group_take(flk_wal_t *wal, flk_wal_group_t *group, bool entries, bool acks, uint64_t bytes_max);
/* Writes and syncs the group behind what the active segment holds. */
FLK_MUST_CHECK flk_err_t flk_wal_group_write(flk_wal_t *wal, flk_wal_group_t *group);
/* Notes in memory what is durable now; the acks of the group are freed. */
void flk_wal_group_publish(flk_wal_t *wal, flk_wal_group_t *group);

/* ---- wal/retain.c: what settled, what may go ---- */

/* Notes what settled, keeps the checkpoint, removes what is too old, begins to compact what stands in the way. */
void flk_wal_upkeep(flk_wal_t *wal, uint64_t now_ms);
void flk_wal_upkeep_compact(flk_wal_t *wal); /* one step of the compaction that is on its way, if there is one */
void flk_wal_upkeep_reserve(flk_wal_t *wal); /* makes the reserve again when it was used and there is space */

#endif
