/* SPDX-License-Identifier: MIT */
/* 1. Note the segments that the checkpoint knows; list the directory; load the checkpoint again.
 * 2. Read the headers. If anything does not fit the checkpoint (name and number differ, a header is bad, a segment is
 *    missing), believe only the headers, all of them.
 * 3. Put the segments in order of number and mark the strangers: an entry that is no file or larger than any segment,
 *    one of another log, a second one with the same number, one whose LSNs go backwards.
 *
 * The log may be live. A file that vanishes between listing and reading was removed by the retention, which notes it in
 * the checkpoint before. So a row of the second checkpoint whose file was not listed is a segment that is really gone,
 * unless it was made after the first one. */
#include "common/wal/directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"

/* ---- 1. the list ---- */

/* "wal-….seg" or "wal-….seg[.n].damaged" */
static bool is_segment_name(const char *name, flk_wal_file_t *file) {
    char canonical[FLK_WAL_NAME_BYTES];
    size_t len = strlen(name), stem = strcspn(name, ".") + strlen(".seg");
    if (len >= sizeof file->name || stem > len) {
        return false;
    }
    strcpy(file->name, name);
    memcpy(canonical, name, stem);
    canonical[stem] = '\0';
    file->quarantined = len > stem && len > 8 && strcmp(name + len - 8, ".damaged") == 0;
    bool is_one = flk_wal_file_number(canonical, &file->name_number) && (len == stem || file->quarantined);
    file->number = file->name_number;
    return is_one;
}

