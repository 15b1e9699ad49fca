/* SPDX-License-Identifier: MIT */
/* One turn of the writer:
 * 1. Sleep until there are entries, acks that have waited 50 ms, or a timer.
 * 2. Take all entries that were appended, oldest first.
 * 3. Make a group of what one write may hold; if the active segment has no room for its first item, or is too old, seal
 *    it and open the next.
 * 4. Write and sync (wal/group.c), publish, call on_commit.
 *
 * Failures. A write or sync that fails poisons the segment: its descriptor is never synced again, since the kernel
 * would report success for data that it dropped. The group is written once more, at once, to a new segment, under the
 * same LSNs; the new header declares what the old one holds from there on void. If that fails too the entries come back
 * with the error, the LSNs are never used again, and the log is unhealthy: later entries fail at once while the writer
 * tries to open a new segment, every 50 ms at first, every second later. Acks are kept and written after that.
 * No space: a segment that cannot be made, or less free than the low-water mark, refuses entries; acks go on into the
 * active segment, then into the reserve. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/io.h"
#include "common/wal/internal.h"

enum { GROUP_BYTES_MAX = 4 << 20 };

static void update_health(flk_wal_t *wal) {
    atomic_store(&wal->healthy, wal->failure == FLK_OK && !wal->space_low);
}

static flk_err_t open_active(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_err_t err = flk_wal_active_open(wal, item_bytes, acks_only);
    if (err == FLK_OK) {
        wal->failure = FLK_OK;
        wal->retry_wait_ms = FLK_WAL_RETRY_MS_MIN;
        update_health(wal);
    }
    return err;
}

static void fail_until_retry(flk_wal_t *wal, flk_err_t err) {
    wal->failure = err == FLK_E_NO_SPACE ? FLK_E_NO_SPACE : FLK_E_IO;
    wal->retry_mono_ms = flk_mono_ms() + wal->retry_wait_ms;
    wal->retry_wait_ms = wal->retry_wait_ms * 2 < FLK_WAL_RETRY_MS_MAX ? wal->retry_wait_ms * 2 : FLK_WAL_RETRY_MS_MAX;
    update_health(wal);
}

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
    if (wal->options.on_commit != NULL) {
        wal->options.on_commit(wal->options.on_commit_arg, group->first);
    } else {
        wake_waiters(group->first);
    }
}

static void report_sync(flk_wal_t *wal, const flk_wal_group_t *group) {
    pthread_mutex_lock(&wal->observer_lock);
    if (wal->on_sync != NULL) {
        wal->on_sync(wal->on_sync_arg, group->sync_seconds, group->entries);
    }
    pthread_mutex_unlock(&wal->observer_lock);
}

static void fail_flush(flk_wal_t *wal, flk_err_t err) {
    pthread_mutex_lock(&wal->lock);
    wal->flush_failures++;
    wal->flush_err = err;
    pthread_cond_broadcast(&wal->done);
    pthread_mutex_unlock(&wal->lock);
}

/* Writes the group; after a failure once more, to a new segment. */
static flk_err_t make_durable(flk_wal_t *wal, flk_wal_group_t *group) {
    flk_err_t err = flk_wal_group_write(wal, group);
    if (err == FLK_OK) {
        return FLK_OK;
    }
    flk_wal_active_seal(wal);
    err = open_active(wal, group->bytes, group->entries == 0);
    if (err == FLK_OK) {
        err = flk_wal_group_write(wal, group);
        if (err != FLK_OK) {
            flk_wal_active_seal(wal);
        }
    }
    if (err != FLK_OK) {
        wal->next_lsn += group->entries + group->acks; /* may be on the disk: never to be used for something else */
    }
    return err;
}

static void refuse_for_space(flk_wal_t *wal) {
    wal->space_low = true;
    wal->space_checked_ms = flk_mono_ms() + FLK_WAL_RETRY_MS_MAX - FLK_WAL_SPACE_CHECK_MS; /* look again in a second */
    update_health(wal);
}

static flk_err_t room_for(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    if (wal->failure != FLK_OK) {
        return wal->failure;
    }
    if (flk_wal_active_has_room(wal, item_bytes) && (acks_only || !wal->active_is_reserve)) {
        return FLK_OK;
    }
    if (!acks_only && wal->active != NULL &&
        wal->active_is_reserve) { /* is there space again, at least for the next reserve? */
        wal->has_reserve = flk_wal_file_make_reserve(wal, NULL) == FLK_OK;
        if (!wal->has_reserve) {
            refuse_for_space(wal);
            return FLK_E_NO_SPACE;
        }
    }
    flk_wal_active_seal(wal);
    flk_err_t err = open_active(wal, item_bytes, acks_only);
    if (err == FLK_E_NO_SPACE && !acks_only && wal->has_reserve) {
        refuse_for_space(wal);
    } else if (err != FLK_OK) {
        fail_until_retry(wal, err);
    }
    return err;
}

