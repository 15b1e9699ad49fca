/* SPDX-License-Identifier: MIT */
/* 1. Note what the checkpoint knows; list the directory; load the checkpoint again.
 * 2. Read the headers; put the segments in order; tell which are none of this log's.
 *
 * The log may be live. What vanishes between listing and reading was removed by the retention, which notes it in the
 * checkpoint before: so a row of the second checkpoint whose file was not listed is a segment that is really gone,
 * unless it was made after the first one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/reader.h"

/* "wal-….seg" or "wal-….seg[.n].damaged" */
static bool is_ours(const char *name, flk_wal_file_t *file) {
    char canonical[FLK_WAL_NAME_BYTES];
    size_t len = strlen(name), stem = strcspn(name, ".") + strlen(".seg");
    if (len >= sizeof file->name || stem > len) {
        return false;
    }
    strcpy(file->name, name);
    memcpy(canonical, name, stem);
    canonical[stem] = '\0';
    file->quarantined = len > stem && len > 8 && strcmp(name + len - 8, ".damaged") == 0;
    return flk_wal_file_number(canonical, &file->number) && (len == stem || file->quarantined);
}

static flk_err_t add_file(flk_wal_catalog_t *catalog, const flk_wal_file_t *file, char *errmsg) {
    if (catalog->len == catalog->capacity) {
        size_t capacity = catalog->capacity * 2 + 64;
        flk_wal_file_t *files = realloc(catalog->files, capacity * sizeof *files);
        if (files == NULL) {
            flk_errmsg(errmsg, "cannot read the log %s: out of memory", catalog->dir);
            return FLK_E_NOMEM;
        }
        catalog->files = files;
        catalog->capacity = capacity;
    }
    catalog->files[catalog->len++] = *file;
    return FLK_OK;
}

static flk_err_t list(flk_wal_catalog_t *catalog, char *errmsg) {
    DIR *dir = opendir(catalog->dir);
    if (dir == NULL) {
        int code = errno;
        flk_errmsg(errmsg, "cannot read the log %s: %s", catalog->dir, strerror(code));
        return code == ENOENT ? FLK_E_NOT_FOUND : FLK_E_IO;
    }
    flk_err_t err = FLK_OK;
    errno = 0; /* readdir sets it when it cannot go on */
    for (const struct dirent *entry; err == FLK_OK && (entry = readdir(dir)) != NULL;) {
        flk_wal_file_t file = {0};
        if (is_ours(entry->d_name, &file)) {
            err = add_file(catalog, &file, errmsg);
        }
    }
    if (err == FLK_OK && errno != 0) {
        flk_errmsg(errmsg, "cannot read the log %s: %s", catalog->dir, strerror(errno));
        err = FLK_E_IO;
    }
    closedir(dir);
    return err;
}

static flk_err_t read_header(const flk_wal_catalog_t *catalog, flk_wal_file_t *file, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    size_t got = 0;
    int fd;
    flk_wal_path_in(catalog->dir, file->name, path);
    flk_err_t err = flk_io_open(path, O_RDONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_OK : err; /* removed meanwhile */
    }
    err = flk_io_pread(fd, path, bytes, sizeof bytes, 0, &got, errmsg);
    (void)!flk_io_close(fd, path, NULL);
    file->header_ok = err == FLK_OK && got == sizeof bytes && flk_wal_header_decode(bytes, &file->header) &&
                      file->header.version == FLK_WAL_VERSION;
    if (file->header_ok) {
        file->misnamed = file->number != file->header.number;
        file->number = file->header.number;
    }
    return err == FLK_E_IO ? FLK_OK : err; /* a block that cannot be read is damage like any other */
}

