/* SPDX-License-Identifier: MIT */
/* Once a second and at the end, by the writer:
 * 1. Seal the active segment if it is too old.
 * 2. Drop the bits of segments that settled.
 * 3. Write the checkpoint if it changed.
 * 4. Remove settled segments, oldest first, that are older than the retention or above the cap.
 *
 * Acks lie behind the records that they settle, so a segment may go only when no older one holds a settled record
 * that would come back to life without it. An older one that does, because one record in it is stuck, is compacted:
 * rewritten with its live records alone, under the same number and LSNs, a step at a time between the groups. So a
 * stuck record holds its own bytes, not the disk. A failure of any step leaves it for the next second.
 * The checkpoint comes before the removal and names the settled segments, so a start does not miss their files. */
#include <stdlib.h>

#include "common/io.h"
#include "common/wal/active.h"
#include "common/wal/checkpoint.h"
#include "common/wal/file.h"
#include "common/wal/retain.h"
#include "common/wal/rewrite.h"
#include "common/wal/writer.h"

enum { COMPACT_BYTES_PER_UPKEEP = 1 << 20 }; /* or a slow drain of old segments would rewrite them all the time */

static void settle(flk_wal_t *wal, flk_wal_segment_t *segment) {
    void *to_free[2];
    pthread_mutex_lock(&wal->shared.lock);
    flk_wal_segment_settle(segment, to_free);
    pthread_mutex_unlock(&wal->shared.lock);
    free(to_free[0]);
    free(to_free[1]);
    wal->writer.checkpoint_due = true;
}

static void begin_compaction(flk_wal_t *wal, flk_wal_segment_t *segment, uint64_t now_ms) {
    wal->writer.compact_mono_ms = now_ms + FLK_WAL_UPKEEP_MS * (segment->bytes / COMPACT_BYTES_PER_UPKEEP);
    wal->writer.compact_records = segment->unsettled;
    (void)!flk_wal_rewrite_new(wal, segment, true, &wal->writer.compaction, NULL);
}

void flk_wal_upkeep_compact(flk_wal_t *wal) {
    if (wal->writer.compaction == NULL) {
        return;
    }
    flk_err_t err = flk_wal_rewrite_step(wal->writer.compaction, NULL);
    if (err == FLK_OK) {
        flk_wal_segment_t *segment =
            flk_wal_segments_numbered(&wal->shared.segments, flk_wal_rewrite_segment(wal->writer.compaction)->number);
        segment->records =
            wal->writer.compact_records; /* settled since then: it is compacted again before their acks go */
        wal->writer.checkpoint_due = true;
    }
    if (err != FLK_E_AGAIN) {
        flk_wal_rewrite_destroy(&wal->writer.compaction);
    }
}

/* Its last records settled meanwhile: there is nothing to keep. */
static void end_compaction_of(flk_wal_t *wal, const flk_wal_segment_t *segment) {
    if (wal->writer.compaction != NULL && flk_wal_rewrite_segment(wal->writer.compaction) == segment) {
        flk_wal_rewrite_destroy(&wal->writer.compaction);
    }
}

static uint64_t settle_all(flk_wal_t *wal) {
    uint64_t settled_bytes = 0;
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (segment->sealed && segment->unsettled == 0) {
            if (segment->acked != NULL) {
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

static bool is_due(const flk_wal_t *wal, const flk_wal_segment_t *segment, uint64_t settled_bytes) {
    const flk_wal_options_t *options = &wal->config.options;
    bool over_cap = options->retained_bytes_max > 0 && settled_bytes > options->retained_bytes_max;
    return over_cap || flk_wall_ms() - segment->last_ms > (int64_t)options->retention_ms;
}

/* Makes every segment before `index` independent of the acks in later ones. FLK_E_AGAIN: not all of them yet. */
static flk_err_t release_older(flk_wal_t *wal, size_t index, uint64_t now_ms) {
    for (size_t i = 0; i < index; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        if (segment->records == segment->unsettled) {
            continue;
        }
        if (wal->writer.compaction == NULL && now_ms >= wal->writer.compact_mono_ms) {
            begin_compaction(wal, segment, now_ms);
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

static void remove_due(flk_wal_t *wal, uint64_t settled_bytes, uint64_t now_ms) {
    bool removed = false;
    for (size_t i = 0; i < wal->shared.segments.len;) {
        const flk_wal_segment_t *segment = wal->shared.segments.at[i];
        uint64_t bytes = segment->file_bytes;
        if (segment->acked != NULL) {
            i++; /* not settled: it stays, and those behind it need not wait */
            continue;
        }
        if (!is_due(wal, segment, settled_bytes) || release_older(wal, i, now_ms) != FLK_OK ||
            remove_at(wal, i) != FLK_OK) {
            break;
        }
        settled_bytes -= bytes;
        removed = true;
    }
    if (removed) {
        wal->writer.checkpoint_due = true;
        (void)!flk_io_sync_dir(wal->config.dir, NULL); /* else they come back, settled, and go again */
    }
}

static void keep_checkpoint(flk_wal_t *wal) {
    if (wal->writer.checkpoint_due && wal->writer.failure == FLK_OK) {
        wal->writer.checkpoint_due = flk_wal_checkpoint_store(wal, NULL) != FLK_OK;
    }
}

void flk_wal_upkeep(flk_wal_t *wal, uint64_t now_ms) {
    seal_if_old(wal, now_ms);
    uint64_t settled_bytes = settle_all(wal);
    keep_checkpoint(wal);
    if (!wal->writer.checkpoint_due) { /* it names what is settled: a missing file will be no surprise */
        remove_due(wal, settled_bytes, now_ms);
    }
}

void flk_wal_upkeep_reserve(flk_wal_t *wal) {
    if (!wal->writer.has_reserve && !wal->writer.space_low && wal->writer.failure == FLK_OK) {
        wal->writer.has_reserve = flk_wal_file_make_reserve(&wal->config, NULL) == FLK_OK;
    }
}
