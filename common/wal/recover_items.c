/* SPDX-License-Identifier: MIT */
/* Segment by segment, oldest first:
 * 1. Not settled: read the items, note which LSNs hold records and which are acked. Bodies are checked and dropped.
 * 2. Settled: believe the checkpoint, and read only the acks if they may concern records of 1.
 * 3. Keep the account of LSNs: each that was promised and is nowhere is damage, in a segment or with a whole one. */
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/recover.h"

/* Places without a valid item, until a later item tells whether they had been durable. */
typedef struct holes {
    uint64_t count, bytes;
    uint64_t first_lsn; /* lowest missing one */
} holes_t;

/* The missing items are of one group, so all of them had been durable or none. */
static void resolve_holes(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate, holes_t *holes,
                          uint64_t durable_lsn) {
    if (holes->count > 0 && durable_lsn >= holes->first_lsn) {
        recovery->wal->shared.stats.damaged_records += holes->count;
        candidate->lost_items = true;
        *holes = (holes_t){0};
    }
}

static void add_hole(holes_t *holes, uint64_t lsn, uint64_t bytes) {
    holes->first_lsn = holes->count == 0 ? lsn : holes->first_lsn;
    holes->count++;
    holes->bytes += bytes;
}

static void apply_ack(flk_wal_recovery_t *recovery, flk_wal_segment_t *from, const flk_wal_found_t *found) {
    uint64_t lsn;
    flk_wal_ending_t ending;
    flk_wal_ack_decode(found->body, found->header.body_bytes, &lsn, &ending);
    from->acks_lsn_min = lsn < from->acks_lsn_min ? lsn : from->acks_lsn_min;
    from->acks_lsn_max = lsn > from->acks_lsn_max ? lsn : from->acks_lsn_max;
    flk_wal_segment_t *target = flk_wal_segments_find(&recovery->wal->shared.segments, lsn);
    if (target != NULL && flk_wal_segment_ack(target, lsn)) {
        target->unsettled--;
        target->acked_to_lsn = found->header.lsn;
        if (ending.mark.status == FLK_WAL_STATUS_REFUSED) {
            flk_wal_segment_refuse(target, lsn);
        }
    }
}

static flk_err_t open_scan(flk_wal_recovery_t *recovery, const flk_wal_candidate_t *candidate, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal->config.dir, candidate->file.name, path);
    flk_err_t err = flk_wal_scan_open(&recovery->scan, path,
                                      flk_wal_salt(recovery->wal->config.id, candidate->file.number), errmsg);
    return err != FLK_OK ? err : flk_io_size(recovery->scan.fd, path, &recovery->scan.limit, errmsg);
}

/* A segment that was not sealed may hold items that were written and never synced. Afterwards they are durable or,
 * since opening it again drops it from the cache, not seen. */
static flk_err_t sync_items(flk_wal_recovery_t *recovery, const flk_wal_candidate_t *candidate, char *errmsg) {
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    if (err == FLK_OK && flk_io_sync(recovery->scan.fd, recovery->scan.path, NULL) != FLK_OK) {
        recovery->wal->shared.stats.sync_failures++;
    }
    return err;
}

/* Items of the segment that a later one took over are void: their group had failed. The checkpoint still knows when
 * that later one is gone. */
static uint64_t void_from(const flk_wal_recovery_t *recovery, size_t index) {
    if (recovery->candidates[index].file.row != NULL) {
        return recovery->candidates[index].file.row->end_lsn;
    }
    for (size_t i = index + 1; i < recovery->len; i++) {
        if (recovery->candidates[i].on_disk && recovery->candidates[i].file.header_ok) {
            return recovery->candidates[i].file.header.first_lsn;
        }
    }
    return UINT64_MAX;
}

/* Of a segment with a lost header the first item that checks says where it begins. Items that the segment before it
 * holds too were written again here after a failed sync; they are read there. */
