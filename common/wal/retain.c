/* SPDX-License-Identifier: MIT */
/* Once a second and at the end, by the writer:
 * 1. Seal the active segment if it is too old.
 * 2. Drop the bits of segments that settled. One that is full of refused records is compacted before.
 * 3. Write the checkpoint if it changed.
 * 4. Remove settled segments, oldest first, that are older than the retention or above the cap. When space is wanted
 *    (flk_wal_give_up), age and cap do not matter.
 *
 * Acks lie behind the records that they settle, so a segment may go only when no older one holds a settled record
 * that would come back to life without it. An older one that does, because one record in it is stuck, is compacted:
 * rewritten with its live records alone, under the same number and LSNs, a step at a time between the groups. So a
 * stuck record holds its own bytes, not the disk. A failure of any step leaves it for the next second.
 * A segment goes only after a checkpoint noted that it settled, so a start does not miss its file.
 *
 * Holds. Items that a reader beside the log has not passed stay, although they are due, up to a limit in bytes; the
 * oldest beyond that goes, and any that makes room for new records. The holds in its way are broken. Refused records
 * wait likewise, until their segment is old enough to go as a whole.
 *
 * Age. A clock that was ahead stamps segments with times to come. So a segment is as old as the oldest time of itself
 * and all that follow it, and none is younger than now: one such segment holds up neither itself nor those behind. */
#include <stdlib.h>

#include "common/io.h"
#include "common/wal/active.h"
#include "common/wal/checkpoint.h"
#include "common/wal/file.h"
#include "common/wal/retain.h"
#include "common/wal/rewrite.h"
#include "common/wal/writer.h"

enum { COMPACT_BYTES_PER_UPKEEP = 1 << 20 }; /* or a slow drain of old segments would rewrite them all the time */

/* Why segments may go. */
typedef struct dues {
    uint64_t settled_bytes, cap_bytes; /* in settled segments; the most of it, 0: no cap */
    uint64_t wanted_bytes;             /* to be made free at any age */
    uint64_t removed_bytes;
    uint64_t held_bytes, over_bytes; /* in segments that are due and held; by how much that is too many */
} dues_t;

static void settle(flk_wal_t *wal, flk_wal_segment_t *segment) {
    void *to_free[3];
    pthread_mutex_lock(&wal->shared.lock);
    flk_wal_segment_settle(segment, to_free);
    pthread_mutex_unlock(&wal->shared.lock);
    for (size_t i = 0; i < FLK_COUNT_OF(to_free); i++) {
        free(to_free[i]);
    }
    wal->writer.checkpoint_due = true;
}

static void begin_compaction(flk_wal_t *wal, flk_wal_segment_t *segment, flk_wal_rewrite_kind_t kind, uint64_t now_ms) {
    wal->writer.compact_mono_ms = now_ms + FLK_WAL_UPKEEP_MS * (segment->bytes / COMPACT_BYTES_PER_UPKEEP);
    wal->writer.compact_records = segment->unsettled;
    (void)!flk_wal_rewrite_new(wal, segment, kind, &wal->writer.compaction, NULL);
}

static void forget_refused(flk_wal_segment_t *segment) {
    free(segment->refused);
    segment->refused = NULL;
}

void flk_wal_upkeep_compact(flk_wal_t *wal) {
    if (wal->writer.compaction == NULL) {
        return;
    }
    flk_err_t err = flk_wal_rewrite_step(wal->writer.compaction, NULL);
    if (err == FLK_E_AGAIN) {
        return;
    }
    flk_wal_segment_t *segment =
        flk_wal_segments_numbered(&wal->shared.segments, flk_wal_rewrite_segment(wal->writer.compaction)->number);
    if (err == FLK_OK) {
        segment->records = wal->writer.compact_records; /* settled since then: compacted again before their acks go */
        wal->writer.checkpoint_due = true;
    }
    if (segment->refused != NULL && segment->unsettled == 0) {
        forget_refused(
            segment); /* one attempt: it settles as it is now; the next one waits as long as this one wrote */
        wal->writer.compact_mono_ms =
            flk_mono_ms() + (err == FLK_OK ? FLK_WAL_UPKEEP_MS * (segment->bytes / COMPACT_BYTES_PER_UPKEEP) : 0);
    }
    flk_wal_rewrite_destroy(&wal->writer.compaction);
}

/* Its last records settled meanwhile: there is nothing to keep. */
static void end_compaction_of(flk_wal_t *wal, const flk_wal_segment_t *segment) {
    if (wal->writer.compaction != NULL && flk_wal_rewrite_segment(wal->writer.compaction) == segment) {
        flk_wal_rewrite_destroy(&wal->writer.compaction);
    }
}

