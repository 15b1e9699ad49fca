/* SPDX-License-Identifier: MIT */
/* One turn of the writer:
 * 1. Sleep until there are entries, acks that have waited 50 ms, or a timer.
 * 2. Take all entries that were appended, oldest first.
 * 3. Make a group as large as one write may be. If the active segment has no room for its first item, or is too old,
 *    seal it and open the next (health.c).
 * 4. Write and sync (group.c), publish, call on_commit.
 *
 * Failures. A write or sync that fails poisons the segment: its descriptor is never synced again, since the kernel
 * would report success for data that it dropped. The group is written once more, at once, to a new segment, under the
 * same LSNs; the new header declares the items of the old one from there on void. If that fails too the entries come
 * back with the error, the LSNs are never used again, and the log is unhealthy: later entries fail at once while the
 * writer tries to open a new segment, every 50 ms at first, every second later. Acks are kept and written after that.
 * No space: before a new segment, and when less is free than the low-water mark, settled segments are given up. When
 * that does not help entries are refused; acks go on into the active segment, then into the reserve. */
#include <stdlib.h>

#include "common/io.h"
#include "common/thread.h"
#include "common/wal/active.h"
#include "common/wal/checkpoint.h"
#include "common/wal/follow/durable.h"
#include "common/wal/group.h"
#include "common/wal/health.h"
#include "common/wal/retain.h"
#include "common/wal/rewrite.h"
#include "common/wal/writer.h"

enum { GROUP_BYTES_MAX = 4 << 20 };

/* For flk_wal_append_wait. The entry ends with its owner's stack frame as soon as that is woken. */
static void wake_waiters(flk_wal_entry_t *group) {
    while (group != NULL) {
        flk_wal_waiter_t *waiter = (flk_wal_waiter_t *)((char *)group - offsetof(flk_wal_waiter_t, entry));
        group = group->next;
        FLK_ASSERT(sem_post(&waiter->returned) == 0);
    }
}

static void give_back(flk_wal_t *wal, flk_wal_group_t *group, flk_err_t err) {
    if (group->first == NULL) {
        return;
    }
    uint64_t lsn = group->first_lsn;
    for (flk_wal_entry_t *entry = group->first; entry != NULL; entry = entry->next) {
        entry->err = err;
        entry->lsn = err == FLK_OK ? lsn++ : 0;
        entry->time_ms = group->time_ms;
    }
    if (wal->config.options.on_commit != NULL) {
        wal->config.options.on_commit(wal->config.options.on_commit_arg, group->first);
    } else {
        wake_waiters(group->first);
    }
}

static void report_sync(flk_wal_t *wal, const flk_wal_group_t *group) {
    pthread_mutex_lock(&wal->shared.observer_lock);
    if (wal->shared.on_sync != NULL) {
        wal->shared.on_sync(wal->shared.on_sync_arg, group->sync_seconds, group->entries);
    }
    pthread_mutex_unlock(&wal->shared.observer_lock);
}

/* For those that follow the log; they learn later when it fails. */
static void tell_durable(flk_wal_writer_t *writer) {
    if (writer->durable_fd >= 0) {
        (void)!flk_wal_durable_write(writer->durable_fd, writer->durable_lsn);
    }
}

static void make_durable_file(flk_wal_t *wal) {
    if (wal->writer.durable_fd < 0 && flk_wal_durable_make(wal->config.dir, &wal->writer.durable_fd, NULL) == FLK_OK) {
        tell_durable(&wal->writer);
    }
}

static void fail_flush(flk_wal_t *wal, flk_err_t err) {
    pthread_mutex_lock(&wal->shared.lock);
    wal->shared.flush_failures++;
    wal->shared.flush_err = err;
    pthread_cond_broadcast(&wal->shared.done);
    pthread_mutex_unlock(&wal->shared.lock);
}

static flk_err_t write_group(flk_wal_t *wal, flk_wal_group_t *group) {
    flk_err_t err = flk_wal_group_write(&wal->config, &wal->writer, group);
    if (err != FLK_OK) {
        flk_wal_stats_t *stats = &wal->shared.stats;
        pthread_mutex_lock(&wal->shared.lock);
        ++*(group->written ? &stats->sync_failures : &stats->write_failures);
        pthread_mutex_unlock(&wal->shared.lock);
    }
    return err;
}