/* A FIFO would stop an open for ever, a device or a sparse file of a terabyte a read. */
static bool is_odd(DIR *stream, const char *name) {
    struct stat status;
    if (fstatat(dirfd(stream), name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        return false; /* removed meanwhile */
    }
    return !S_ISREG(status.st_mode) || (uint64_t)status.st_size > FLK_WAL_SEGMENT_BYTES_MAX;
}

static flk_err_t add_file(flk_wal_directory_t *directory, const flk_wal_file_t *file, char *errmsg) {
    if (directory->len == directory->capacity) {
        size_t capacity = directory->capacity * 2 + 64;
        flk_wal_file_t *files = realloc(directory->files, capacity * sizeof *files);
        if (files == NULL) {
            flk_errmsg(errmsg, "cannot read the log %s: out of memory", directory->dir);
            return FLK_E_NOMEM;
        }
        directory->files = files;
        directory->capacity = capacity;
    }
    directory->files[directory->len++] = *file;
    return FLK_OK;
}

static flk_err_t list_files(flk_wal_directory_t *directory, char *errmsg) {
    DIR *stream = opendir(directory->dir);
    if (stream == NULL) {
        int code = errno;
        flk_errmsg(errmsg, "cannot read the log %s: %s", directory->dir, strerror(code));
        return code == ENOENT ? FLK_E_NOT_FOUND : FLK_E_IO;
    }
    flk_err_t err = FLK_OK;
    errno = 0; /* readdir sets it when it cannot go on; half a list would look like missing segments */
    for (const struct dirent *entry; err == FLK_OK && (entry = readdir(stream)) != NULL;) {
        flk_wal_file_t file = {0};
        if (strcmp(entry->d_name, "reserve") == 0) {
            directory->has_reserve = !is_odd(stream, entry->d_name);
            errno = 0;
        } else if (is_segment_name(entry->d_name, &file)) {
            file.odd = is_odd(stream, entry->d_name);
            errno = 0;
            err = add_file(directory, &file, errmsg);
        }
    }
    if (err == FLK_OK && errno != 0) {
        flk_errmsg(errmsg, "cannot read the log %s: %s", directory->dir, strerror(errno));
        err = FLK_E_IO;
    }
    closedir(stream);
    return err;
}

/* FLK_OK without one, too. */
static flk_err_t load_checkpoint(flk_wal_directory_t *directory, char *errmsg) {
    free(directory->checkpoint.rows);
    flk_err_t err = flk_wal_checkpoint_load(directory->dir, &directory->checkpoint, errmsg);
    directory->has_checkpoint = err == FLK_OK;
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

/* ---- 2. the headers ---- */

/* A block that cannot be read is damage like any other, and a file may be gone by now. */
static flk_err_t read_header(const flk_wal_directory_t *directory, flk_wal_file_t *file, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    size_t got = 0;
    int fd;
    flk_wal_path(directory->dir, file->name, path);
    flk_err_t err = flk_io_open(path, O_RDONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_OK : err;
    }
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    err = flk_io_pread(fd, path, bytes, sizeof bytes, 0, &got, errmsg);
    (void)!flk_io_close(fd, path, NULL);
    bool decoded = err == FLK_OK && got == sizeof bytes && flk_wal_header_decode(bytes, &file->header);
    file->header_ok = decoded && file->header.version >= FLK_WAL_VERSION_MIN && file->header.version <= FLK_WAL_VERSION;
    file->later_format = decoded && !file->header_ok;
    file->number = file->header_ok ? file->header.number : file->name_number;
    file->misnamed = file->number != file->name_number;
    return err == FLK_E_IO ? FLK_OK : err;
}

static void trust_row(const flk_wal_directory_t *directory, flk_wal_file_t *file) {
    file->header_ok = true;
    file->header.log_id = file->header.name_id = directory->checkpoint.log_id;
    file->header.first_lsn = file->row->first_lsn;
}

/* *fits: the headers read and the checkpoint tell the same story. */
static flk_err_t read_headers(flk_wal_directory_t *directory, bool believe_checkpoint, bool *fits, char *errmsg) {
    *fits = true;
    size_t unsettled = 0, unsettled_found = 0;
    for (size_t i = 0; i < directory->checkpoint.rows_len; i++) {
        unsettled += directory->checkpoint.rows[i].unsettled > 0;
    }
    for (size_t i = 0; i < directory->len; i++) {
        flk_wal_file_t *file = &directory->files[i];
        if (file->odd) {
            continue;
        }
        file->row = flk_wal_directory_row(directory, file->number);
        if (believe_checkpoint && !file->quarantined && file->row != NULL && file->row->unsettled == 0) {
            trust_row(directory, file);
            continue;
        }
        flk_err_t err = read_header(directory, file, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        file->row = flk_wal_directory_row(directory, file->number);
        *fits = *fits && (file->quarantined || (file->header_ok && !file->misnamed));
        unsettled_found += !file->quarantined && file->row != NULL && file->row->unsettled > 0;
    }
    *fits = *fits && unsettled_found == unsettled;
    return FLK_OK;
}

/* ---- 3. which of it is the log's ---- */

/* By number; of two with one number the better claim comes first: a good header, then the right name. */
static int compare_files(const void *a_arg, const void *b_arg) {
    const flk_wal_file_t *a = a_arg, *b = b_arg;
    if (a->quarantined != b->quarantined) {
        return a->quarantined ? 1 : -1;
    }
    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    if (a->odd != b->odd) {
        return a->odd ? 1 : -1;
    }
    if (a->header_ok != b->header_ok) {
        return a->header_ok ? -1 : 1;
    }
    if (a->misnamed != b->misnamed) {
        return a->misnamed ? 1 : -1;
    }
    return strcmp(a->name, b->name);
}

static bool votes(const flk_wal_directory_t *directory, size_t index, bool quarantined) {
    return directory->files[index].header_ok && directory->files[index].quarantined == quarantined;
}

/* The log's number is the one that most segments have. */
static void count_votes(flk_wal_directory_t *directory, bool quarantined) {
    size_t most = 0;
    for (size_t i = 0; i < directory->len; i++) {
        size_t same = 0;
        for (size_t j = 0; j < directory->len && votes(directory, i, quarantined); j++) {
            same += votes(directory, j, quarantined) &&
                    directory->files[i].header.log_id == directory->files[j].header.log_id;
        }
        if (same > most) {
            most = same;
            directory->log_id = directory->files[i].header.log_id;
            directory->has_log_id = !quarantined;
        }
    }
}

static void find_log_id(flk_wal_directory_t *directory) {
    if (directory->has_checkpoint) {
        directory->log_id = directory->checkpoint.log_id;
        directory->has_log_id = true;
        return;
    }
    count_votes(directory, false);
    if (!directory->has_log_id) {
        count_votes(directory, true); /* only for reading them */
    }
}

/* Number and first LSN of the last segment taken, and of the last good header; 0: none yet. */
typedef struct lineage {
    uint64_t number, first_lsn;
} lineage_t;

static bool belongs(const flk_wal_directory_t *directory, lineage_t *lineage, const flk_wal_file_t *file) {
    if (file->number == 0 || file->number == lineage->number) {
        return false;
    }
    if (file->header_ok) {
        if (file->header.log_id != directory->log_id || file->header.first_lsn < lineage->first_lsn) {
            return false;
        }
        lineage->first_lsn = file->header.first_lsn;
    }
    lineage->number = file->number;
    return true;
}

static void mark_strangers(flk_wal_directory_t *directory) {
    lineage_t lineage = {0};
    for (size_t i = 0; i < directory->len; i++) {
        flk_wal_file_t *file = &directory->files[i];
        file->stranger = file->odd || (!file->quarantined && !belongs(directory, &lineage, file));
    }
}

flk_err_t flk_wal_directory_load(const char *dir, bool believe_checkpoint, flk_wal_directory_t *directory,
                                 char *errmsg) {
    bool fits = true;
    *directory = (flk_wal_directory_t){.dir = dir};
    flk_err_t err = load_checkpoint(directory, errmsg);
    directory->known_number = directory->checkpoint.next_number;
    directory->known_lsn = directory->checkpoint.kept_lsn;
    if (err == FLK_OK) {
        err = list_files(directory, errmsg);
    }
    if (err == FLK_OK) {
        err = load_checkpoint(directory, errmsg);
    }
    if (err == FLK_OK) {
        err = read_headers(directory, believe_checkpoint, &fits, errmsg);
    }
    if (err == FLK_OK && believe_checkpoint && !fits) {
        err = read_headers(directory, false, &fits, errmsg);
    }
    if (err == FLK_OK && directory->len > 0) {
        qsort(directory->files, directory->len, sizeof *directory->files, compare_files);
    }
    if (err == FLK_OK) {
        find_log_id(directory);
        mark_strangers(directory);
    }
    return err;
}

void flk_wal_directory_fini(flk_wal_directory_t *directory) {
    free(directory->checkpoint.rows);
    free(directory->files);
}

/* ---- questions ---- */

uint64_t flk_wal_directory_log_id(const flk_wal_directory_t *directory, const flk_wal_file_t *file) {
    return file->header_ok ? file->header.log_id : directory->log_id;
}

uint64_t flk_wal_directory_name_id(const flk_wal_directory_t *directory, const flk_wal_file_t *file) {
    return file->header_ok ? file->header.name_id : directory->log_id;
}

const flk_wal_row_t *flk_wal_directory_row(const flk_wal_directory_t *directory, uint64_t number) {
    for (size_t low = 0, high = directory->checkpoint.rows_len; low < high;) {
        size_t middle = low + (high - low) / 2;
        const flk_wal_row_t *row = &directory->checkpoint.rows[middle];
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

const flk_wal_file_t *flk_wal_directory_next(const flk_wal_directory_t *directory, size_t index) {
    while (++index < directory->len && directory->files[index].stranger) {
    }
    return index < directory->len && !directory->files[index].quarantined ? &directory->files[index] : NULL;
}

static bool is_listed(const flk_wal_directory_t *directory, uint64_t number) {
    for (size_t i = 0; i < directory->len && !directory->files[i].quarantined; i++) {
        if (directory->files[i].number == number && !directory->files[i].stranger) {
            return true;
        }
    }
    return false;
}

bool flk_wal_directory_row_missing(const flk_wal_directory_t *directory, const flk_wal_row_t *row) {
    if (row->number >= directory->known_number || is_listed(directory, row->number)) {
        return false;
    }
    bool missing = row->unsettled > 0;
    for (const flk_wal_row_t *older = directory->checkpoint.rows; older < row && !missing; older++) {
        missing = older->unsettled == 0 && is_listed(directory, older->number);
    }
    return missing;
}
