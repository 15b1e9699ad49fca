/* SPDX-License-Identifier: MIT */
/* 1. Try the item at `offset`: magic, type, length within the limit, LSN above the last, checksum.
 * 2. If it does not check, try again 8 bytes further on, up to the limit: a single bad item hides nothing behind it.
 * 3. No item before the limit: say how much of the rest is not zero, since preallocated space is.
 *
 * A length is believed only when it fits before the limit, so damage cannot make the buffer larger than the file.
 * A block that the disk refuses to give (EIO) counts as zeros and is noted: items around it are still found. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/scan.h"

enum { BUFFER_BYTES = 256 << 10, BLOCK_BYTES = 4096 };

void flk_wal_scan_init(flk_wal_scan_t *scan) {
    *scan = (flk_wal_scan_t){.fd = -1};
}

flk_err_t flk_wal_scan_open_cached(flk_wal_scan_t *scan, const char *path, uint64_t salt, char *errmsg) {
    flk_wal_scan_close(scan);
    flk_err_t err = flk_io_open(path, O_RDONLY, &scan->fd, errmsg);
    if (err != FLK_OK) {
        scan->fd = -1;
        return err;
    }
    strcpy(scan->path, path);
    scan->salt = salt;
    scan->limit = 0;
    scan->unreadable_from = scan->unreadable_to = 0;
    flk_wal_scan_rewind(scan);
    return FLK_OK;
}

flk_err_t flk_wal_scan_open(flk_wal_scan_t *scan, const char *path, uint64_t salt, char *errmsg) {
    flk_err_t err = flk_wal_scan_open_cached(scan, path, salt, errmsg);
    if (err == FLK_OK) { /* after a failed write-back the cache shows bytes that never arrived */
        (void)posix_fadvise(scan->fd, 0, 0, POSIX_FADV_DONTNEED);
    }
    return err;
}

void flk_wal_scan_rewind(flk_wal_scan_t *scan) {
    scan->offset = FLK_WAL_SEGMENT_HEADER_BYTES;
    scan->last_lsn = scan->buffer_offset = 0;
    scan->lsn_max = FLK_WAL_NUMBER_MAX;
    scan->buffer_bytes = 0;
}

void flk_wal_scan_close(flk_wal_scan_t *scan) {
    if (scan->fd >= 0) {
        (void)!flk_io_close(scan->fd, scan->path, NULL); /* it was only read */
        scan->fd = -1;
    }
}

void flk_wal_scan_fini(flk_wal_scan_t *scan) {
    flk_wal_scan_close(scan);
    free(scan->buffer);
    scan->buffer = NULL;
    scan->buffer_capacity = 0;
}

static void note_unreadable(flk_wal_scan_t *scan, uint64_t from, uint64_t to) {
    if (scan->unreadable_to == 0 || from < scan->unreadable_from) {
        scan->unreadable_from = from;
    }
    scan->unreadable_to = to > scan->unreadable_to ? to : scan->unreadable_to;
}

/* Block by block, since one bad block fails the whole of a larger read. */
static flk_err_t fetch_around(flk_wal_scan_t *scan, size_t fetch, uint64_t offset, char *errmsg) {
    scan->buffer_bytes = 0;
    while (scan->buffer_bytes < fetch) {
        const uint64_t at = offset + scan->buffer_bytes;
        size_t part = BLOCK_BYTES - (size_t)(at % BLOCK_BYTES), got;
        part = part < fetch - scan->buffer_bytes ? part : fetch - scan->buffer_bytes;
        uint8_t *into = scan->buffer + scan->buffer_bytes;
        flk_err_t err = flk_io_pread(scan->fd, scan->path, into, part, at, &got, errmsg);
        if (err == FLK_E_IO) {
            memset(into, 0, part);
            note_unreadable(scan, at, at + part);
            got = part;
        } else if (err != FLK_OK) {
            return err;
        }
        scan->buffer_bytes += got;
        if (got < part) {
            break; /* the file is shorter than it was */
        }
    }
    return FLK_OK;
}

/* Points *data at the bytes of the file from `offset` on: at least `want` bytes, fewer only at the limit or the end;
 * *data means nothing when *have is 0. */