/* Entries that cannot be accepted now go back at once. */
static void refuse(flk_wal_t *wal, flk_err_t err) {
    flk_wal_group_t group;
    flk_wal_group_take(wal, &group, true, false, UINT64_MAX);
    give_back(wal, &group, err == FLK_E_NO_SPACE ? FLK_E_NO_SPACE : FLK_E_IO);
}

static void commit(flk_wal_t *wal, bool entries, bool acks) {
    uint64_t item_bytes =
        entries ? flk_wal_item_bytes(wal->backlog->body_bytes) : flk_wal_item_bytes(FLK_WAL_ACK_BYTES);
    flk_err_t err = room_for(wal, item_bytes, !entries);
    if (err != FLK_OK) {
        if (entries) {
            refuse(wal, err);
        }
        if (acks && wal->failure != FLK_OK) {
            fail_flush(wal, wal->failure);
        }
        return;
    }
    flk_wal_group_t group;
    uint64_t room = wal->active->file_bytes - wal->active->bytes;
    flk_wal_group_take(wal, &group, entries, acks, room < GROUP_BYTES_MAX ? room : GROUP_BYTES_MAX);
    err = make_durable(wal, &group);
    if (err != FLK_OK) {
        fail_until_retry(wal, err);
        give_back(wal, &group, wal->failure);
        fail_flush(wal, wal->failure);
        return;
    }
    flk_wal_group_publish(wal, &group);
    report_sync(wal, &group);
    give_back(wal, &group, FLK_OK);
}

/* ---- the turn ---- */

static void take_entries(flk_wal_t *wal) {
    flk_wal_entry_t *newest = atomic_exchange(&wal->incoming, NULL), *oldest = NULL, *last = newest;
    while (newest != NULL) {
        flk_wal_entry_t *entry = newest;
        newest = entry->next;
        entry->next = oldest;
        oldest = entry;
    }
    if (oldest != NULL) {
        *wal->backlog_end = oldest;
        wal->backlog_end = &last->next;
    }
}

/* With the lock held. */
static void take_acks(flk_wal_t *wal) {
    if (wal->acks.first == NULL) {
        return;
    }
    if (wal->pending_acks.last == NULL) {
        wal->pending_acks = wal->acks;
        wal->acks_since_ms = flk_mono_ms();
    } else {
        wal->pending_acks.last->next = wal->acks.first;
        wal->pending_acks.last = wal->acks.last;
        wal->pending_acks.len += wal->acks.len;
    }
    wal->acks = (flk_wal_ack_list_t){0};
}

static uint64_t deadline_of(const flk_wal_t *wal) {
    uint64_t deadline = wal->upkeep_mono_ms;
    if (wal->failure != FLK_OK) {
        deadline = wal->retry_mono_ms < deadline ? wal->retry_mono_ms : deadline;
    } else if (wal->pending_acks.len > 0 && wal->acks_since_ms + FLK_WAL_ACK_DELAY_MS < deadline) {
        deadline = wal->acks_since_ms + FLK_WAL_ACK_DELAY_MS;
    }
    if (wal->compaction != NULL && wal->compact_step_ms < deadline) {
        deadline = wal->compact_step_ms;
    }
    if (wal->space_low && wal->space_checked_ms + FLK_WAL_SPACE_CHECK_MS < deadline) {
        deadline = wal->space_checked_ms + FLK_WAL_SPACE_CHECK_MS;
    }
    return deadline;
}

typedef struct turn {
    bool stopping, flush;
} turn_t;

static turn_t wait_for_work(flk_wal_t *wal) {
    pthread_mutex_lock(&wal->lock);
    for (;;) {
        take_acks(wal);
        uint64_t deadline_ms = deadline_of(wal);
        atomic_store(&wal->sleeping, true); /* before the look at `incoming`: see flk_wal_append */
        if (wal->backlog != NULL || atomic_load(&wal->incoming) != NULL || wal->stopping || wal->flush_wanted ||
            flk_mono_ms() >= deadline_ms) {
            break;
        }
        struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
                                 .tv_nsec = (long)(deadline_ms % 1000) * 1000000};
        pthread_cond_timedwait(&wal->wake, &wal->lock, &until);
    }
    atomic_store(&wal->sleeping, false);
    turn_t turn = {.stopping = wal->stopping, .flush = wal->flush_wanted};
    wal->flush_wanted = false;
    pthread_mutex_unlock(&wal->lock);
    return turn;
}

