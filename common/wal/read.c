/* SPDX-License-Identifier: MIT */
/* 1. List the segments, then the quarantined ones (directory.c).
 * 2. Go over each twice: once to learn up to which LSN its items say that the log was durable, once to report items and
 *    the gaps between them.
 * 3. Keep the account of LSNs from one segment to the next: a promised item that is in none of them is missing.
 *
 * Bytes that are no valid item are damage if an item that had been durable is missing there, else torn. Nothing is
 * written and no lock is taken: on a live log the newest group may be seen half-written, and shows as torn. A segment
 * that is replaced meanwhile is read from the file that was opened, header included. */
#include "common/wal/read.h"

#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/directory.h"
#include "common/wal/scan.h"

typedef struct reader {
    flk_wal_directory_t directory;
    flk_wal_visit_fn *visit;
    void *arg;
    bool stopped;
    uint64_t accounted_lsn; /* up to here every promised item was seen or its absence reported */
    bool any_segment;
    flk_wal_scan_t scan;
} reader_t;

static void visit(reader_t *reader, const char *segment, uint64_t log_id, flk_wal_item_t *item) {
    item->segment = segment;
    item->log_id = log_id;
    reader->stopped = reader->stopped || !reader->visit(reader->arg, item);
}

static void visit_found(reader_t *reader, const flk_wal_file_t *file, const flk_wal_found_t *found) {
    flk_wal_item_t item = {
        .type = found->header.type == FLK_WAL_ITEM_ACK ? FLK_WAL_ITEM_ACK : FLK_WAL_ITEM_RECORD,
        .offset = found->offset,
        .bytes = found->bytes,
        .record = {.lsn = found->header.lsn, .time_ms = found->header.time_ms},
    };
    if (item.type == FLK_WAL_ITEM_ACK) {
        flk_wal_ack_decode(found->body, found->header.body_bytes, &item.acked_lsn, &item.ending);
    } else {
        item.record.kind = found->header.kind;
        item.record.body = found->body;
        item.record.body_bytes = found->header.body_bytes;
    }
    visit(reader, file->name, flk_wal_directory_name_id(&reader->directory, file), &item);
}

static void visit_place(reader_t *reader, const flk_wal_file_t *file, flk_wal_item_type_t type, uint64_t offset,
                        uint64_t bytes) {
    flk_wal_item_t item = {.type = type, .offset = offset, .bytes = bytes};
    visit(reader, file->name, flk_wal_directory_name_id(&reader->directory, file), &item);
}

static void visit_missing(reader_t *reader, uint64_t number, uint64_t lsn) {
    char name[FLK_WAL_NAME_BYTES];
    flk_wal_item_t item = {.type = FLK_WAL_ITEM_MISSING, .record = {.lsn = lsn}};
    flk_wal_file_name(number, name);
    visit(reader, name, reader->directory.log_id, &item);
}

/* ---- one file ---- */

/* The knowledge of others about the segment: its items from void_lsn on do not count, those up to durable_lsn were
 * promised. */
typedef struct context {
    uint64_t void_lsn, durable_lsn;
} context_t;

static context_t surroundings(const reader_t *reader, size_t index) {
    const flk_wal_file_t *file = &reader->directory.files[index];
    const flk_wal_file_t *next = flk_wal_directory_next(&reader->directory, index);
    const flk_wal_row_t *row = flk_wal_directory_row(&reader->directory, file->number);
    context_t context = {.void_lsn = UINT64_MAX};
    if (file->quarantined || (file->header_ok && file->header.sparse)) {
        return context;
    }
    if (next != NULL && next->header_ok) {
        context.void_lsn = next->header.first_lsn;
        context.durable_lsn = next->number == file->number + 1 ? next->header.durable_lsn : 0;
    }
    if (row != NULL) {
        context.durable_lsn = row->end_lsn - 1;
        context.void_lsn = row->end_lsn; /* items of a group that failed for good lie behind it */
    }
    return context;
}

static flk_err_t open_file(reader_t *reader, flk_wal_file_t *file, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    size_t got = 0;
    flk_wal_header_t header;
    flk_wal_path(reader->directory.dir, file->name, path);
    uint64_t salt = flk_wal_salt(flk_wal_directory_log_id(&reader->directory, file), file->number);
    flk_err_t err = flk_wal_scan_open(&reader->scan, path, salt, errmsg);
    if (err == FLK_OK) {
        err = flk_io_size(reader->scan.fd, path, &reader->scan.limit, errmsg);
    }
    /* of the file that is open now: a compacted one may have taken the place of the one that was listed */
    if (err == FLK_OK && file->header_ok &&
        flk_io_pread(reader->scan.fd, path, bytes, sizeof bytes, 0, &got, NULL) == FLK_OK && got == sizeof bytes &&
        flk_wal_header_decode(bytes, &header)) {
        file->header = header;
    }
    return err;
}

