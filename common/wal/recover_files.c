/* SPDX-License-Identifier: MIT */
/* 1. Load the directory: files in order, strangers marked (directory.c).
 * 2. Set each stranger aside as *.damaged. An odd entry is told and stays: its name is not used.
 * 3. Give the segments that are missing a place too, so that their LSNs are accounted for. */
#include <stdlib.h>

#include "common/io.h"
#include "common/log.h"
#include "common/wal/file.h"
#include "common/wal/identity.h"
#include "common/wal/recover.h"

enum { STRANGER_REACH = 1 << 20 };

flk_err_t flk_wal_recover_nomem(const flk_wal_recovery_t *recovery, char *errmsg) {
    flk_errmsg(errmsg, "cannot recover the log %s: out of memory", recovery->wal->config.dir);
    return FLK_E_NOMEM;
}

void flk_wal_recover_set_aside(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate) {
    char path[FLK_WAL_PATH_BYTES];
    const flk_wal_config_t *config = &recovery->wal->config;
    flk_wal_path(config->dir, candidate->file.name, path);
    if (flk_wal_file_quarantine(config, candidate->file.name, NULL) == FLK_OK) {
        (void)!flk_io_unlink(path, NULL);
    }
    candidate->on_disk = false;
    recovery->wal->shared.stats.quarantined++;
}

static flk_err_t check_formats(const flk_wal_recovery_t *recovery, char *errmsg) {
    for (size_t i = 0; i < recovery->directory.len; i++) {
        const flk_wal_file_t *file = &recovery->directory.files[i];
        if (file->later_format && !file->quarantined) {
            flk_errmsg(errmsg, "%s/%s has format %u, this program reads %d: use the program that wrote it",
                       recovery->wal->config.dir, file->name, file->header.version, FLK_WAL_VERSION);
            return FLK_E_CONFIG;
        }
    }
    return FLK_OK;
}

/* A new segment takes no name that is in use, unless that is so far away that no segment comes there. */
static void pass_number(flk_wal_writer_t *writer, const flk_wal_file_t *file, uint64_t reach) {
    for (int name = 0; name < 2; name++) {
        const uint64_t number = name == 0 ? file->number : file->name_number;
        if (number >= writer->next_number && number - writer->next_number < reach) {
            writer->next_number = number + 1;
        }
    }
}

static void take_stranger(flk_wal_recovery_t *recovery, flk_wal_candidate_t *candidate) {
    pass_number(&recovery->wal->writer, &candidate->file, STRANGER_REACH);
    if (candidate->file.odd) {
        flk_log(FLK_LOG_WARN, "log_stranger", FLK_S("log", recovery->wal->config.dir),
                FLK_S("name", candidate->file.name));
        recovery->wal->shared.stats.strangers++;
    } else {
        flk_wal_recover_set_aside(recovery, candidate);
    }
}

/* A start reads no header of a settled segment, so this may be the first number that the log ever had. */
static uint64_t last_number(const flk_wal_recovery_t *recovery) {
    uint64_t number = recovery->wal->config.id;
    for (size_t i = 0; i < recovery->directory.len; i++) {
        const flk_wal_file_t *file = &recovery->directory.files[i];
        number = !file->quarantined && !file->stranger && file->header_ok ? file->header.name_id : number;
    }
    return number;
}

static void take_files(flk_wal_recovery_t *recovery) {
    for (size_t i = 0; i < recovery->directory.len && !recovery->directory.files[i].quarantined; i++) {
        const flk_wal_file_t *file = &recovery->directory.files[i];
        flk_wal_candidate_t candidate = {.file = *file, .on_disk = true};
        if (!file->stranger) {
            pass_number(&recovery->wal->writer, file, file->header_ok ? UINT64_MAX : STRANGER_REACH);
            recovery->candidates[recovery->len++] = candidate;
        }
    }
    for (size_t i = 0; i < recovery->directory.len && !recovery->directory.files[i].quarantined; i++) {
        flk_wal_candidate_t candidate = {.file = recovery->directory.files[i], .on_disk = true};
        if (candidate.file.stranger) {
            take_stranger(recovery, &candidate);
        }
    }
}

static int compare_candidates(const void *a_arg, const void *b_arg) {
    const flk_wal_candidate_t *a = a_arg, *b = b_arg;
    return a->file.number < b->file.number ? -1 : a->file.number > b->file.number;
}

static void add_missing(flk_wal_recovery_t *recovery) {
    const flk_wal_checkpoint_t *checkpoint = &recovery->directory.checkpoint;
    const size_t on_disk = recovery->len;
    for (size_t i = 0, next = 0; i < checkpoint->rows_len; i++) {
        const flk_wal_row_t *row = &checkpoint->rows[i];
        while (next < on_disk && recovery->candidates[next].file.number < row->number) {
            next++;
        }
        if (next == on_disk || recovery->candidates[next].file.number != row->number) {
            recovery->candidates[recovery->len++] = (flk_wal_candidate_t){.file = {.number = row->number, .row = row}};
        }
    }
    qsort(recovery->candidates, recovery->len, sizeof *recovery->candidates, compare_candidates);
}

flk_err_t flk_wal_recover_files(flk_wal_recovery_t *recovery, char *errmsg) {
    flk_wal_t *wal = recovery->wal;
    flk_wal_directory_t *directory = &recovery->directory;
    flk_err_t err = flk_wal_directory_load(wal->config.dir, true, directory, errmsg);
    if (err == FLK_OK) {
        err = check_formats(recovery, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    recovery->candidates = calloc(directory->len + directory->checkpoint.rows_len + 1, sizeof *recovery->candidates);
    if (recovery->candidates == NULL) {
        return flk_wal_recover_nomem(recovery, errmsg);
    }
    wal->config.id = directory->has_log_id ? directory->log_id : flk_random_u64();
    flk_wal_identity_take(&wal->config, directory->has_log_id, last_number(recovery));
    wal->writer.has_reserve = directory->has_reserve;
    wal->writer.next_number = directory->checkpoint.next_number > 1 ? directory->checkpoint.next_number : 1;
    take_files(recovery);
    add_missing(recovery);
    return FLK_OK;
}