/* Writes the group; after a failure once more, to a new segment. */
static flk_err_t make_durable(flk_wal_t *wal, flk_wal_group_t *group) {
    flk_err_t err = write_group(wal, group);
    if (err == FLK_OK) {
        return FLK_OK;
    }
    err = flk_wal_health_replace(wal, group->bytes, group->entries == 0);
    if (err == FLK_OK) {
        err = write_group(wal, group);
        if (err != FLK_OK) {
            flk_wal_active_seal(wal);
        }
    }
    if (err != FLK_OK) { /* may be on the disk: never to be used for something else */
        wal->writer.next_lsn += group->entries + group->acks;
    }
    return err;
}

/* Entries that cannot be accepted now go back at once. */
static void refuse(flk_wal_t *wal, flk_err_t err) {
    flk_wal_group_t group;
    flk_wal_group_take(&wal->writer, &group, true, false, UINT64_MAX);
    give_back(wal, &group, err == FLK_E_NO_SPACE ? FLK_E_NO_SPACE : FLK_E_IO);
}

static void commit(flk_wal_t *wal, bool entries, bool acks) {
    uint64_t item_bytes =
        flk_wal_item_bytes(entries ? wal->writer.backlog->body_bytes : wal->writer.pending_acks.first->body_bytes);
    flk_err_t err = flk_wal_health_room(wal, item_bytes, !entries);
    if (err != FLK_OK) {
        if (entries) {
            refuse(wal, err);
        }
        if (acks && wal->writer.failure != FLK_OK) {
            fail_flush(wal, wal->writer.failure);
        }
        return;
    }
    flk_wal_group_t group;
    uint64_t room = wal->writer.active->file_bytes - wal->writer.active->bytes;
    flk_wal_group_take(&wal->writer, &group, entries, acks, room < GROUP_BYTES_MAX ? room : GROUP_BYTES_MAX);
    err = make_durable(wal, &group);
    if (err != FLK_OK) {
        flk_wal_health_fail(wal, err);
        give_back(wal, &group, wal->writer.failure);
        fail_flush(wal, wal->writer.failure);
        return;
    }
    flk_wal_group_publish(wal, &group);
    report_sync(wal, &group);
    give_back(wal, &group, FLK_OK);
    tell_durable(&wal->writer);
}

/* ---- the turn ---- */

static void take_entries(flk_wal_t *wal) {
    flk_wal_entry_t *newest = atomic_exchange(&wal->shared.incoming, NULL), *oldest = NULL, *last = newest;
    while (newest != NULL) {
        flk_wal_entry_t *entry = newest;
        newest = entry->next;
        entry->next = oldest;
        oldest = entry;
    }
    if (oldest != NULL) {
        *wal->writer.backlog_end = oldest;
        wal->writer.backlog_end = &last->next;
    }
}

/* With the lock held. */
static void take_acks(flk_wal_t *wal) {
    if (wal->shared.acks.first == NULL) {
        return;
    }
    if (wal->writer.pending_acks.last == NULL) {
        wal->writer.pending_acks = wal->shared.acks;
        wal->writer.acks_since_ms = flk_mono_ms();
    } else {
        wal->writer.pending_acks.last->next = wal->shared.acks.first;
        wal->writer.pending_acks.last = wal->shared.acks.last;
        wal->writer.pending_acks.len += wal->shared.acks.len;
        wal->writer.pending_acks.bytes += wal->shared.acks.bytes;
    }
    wal->shared.acks = (flk_wal_ack_list_t){0};
}

static uint64_t deadline_of(const flk_wal_writer_t *writer) {
    uint64_t deadline = writer->upkeep_mono_ms, health_ms = flk_wal_health_due_ms(writer);
    deadline = health_ms < deadline ? health_ms : deadline;
    if (writer->failure == FLK_OK && writer->pending_acks.len > 0 &&
        writer->acks_since_ms + FLK_WAL_ACK_DELAY_MS < deadline) {
        deadline = writer->acks_since_ms + FLK_WAL_ACK_DELAY_MS;
    }
    if (writer->compaction != NULL && writer->compact_step_ms < deadline) {
        deadline = writer->compact_step_ms;
    }
    return deadline;
}

typedef struct turn {
    bool stopping, flush;
} turn_t;

