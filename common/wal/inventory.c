/* SPDX-License-Identifier: MIT */
/* 1. Load the checkpoint and list the directory.
 * 2. Read the header of every segment that the checkpoint does not call settled. If anything does not fit (name and
 *    number differ, a header is bad, a segment is missing), believe only the headers, all of them.
 * 3. Put the segments in order of number. What cannot be one of ours is set aside as *.damaged: of another log, a
 *    second one with the same number, one whose LSNs go backwards. Segments that are missing get a place too, so that
 *    their LSNs are accounted for. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/recovery.h"

static const flk_wal_row_t *row_of(const flk_wal_recovery_t *recovery, uint64_t number) {
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

static flk_wal_candidate_t *add_candidate(flk_wal_recovery_t *recovery) {
    if (recovery->len == recovery->capacity) {
        size_t capacity = recovery->capacity * 2 + 64;
        flk_wal_candidate_t *candidates = realloc(recovery->candidates, capacity * sizeof *candidates);
        if (candidates == NULL) {
            return NULL;
        }
        recovery->candidates = candidates;
        recovery->capacity = capacity;
    }
    flk_wal_candidate_t *candidate = &recovery->candidates[recovery->len++];
    *candidate = (flk_wal_candidate_t){0};
    return candidate;
}

static flk_err_t list_files(flk_wal_recovery_t *recovery, char *errmsg) {
    DIR *dir = opendir(recovery->wal->dir);
    if (dir == NULL) {
        flk_errmsg(errmsg, "cannot list %s: %s", recovery->wal->dir, strerror(errno));
        return FLK_E_IO;
    }
    flk_err_t err = FLK_OK;
    errno = 0; /* readdir sets it when it cannot go on; half a list would look like missing segments */
    for (const struct dirent *entry; err == FLK_OK && (entry = readdir(dir)) != NULL;) {
        uint64_t number;
        if (strcmp(entry->d_name, "reserve") == 0) {
            recovery->wal->has_reserve = true;
        } else if (flk_wal_file_number(entry->d_name, &number)) {
            flk_wal_candidate_t *candidate = add_candidate(recovery);
            if (candidate == NULL) {
                err = flk_wal_recovery_nomem(recovery->wal, errmsg);
            } else {
                strcpy(candidate->name, entry->d_name);
                candidate->number = number;
                candidate->on_disk = true;
            }
        }
    }
    if (err == FLK_OK && errno != 0) {
        flk_errmsg(errmsg, "cannot list %s: %s", recovery->wal->dir, strerror(errno));
        err = FLK_E_IO;
    }
    closedir(dir);
    return err;
}

static flk_err_t read_header(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate, char *errmsg) {
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
    if (err != FLK_OK && err != FLK_E_IO) { /* a block that cannot be read is damage like any other */
        return err;
    }
    FLK_ASSERT(flk_wal_file_number(candidate->name, &name_number));
    candidate->header_ok = err == FLK_OK && got == sizeof bytes && flk_wal_header_decode(bytes, &candidate->header);
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
static flk_err_t read_headers(flk_wal_recovery_t *recovery, bool believe_checkpoint, bool *fits, char *errmsg) {
    *fits = true;
    size_t unsettled = 0, unsettled_found = 0;
    for (size_t i = 0; i < recovery->checkpoint.rows_len; i++) {
        unsettled += recovery->checkpoint.rows[i].unsettled > 0;
    }
    for (size_t i = 0; i < recovery->len; i++) {
        flk_wal_candidate_t *candidate = &recovery->candidates[i];
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
static uint64_t log_id_of(const flk_wal_recovery_t *recovery) {
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
    const flk_wal_candidate_t *a = a_arg, *b = b_arg;
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

static void sort_candidates(flk_wal_recovery_t *recovery) {
    if (recovery->len > 0) {
        qsort(recovery->candidates, recovery->len, sizeof *recovery->candidates, compare_candidates);
    }
}

void flk_wal_inventory_set_aside(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(recovery->wal, candidate->name, path);
    if (flk_wal_file_quarantine(recovery->wal, candidate->name, NULL) == FLK_OK) {
        (void)!flk_io_unlink(path, NULL);
    }
    candidate->on_disk = false;
    recovery->wal->stats.quarantined++;
}

static void set_strangers_aside(flk_wal_recovery_t *recovery) {
    size_t kept = 0;
    flk_wal_lineage_t lineage = {.log_id = recovery->wal->id};
    for (size_t i = 0; i < recovery->len; i++) {
        flk_wal_candidate_t *candidate = &recovery->candidates[i];
        recovery->wal->next_number =
            candidate->number >= recovery->wal->next_number ? candidate->number + 1 : recovery->wal->next_number;
        if (flk_wal_lineage_take(&lineage, candidate->number, candidate->header_ok ? &candidate->header : NULL)) {
            recovery->candidates[kept++] = *candidate;
        } else {
            flk_wal_inventory_set_aside(recovery, candidate);
        }
    }
    recovery->len = kept;
}

/* Segments that the checkpoint knows and the directory lacks take part in the account of LSNs. */
static flk_err_t add_missing(flk_wal_recovery_t *recovery, char *errmsg) {
    size_t on_disk = recovery->len;
    for (size_t i = 0; i < recovery->checkpoint.rows_len; i++) {
        const flk_wal_row_t *row = &recovery->checkpoint.rows[i];
        bool there = false;
        for (size_t j = 0; j < on_disk && !there; j++) {
            there = recovery->candidates[j].number == row->number;
        }
        if (!there) {
            flk_wal_candidate_t *candidate = add_candidate(recovery);
            if (candidate == NULL) {
                return flk_wal_recovery_nomem(recovery->wal, errmsg);
            }
            candidate->number = row->number;
            candidate->row = row;
        }
    }
    sort_candidates(recovery);
    return FLK_OK;
}

static flk_err_t load_checkpoint(flk_wal_recovery_t *recovery, char *errmsg) {
    flk_err_t err = flk_wal_checkpoint_load(recovery->wal->dir, &recovery->checkpoint, errmsg);
    recovery->has_checkpoint = err == FLK_OK;
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

flk_err_t flk_wal_inventory(flk_wal_recovery_t *recovery, char *errmsg) {
    bool fits;
    flk_err_t err = load_checkpoint(recovery, errmsg);
    if (err == FLK_OK) {
        err = list_files(recovery, errmsg);
    }
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