static flk_err_t guess_header(flk_wal_recovery_t *recovery, size_t index, char *errmsg) {
    flk_wal_candidate_t *candidate = &recovery->candidates[index];
    const uint64_t end = void_from(recovery, index);
    flk_wal_found_t found = {0};
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    if (err == FLK_OK) {
        err = flk_wal_scan_next(&recovery->scan, &found, errmsg);
    }
    uint64_t first_lsn = found.header.lsn;
    if (err == FLK_OK && recovery->wal->shared.segments.len > 0) {
        const flk_wal_segment_t *before = recovery->wal->shared.segments.at[recovery->wal->shared.segments.len - 1];
        err = first_lsn < before->first_lsn ? FLK_E_NOT_FOUND : FLK_OK;
        first_lsn = first_lsn < before->end_lsn ? before->end_lsn : first_lsn;
    }
    first_lsn = first_lsn > end ? end : first_lsn; /* all of it is void; segments begin in order, or none is found */
    if (err == FLK_OK) {
        candidate->file.header.first_lsn = first_lsn;
        candidate->file.header.durable_lsn = first_lsn - 1;
        candidate->lost_items = true;
        recovery->wal->shared.stats.damaged_records++;
    }
    return err;
}

/* The last LSN that the segment is known to have held durably, its own items left aside. */
static uint64_t promised_lsn(const flk_wal_recovery_t *recovery, size_t index) {
    const flk_wal_candidate_t *candidate = &recovery->candidates[index];
    if (candidate->file.row != NULL) {
        return candidate->file.row->end_lsn - 1;
    }
    if (index + 1 == recovery->len) {
        return recovery->directory.checkpoint.durable_lsn;
    }
    const flk_wal_candidate_t *next = candidate + 1;
    return next->file.number == candidate->file.number + 1 && next->file.header_ok ? next->file.header.durable_lsn : 0;
}

/* The account of one segment while its items are read. */
typedef struct reading {
    flk_wal_recovery_t *recovery;
    flk_wal_candidate_t *candidate;
    flk_wal_segment_t *segment;
    uint64_t end_lsn; /* items from here on are void */
    holes_t holes;
    uint64_t items;
} reading_t;

static flk_err_t take_item(reading_t *reading, const flk_wal_found_t *found, char *errmsg) {
    flk_wal_candidate_t *candidate = reading->candidate;
    flk_wal_segment_t *segment = reading->segment;
    if (found->skipped_bytes > 0 || (!candidate->file.header.sparse && found->header.lsn != segment->end_lsn)) {
        add_hole(&reading->holes, segment->end_lsn, found->skipped_bytes);
        candidate->has_holes = true;
    }
    resolve_holes(reading->recovery, candidate, &reading->holes, found->header.lsn - found->header.unsynced);
    if (flk_wal_segment_reserve(segment, found->header.lsn) != FLK_OK) {
        return flk_wal_recover_nomem(reading->recovery, errmsg);
    }
    flk_wal_segment_add(segment, &found->header, found->offset);
    if (found->header.type == FLK_WAL_ITEM_ACK) {
        apply_ack(reading->recovery, segment, found);
    }
    reading->items++;
    return FLK_OK;
}

/* Items that lack at the end were promised or not: others know, or, of a sparse segment, its header. */
static void close_account(reading_t *reading, uint64_t promised, uint64_t torn_bytes) {
    flk_wal_candidate_t *candidate = reading->candidate;
    flk_wal_stats_t *stats = &reading->recovery->wal->shared.stats;
    if (candidate->file.header.sparse) {
        promised = reading->items < candidate->file.header.items || reading->holes.count > 0 ? UINT64_MAX : 0;
    }
    if (promised >= reading->segment->end_lsn || torn_bytes > 0) {
        add_hole(&reading->holes, reading->segment->end_lsn, torn_bytes);
    }
    resolve_holes(reading->recovery, candidate, &reading->holes, promised);
    if (reading->recovery->scan.unreadable_to > 0 && !candidate->lost_items) { /* the items there are unknown */
        stats->damaged_records++;
        candidate->lost_items = true;
        reading->holes = (holes_t){0};
    }
    stats->torn_bytes += reading->holes.bytes;
}

