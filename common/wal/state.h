/* SPDX-License-Identifier: MIT */
/* The log in memory, in three parts by owner: `config` is read by all, `shared` belongs to the lock, `writer` to the
 * writer's thread. A file that gets &wal->config and &wal->writer cannot touch the fields that the lock guards.
 *
 * Words. Item: a record or an ack in a segment. LSN: number of an item, +1 each. Durable: covered by a successful
 * fdatasync. Settled: a record whose ack is durable; a segment without any other record. Sealed: a segment that gets no
 * more items.
 *
 * Reading order: format, scan, segment; file, rewrite, checkpoint; directory, recover, recover_items (a start); group,
 * active, health, writer (a commit); retain (removal); cursor, read, wal (the API). */
#ifndef FLK_COMMON_WAL_STATE_H
#define FLK_COMMON_WAL_STATE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "common/beat.h"
#include "common/wal/follow/held.h"
#include "common/wal/segment.h"
#include "common/wal/wal.h"

typedef struct flk_wal_ack_node {
    uint64_t lsn;
    uint16_t status;
    uint32_t body_bytes;
    struct flk_wal_ack_node *next;
    uint8_t body[]; /* as in the segment */
} flk_wal_ack_node_t;

typedef struct flk_wal_ack_list {
    flk_wal_ack_node_t *first, *last;
    size_t len;
    uint64_t bytes; /* of the items */
} flk_wal_ack_list_t;

/* An entry of flk_wal_append_wait, on the caller's stack. */
typedef struct flk_wal_waiter {
    flk_wal_entry_t entry;
    sem_t returned; /* one each: a shared condition would wake all of them to fight for one lock */
} flk_wal_waiter_t;

/* Set by open, then only read. */
typedef struct flk_wal_config {
    flk_wal_options_t options; /* defaults filled in; `dir` points at the next field */
    char dir[FLK_WAL_PATH_BYTES - FLK_WAL_NAME_BYTES];
    uint64_t id;     /* salt and lineage of the segments, from the log's first day on */
    uint64_t number; /* names the records, with their LSNs; of this place (identity.h) */
    int lock_fd;
    bool lock_made; /* there was no lock file */
} flk_wal_config_t;

/* Any thread's: the atomics as they are, the rest under the lock. */
typedef struct flk_wal_shared {
    _Atomic(flk_wal_entry_t *) incoming; /* stack of appended entries, newest on top */
    atomic_bool sleeping;                /* the writer waits for `wake` */
    atomic_int fault;                    /* flk_err_t: why no entry is taken now */

    pthread_mutex_t lock; /* never held over a system call or the copy of a body; guards down to the next mutex */
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
} flk_wal_shared_t;

struct flk_wal_frames;
struct flk_wal_rewrite;

/* The writer's thread alone; before it starts and after it ended, open's and close's. */
typedef struct flk_wal_writer {
    pthread_t thread;
    flk_beat_t beat;
    flk_wal_segment_t *active; /* NULL: none is open */
    int active_fd;
    uint64_t active_mono_ms; /* when it was made */
    bool active_is_reserve;  /* entries may not use it up */
    uint64_t zeroed_bytes;   /* of the active file: up to here its blocks have been written */
    uint64_t next_lsn, durable_lsn, next_number;
    int durable_fd; /* tells durable_lsn to those that follow the log; -1: it could not be made yet */

    flk_wal_entry_t *backlog, **backlog_end; /* taken, oldest first */
    flk_wal_ack_list_t pending_acks;         /* taken, not yet durable */
    uint64_t acks_since_ms;                  /* when the oldest of pending_acks was taken */
    struct flk_wal_frames *frames;

    flk_err_t failure; /* FLK_OK, or why nothing can be made durable now */
    uint64_t retry_mono_ms, retry_wait_ms;
    bool space_low, has_reserve;
    bool pressed;       /* settled segments are being given up */
    bool given_in_vain; /* a segment was given up and none could be made all the same: no more of that */
    uint64_t space_checked_ms, vain_until_ms; /* giving up rests until then */
    uint64_t told_mono_ms[2];                 /* when log_low was said last, of each kind */

    flk_wal_held_t held;
    bool checkpoint_due;
    uint64_t upkeep_mono_ms;            /* when it is due */
    struct flk_wal_rewrite *compaction; /* on its way, or NULL */
    uint64_t compact_records;           /* un-settled in its segment when it began */
    uint64_t compact_step_ms;           /* its next step is not before */
    uint64_t compact_mono_ms;           /* no other one is begun before */
} flk_wal_writer_t;

struct flk_wal {
    flk_wal_config_t config;
    flk_wal_shared_t shared;
    flk_wal_writer_t writer;
};

#endif
