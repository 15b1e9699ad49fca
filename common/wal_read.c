/* SPDX-License-Identifier: MIT */
/* 1. List the segments, then the quarantined ones, and read their headers.
 * 2. Go over each twice: once to learn what its items say was durable, once to report items and what lies between.
 *
 * Bytes that are no valid item are damage if an item that had been durable is missing there, else torn. Nothing is
 * written and no lock is taken: on a live log the newest group may be seen half-written, and shows as torn. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal_internal.h"

typedef struct file {
    char name[FLK_WAL_NAME_BYTES];
    bool quarantined, header_ok;
    uint64_t number;
    flk_wal_header_t header;
} file_t;

typedef struct reader {
    const char *dir;
    flk_wal_visit_fn *visit;
    void *arg;
    bool stopped;
    flk_wal_checkpoint_t checkpoint;
    bool has_checkpoint;
    file_t *files;
    size_t len, capacity;
    flk_wal_scan_t scan;
} reader_t;

static flk_err_t nomem(const reader_t *reader, char *errmsg) {
    flk_errmsg(errmsg, "cannot read the log %s: out of memory", reader->dir);
    return FLK_E_NOMEM;
}

/* "wal-….seg" or "wal-….seg[.n].damaged" */
static bool is_ours(const char *name, file_t *file) {
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

static flk_err_t add_file(reader_t *reader, const file_t *file, char *errmsg) {
    if (reader->len == reader->capacity) {
        size_t capacity = reader->capacity * 2 + 64;
        file_t *files = realloc(reader->files, capacity * sizeof *files);
        if (files == NULL) {
            return nomem(reader, errmsg);
        }
        reader->files = files;
        reader->capacity = capacity;
    }
    reader->files[reader->len++] = *file;
    return FLK_OK;
}

static flk_err_t list(reader_t *reader, char *errmsg) {
    DIR *dir = opendir(reader->dir);
    if (dir == NULL) {
        flk_errmsg(errmsg, "cannot read the log %s: %s", reader->dir, strerror(errno));
        return errno == ENOENT ? FLK_E_NOT_FOUND : FLK_E_IO;
    }
    flk_err_t err = FLK_OK;
    for (const struct dirent *entry; err == FLK_OK && (entry = readdir(dir)) != NULL;) {
        file_t file = {0};
        if (is_ours(entry->d_name, &file)) {
            err = add_file(reader, &file, errmsg);
        }
    }
    closedir(dir);
    return err;
}

static void path_of(const reader_t *reader, const char *name, char path[FLK_WAL_PATH_BYTES]) {
    size_t dir_len = strlen(reader->dir), name_len = strlen(name);
    FLK_ASSERT(dir_len + 1 + name_len < FLK_WAL_PATH_BYTES);
    memcpy(path, reader->dir, dir_len);
    path[dir_len] = '/';
    memcpy(path + dir_len + 1, name, name_len + 1);
}

static flk_err_t read_header(const reader_t *reader, file_t *file, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    size_t got = 0;
    int fd;
    path_of(reader, file->name, path);
    flk_err_t err = flk_io_open(path, O_RDONLY, &fd, errmsg);
    if (err == FLK_OK) {
        err = flk_io_pread(fd, path, bytes, sizeof bytes, 0, &got, errmsg);
        (void)!flk_io_close(fd, path, NULL);
    }
    file->header_ok = err == FLK_OK && got == sizeof bytes && flk_wal_header_decode(bytes, &file->header) &&
                      file->header.version == FLK_WAL_VERSION;
    if (file->header_ok) {
        file->number = file->header.number;
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err; /* removed meanwhile */
}

static int compare_files(const void *a_arg, const void *b_arg) {
    const file_t *a = a_arg, *b = b_arg;
    if (a->quarantined != b->quarantined) {
        return a->quarantined ? 1 : -1;
    }
    if (a->number != b->number) {
        return a->number < b->number ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

/* A segment without a header belongs to the log that the others belong to. */
static uint64_t log_id_of(const reader_t *reader, const file_t *file) {
    if (file->header_ok) {
        return file->header.log_id;
    }
    for (size_t i = 0; !reader->has_checkpoint && i < reader->len; i++) {
        if (reader->files[i].header_ok) {
            return reader->files[i].header.log_id;
        }
    }
    return reader->checkpoint.log_id;
}

/* What others know of the segment: its items from *void_lsn on do not count, those up to *durable_lsn were promised. */
static void surroundings(const reader_t *reader, size_t index, uint64_t *void_lsn, uint64_t *durable_lsn) {
    const file_t *file = &reader->files[index], *next = index + 1 < reader->len ? file + 1 : NULL;
    *void_lsn = UINT64_MAX;
    *durable_lsn = 0;
    if (file->quarantined || (file->header_ok && file->header.sparse)) {
        return;
    }
    if (next != NULL && !next->quarantined && next->header_ok) {
        *void_lsn = next->header.first_lsn;
        *durable_lsn = next->number == file->number + 1 ? next->header.durable_lsn : 0;
    }
    for (size_t i = 0; i < reader->checkpoint.rows_len; i++) {
        if (reader->checkpoint.rows[i].number == file->number) {
            *durable_lsn = reader->checkpoint.rows[i].end_lsn - 1;
        }
    }
}

static void visit(reader_t *reader, const file_t *file, flk_wal_item_t *item) {
    item->segment = file->name;
    item->log_id = log_id_of(reader, file);
    reader->stopped = !reader->visit(reader->arg, item);
}

static void visit_found(reader_t *reader, const file_t *file, const flk_wal_found_t *found) {
    flk_wal_item_t item = {
        .type = found->header.type == FLK_WAL_ITEM_ACK ? FLK_WAL_ITEM_ACK : FLK_WAL_ITEM_RECORD,
        .offset = found->offset,
        .bytes = found->bytes,
        .record = {.lsn = found->header.lsn, .time_ms = found->header.time_ms},
    };
    if (item.type == FLK_WAL_ITEM_ACK) {
        flk_wal_ack_decode(found->body, &item.acked_lsn, &item.mark);
    } else {
        item.record.kind = found->header.kind;
        item.record.body = found->body;
        item.record.body_bytes = found->header.body_bytes;
    }
    visit(reader, file, &item);
}

static void visit_hole(reader_t *reader, const file_t *file, const flk_wal_found_t *found, bool damage) {
    flk_wal_item_t item = {
        .type = damage ? FLK_WAL_ITEM_DAMAGE : FLK_WAL_ITEM_TORN,
        .offset = found->skipped_offset,
        .bytes = found->skipped_bytes,
    };
    visit(reader, file, &item);
}

static flk_err_t open_scan(reader_t *reader, const file_t *file, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    path_of(reader, file->name, path);
    flk_err_t err = flk_wal_scan_open(&reader->scan, path, flk_wal_salt(log_id_of(reader, file), file->number), errmsg);
    return err != FLK_OK ? err : flk_io_size(reader->scan.fd, path, &reader->scan.limit, errmsg);
}

static flk_err_t last_durable(reader_t *reader, const file_t *file, uint64_t *durable_lsn, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err = open_scan(reader, file, errmsg);
    while (err == FLK_OK && (err = flk_wal_scan_next(&reader->scan, &found, errmsg)) == FLK_OK) {
        uint64_t lsn = found.header.lsn - found.header.unsynced;
        *durable_lsn = lsn > *durable_lsn ? lsn : *durable_lsn;
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t read_items(reader_t *reader, const file_t *file, uint64_t void_lsn, uint64_t durable_lsn,
                            char *errmsg) {
    const bool sparse = file->header_ok && file->header.sparse;
    uint64_t next_lsn = file->header_ok ? file->header.first_lsn : 0, items = 0;
    flk_wal_found_t found;
    flk_err_t err = open_scan(reader, file, errmsg);
    while (err == FLK_OK && !reader->stopped) {
        err = flk_wal_scan_next(&reader->scan, &found, errmsg);
        bool end = err != FLK_OK;
        if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
            return err;
        }
        if (!end && found.header.lsn >= void_lsn) {
            return FLK_OK;
        }
        bool promised = sparse || next_lsn <= durable_lsn;
        bool gap = end ? (sparse ? items < file->header.items : promised && next_lsn > 0)
                       : !sparse && next_lsn > 0 && found.header.lsn > next_lsn;
        if (found.skipped_bytes > 0 || gap) {
            visit_hole(reader, file, &found, promised || next_lsn == 0);
        }
        if (!end && !reader->stopped) {
            visit_found(reader, file, &found);
            next_lsn = found.header.lsn + 1;
            items++;
        }
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t read_file(reader_t *reader, size_t index, char *errmsg) {
    const file_t *file = &reader->files[index];
    uint64_t void_lsn, durable_lsn;
    surroundings(reader, index, &void_lsn, &durable_lsn);
    flk_err_t err = last_durable(reader, file, &durable_lsn, errmsg);
    if (err == FLK_OK) {
        err = read_items(reader, file, void_lsn, durable_lsn, errmsg);
    }
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t read_all(reader_t *reader, char *errmsg) {
    flk_err_t err = flk_wal_checkpoint_load(reader->dir, &reader->checkpoint, errmsg);
    reader->has_checkpoint = err == FLK_OK;
    if (err == FLK_OK || err == FLK_E_NOT_FOUND) {
        err = list(reader, errmsg);
    }
    if (err == FLK_OK && reader->len == 0 && !reader->has_checkpoint) {
        flk_errmsg(errmsg, "there is no log in %s", reader->dir);
        err = FLK_E_NOT_FOUND;
    }
    for (size_t i = 0; err == FLK_OK && i < reader->len; i++) {
        err = read_header(reader, &reader->files[i], errmsg);
    }
    if (err == FLK_OK && reader->len > 0) {
        qsort(reader->files, reader->len, sizeof *reader->files, compare_files);
    }
    for (size_t i = 0; err == FLK_OK && !reader->stopped && i < reader->len; i++) {
        err = read_file(reader, i, errmsg);
    }
    return err;
}

flk_err_t flk_wal_read(const char *dir, flk_wal_visit_fn *visit_item, void *arg, char *errmsg) {
    if (strlen(dir) + FLK_WAL_NAME_BYTES >= FLK_WAL_PATH_BYTES) {
        flk_errmsg(errmsg, "there is no log in %s: path too long", dir);
        return FLK_E_NOT_FOUND;
    }
    reader_t reader = {.dir = dir, .visit = visit_item, .arg = arg};
    flk_wal_scan_init(&reader.scan);
    flk_err_t err = read_all(&reader, errmsg);
    flk_wal_scan_fini(&reader.scan);
    free(reader.checkpoint.rows);
    free(reader.files);
    return err;
}
