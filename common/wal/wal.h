/* SPDX-License-Identifier: MIT */
/* Write-ahead log: append-only segments, group commit, acks in the same log. The gateway's inbox, its dead-letter
 * queue and the agent's outbox are each one of these.
 *
 * Threads: append, ack, stats and fault may be called from any thread and never block on the disk. One thread of
 * the log's own ("the writer") does all writing and syncing and calls `on_commit`. Un-acked records are read with
 * cursor.h, a directory without its owner with read.h.
 *
 * Promise: an entry whose `err` is FLK_OK in on_commit was written and covered by a successful fdatasync, and its
 * segment's directory entry by an fsync. An ack may be lost in a crash (the record is then delivered again). */
#ifndef FLK_COMMON_WAL_WAL_H
#define FLK_COMMON_WAL_WAL_H

#include "common/err.h"
#include "common/wal/record.h"

typedef struct flk_wal flk_wal_t; /* Opaque; fields are commented in state.h. */

/* One record on its way into the log. Embedded in the caller's object; the caller fills the first three fields. */
typedef struct flk_wal_entry {
    const void *body;
    uint32_t body_bytes;
    uint8_t kind; /* the caller's own type of record, 0-255; kept with it */

    flk_err_t err;   /* FLK_OK: durable. FLK_E_NO_SPACE, FLK_E_IO: not accepted (it may yet surface at recovery) */
    uint64_t lsn;    /* set in on_commit: its log sequence number, 1, 2, 3, … */
    int64_t time_ms; /* set in on_commit: wall clock of its group */
    struct flk_wal_entry *next; /* the log's, between append and on_commit; then the next of the group */
} flk_wal_entry_t;

/* Called by the writer with the whole group in append order, chained by `next`, ended by NULL. The entries belong to
 * the callee from here on. Must not block and must not call flk_wal_close. */
typedef void flk_wal_commit_fn(void *arg, flk_wal_entry_t *group);

/* As retained_bytes_max: a quarter of the file system. */
#define FLK_WAL_RETAINED_AUTO UINT64_MAX

typedef struct flk_wal_options {
    const char *dir;             /* made if missing, 0700; borrowed until return */
    uint64_t segment_bytes_max;  /* rotate at this size; 0 = 64 MiB */
    uint64_t segment_age_ms;     /* rotate at this age; 0 = 1 h */
    uint64_t retention_ms;       /* settled segments go when older; 0 = 14 days */
    uint64_t retained_bytes_max; /* or sooner, oldest first, above so many bytes in settled segments; 0 = no cap */
    uint64_t held_bytes_max;     /* holds (follow/hold.h) keep at most so many bytes beyond that; 0 = 1 GiB */
    uint64_t low_water_bytes;    /* less free than this: settled segments go, then appends fail; 0 = 64 MiB */
    uint32_t body_bytes_max;     /* larger entries are a bug of the caller; 0 = 2 MiB */
    bool (*stop_asked)(void);    /* NULL, or ends an open that takes long; asked by the caller of open */
    flk_wal_commit_fn *on_commit;
    void *on_commit_arg;
} flk_wal_options_t;

/* Opens or creates the log and recovers it: torn tail cut, damage in the middle salvaged and quarantined, un-acked
 * records counted. Then starts the writer. Blocks while it reads the segments that still hold un-acked records.
 * Errors: FLK_E_LOCKED (another process has it), FLK_E_IO, FLK_E_NO_SPACE, FLK_E_NOMEM, FLK_E_CONFIG (path too long,
 * or a segment of a later format), FLK_E_CLOSED (stop_asked); damage is no error, see flk_wal_stats. A log that can be
 * read but not written (disk full) opens, unhealthy: its records can be delivered and acked. Caller frees with
 * flk_wal_close. */
FLK_MUST_CHECK flk_err_t flk_wal_open(const flk_wal_options_t *options, flk_wal_t **wal, char *errmsg);