static flk_err_t last_durable(reader_t *reader, uint64_t *durable_lsn, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err;
    while ((err = flk_wal_scan_next(&reader->scan, &found, errmsg)) == FLK_OK) {
        uint64_t lsn = found.header.lsn - found.header.unsynced;
        *durable_lsn = lsn > *durable_lsn ? lsn : *durable_lsn;
    }
    flk_wal_scan_rewind(&reader->scan);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

/* The segment's own beginning and end, when all between them is sound. */
static void visit_ends(reader_t *reader, const flk_wal_file_t *file, uint64_t items, bool damaged) {
    const flk_wal_scan_t *scan = &reader->scan;
    if (items == 0 && !file->header_ok) {
        visit_place(reader, file, FLK_WAL_ITEM_STRANGER, 0, scan->limit);
    } else if (!file->header_ok) {
        visit_place(reader, file, FLK_WAL_ITEM_DAMAGE, 0, FLK_WAL_SEGMENT_HEADER_BYTES);
    }
    if (scan->unreadable_to > 0 && !damaged) {
        visit_place(reader, file, FLK_WAL_ITEM_DAMAGE, scan->unreadable_from,
                    scan->unreadable_to - scan->unreadable_from);
    }
}

static flk_err_t read_items(reader_t *reader, const flk_wal_file_t *file, context_t context, uint64_t *end_lsn,
                            char *errmsg) {
    const bool sparse = file->header_ok && file->header.sparse;
    uint64_t next_lsn = file->header_ok ? file->header.first_lsn : 0, items = 0;
    bool damaged = false, end = false;
    flk_wal_found_t found;
    while (!end && !reader->stopped) {
        flk_err_t err = flk_wal_scan_next(&reader->scan, &found, errmsg);
        if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
            return err;
        }
        end = err != FLK_OK;
        if (!end && found.header.lsn >= context.void_lsn) {
            break;
        }
        bool promised = sparse || next_lsn <= context.durable_lsn;
        bool gap = end ? (sparse ? items < file->header.items : promised && next_lsn > 0)
                       : !sparse && next_lsn > 0 && found.header.lsn > next_lsn;
        if (found.skipped_bytes > 0 || gap) {
            const bool damage = promised || next_lsn == 0;
            damaged = damaged || damage;
            visit_place(reader, file, damage ? FLK_WAL_ITEM_DAMAGE : FLK_WAL_ITEM_TORN, found.skipped_offset,
                        found.skipped_bytes);
        }
        if (!end && !reader->stopped) {
            visit_found(reader, file, &found);
            next_lsn = found.header.lsn + 1;
            items++;
        }
    }
    visit_ends(reader, file, items, damaged);
    *end_lsn = sparse ? file->header.end_lsn : next_lsn;
    return FLK_OK;
}

static flk_err_t read_file(reader_t *reader, size_t index, uint64_t *end_lsn, char *errmsg) {
    flk_wal_file_t *file = &reader->directory.files[index];
    flk_err_t err = open_file(reader, file, errmsg);
    context_t context = surroundings(reader, index);
    if (err == FLK_OK) {
        err = last_durable(reader, &context.durable_lsn, errmsg);
    }
    if (err == FLK_OK) {
        err = read_items(reader, file, context, end_lsn, errmsg);
    }
    flk_wal_scan_close(&reader->scan);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err; /* removed meanwhile */
}

/* ---- the account ---- */

static void account(reader_t *reader, uint64_t lsn) {
    reader->accounted_lsn = lsn > reader->accounted_lsn ? lsn : reader->accounted_lsn;
}

/* Segments that the checkpoint knows, in [from, to). */
static void account_rows(reader_t *reader, uint64_t from, uint64_t to) {
    const flk_wal_checkpoint_t *checkpoint = &reader->directory.checkpoint;
    for (size_t i = 0; i < checkpoint->rows_len && !reader->stopped; i++) {
        const flk_wal_row_t *row = &checkpoint->rows[i];
        if (row->number >= from && row->number < to) {
            if (flk_wal_directory_row_missing(&reader->directory, row)) {
                visit_missing(reader, row->number, row->first_lsn);
            }
            account(reader, row->end_lsn - 1);
        }
    }
}