static int64_t age_ms(const flk_wal_t *wal, size_t index) {
    const int64_t now_ms = flk_wall_ms();
    int64_t time_ms = now_ms;
    for (size_t i = index; i < wal->shared.segments.len; i++) {
        const int64_t last_ms = wal->shared.segments.at[i]->last_ms;
        time_ms = last_ms < time_ms ? last_ms : time_ms;
    }
    return now_ms - time_ms;
}

/* True while a settled segment waits for the compaction that drops its refused records. */
static bool drops_refused(flk_wal_t *wal, size_t index, uint64_t now_ms) {
    flk_wal_segment_t *segment = wal->shared.segments.at[index];
    if (segment->refused == NULL) {
        return false;
    }
    if (flk_wal_held_needs(&wal->writer.held, segment) &&
        age_ms(wal, index) <= (int64_t)wal->config.options.retention_ms) {
        return true;
    }
    if (wal->writer.compaction == NULL && now_ms >= wal->writer.compact_mono_ms) {
        begin_compaction(wal, segment, FLK_WAL_REWRITE_REFUSED, now_ms);
        if (wal->writer.compaction == NULL) {
            forget_refused(segment); /* it cannot be read or written: it settles as it is */
        }
    }
    return segment->refused != NULL;
}

/* `hurry`: space is short, so nothing is compacted first. Returns the bytes in settled segments. */
static uint64_t settle_all(flk_wal_t *wal, bool hurry, uint64_t now_ms) {
    uint64_t settled_bytes = 0;
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (segment->sealed && segment->unsettled == 0) {
            if (segment->acked != NULL && (hurry || !drops_refused(wal, i, now_ms))) {
                end_compaction_of(wal, segment);
                settle(wal, segment);
            }
            settled_bytes += segment->file_bytes;
        }
    }
    return settled_bytes;
}

static void seal_if_old(flk_wal_t *wal, uint64_t now_ms) {
    const flk_wal_segment_t *active = wal->writer.active;
    if (active != NULL && active->end_lsn > active->first_lsn &&
        now_ms - wal->writer.active_mono_ms >= wal->config.options.segment_age_ms) {
        flk_wal_active_seal(wal);
    }
}

static bool is_retired(const flk_wal_t *wal, size_t index, const dues_t *dues) {
    bool over_cap = dues->cap_bytes > 0 && dues->settled_bytes > dues->cap_bytes;
    return over_cap || age_ms(wal, index) > (int64_t)wal->config.options.retention_ms;
}

static bool has_settled(const flk_wal_segment_t *segment) {
    return segment->records != segment->unsettled;
}

/* True if a hold needs the segment, or one before it that has to be compacted first. */
static bool is_held(const flk_wal_t *wal, size_t index) {
    const flk_wal_held_t *held = &wal->writer.held;
    bool needed = flk_wal_held_needs(held, wal->shared.segments.at[index]);
    for (size_t i = 0; i < index; i++) {
        const flk_wal_segment_t *segment = wal->shared.segments.at[i];
        needed = needed || (has_settled(segment) && flk_wal_held_needs(held, segment));
    }
    return needed;
}

static void break_holds(flk_wal_t *wal, const flk_wal_segment_t *segment) {
    const size_t broken = flk_wal_held_break(&wal->writer.held, wal->config.dir, segment);
    pthread_mutex_lock(&wal->shared.lock);
    wal->shared.stats.holds_broken += broken;
    pthread_mutex_unlock(&wal->shared.lock);
}

/* Makes every segment before `index` independent of the acks in later ones. FLK_E_AGAIN: not all of them yet. */
static flk_err_t release_older(flk_wal_t *wal, size_t index, bool hurry, uint64_t now_ms) {
    for (size_t i = 0; i < index; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (!has_settled(segment)) {
            continue;
        }
        if (wal->writer.compaction == NULL && (hurry || now_ms >= wal->writer.compact_mono_ms)) {
            break_holds(wal, segment);
            begin_compaction(wal, segment, FLK_WAL_REWRITE_LIVE, now_ms);
        }
        return FLK_E_AGAIN;
    }
    return FLK_OK;
}

static flk_err_t remove_at(flk_wal_t *wal, size_t index) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_segment_t *segment = wal->shared.segments.at[index];
    flk_wal_path(wal->config.dir, segment->name, path);
    flk_err_t err = flk_io_unlink(path, NULL);
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        return err;
    }
    pthread_mutex_lock(&wal->shared.lock);
    flk_wal_segments_remove(&wal->shared.segments, index);
    pthread_mutex_unlock(&wal->shared.lock);
    flk_wal_segment_destroy(&segment);
    return FLK_OK;
}

