/* SPDX-License-Identifier: MIT */
/* 1. Find the segments (recover_files.c) and read those that are not settled (recover_items.c).
 * 2. A segment that lacks promised items: keep its file as *.damaged, rewrite the segment from the items that check.
 * 3. A missing item of a group that was never reported as durable is torn. At the end of a segment it is cut; between
 *    other items it is left out by a rewrite, since from now on those are promised.
 * 4. Note it all in a new checkpoint. New items go to a new segment, never to one that was found.
 *
 * Later items tell the promise: each item and each segment header gives the LSN up to which the log was durable at that
 * time. Each step can be repeated: a crash anywhere in here gives the same result at the next start. A rewrite that
 * fails (no space) leaves the damaged file in use; reading skips the same places again. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/file.h"
#include "common/wal/recover.h"
#include "common/wal/rewrite.h"

static void rewrite_segment(flk_wal_t *wal, flk_wal_segment_t *segment) {
    flk_wal_rewrite_t *rewrite;
    flk_err_t err = flk_wal_rewrite_new(wal, segment, FLK_WAL_REWRITE_ALL, &rewrite, NULL);
    for (err = err == FLK_OK ? FLK_E_AGAIN : err; err == FLK_E_AGAIN;) {
        err = flk_wal_rewrite_step(rewrite, NULL);
    }
    flk_wal_rewrite_destroy(&rewrite);
}

/* A failure leaves the file as it is: it can be read, and the next start tries again. */
static void repair_segment(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate) {
    flk_wal_t *wal = recovery->wal;
    flk_err_t err = FLK_OK;
    if (candidate->lost_items) {
        candidate->segment->acks_lost = true;
        wal->shared.stats.quarantined++;
        err = flk_wal_file_quarantine(&wal->config, candidate->file.name, NULL);
    }
    if (err == FLK_OK) {
        rewrite_segment(wal, candidate->segment);
    }
}

static void cut_tail(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate) {
    char path[FLK_WAL_PATH_BYTES];
    int fd;
    flk_wal_segment_t *segment = candidate->segment;
    flk_wal_path(recovery->wal->config.dir, segment->name, path);
    if (flk_io_open(path, O_WRONLY, &fd, NULL) != FLK_OK) {
        return;
    }
    if (flk_io_truncate(fd, path, segment->bytes, NULL) == FLK_OK) {
        segment->file_bytes = segment->bytes;
    }
    (void)!flk_io_close(fd, path, NULL);
}

static void remove_segment(flk_wal_recovery_t *recovery, flk_wal_segment_t *segment) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal->config.dir, segment->name, path);
    (void)!flk_io_unlink(path, NULL);
    for (size_t i = 0; i < recovery->wal->shared.segments.len; i++) {
        if (recovery->wal->shared.segments.at[i] == segment) {
            flk_wal_segments_remove(&recovery->wal->shared.segments, i);
            break;
        }
    }
    flk_wal_segment_destroy(&segment);
}

static flk_err_t repair(flk_wal_recovery_t *recovery, char *errmsg) {
    bool (*stop_asked)(void) = recovery->wal->config.options.stop_asked;
    for (size_t i = 0; i < recovery->len; i++) {
        if (stop_asked != NULL && stop_asked()) {
            flk_errmsg(errmsg, "the recovery of %s was stopped by a signal", recovery->wal->config.dir);
            return FLK_E_CLOSED;
        }
        flk_wal_candidate_t *candidate = &recovery->candidates[i];
        flk_wal_segment_t *segment = candidate->segment;
        if (segment == NULL || segment->acked == NULL) {
            continue;
        }
        if (candidate->lost_items || candidate->has_holes) {
            repair_segment(recovery, candidate);
        } else if (segment->end_lsn == segment->first_lsn) {
            remove_segment(recovery, segment);
            continue;
        } else if (segment->file_bytes > segment->bytes) {
            cut_tail(recovery, candidate);
        }
        recovery->wal->shared.stats.recovered += segment->unacked;
        if (segment->unsettled == 0 && segment->refused == NULL) {
            flk_wal_recover_settle(segment);
        }
    }
    return FLK_OK;
}

/* Of a rewrite that a crash cut short; it may be as large as a segment. */
static void remove_leftover(const flk_wal_t *wal) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal->config.dir, FLK_WAL_REWRITE_NAME, path);
    (void)!flk_io_unlink(path, NULL);
}

/* The segments are in order of number, those to come too; so one whose header is lost counts once it has items. */
static void pass_numbers(flk_wal_t *wal) {
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        const uint64_t number = wal->shared.segments.at[i]->number;
        wal->writer.next_number = number >= wal->writer.next_number ? number + 1 : wal->writer.next_number;
    }
}

/* The acks of segments that had settled before were not read: holds keep it until they have passed all that there is.
 */
static void pass_acks(flk_wal_t *wal) {
    for (size_t i = 0; i < wal->shared.segments.len; i++) {
        flk_wal_segment_t *segment = wal->shared.segments.at[i];
        segment->acked_to_lsn = segment->acked == NULL ? wal->writer.durable_lsn : segment->acked_to_lsn;
    }
}

flk_err_t flk_wal_recover(flk_wal_t *wal, char *errmsg) {
    flk_wal_recovery_t recovery = {.wal = wal};
    flk_wal_scan_init(&recovery.scan);
    recovery.scan.stop_asked = wal->config.options.stop_asked;
    flk_err_t err = flk_wal_recover_files(&recovery, errmsg);
    if (err == FLK_OK) {
        err = flk_wal_recover_items(&recovery, errmsg);
    }
    if (err == FLK_OK) {
        pass_numbers(wal);
        err = repair(&recovery, errmsg);
    }
    if (err == FLK_OK) {
        wal->writer.durable_lsn = recovery.accounted_lsn;
        /* LSNs that the torn bytes may have held are not given out again */
        wal->writer.next_lsn = recovery.accounted_lsn + 1 + wal->shared.stats.torn_bytes / FLK_WAL_ITEM_HEADER_BYTES;
        if (recovery.directory.checkpoint.next_lsn > wal->writer.next_lsn) {
            wal->writer.next_lsn = recovery.directory.checkpoint.next_lsn;
        }
        wal->shared.stats.next_lsn = wal->writer.next_lsn;
        pass_acks(wal);
        wal->writer.checkpoint_due = flk_wal_checkpoint_store(wal, NULL) != FLK_OK;
        remove_leftover(wal);
    }
    flk_wal_scan_fini(&recovery.scan);
    flk_wal_directory_fini(&recovery.directory);
    free(recovery.candidates);
    return err;
}