/* By number; of two with one number the better claim comes first: a good header, then the right name. */
static int compare_files(const void *a_arg, const void *b_arg) {
    const flk_wal_file_t *a = a_arg, *b = b_arg;
    if (a->quarantined != b->quarantined) {
        return a->quarantined ? 1 : -1;
    }
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

/* Without a checkpoint the log is the one that most segments belong to. */
static uint64_t main_log_id(const flk_wal_catalog_t *catalog) {
    uint64_t id = catalog->checkpoint.log_id;
    size_t most = catalog->has_checkpoint ? SIZE_MAX : 0;
    for (size_t i = 0; i < catalog->len && most < catalog->len; i++) {
        size_t same = 0;
        for (size_t j = 0; j < catalog->len; j++) {
            same += catalog->files[i].header_ok && catalog->files[j].header_ok &&
                    catalog->files[i].header.log_id == catalog->files[j].header.log_id;
        }
        if (same > most) {
            most = same;
            id = catalog->files[i].header.log_id;
        }
    }
    return id;
}

static void mark_strangers(flk_wal_catalog_t *catalog) {
    flk_wal_lineage_t lineage = {.log_id = catalog->log_id};
    for (size_t i = 0; i < catalog->len; i++) {
        flk_wal_file_t *file = &catalog->files[i];
        file->stranger =
            !file->quarantined && !flk_wal_lineage_take(&lineage, file->number, file->header_ok ? &file->header : NULL);
    }
}

/* FLK_OK without one, too. */
static flk_err_t load_checkpoint(flk_wal_catalog_t *catalog, char *errmsg) {
    free(catalog->checkpoint.rows);
    flk_err_t err = flk_wal_checkpoint_load(catalog->dir, &catalog->checkpoint, errmsg);
    catalog->has_checkpoint = err == FLK_OK;
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t load(flk_wal_catalog_t *catalog, char *errmsg) {
    flk_err_t err = load_checkpoint(catalog, errmsg);
    catalog->known_number = catalog->checkpoint.next_number;
    catalog->known_lsn = catalog->checkpoint.kept_lsn;
    if (err == FLK_OK) {
        err = list(catalog, errmsg);
    }
    if (err == FLK_OK) {
        err = load_checkpoint(catalog, errmsg);
    }
    if (err == FLK_OK && catalog->len == 0 && !catalog->has_checkpoint) {
        flk_errmsg(errmsg, "there is no log in %s", catalog->dir);
        err = FLK_E_NOT_FOUND;
    }
    for (size_t i = 0; err == FLK_OK && i < catalog->len; i++) {
        err = read_header(catalog, &catalog->files[i], errmsg);
    }
    return err;
}

flk_err_t flk_wal_catalog_load(const char *dir, flk_wal_catalog_t *catalog, char *errmsg) {
    *catalog = (flk_wal_catalog_t){.dir = dir};
    if (strlen(dir) + FLK_WAL_NAME_BYTES >= FLK_WAL_PATH_BYTES) {
        flk_errmsg(errmsg, "there is no log in %s: path too long", dir);
        return FLK_E_NOT_FOUND;
    }
    flk_err_t err = load(catalog, errmsg);
    if (err == FLK_OK && catalog->len > 0) {
        qsort(catalog->files, catalog->len, sizeof *catalog->files, compare_files);
        catalog->log_id = main_log_id(catalog);
        mark_strangers(catalog);
    }
    return err;
}

void flk_wal_catalog_fini(flk_wal_catalog_t *catalog) {
    free(catalog->checkpoint.rows);
    free(catalog->files);
}

uint64_t flk_wal_catalog_log_id(const flk_wal_catalog_t *catalog, const flk_wal_file_t *file) {
    return file->header_ok ? file->header.log_id : catalog->log_id;
}

const flk_wal_row_t *flk_wal_catalog_row(const flk_wal_catalog_t *catalog, uint64_t number) {
    for (size_t i = 0; i < catalog->checkpoint.rows_len; i++) {
        if (catalog->checkpoint.rows[i].number == number) {
            return &catalog->checkpoint.rows[i];
        }
    }
    return NULL;
}

const flk_wal_file_t *flk_wal_catalog_next(const flk_wal_catalog_t *catalog, size_t index) {
    while (++index < catalog->len && catalog->files[index].stranger) {
    }
    return index < catalog->len && !catalog->files[index].quarantined ? &catalog->files[index] : NULL;
}

static bool listed(const flk_wal_catalog_t *catalog, uint64_t number) {
    for (size_t i = 0; i < catalog->len && !catalog->files[i].quarantined; i++) {
        if (catalog->files[i].number == number && !catalog->files[i].stranger) {
            return true;
        }
    }
    return false;
}

bool flk_wal_catalog_row_missing(const flk_wal_catalog_t *catalog, const flk_wal_row_t *row) {
    if (row->number >= catalog->known_number || listed(catalog, row->number)) {
        return false;
    }
    bool missing = row->unsettled > 0;
    for (const flk_wal_row_t *older = catalog->checkpoint.rows; older < row && !missing; older++) {
        missing = older->unsettled == 0 && listed(catalog, older->number);
    }
    return missing;
}
