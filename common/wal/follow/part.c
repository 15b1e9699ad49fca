/* SPDX-License-Identifier: MIT */
/* Finding an item: the last place at or before it, then from header to header. Those between were checked when they
 * were passed, so only the item itself is checked again. Acks come roughly in the order of their records, so most
 * look-ups find their bytes in the buffer of the one before. */
#include "common/wal/follow/part.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

enum { PLACE_BYTES = 4096, READ_BYTES = 64 << 10 };

void flk_wal_part_init(flk_wal_part_t *part) {
    *part = (flk_wal_part_t){0};
    flk_wal_scan_init(&part->scan);
}

static flk_err_t read_header(flk_wal_part_t *part, const char *path, char *errmsg) {
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    size_t got = 0;
    flk_err_t err = flk_io_pread(part->scan.fd, path, bytes, sizeof bytes, 0, &got, errmsg);
    if (err == FLK_OK && (got < sizeof bytes || !flk_wal_header_decode(bytes, &part->header))) {
        flk_errmsg(errmsg, "%s has no good header", path);
        err = FLK_E_CORRUPT;
    }
    if (err == FLK_OK && part->header.version > FLK_WAL_VERSION) {
        flk_errmsg(errmsg, "%s has format %u, this program reads %d: use the program that wrote it", path,
                   part->header.version, FLK_WAL_VERSION);
        err = FLK_E_CONFIG;
    }
    return err;
}