static flk_err_t read_items(flk_wal_recovery_t *recovery, size_t index, char *errmsg) {
    flk_wal_candidate_t *candidate = &recovery->candidates[index];
    flk_wal_segment_t *segment = candidate->segment;
    reading_t reading = {
        .recovery = recovery, .candidate = candidate, .segment = segment, .end_lsn = void_from(recovery, index)};
    flk_wal_found_t found = {0};
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    segment->file_bytes = recovery->scan.limit;
    recovery->scan.last_lsn = segment->first_lsn - 1;
    recovery->scan.lsn_max = segment->first_lsn + FLK_WAL_SEGMENT_LSNS_MAX;
    bool end = false;
    while (err == FLK_OK && !end) {
        err = flk_wal_scan_next(&recovery->scan, &found, errmsg);
        end = err == FLK_OK && found.header.lsn >= reading.end_lsn;
        if (err == FLK_OK && !end) {
            err = take_item(&reading, &found, errmsg);
        }
    }
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        return err;
    }
    close_account(&reading, promised_lsn(recovery, index), end ? 0 : found.skipped_bytes);
    if (candidate->file.header.sparse) {
        if (flk_wal_segment_reserve(segment, candidate->file.header.end_lsn) != FLK_OK) {
            return flk_wal_recover_nomem(recovery, errmsg);
        }
        flk_wal_segment_skip_to(segment, candidate->file.header.end_lsn);
    }
    return FLK_OK;
}

/* True if acks in a settled segment may concern records of segments that are not. */
static bool acks_matter(const flk_wal_recovery_t *recovery, const flk_wal_row_t *row) {
    for (size_t i = 0; i < recovery->wal->shared.segments.len; i++) {
        const flk_wal_segment_t *segment = recovery->wal->shared.segments.at[i];
        if (segment->acked != NULL && row->acks_lsn_min < segment->end_lsn && row->acks_lsn_max >= segment->first_lsn) {
            return true;
        }
    }
    return false;
}