/* Writes and syncs all entries and acks given so far (calling on_commit), stops the writer, unlocks. NULL is
 * allowed. */
void flk_wal_close(flk_wal_t **wal);

/* Random number of this log in this place: (number, LSN) names a record for ever. A log that was moved or copied draws
 * a new one, and every record that it holds goes by that (identity.h). */
uint64_t flk_wal_id(const flk_wal_t *wal);

/* Hands an entry to the writer, which keeps entry and body until on_commit. Every appended entry comes back through
 * on_commit exactly once, failed or not, also while closing. */
void flk_wal_append(flk_wal_t *wal, flk_wal_entry_t *entry);
/* The same for a chain linked by `next`, newest first: from `newest` to `oldest`. No entry of another thread comes
 * between them, so that one group has them all, as far as a group holds them. */
void flk_wal_append_chain(flk_wal_t *wal, flk_wal_entry_t *newest, flk_wal_entry_t *oldest);

/* Appends one record and waits until it is durable: for the outbox and tools. Not from on_commit. The log must have
 * been opened without on_commit. Errors: FLK_E_IO, FLK_E_NO_SPACE, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_wal_append_wait(flk_wal_t *wal, uint8_t kind, const void *body, uint32_t body_bytes,
                                             uint64_t *lsn, char *errmsg);

/* Marks a record as settled. Lazy: written with the next group or within 50 ms, synced with it. True for the one call
 * that settled it; acking twice, or an unknown LSN, does nothing, nor does an ack for which there is no memory. */
bool flk_wal_ack(flk_wal_t *wal, uint64_t lsn, flk_wal_mark_t mark);
/* The same, with all that is known of the end. Borrows `ending` until return. */
bool flk_wal_end(flk_wal_t *wal, uint64_t lsn, const flk_wal_ending_t *ending);

/* Waits until every ack given so far is written and synced. Errors: FLK_E_IO, FLK_E_NO_SPACE. */
FLK_MUST_CHECK flk_err_t flk_wal_flush(flk_wal_t *wal, char *errmsg);

/* FLK_OK, or why the log cannot make records durable now; it tries again by itself. FLK_E_NO_SPACE: the disk is full,
 * or less than the low-water mark is free and no settled segment is left to give up. FLK_E_IO: a write or sync
 * failed. */
flk_err_t flk_wal_fault(const flk_wal_t *wal);
static inline bool flk_wal_healthy(const flk_wal_t *wal) {
    return flk_wal_fault(wal) == FLK_OK;
}

typedef struct flk_wal_stats {
    uint64_t next_lsn;
    uint64_t records_total, acks_total, groups_total, bytes_total; /* written since open */
    uint64_t unacked;                                              /* durable records without an ack */
    uint64_t segments, bytes;                                      /* on disk now, quarantined ones not counted */
    uint64_t sync_failures, write_failures;
    uint64_t given_up_bytes;    /* in settled segments that went before their time, because space was short */
    uint64_t held_bytes;        /* in settled segments that would have gone, were there no holds */
    uint64_t holds_broken;      /* since open: a reader was too far behind, and lost items */
    uint64_t torn_bytes;        /* cut from the tail at open */
    uint64_t damaged_records;   /* places that failed their check or could not be read at open; the rest was salvaged */
    uint64_t quarantined;       /* segments set aside as *.damaged at open */
    uint64_t strangers;         /* entries with a segment's name that are none: told and left alone */
    uint64_t oldest_unacked_ms; /* age of the oldest un-acked record; 0 without one */
    uint64_t recovered;         /* un-acked records found at open */
} flk_wal_stats_t;
void flk_wal_stats(const flk_wal_t *wal, flk_wal_stats_t *stats);

/* Called by the writer after each sync with the seconds it took and the records it covered; for histograms. NULL
 * stops it. */
typedef void flk_wal_sync_fn(void *arg, double seconds, size_t records);
void flk_wal_on_sync(flk_wal_t *wal, flk_wal_sync_fn *fn, void *arg);

#endif