static void check_space(flk_wal_t *wal) {
    uint64_t now_ms = flk_mono_ms(), free_bytes = 0;
    if (now_ms < wal->space_checked_ms + FLK_WAL_SPACE_CHECK_MS) {
        return;
    }
    wal->space_checked_ms = now_ms;
    flk_err_t err = flk_io_free_bytes(wal->dir, &free_bytes, NULL);
    bool low = err == FLK_E_NO_SPACE || (err == FLK_OK && free_bytes < wal->options.low_water_bytes);
    if (low != wal->space_low) {
        wal->space_low = low;
        update_health(wal);
    }
}

static void heal(flk_wal_t *wal, bool stopping) {
    if (wal->failure != FLK_OK && (stopping || flk_mono_ms() >= wal->retry_mono_ms)) {
        flk_err_t err = open_active(wal, 0, wal->backlog == NULL && wal->pending_acks.len > 0);
        if (err != FLK_OK) {
            fail_until_retry(wal, err);
        }
    }
}

static bool acks_due(const flk_wal_t *wal, turn_t turn) {
    return wal->pending_acks.len > 0 &&
           (turn.stopping || turn.flush || flk_mono_ms() >= wal->acks_since_ms + FLK_WAL_ACK_DELAY_MS);
}

static void commit_all(flk_wal_t *wal, turn_t turn) {
    if (wal->backlog != NULL && wal->space_low) {
        refuse(wal, FLK_E_NO_SPACE);
    }
    bool entries = wal->backlog != NULL && !wal->space_low, acks = acks_due(wal, turn);
    if (entries) {
        commit(wal, true, true);
    } else if (acks && wal->failure == FLK_OK) {
        commit(wal, false, true);
    } else if (turn.flush && wal->pending_acks.len > 0) {
        fail_flush(wal, wal->failure);
    }
}

flk_err_t flk_wal_writer_init(flk_wal_t *wal) {
    wal->frames = flk_wal_frames_new();
    if (wal->frames == NULL) {
        return FLK_E_NOMEM;
    }
    wal->backlog_end = &wal->backlog;
    wal->retry_wait_ms = FLK_WAL_RETRY_MS_MIN;
    wal->upkeep_mono_ms = flk_mono_ms() + FLK_WAL_UPKEEP_MS;
    atomic_store(&wal->healthy, true);
    check_space(wal);
    flk_err_t err = open_active(wal, 0, false);
    if (err != FLK_OK) {
        fail_until_retry(wal, err);
    }
    return FLK_OK;
}

void *flk_wal_writer_run(void *arg) {
    flk_wal_t *wal = arg;
    for (;;) {
        turn_t turn = wait_for_work(wal);
        take_entries(wal);
        heal(wal, turn.stopping);
        check_space(wal);
        commit_all(wal, turn);
        uint64_t now_ms = flk_mono_ms();
        if (now_ms >= wal->upkeep_mono_ms) {
            wal->upkeep_mono_ms = now_ms + FLK_WAL_UPKEEP_MS;
            flk_wal_upkeep(wal, now_ms);
            flk_wal_upkeep_reserve(wal);
        }
        if (wal->compaction != NULL && now_ms >= wal->compact_step_ms) {
            flk_wal_upkeep_compact(wal);
            wal->compact_step_ms = flk_mono_ms() + FLK_WAL_COMPACT_MS;
        }
        bool written = wal->pending_acks.len == 0 || wal->failure != FLK_OK;
        if (turn.stopping && wal->backlog == NULL && atomic_load(&wal->incoming) == NULL && written) {
            return NULL;
        }
    }
}

void flk_wal_writer_fini(flk_wal_t *wal) {
    flk_wal_active_seal(wal);
    flk_wal_upkeep(wal, flk_mono_ms());
    if (wal->compaction != NULL) {
        while (wal->compaction != NULL) {
            flk_wal_upkeep_compact(wal);
        }
        flk_wal_upkeep(wal, flk_mono_ms()); /* what waited for it may go */
        flk_wal_rewrite_destroy(&wal->compaction);
    }
    (void)!flk_wal_checkpoint_store(wal, NULL); /* else the next start reads more segments */
    while (wal->pending_acks.first != NULL) {
        flk_wal_ack_node_t *ack = wal->pending_acks.first;
        wal->pending_acks.first = ack->next;
        free(ack);
    }
    free(wal->frames);
}