static flk_err_t read_acks(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate, char *errmsg) {
    flk_wal_found_t found = {0};
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    while (err == FLK_OK && (err = flk_wal_scan_next(&recovery->scan, &found, errmsg)) == FLK_OK) {
        if (found.header.type == FLK_WAL_ITEM_ACK) {
            apply_ack(recovery, candidate->segment, &found);
        }
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t add_segment(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate, char *errmsg) {
    flk_wal_segments_t *segments = &recovery->wal->shared.segments;
    flk_wal_segment_t *segment = flk_wal_segment_new(candidate->file.number, candidate->file.header.first_lsn, 0);
    if (segment == NULL || flk_wal_segments_reserve(segments, segments->len + 1) != FLK_OK) {
        flk_wal_segment_destroy(&segment);
        return flk_wal_recover_nomem(recovery, errmsg);
    }
    strcpy(segment->name, candidate->file.name);
    segment->durable_lsn = candidate->file.header.durable_lsn;
    segment->name_id = candidate->file.header.name_id;
    segment->last_ms = (int64_t)candidate->file.header.created_ms;
    segment->sealed = true;
    segment->acks_lost = candidate->file.header.sparse && !candidate->file.header.acks_kept;
    segments->at[segments->len++] = segment;
    candidate->segment = segment;
    return FLK_OK;
}

void flk_wal_recover_settle(flk_wal_segment_t *segment) {
    void *to_free[3];
    flk_wal_segment_settle(segment, to_free);
    for (size_t i = 0; i < FLK_COUNT_OF(to_free); i++) {
        free(to_free[i]);
    }
}

static flk_err_t load_settled(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate, char *errmsg) {
    flk_err_t err = add_segment(recovery, candidate, errmsg);
    if (err == FLK_OK) {
        flk_wal_segment_t *segment = candidate->segment;
        segment->end_lsn = candidate->file.row->end_lsn;
        segment->bytes = segment->file_bytes = candidate->file.row->bytes;
        segment->last_ms = candidate->file.row->last_ms;
        segment->noted = true;
        segment->acks_lsn_min = candidate->file.row->acks_lsn_min;
        segment->acks_lsn_max = candidate->file.row->acks_lsn_max;
        flk_wal_recover_settle(segment);
        err = acks_matter(recovery, candidate->file.row) ? read_acks(recovery, candidate, errmsg) : FLK_OK;
    }
    return err;
}

static flk_err_t load_unsettled(flk_wal_recovery_t *recovery, size_t index, char *errmsg) {
    flk_wal_candidate_t *candidate = &recovery->candidates[index];
    flk_err_t err = candidate->file.row == NULL ? sync_items(recovery, candidate, errmsg) : FLK_OK;
    if (err == FLK_OK && !candidate->file.header_ok) {
        err = guess_header(recovery, index, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            flk_wal_recover_set_aside(recovery, candidate);
            recovery->wal->shared.stats.damaged_records += candidate->file.row != NULL;
            return FLK_OK;
        }
    }
    if (err == FLK_OK) {
        err = add_segment(recovery, candidate, errmsg);
    }
    return err != FLK_OK ? err : read_items(recovery, index, errmsg);
}

/* An item that the checkpoint knows of is there, or was removed as settled. Items up to kept_lsn were in a file when it
 * was written. */
static void account_checkpoint(flk_wal_recovery_t *recovery) {
    if (recovery->directory.checkpoint.kept_lsn > recovery->accounted_lsn) {
        recovery->wal->shared.stats.damaged_records++;
    }
    if (recovery->directory.checkpoint.durable_lsn > recovery->accounted_lsn) {
        recovery->accounted_lsn = recovery->directory.checkpoint.durable_lsn;
    }
}

/* Counts segments that are gone: promised LSNs that nothing before this candidate explains. */
static void account_before(flk_wal_recovery_t *recovery, const flk_wal_candidate_t *candidate, bool first) {
    if (candidate->file.row != NULL || !candidate->file.header_ok) {
        return;
    }
    if (candidate->file.number >=
        recovery->directory.checkpoint.next_number) { /* made after the checkpoint, or there is none */
        account_checkpoint(recovery);
        bool known = recovery->directory.has_checkpoint || !first;
        if (known && candidate->file.header.durable_lsn > recovery->accounted_lsn) {
            recovery->wal->shared.stats.damaged_records++;
        }
    }
    if (candidate->file.header.durable_lsn > recovery->accounted_lsn) {
        recovery->accounted_lsn = candidate->file.header.durable_lsn;
    }
}

flk_err_t flk_wal_recover_items(flk_wal_recovery_t *recovery, char *errmsg) {
    for (size_t i = 0; i < recovery->len; i++) {
        flk_wal_candidate_t *candidate = &recovery->candidates[i];
        account_before(recovery, candidate, i == 0);
        flk_err_t err = FLK_OK;
        if (candidate->on_disk) {
            bool settled = candidate->file.row != NULL && candidate->file.row->unsettled == 0;
            err = settled ? load_settled(recovery, candidate, errmsg) : load_unsettled(recovery, i, errmsg);
        } else if (candidate->file.row->unsettled > 0) {
            recovery->wal->shared.stats.damaged_records++;
        }
        if (err != FLK_OK) {
            return err;
        }
        uint64_t end = candidate->segment != NULL ? candidate->segment->end_lsn : 1;
        end = candidate->file.row != NULL && candidate->file.row->end_lsn > end ? candidate->file.row->end_lsn : end;
        recovery->accounted_lsn = end - 1 > recovery->accounted_lsn ? end - 1 : recovery->accounted_lsn;
    }
    account_checkpoint(recovery);
    return FLK_OK;
}