/* An item that the checkpoint knows of is there, or was removed as settled. Items up to kept_lsn were in a file when it
 * was written. */
static void account_checkpoint(reader_t *reader) {
    const flk_wal_directory_t *directory = &reader->directory;
    if (!reader->stopped && directory->known_lsn > reader->accounted_lsn) {
        visit_missing(reader, directory->known_number - 1, reader->accounted_lsn + 1);
    }
    account(reader, directory->checkpoint.durable_lsn);
}

/* A header says up to which LSN the log was durable when the segment was made: was all of that seen? */
static void account_before(reader_t *reader, const flk_wal_file_t *file) {
    if (!file->header_ok || flk_wal_directory_row(&reader->directory, file->number) != NULL) {
        return;
    }
    if (file->number >= reader->directory.checkpoint.next_number) { /* made after the checkpoint, or there is none */
        account_checkpoint(reader);
        bool known = reader->directory.has_checkpoint || reader->any_segment;
        if (known && file->header.durable_lsn > reader->accounted_lsn) {
            visit_missing(reader, file->number - 1, reader->accounted_lsn + 1);
        }
    }
    account(reader, file->header.durable_lsn);
}

static flk_err_t read_segment(reader_t *reader, size_t index, char *errmsg) {
    const flk_wal_file_t *file = &reader->directory.files[index];
    const flk_wal_file_t *next = flk_wal_directory_next(&reader->directory, index);
    const flk_wal_row_t *row = flk_wal_directory_row(&reader->directory, file->number);
    uint64_t end_lsn = 1;
    account_before(reader, file);
    if (file->misnamed) {
        visit_place(reader, file, FLK_WAL_ITEM_MISNAMED, 0, 0);
    }
    flk_err_t err = read_file(reader, index, &end_lsn, errmsg);
    reader->any_segment = true;
    account(reader, end_lsn > 0 ? end_lsn - 1 : 0);
    if (row != NULL) {
        account(reader, row->end_lsn - 1);
    }
    if (next != NULL && next->header_ok && next->number == file->number + 1) {
        account(reader, next->header.durable_lsn); /* items that it lacks were reported as damage of this one */
    }
    return err;
}

static flk_err_t read_all(reader_t *reader, char *errmsg) {
    const flk_wal_directory_t *directory = &reader->directory;
    uint64_t from = 0, end_lsn;
    flk_err_t err = FLK_OK;
    size_t i = 0;
    for (; err == FLK_OK && !reader->stopped && i < directory->len && !directory->files[i].quarantined; i++) {
        const flk_wal_file_t *file = &directory->files[i];
        if (file->stranger) {
            visit_place(reader, file, FLK_WAL_ITEM_STRANGER, 0, 0);
            continue;
        }
        account_rows(reader, from, file->number);
        from = file->number + 1;
        err = read_segment(reader, i, errmsg);
    }
    if (err == FLK_OK) {
        account_rows(reader, from, UINT64_MAX);
    }
    if (err == FLK_OK) {
        account_checkpoint(reader);
    }
    for (; err == FLK_OK && !reader->stopped && i < directory->len; i++) {
        if (directory->files[i].stranger) {
            visit_place(reader, &directory->files[i], FLK_WAL_ITEM_STRANGER, 0, 0);
        } else {
            err = read_file(reader, i, &end_lsn, errmsg);
        }
    }
    return err;
}

static flk_err_t open_directory(reader_t *reader, const char *dir, char *errmsg) {
    if (strlen(dir) + FLK_WAL_NAME_BYTES >= FLK_WAL_PATH_BYTES) {
        flk_errmsg(errmsg, "there is no log in %s: path too long", dir);
        return FLK_E_NOT_FOUND;
    }
    flk_err_t err = flk_wal_directory_load(dir, false, &reader->directory, errmsg);
    if (err == FLK_OK && reader->directory.len == 0 && !reader->directory.has_checkpoint) {
        flk_errmsg(errmsg, "there is no log in %s", dir);
        err = FLK_E_NOT_FOUND;
    }
    return err;
}

flk_err_t flk_wal_read(const char *dir, flk_wal_visit_fn *visit_item, void *arg, char *errmsg) {
    reader_t reader = {.visit = visit_item, .arg = arg};
    flk_wal_scan_init(&reader.scan);
    flk_err_t err = open_directory(&reader, dir, errmsg);
    if (err == FLK_OK) {
        err = read_all(&reader, errmsg);
    }
    flk_wal_scan_fini(&reader.scan);
    flk_wal_directory_fini(&reader.directory);
    return err;
}