flk_err_t flk_wal_part_open(flk_wal_part_t *part, const char *dir, const char *name, uint64_t limit_lsn, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(dir, name, path);
    flk_err_t err = flk_wal_scan_open_cached(&part->scan, path, 0, errmsg);
    if (err == FLK_OK) {
        err = read_header(part, path, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_size(part->scan.fd, path, &part->scan.limit, errmsg);
    }
    if (err == FLK_OK) {
        part->scan.salt = flk_wal_salt(part->header.log_id, part->header.number);
        part->scan.last_lsn = part->header.first_lsn - 1;
        part->scan.lsn_max = part->header.first_lsn + FLK_WAL_SEGMENT_LSNS_MAX;
        part->limit_lsn = part->header.sparse ? part->header.end_lsn - 1 : limit_lsn;
    }
    return err;
}

void flk_wal_part_fini(flk_wal_part_t *part) {
    flk_wal_scan_fini(&part->scan);
    free(part->places);
    flk_wal_part_init(part);
}

void flk_wal_part_refresh(flk_wal_part_t *part) {
    part->scan.buffer_bytes = 0;
}

static flk_err_t note_place(flk_wal_part_t *part, const flk_wal_found_t *found, char *errmsg) {
    if (part->places_len > 0 && found->offset - part->places[part->places_len - 1].offset < PLACE_BYTES) {
        return FLK_OK;
    }
    if (part->places_len == part->places_capacity) {
        const size_t capacity = part->places_capacity * 2 + 64;
        flk_wal_place_t *places = realloc(part->places, capacity * sizeof *places);
        if (places == NULL) {
            flk_errmsg(errmsg, "cannot follow %s: out of memory", part->scan.path);
            return FLK_E_NOMEM;
        }
        part->places = places;
        part->places_capacity = capacity;
    }
    part->places[part->places_len++] = (flk_wal_place_t){.lsn = found->header.lsn, .offset = found->offset};
    return FLK_OK;
}

void flk_wal_part_stand_at(flk_wal_part_t *part, uint64_t offset, uint64_t last_lsn) {
    part->scan.offset = offset;
    part->scan.last_lsn = last_lsn;
    flk_wal_part_refresh(part);
}

flk_err_t flk_wal_part_next(flk_wal_part_t *part, flk_wal_found_t *found, char *errmsg) {
    const uint64_t offset = part->scan.offset, last_lsn = part->scan.last_lsn;
    if (last_lsn >= part->limit_lsn) {
        return FLK_E_NOT_FOUND; /* not to be looked for: the empty rest may be large */
    }
    flk_err_t err = flk_wal_scan_next(&part->scan, found, errmsg);
    if (err == FLK_OK && found->header.lsn > part->limit_lsn) {
        err = FLK_E_NOT_FOUND;
    }
    if (err == FLK_OK) {
        err = note_place(part, found, errmsg);
    }
    if (err != FLK_OK) {
        flk_wal_part_stand_at(part, offset, last_lsn);
    }
    return err;
}

/* ---- single items ---- */

/* Points *data at `want` bytes of the part from `offset` on. FLK_E_NOT_FOUND: they are not there. */
static flk_err_t look(flk_wal_part_reader_t *reader, const flk_wal_part_t *part, uint64_t offset, size_t want,
                      const uint8_t **data) {
    if (reader->part != part || offset < reader->offset || offset + want > reader->offset + reader->bytes) {
        const size_t fetch = want < READ_BYTES ? READ_BYTES : want;
        if (fetch > reader->capacity) {
            uint8_t *buffer = realloc(reader->buffer, fetch);
            if (buffer == NULL) {
                return FLK_E_NOMEM;
            }
            reader->buffer = buffer;
            reader->capacity = fetch;
        }
        reader->part = NULL;
        if (flk_io_pread(part->scan.fd, part->scan.path, reader->buffer, fetch, offset, &reader->bytes, NULL) !=
                FLK_OK ||
            reader->bytes < want) {
            return FLK_E_NOT_FOUND;
        }
        reader->part = part;
        reader->offset = offset;
        const uint64_t passed = part->scan.offset - offset; /* later bytes may be written yet */
        reader->bytes = reader->bytes < passed ? reader->bytes : (size_t)passed;
    }
    *data = reader->buffer + (offset - reader->offset);
    return FLK_OK;
}

/* The offset of the last place at or before `lsn`; 0: there is none. */
static uint64_t place_before(const flk_wal_part_t *part, uint64_t lsn) {
    size_t low = 0, high = part->places_len;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (part->places[middle].lsn <= lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : part->places[low - 1].offset;
}

static flk_err_t take(const flk_wal_part_t *part, flk_wal_part_reader_t *reader, uint64_t offset,
                      flk_wal_found_t *found) {
    const size_t bytes = FLK_WAL_ITEM_HEADER_BYTES + (size_t)found->header.body_bytes;
    const uint8_t *data;
    flk_err_t err = offset + bytes <= part->scan.limit ? look(reader, part, offset, bytes, &data) : FLK_E_NOT_FOUND;
    if (err == FLK_OK &&
        !flk_wal_item_check(data, data + FLK_WAL_ITEM_HEADER_BYTES, found->header.body_bytes, part->scan.salt)) {
        err = FLK_E_NOT_FOUND;
    }
    if (err == FLK_OK) {
        found->body = data + FLK_WAL_ITEM_HEADER_BYTES;
    }
    return err;
}

flk_err_t flk_wal_part_find(const flk_wal_part_t *part, flk_wal_part_reader_t *reader, uint64_t lsn,
                            flk_wal_found_t *found) {
    uint64_t offset = place_before(part, lsn);
    while (offset != 0 && offset < part->scan.offset) {
        const uint8_t *data;
        flk_err_t err = look(reader, part, offset, FLK_WAL_ITEM_HEADER_BYTES, &data);
        if (err != FLK_OK) {
            return err;
        }
        const bool item = flk_wal_item_decode(data, &found->header);
        if (item && found->header.lsn == lsn) {
            found->offset = offset;
            return take(part, reader, offset, found);
        }
        if (item && found->header.lsn > lsn) {
            return FLK_E_NOT_FOUND;
        }
        offset += item ? flk_wal_item_bytes(found->header.body_bytes) : FLK_WAL_ALIGN_BYTES;
    }
    return FLK_E_NOT_FOUND;
}