static flk_err_t look(flk_wal_scan_t *scan, uint64_t offset, size_t want, const uint8_t **data, size_t *have,
                      char *errmsg) {
    uint64_t left = offset < scan->limit ? scan->limit - offset : 0;
    if (left == 0) {
        *have = 0;
        return FLK_OK;
    }
    want = want < left ? want : (size_t)left;
    bool inside = offset >= scan->buffer_offset && offset + want <= scan->buffer_offset + scan->buffer_bytes;
    if (!inside) {
        if (scan->stop_asked != NULL && scan->stop_asked()) {
            flk_errmsg(errmsg, "the reading of %s was stopped by a signal", scan->path);
            return FLK_E_CLOSED;
        }
        size_t fetch = want < BUFFER_BYTES ? BUFFER_BYTES : want;
        fetch = fetch < left ? fetch : (size_t)left;
        if (fetch > scan->buffer_capacity) {
            uint8_t *buffer = realloc(scan->buffer, fetch);
            if (buffer == NULL) {
                flk_errmsg(errmsg, "cannot read %s: out of memory", scan->path);
                return FLK_E_NOMEM;
            }
            scan->buffer = buffer;
            scan->buffer_capacity = fetch;
        }
        scan->buffer_offset = offset;
        scan->buffer_bytes = 0;
        flk_err_t err = flk_io_pread(scan->fd, scan->path, scan->buffer, fetch, offset, &scan->buffer_bytes, errmsg);
        if (err == FLK_E_IO) {
            err = fetch_around(scan, fetch, offset, errmsg);
        }
        if (err != FLK_OK) {
            scan->buffer_bytes = 0;
            return err;
        }
    }
    *data = scan->buffer + (offset - scan->buffer_offset);
    *have = scan->buffer_bytes - (size_t)(offset - scan->buffer_offset);
    return FLK_OK;
}

/* FLK_E_NOT_FOUND: no valid item at `offset`. */
static flk_err_t item_at(flk_wal_scan_t *scan, uint64_t offset, flk_wal_found_t *found, char *errmsg) {
    const uint8_t *data;
    size_t have;
    flk_err_t err = look(scan, offset, FLK_WAL_ITEM_HEADER_BYTES, &data, &have, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (have < FLK_WAL_ITEM_HEADER_BYTES || !flk_wal_item_decode(data, &found->header) ||
        found->header.lsn <= scan->last_lsn || found->header.lsn > scan->lsn_max) {
        return FLK_E_NOT_FOUND;
    }
    size_t bytes = FLK_WAL_ITEM_HEADER_BYTES + (size_t)found->header.body_bytes;
    err = look(scan, offset, bytes, &data, &have, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const uint8_t *body = data + FLK_WAL_ITEM_HEADER_BYTES;
    if (have < bytes || !flk_wal_item_check(data, body, found->header.body_bytes, scan->salt)) {
        return FLK_E_NOT_FOUND;
    }
    found->offset = offset;
    found->bytes = flk_wal_item_bytes(found->header.body_bytes);
    found->body = body;
    return FLK_OK;
}

static bool all_zero(const uint8_t *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] != 0) {
            return false;
        }
    }
    return true;
}

/* Moves *offset on to the next 8 bytes that are not all zero. FLK_E_NOT_FOUND: only zeros follow. */
static flk_err_t skip_zeros(flk_wal_scan_t *scan, uint64_t *offset, char *errmsg) {
    for (;;) {
        const uint8_t *data;
        size_t have;
        flk_err_t err = look(scan, *offset, FLK_WAL_ALIGN_BYTES, &data, &have, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        if (have == 0) {
            return FLK_E_NOT_FOUND;
        }
        for (size_t at = 0; at < have; at += FLK_WAL_ALIGN_BYTES) {
            size_t width = have - at < FLK_WAL_ALIGN_BYTES ? have - at : FLK_WAL_ALIGN_BYTES;
            if (!all_zero(data + at, width)) {
                *offset += at;
                return FLK_OK;
            }
        }
        *offset += have;
    }
}

flk_err_t flk_wal_scan_next(flk_wal_scan_t *scan, flk_wal_found_t *found, char *errmsg) {
    uint64_t start = scan->offset, offset = start, junk_end = start;
    flk_err_t err = item_at(scan, offset, found, errmsg);
    while (err == FLK_E_NOT_FOUND) {
        err = skip_zeros(scan, &offset, errmsg);
        if (err != FLK_OK) {
            break;
        }
        err = item_at(scan, offset, found, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            offset += FLK_WAL_ALIGN_BYTES;
            junk_end = offset < scan->limit ? offset : scan->limit;
        }
    }
    found->skipped_offset = start;
    if (err == FLK_OK) {
        found->skipped_bytes = offset - start;
        scan->offset = offset + found->bytes;
        scan->last_lsn = found->header.lsn;
    } else if (err == FLK_E_NOT_FOUND) {
        found->skipped_bytes = junk_end - start;
    }
    return err;
}