/* True if the segment went. */
static bool remove_one(flk_wal_t *wal, size_t index, dues_t *dues, uint64_t now_ms) {
    const flk_wal_segment_t *segment = wal->shared.segments.at[index];
    const bool retired = is_retired(wal, index, dues), given_up = dues->removed_bytes < dues->wanted_bytes;
    const uint64_t bytes = segment->file_bytes;
    if ((!retired && !given_up) || !segment->noted) {
        return false;
    }
    if (!given_up && dues->over_bytes == 0 && is_held(wal, index)) {
        return false;
    }
    if (release_older(wal, index, given_up, now_ms) != FLK_OK) {
        return false;
    }
    break_holds(wal, segment);
    if (remove_at(wal, index) != FLK_OK) {
        return false;
    }
    dues->over_bytes -= dues->over_bytes < bytes ? dues->over_bytes : bytes;
    dues->settled_bytes -= bytes;
    dues->removed_bytes += bytes;
    if (!retired) {
        pthread_mutex_lock(&wal->shared.lock);
        wal->shared.stats.given_up_bytes += bytes;
        pthread_mutex_unlock(&wal->shared.lock);
    }
    return true;
}

/* Notes how much only the holds keep. */
static void measure_held(flk_wal_t *wal, dues_t *dues) {
    dues_t left = *dues;
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        const flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (segment->acked == NULL && is_retired(wal, i, &left)) {
            left.settled_bytes -= segment->file_bytes;
            dues->held_bytes += is_held(wal, i) ? segment->file_bytes : 0;
        }
    }
    const uint64_t held_max = wal->config.options.held_bytes_max;
    dues->over_bytes = dues->held_bytes > held_max ? dues->held_bytes - held_max : 0;
    pthread_mutex_lock(&wal->shared.lock);
    wal->shared.stats.held_bytes = dues->held_bytes;
    pthread_mutex_unlock(&wal->shared.lock);
}

static void remove_due(flk_wal_t *wal, dues_t *dues, uint64_t now_ms) {
    for (size_t i = 0; i < wal->shared.segments.len;) {
        if (wal->shared.segments.at[i]->acked != NULL) {
            i++; /* not settled: it stays, and those behind it need not wait */
        } else if (!remove_one(wal, i, dues, now_ms)) {
            break;
        }
    }
    if (dues->removed_bytes > 0) {
        wal->writer.checkpoint_due = true;
        (void)!flk_io_sync_dir(wal->config.dir, NULL); /* else they come back, settled, and go again */
    }
}

static void keep_checkpoint(flk_wal_t *wal) {
    if (wal->writer.checkpoint_due && wal->writer.failure == FLK_OK) {
        wal->writer.checkpoint_due = flk_wal_checkpoint_store(wal, NULL) != FLK_OK;
    }
}

/* A quarter of the file system, unless the options say how much. */
static uint64_t cap_of(const flk_wal_config_t *config) {
    uint64_t disk_bytes, cap_bytes = config->options.retained_bytes_max;
    if (cap_bytes == FLK_WAL_RETAINED_AUTO) {
        flk_err_t err = flk_io_disk_bytes(config->dir, &disk_bytes, NULL);
        cap_bytes = err == FLK_OK ? disk_bytes / 4 : 0;
    }
    return cap_bytes;
}

void flk_wal_upkeep(flk_wal_t *wal, uint64_t now_ms) {
    dues_t dues = {.cap_bytes = cap_of(&wal->config)};
    flk_wal_held_look(&wal->writer.held, wal->config.dir, wal->config.id);
    seal_if_old(wal, now_ms);
    dues.settled_bytes = settle_all(wal, false, now_ms);
    if (dues.cap_bytes > 0 && dues.settled_bytes > dues.cap_bytes) {
        dues.settled_bytes = settle_all(wal, true, now_ms);
    }
    keep_checkpoint(wal);
    measure_held(wal, &dues);
    remove_due(wal, &dues, now_ms);
}

uint64_t flk_wal_give_up(flk_wal_t *wal) {
    const uint64_t now_ms = flk_mono_ms();
    dues_t dues = {.wanted_bytes = 1, .settled_bytes = settle_all(wal, true, now_ms)};
    keep_checkpoint(wal);
    remove_due(wal, &dues, now_ms);
    return dues.removed_bytes;
}

void flk_wal_upkeep_reserve(flk_wal_t *wal) {
    if (!wal->writer.has_reserve && !wal->writer.space_low && wal->writer.failure == FLK_OK) {
        wal->writer.has_reserve = flk_wal_file_make_reserve(&wal->config, NULL) == FLK_OK;
    }
}
