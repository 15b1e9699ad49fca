/* SPDX-License-Identifier: MIT */
/* 1. Load the checkpoint, list the directory, read the header of every segment that the checkpoint does not call
 *    settled. If anything does not fit (name and number differ, a header is bad, a segment is missing), believe only
 *    the headers, all of them.
 * 2. Put the segments in order of number. What cannot be one of ours is set aside as *.damaged.
 * 3. Read the items of each segment that is not settled, and of settled ones only if their acks concern those: note
 *    which LSNs hold records and which are acked. Bodies are checked and dropped.
 * 4. Every LSN that was promised and is not there is damage: the file is kept as *.damaged and the segment rewritten
 *    from what checks. What is missing of a group that nobody was told about is torn: cut at the end of the log, left
 *    out by a rewrite between other items, since from now on these are promised.
 * 5. Note it all in a new checkpoint. New items go to a new segment, never behind what was found.
 *
 * What was promised is known from what was written later: each item and each segment header says up to which LSN the
 * log was durable at that time. Each step can be repeated: a crash anywhere in here gives the same result at the next
 * start. A rewrite that fails (no space) leaves the damaged file in use; reading skips the same places again. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal_internal.h"

typedef struct candidate {
    char name[FLK_WAL_NAME_BYTES];
    uint64_t number; /* of the header, or of the name when the header is bad */
    bool misnamed, header_ok, on_disk;
    bool has_holes, lost_items; /* items are missing between others; items are missing that were promised */
    flk_wal_header_t header;
    const flk_wal_row_t *row;   /* of the checkpoint */
    flk_wal_segment_t *segment; /* made from it; NULL: set aside or missing */
} candidate_t;

typedef struct recovery {
    flk_wal_t *wal;
    flk_wal_checkpoint_t checkpoint;
    bool has_checkpoint;
    candidate_t *candidates;
    size_t len, capacity;
    flk_wal_scan_t scan;
    uint64_t accounted_lsn; /* up to here every promised item is explained */
} recovery_t;

static flk_err_t nomem(const flk_wal_t *wal, char *errmsg) {
    flk_errmsg(errmsg, "cannot recover the log %s: out of memory", wal->dir);
    return FLK_E_NOMEM;
}

