/* SPDX-License-Identifier: MIT */
/* Where a segment ends. The checkpoint tells, once the segment was sealed. Before that the next segment does: its
 * header has the LSN up to which the log was durable when it was made, so that the items of a group that failed, and
 * was written again or given up, are not taken for its outcomes. */
#include "common/wal/follow/listing.h"

static bool is_usable(const flk_wal_file_t *file) {
    return !file->quarantined && !file->stranger && file->header_ok;
}

static flk_err_t check(const flk_wal_directory_t *directory, char *errmsg) {
    if (directory->len == 0 && !directory->has_checkpoint) {
        flk_errmsg(errmsg, "there is no log in %s", directory->dir);
        return FLK_E_NOT_FOUND;
    }
    for (size_t i = 0; i < directory->len; i++) {
        if (directory->files[i].later_format && !directory->files[i].quarantined) {
            flk_errmsg(errmsg, "%s/%s has format %u, this program reads %d: use the program that wrote it",
                       directory->dir, directory->files[i].name, directory->files[i].header.version, FLK_WAL_VERSION);
            return FLK_E_CONFIG;
        }
    }
    return FLK_OK;
}

flk_err_t flk_wal_listing_load(flk_wal_listing_t *listing, char *errmsg) {
    flk_wal_directory_t directory;
    flk_err_t err = flk_wal_directory_load(listing->dir, true, &directory, errmsg);
    if (err == FLK_OK) {
        err = check(&directory, errmsg);
    }
    if (err != FLK_OK) {
        flk_wal_directory_fini(&directory);
        return err;
    }
    flk_wal_listing_fini(listing);
    listing->directory = directory;
    return FLK_OK;
}

void flk_wal_listing_fini(flk_wal_listing_t *listing) {
    flk_wal_directory_fini(&listing->directory);
    listing->directory = (flk_wal_directory_t){.dir = listing->dir};
}

const flk_wal_file_t *flk_wal_listing_next(const flk_wal_listing_t *listing, uint64_t number) {
    for (size_t i = 0; i < listing->directory.len; i++) {
        const flk_wal_file_t *file = &listing->directory.files[i];
        if (is_usable(file) && file->number > number) {
            return file;
        }
    }
    return NULL;
}

const flk_wal_file_t *flk_wal_listing_of(const flk_wal_listing_t *listing, uint64_t lsn) {
    const flk_wal_file_t *last = NULL;
    for (size_t i = 0; i < listing->directory.len; i++) {
        const flk_wal_file_t *file = &listing->directory.files[i];
        last = is_usable(file) && file->header.first_lsn <= lsn ? file : last;
    }
    return last;
}

bool flk_wal_listing_has(const flk_wal_listing_t *listing, uint64_t number) {
    const flk_wal_file_t *file = flk_wal_listing_next(listing, number - 1);
    return file != NULL && file->number == number;
}

uint64_t flk_wal_listing_limit(const flk_wal_listing_t *listing, uint64_t number) {
    const flk_wal_file_t *next = flk_wal_listing_next(listing, number);
    const flk_wal_row_t *row = flk_wal_directory_row(&listing->directory, number);
    if (row != NULL) {
        return row->end_lsn - 1;
    }
    if (next == NULL) {
        return UINT64_MAX;
    }
    const bool taken_from_checkpoint = next->row != NULL && next->header.durable_lsn == 0;
    return taken_from_checkpoint || next->header.durable_lsn >= next->header.first_lsn ? next->header.first_lsn - 1
                                                                                       : next->header.durable_lsn;
}

bool flk_wal_listing_damaged(const flk_wal_listing_t *listing, uint64_t from, uint64_t to) {
    for (size_t i = 0; i < listing->directory.len; i++) {
        const flk_wal_file_t *file = &listing->directory.files[i];
        if (!file->odd && (file->quarantined || !file->header_ok) && file->number >= from && file->number < to) {
            return true;
        }
    }
    return false;
}

uint64_t flk_wal_listing_durable(const flk_wal_listing_t *listing) {
    uint64_t lsn = listing->directory.checkpoint.durable_lsn;
    for (size_t i = 0; i < listing->directory.len; i++) {
        const flk_wal_file_t *file = &listing->directory.files[i];
        lsn = is_usable(file) && file->header.durable_lsn > lsn ? file->header.durable_lsn : lsn;
    }
    return lsn;
}

/* True if nothing is missing between two segments of the list. */
static bool joined(const flk_wal_listing_t *listing, const flk_wal_file_t *file, const flk_wal_file_t *next) {
    const flk_wal_row_t *row = flk_wal_directory_row(&listing->directory, file->number);
    return file->number + 1 == next->number || (row != NULL && row->end_lsn >= next->header.first_lsn);
}

uint64_t flk_wal_listing_first(const flk_wal_listing_t *listing) {
    const flk_wal_file_t *next = NULL;
    for (size_t i = listing->directory.len; i > 0; i--) {
        const flk_wal_file_t *file = &listing->directory.files[i - 1];
        if (is_usable(file)) {
            const bool gap = next != NULL && !joined(listing, file, next);
            if (gap || (file->header.sparse && !file->header.acks_kept)) {
                break;
            }
            next = file;
        }
    }
    return next == NULL ? 0 : next->header.first_lsn;
}