static turn_t wait_for_work(flk_wal_t *wal) {
    pthread_mutex_lock(&wal->shared.lock);
    for (;;) {
        take_acks(wal);
        uint64_t deadline_ms = deadline_of(&wal->writer);
        atomic_store(&wal->shared.sleeping, true); /* before the look at `incoming`: see flk_wal_append */
        if (wal->writer.backlog != NULL || atomic_load(&wal->shared.incoming) != NULL || wal->shared.stopping ||
            wal->shared.flush_wanted || flk_mono_ms() >= deadline_ms) {
            break;
        }
        (void)flk_cond_wait_until(&wal->shared.wake, &wal->shared.lock, deadline_ms);
    }
    atomic_store(&wal->shared.sleeping, false);
    turn_t turn = {.stopping = wal->shared.stopping, .flush = wal->shared.flush_wanted};
    wal->shared.flush_wanted = false;
    pthread_mutex_unlock(&wal->shared.lock);
    return turn;
}

static bool acks_due(const flk_wal_t *wal, turn_t turn) {
    return wal->writer.pending_acks.len > 0 &&
           (turn.stopping || turn.flush || flk_mono_ms() >= wal->writer.acks_since_ms + FLK_WAL_ACK_DELAY_MS);
}

static void commit_all(flk_wal_t *wal, turn_t turn) {
    if (wal->writer.backlog != NULL && wal->writer.space_low) {
        refuse(wal, FLK_E_NO_SPACE);
    }
    bool entries = wal->writer.backlog != NULL && !wal->writer.space_low, acks = acks_due(wal, turn);
    if (entries) {
        commit(wal, true, true);
    } else if (acks && wal->writer.failure == FLK_OK) {
        commit(wal, false, true);
    } else if (turn.flush && wal->writer.pending_acks.len > 0) {
        fail_flush(wal, wal->writer.failure);
    }
}

flk_err_t flk_wal_writer_init(flk_wal_t *wal) {
    wal->writer.frames = flk_wal_frames_new();
    if (wal->writer.frames == NULL) {
        return FLK_E_NOMEM;
    }
    wal->writer.backlog_end = &wal->writer.backlog;
    wal->writer.upkeep_mono_ms = flk_mono_ms() + FLK_WAL_UPKEEP_MS;
    make_durable_file(wal);
    flk_wal_held_look(&wal->writer.held, wal->config.dir, wal->config.id);
    flk_wal_health_init(wal);
    return FLK_OK;
}

void *flk_wal_writer_run(void *arg) {
    flk_wal_t *wal = arg;
    flk_beat_start(&wal->writer.beat, "log's writer", FLK_WAL_BEAT_MS_MAX);
    for (;;) {
        flk_beat_turn(&wal->writer.beat, flk_mono_ms());
        turn_t turn = wait_for_work(wal);
        take_entries(wal);
        flk_wal_health_check(wal, turn.stopping);
        commit_all(wal, turn);
        uint64_t now_ms = flk_mono_ms();
        if (now_ms >= wal->writer.upkeep_mono_ms) {
            wal->writer.upkeep_mono_ms = now_ms + FLK_WAL_UPKEEP_MS;
            flk_wal_upkeep(wal, now_ms);
            flk_wal_upkeep_reserve(wal);
            make_durable_file(wal);
        }
        if (wal->writer.compaction != NULL && now_ms >= wal->writer.compact_step_ms) {
            flk_wal_upkeep_compact(wal);
            wal->writer.compact_step_ms = flk_mono_ms() + (wal->writer.pressed ? 0 : FLK_WAL_COMPACT_MS);
        }
        bool written = wal->writer.pending_acks.len == 0 || wal->writer.failure != FLK_OK;
        if (turn.stopping && wal->writer.backlog == NULL && atomic_load(&wal->shared.incoming) == NULL && written) {
            flk_beat_stop(&wal->writer.beat);
            return NULL;
        }
    }
}

void flk_wal_writer_fini(flk_wal_t *wal) {
    flk_wal_active_seal(wal);
    flk_wal_upkeep(wal, flk_mono_ms());
    if (wal->writer.compaction != NULL) {
        while (wal->writer.compaction != NULL) {
            flk_wal_upkeep_compact(wal);
        }
        flk_wal_upkeep(wal, flk_mono_ms()); /* segments that waited for it may go */
        flk_wal_rewrite_destroy(&wal->writer.compaction);
    }
    (void)!flk_wal_checkpoint_store(wal, NULL); /* else the next start reads more segments */
    while (wal->writer.pending_acks.first != NULL) {
        flk_wal_ack_node_t *ack = wal->writer.pending_acks.first;
        wal->writer.pending_acks.first = ack->next;
        free(ack);
    }
    if (wal->writer.durable_fd >= 0) {
        (void)!flk_io_close(wal->writer.durable_fd, "durable", NULL);
    }
    free(wal->writer.frames);
}