static const flk_wal_row_t *row_of(const recovery_t *recovery, uint64_t number) {
    for (size_t low = 0, high = recovery->checkpoint.rows_len; low < high;) {
        size_t middle = low + (high - low) / 2;
        const flk_wal_row_t *row = &recovery->checkpoint.rows[middle];
        if (row->number == number) {
            return row;
        }
        if (row->number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* ---- 1. what is there ---- */

static candidate_t *add_candidate(recovery_t *recovery) {
    if (recovery->len == recovery->capacity) {
        size_t capacity = recovery->capacity * 2 + 64;
        candidate_t *candidates = realloc(recovery->candidates, capacity * sizeof *candidates);
        if (candidates == NULL) {
            return NULL;
        }
        recovery->candidates = candidates;
        recovery->capacity = capacity;
    }
    candidate_t *candidate = &recovery->candidates[recovery->len++];
    *candidate = (candidate_t){0};
    return candidate;
}

static flk_err_t list_files(recovery_t *recovery, char *errmsg) {
    DIR *dir = opendir(recovery->wal->dir);
    if (dir == NULL) {
        flk_errmsg(errmsg, "cannot list %s: %s", recovery->wal->dir, strerror(errno));
        return FLK_E_IO;
    }
    flk_err_t err = FLK_OK;
    for (const struct dirent *entry; err == FLK_OK && (entry = readdir(dir)) != NULL;) {
        uint64_t number;
        if (strcmp(entry->d_name, "reserve") == 0) {
            recovery->wal->has_reserve = true;
        } else if (flk_wal_file_number(entry->d_name, &number)) {
            candidate_t *candidate = add_candidate(recovery);
            if (candidate == NULL) {
                err = nomem(recovery->wal, errmsg);
            } else {
                strcpy(candidate->name, entry->d_name);
                candidate->number = number;
                candidate->on_disk = true;
            }
        }
    }
    closedir(dir);
    return err;
}

static flk_err_t read_header(recovery_t *recovery, candidate_t *candidate, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    uint64_t name_number;
    size_t got = 0;
    int fd;
    flk_wal_path(recovery->wal, candidate->name, path);
    flk_err_t err = flk_io_open(path, O_RDONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    err = flk_io_pread(fd, path, bytes, sizeof bytes, 0, &got, errmsg);
    (void)!flk_io_close(fd, path, NULL);
    if (err != FLK_OK) {
        return err;
    }
    FLK_ASSERT(flk_wal_file_number(candidate->name, &name_number));
    candidate->header_ok = got == sizeof bytes && flk_wal_header_decode(bytes, &candidate->header);
    if (candidate->header_ok && candidate->header.version != FLK_WAL_VERSION) {
        flk_errmsg(errmsg, "%s has format %u, this program reads %d: use the program that wrote it", path,
                   candidate->header.version, FLK_WAL_VERSION);
        return FLK_E_CONFIG;
    }
    candidate->number = candidate->header_ok ? candidate->header.number : name_number;
    candidate->misnamed = candidate->number != name_number;
    candidate->row = row_of(recovery, candidate->number);
    return FLK_OK;
}

/* *fits: the headers read and the checkpoint tell the same story. */
static flk_err_t read_headers(recovery_t *recovery, bool believe_checkpoint, bool *fits, char *errmsg) {
    *fits = true;
    size_t unsettled = 0, unsettled_found = 0;
    for (size_t i = 0; i < recovery->checkpoint.rows_len; i++) {
        unsettled += recovery->checkpoint.rows[i].unsettled > 0;
    }
    for (size_t i = 0; i < recovery->len; i++) {
        candidate_t *candidate = &recovery->candidates[i];
        candidate->row = row_of(recovery, candidate->number);
        if (believe_checkpoint && candidate->row != NULL && candidate->row->unsettled == 0) {
            candidate->header_ok = true;
            candidate->header.log_id = recovery->checkpoint.log_id;
            candidate->header.first_lsn = candidate->row->first_lsn;
            continue;
        }
        flk_err_t err = read_header(recovery, candidate, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        *fits = *fits && candidate->header_ok && !candidate->misnamed;
        unsettled_found += candidate->row != NULL && candidate->row->unsettled > 0;
    }
    *fits = *fits && unsettled_found == unsettled;
    return FLK_OK;
}

/* ---- 2. which of it is ours ---- */

/* Without a checkpoint the log is the one that most segments belong to. */
static uint64_t log_id_of(const recovery_t *recovery) {
    if (recovery->has_checkpoint) {
        return recovery->checkpoint.log_id;
    }
    uint64_t id = flk_random_u64();
    size_t most = 0;
    for (size_t i = 0; i < recovery->len; i++) {
        size_t same = 0;
        for (size_t j = 0; j < recovery->len; j++) {
            same += recovery->candidates[i].header_ok && recovery->candidates[j].header_ok &&
                    recovery->candidates[i].header.log_id == recovery->candidates[j].header.log_id;
        }
        if (same > most) {
            most = same;
            id = recovery->candidates[i].header.log_id;
        }
    }
    return id;
}

/* By number; of two with one number the better claim comes first: a good header, then the right name. */
static int compare_candidates(const void *a_arg, const void *b_arg) {
    const candidate_t *a = a_arg, *b = b_arg;
    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    if (a->header_ok != b->header_ok) {
        return a->header_ok ? -1 : 1;
    }
    if (a->misnamed != b->misnamed) {
        return a->misnamed ? 1 : -1;
    }
    return strcmp(a->name, b->name);
}

static void sort_candidates(recovery_t *recovery) {
    if (recovery->len > 0) {
        qsort(recovery->candidates, recovery->len, sizeof *recovery->candidates, compare_candidates);
    }
}

/* The name goes, the bytes stay as *.damaged. A failure leaves the file for the next start. */
static void set_aside(recovery_t *recovery, candidate_t *candidate) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal, candidate->name, path);
    if (flk_wal_file_quarantine(recovery->wal, candidate->name, NULL) == FLK_OK) {
        (void)!flk_io_unlink(path, NULL);
    }
    candidate->on_disk = false;
    recovery->wal->stats.quarantined++;
}

static void set_strangers_aside(recovery_t *recovery) {
    size_t kept = 0;
    const candidate_t *last = NULL;
    for (size_t i = 0; i < recovery->len; i++) {
        candidate_t *candidate = &recovery->candidates[i];
        bool stranger = (candidate->header_ok && candidate->header.log_id != recovery->wal->id) ||
                        (last != NULL && last->number == candidate->number) ||
                        (last != NULL && last->header_ok && candidate->header_ok &&
                         candidate->header.first_lsn < last->header.first_lsn);
        recovery->wal->next_number =
            candidate->number >= recovery->wal->next_number ? candidate->number + 1 : recovery->wal->next_number;
        if (stranger) {
            set_aside(recovery, candidate);
        } else {
            recovery->candidates[kept] = *candidate;
            last = &recovery->candidates[kept++];
        }
    }
    recovery->len = kept;
}

/* Segments that the checkpoint knows and the directory lacks take part in the account of LSNs. */
static flk_err_t add_missing(recovery_t *recovery, char *errmsg) {
    size_t on_disk = recovery->len;
    for (size_t i = 0; i < recovery->checkpoint.rows_len; i++) {
        const flk_wal_row_t *row = &recovery->checkpoint.rows[i];
        bool there = false;
        for (size_t j = 0; j < on_disk && !there; j++) {
            there = recovery->candidates[j].number == row->number;
        }
        if (!there) {
            candidate_t *candidate = add_candidate(recovery);
            if (candidate == NULL) {
                return nomem(recovery->wal, errmsg);
            }
            candidate->number = row->number;
            candidate->row = row;
        }
    }
    sort_candidates(recovery);
    return FLK_OK;
}

/* ---- 3. what the segments hold ---- */

/* Places without a valid item, until a later item tells whether they had been durable. */
typedef struct holes {
    uint64_t count, bytes;
    uint64_t first_lsn; /* lowest missing one */
} holes_t;

/* The missing items are of one group, so all of them had been durable or none. */
static void resolve_holes(recovery_t *recovery, candidate_t *candidate, holes_t *holes, uint64_t durable_lsn) {
    if (holes->count > 0 && durable_lsn >= holes->first_lsn) {
        recovery->wal->stats.damaged_records += holes->count;
        candidate->lost_items = true;
        *holes = (holes_t){0};
    }
}

static void add_hole(holes_t *holes, uint64_t lsn, uint64_t bytes) {
    holes->first_lsn = holes->count == 0 ? lsn : holes->first_lsn;
    holes->count++;
    holes->bytes += bytes;
}

static void apply_ack(recovery_t *recovery, flk_wal_segment_t *from, const uint8_t *body) {
    uint64_t lsn;
    flk_wal_mark_t mark;
    flk_wal_ack_decode(body, &lsn, &mark);
    from->acks_lsn_min = lsn < from->acks_lsn_min ? lsn : from->acks_lsn_min;
    from->acks_lsn_max = lsn > from->acks_lsn_max ? lsn : from->acks_lsn_max;
    flk_wal_segment_t *target = flk_wal_segments_find(&recovery->wal->segments, lsn);
    if (target != NULL && flk_wal_segment_ack(target, lsn)) {
        target->unsettled--;
    }
}

static flk_err_t open_scan(recovery_t *recovery, const candidate_t *candidate, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal, candidate->name, path);
    flk_err_t err =
        flk_wal_scan_open(&recovery->scan, path, flk_wal_salt(recovery->wal->id, candidate->number), errmsg);
    return err != FLK_OK ? err : flk_io_size(recovery->scan.fd, path, &recovery->scan.limit, errmsg);
}

/* A segment that was not sealed may hold what was written and never synced. Afterwards that is durable or, since
 * opening it again drops it from the cache, not seen. */
static flk_err_t sync_items(recovery_t *recovery, const candidate_t *candidate, char *errmsg) {
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    if (err == FLK_OK && flk_io_sync(recovery->scan.fd, recovery->scan.path, NULL) != FLK_OK) {
        recovery->wal->stats.sync_failures++;
    }
    return err;
}

/* A lost header: the first item that checks says where the segment begins. */
static flk_err_t guess_header(recovery_t *recovery, candidate_t *candidate, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    if (err == FLK_OK) {
        err = flk_wal_scan_next(&recovery->scan, &found, errmsg);
    }
    if (err == FLK_OK && recovery->wal->segments.len > 0) {
        const flk_wal_segment_t *before = recovery->wal->segments.at[recovery->wal->segments.len - 1];
        err = found.header.lsn < before->first_lsn ? FLK_E_NOT_FOUND : FLK_OK;
    }
    if (err == FLK_OK) {
        candidate->header.first_lsn = found.header.lsn;
        candidate->header.durable_lsn = found.header.lsn - 1;
        candidate->lost_items = true;
        recovery->wal->stats.damaged_records++;
    }
    return err;
}

/* Items of the segment that a later one took over are void: their group had failed. The checkpoint still knows when
 * that later one is gone. */
static uint64_t void_from(const recovery_t *recovery, size_t index) {
    if (recovery->candidates[index].row != NULL) {
        return recovery->candidates[index].row->end_lsn;
    }
    for (size_t i = index + 1; i < recovery->len; i++) {
        if (recovery->candidates[i].on_disk && recovery->candidates[i].header_ok) {
            return recovery->candidates[i].header.first_lsn;
        }
    }
    return UINT64_MAX;
}

/* The last LSN that the segment is known to have held durably, apart from what its own items say. */
static uint64_t promised_lsn(const recovery_t *recovery, size_t index) {
    const candidate_t *candidate = &recovery->candidates[index];
    if (candidate->row != NULL) {
        return candidate->row->end_lsn - 1;
    }
    if (index + 1 == recovery->len) {
        return recovery->checkpoint.durable_lsn;
    }
    const candidate_t *next = candidate + 1;
    return next->number == candidate->number + 1 && next->header_ok ? next->header.durable_lsn : 0;
}

static flk_err_t read_items(recovery_t *recovery, size_t index, char *errmsg) {
    candidate_t *candidate = &recovery->candidates[index];
    flk_wal_segment_t *segment = candidate->segment;
    const uint64_t end = void_from(recovery, index);
    holes_t holes = {0};
    uint64_t items = 0;
    flk_wal_found_t found;
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    segment->file_bytes = recovery->scan.limit;
    recovery->scan.last_lsn = segment->first_lsn - 1;
    while (err == FLK_OK && (err = flk_wal_scan_next(&recovery->scan, &found, errmsg)) == FLK_OK) {
        if (found.header.lsn >= end) {
            break;
        }
        if (found.skipped_bytes > 0 || (!candidate->header.sparse && found.header.lsn != segment->end_lsn)) {
            add_hole(&holes, segment->end_lsn, found.skipped_bytes);
            candidate->has_holes = true;
        }
        resolve_holes(recovery, candidate, &holes, found.header.lsn - found.header.unsynced);
        if (flk_wal_segment_reserve(segment, found.header.lsn) != FLK_OK) {
            return nomem(recovery->wal, errmsg);
        }
        flk_wal_segment_add(segment, &found.header, found.offset);
        if (found.header.type == FLK_WAL_ITEM_ACK) {
            apply_ack(recovery, segment, found.body);
        }
        items++;
    }
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        return err;
    }
    uint64_t promised = promised_lsn(recovery, index);
    if (candidate->header.sparse) {
        promised = items < candidate->header.items || holes.count > 0 ? UINT64_MAX : 0;
    }
    if (promised >= segment->end_lsn || (err == FLK_E_NOT_FOUND && found.skipped_bytes > 0)) {
        add_hole(&holes, segment->end_lsn, err == FLK_E_NOT_FOUND ? found.skipped_bytes : 0);
    }
    resolve_holes(recovery, candidate, &holes, promised);
    recovery->wal->stats.torn_bytes += holes.bytes;
    if (candidate->header.sparse) {
        if (flk_wal_segment_reserve(segment, candidate->header.end_lsn) != FLK_OK) {
            return nomem(recovery->wal, errmsg);
        }
        flk_wal_segment_skip_to(segment, candidate->header.end_lsn);
    }
    return FLK_OK;
}

/* True if acks in a settled segment may concern records of segments that are not. */
static bool acks_matter(const recovery_t *recovery, const flk_wal_row_t *row) {
    for (size_t i = 0; i < recovery->wal->segments.len; i++) {
        const flk_wal_segment_t *segment = recovery->wal->segments.at[i];
        if (segment->acked != NULL && row->acks_lsn_min < segment->end_lsn && row->acks_lsn_max >= segment->first_lsn) {
            return true;
        }
    }
    return false;
}

static flk_err_t read_acks(recovery_t *recovery, candidate_t *candidate, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err = open_scan(recovery, candidate, errmsg);
    while (err == FLK_OK && (err = flk_wal_scan_next(&recovery->scan, &found, errmsg)) == FLK_OK) {
        if (found.header.type == FLK_WAL_ITEM_ACK) {
            apply_ack(recovery, candidate->segment, found.body);
        }
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t add_segment(recovery_t *recovery, candidate_t *candidate, char *errmsg) {
    flk_wal_segments_t *segments = &recovery->wal->segments;
    flk_wal_segment_t *segment = flk_wal_segment_new(candidate->number, candidate->header.first_lsn, 0);
    if (segment == NULL || flk_wal_segments_reserve(segments, segments->len + 1) != FLK_OK) {
        flk_wal_segment_destroy(&segment);
        return nomem(recovery->wal, errmsg);
    }
    strcpy(segment->name, candidate->name);
    segment->durable_lsn = candidate->header.durable_lsn;
    segment->last_ms = (int64_t)candidate->header.created_ms;
    segment->sealed = true;
    segments->at[segments->len++] = segment;
    candidate->segment = segment;
    return FLK_OK;
}

static void settle(flk_wal_segment_t *segment) {
    void *to_free[2];
    flk_wal_segment_settle(segment, to_free);
    free(to_free[0]);
    free(to_free[1]);
}

static flk_err_t load_settled(recovery_t *recovery, candidate_t *candidate, char *errmsg) {
    flk_err_t err = add_segment(recovery, candidate, errmsg);
    if (err == FLK_OK) {
        flk_wal_segment_t *segment = candidate->segment;
        segment->end_lsn = candidate->row->end_lsn;
        segment->bytes = segment->file_bytes = candidate->row->bytes;
        segment->last_ms = candidate->row->last_ms;
        segment->acks_lsn_min = candidate->row->acks_lsn_min;
        segment->acks_lsn_max = candidate->row->acks_lsn_max;
        settle(segment);
        err = acks_matter(recovery, candidate->row) ? read_acks(recovery, candidate, errmsg) : FLK_OK;
    }
    return err;
}

static flk_err_t load_unsettled(recovery_t *recovery, size_t index, char *errmsg) {
    candidate_t *candidate = &recovery->candidates[index];
    flk_err_t err = candidate->row == NULL ? sync_items(recovery, candidate, errmsg) : FLK_OK;
    if (err == FLK_OK && !candidate->header_ok) {
        err = guess_header(recovery, candidate, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            set_aside(recovery, candidate);
            recovery->wal->stats.damaged_records += candidate->row != NULL;
            return FLK_OK;
        }
    }
    if (err == FLK_OK) {
        err = add_segment(recovery, candidate, errmsg);
    }
    return err != FLK_OK ? err : read_items(recovery, index, errmsg);
}

/* Counts what is gone with whole segments: promised LSNs that nothing before this candidate explains. */
static void account_before(recovery_t *recovery, const candidate_t *candidate, bool first) {
    if (candidate->row != NULL || !candidate->header_ok) {
        return;
    }
    bool known = recovery->has_checkpoint || !first;
    if (known && candidate->header.durable_lsn > recovery->accounted_lsn) {
        recovery->wal->stats.damaged_records++;
    }
    if (candidate->header.durable_lsn > recovery->accounted_lsn) {
        recovery->accounted_lsn = candidate->header.durable_lsn;
    }
}

static flk_err_t load_segments(recovery_t *recovery, char *errmsg) {
    for (size_t i = 0; i < recovery->len; i++) {
        candidate_t *candidate = &recovery->candidates[i];
        account_before(recovery, candidate, i == 0);
        flk_err_t err = FLK_OK;
        if (candidate->on_disk) {
            bool settled = candidate->row != NULL && candidate->row->unsettled == 0;
            err = settled ? load_settled(recovery, candidate, errmsg) : load_unsettled(recovery, i, errmsg);
        } else if (candidate->row->unsettled > 0) {
            recovery->wal->stats.damaged_records++;
        }
        if (err != FLK_OK) {
            return err;
        }
        uint64_t end = candidate->segment != NULL ? candidate->segment->end_lsn : 1;
        end = candidate->row != NULL && candidate->row->end_lsn > end ? candidate->row->end_lsn : end;
        recovery->accounted_lsn = end - 1 > recovery->accounted_lsn ? end - 1 : recovery->accounted_lsn;
    }
    if (recovery->checkpoint.durable_lsn > recovery->accounted_lsn) {
        recovery->wal->stats.damaged_records++;
        recovery->accounted_lsn = recovery->checkpoint.durable_lsn;
    }
    return FLK_OK;
}

/* ---- 4. repair ---- */

/* A failure leaves the file as it is: it can be read, and the next start tries again. */
static void repair_segment(recovery_t *recovery, candidate_t *candidate) {
    flk_wal_t *wal = recovery->wal;
    flk_err_t err = FLK_OK;
    if (candidate->lost_items) {
        wal->stats.quarantined++;
        err = flk_wal_file_quarantine(wal, candidate->name, NULL);
    }
    if (err == FLK_OK) {
        (void)!flk_wal_file_rewrite(wal, candidate->segment, false, NULL);
    }
}

static void cut_tail(recovery_t *recovery, candidate_t *candidate) {
    char path[FLK_WAL_PATH_BYTES];
    int fd;
    flk_wal_segment_t *segment = candidate->segment;
    flk_wal_path(recovery->wal, segment->name, path);
    if (flk_io_open(path, O_WRONLY, &fd, NULL) != FLK_OK) {
        return;
    }
    if (flk_io_truncate(fd, path, segment->bytes, NULL) == FLK_OK) {
        segment->file_bytes = segment->bytes;
    }
    (void)!flk_io_close(fd, path, NULL);
}

static void remove_segment(recovery_t *recovery, flk_wal_segment_t *segment) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal, segment->name, path);
    (void)!flk_io_unlink(path, NULL);
    for (size_t i = 0; i < recovery->wal->segments.len; i++) {
        if (recovery->wal->segments.at[i] == segment) {
            flk_wal_segments_remove(&recovery->wal->segments, i);
            break;
        }
    }
    flk_wal_segment_destroy(&segment);
}

static void repair(recovery_t *recovery) {
    for (size_t i = 0; i < recovery->len; i++) {
        candidate_t *candidate = &recovery->candidates[i];
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
        recovery->wal->stats.recovered += segment->unacked;
        if (segment->unsettled == 0) {
            settle(segment);
        }
    }
}

/* ---- the whole ---- */

static flk_err_t load_checkpoint(recovery_t *recovery, char *errmsg) {
    flk_err_t err = flk_wal_checkpoint_load(recovery->wal->dir, &recovery->checkpoint, errmsg);
    recovery->has_checkpoint = err == FLK_OK;
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t find_segments(recovery_t *recovery, char *errmsg) {
    bool fits;
    flk_err_t err = list_files(recovery, errmsg);
    if (err == FLK_OK) {
        err = read_headers(recovery, true, &fits, errmsg);
    }
    if (err == FLK_OK && !fits) {
        err = read_headers(recovery, false, &fits, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    flk_wal_t *wal = recovery->wal;
    wal->id = log_id_of(recovery);
    wal->next_number = recovery->checkpoint.next_number > 1 ? recovery->checkpoint.next_number : 1;
    sort_candidates(recovery);
    set_strangers_aside(recovery);
    return add_missing(recovery, errmsg);
}

flk_err_t flk_wal_recover(flk_wal_t *wal, char *errmsg) {
    recovery_t recovery = {.wal = wal};
    flk_wal_scan_init(&recovery.scan);
    flk_err_t err = load_checkpoint(&recovery, errmsg);
    if (err == FLK_OK) {
        err = find_segments(&recovery, errmsg);
    }
    if (err == FLK_OK) {
        err = load_segments(&recovery, errmsg);
    }
    if (err == FLK_OK) {
        repair(&recovery);
        wal->durable_lsn = recovery.accounted_lsn;
        /* LSNs that the torn bytes may have held are not given out again */
        wal->next_lsn = recovery.accounted_lsn + 1 + wal->stats.torn_bytes / FLK_WAL_ITEM_HEADER_BYTES;
        if (recovery.checkpoint.next_lsn > wal->next_lsn) {
            wal->next_lsn = recovery.checkpoint.next_lsn;
        }
        wal->stats.next_lsn = wal->next_lsn;
        wal->checkpoint_due = flk_wal_checkpoint_store(wal, NULL) != FLK_OK;
    }
    flk_wal_scan_fini(&recovery.scan);
    free(recovery.checkpoint.rows);
    free(recovery.candidates);
    return err;
}
