/* SPDX-License-Identifier: MIT */
/* A new or rewritten segment comes into being in one order: made under a temporary name, given its space, its header
 * (and items) written, synced, renamed, directory synced. Whatever fails in between leaves a temporary file, which the
 * next attempt removes, or under a final name a segment without items, which recovery removes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/wal_internal.h"

enum { COPY_BUFFER_BYTES = 256 << 10, RESERVE_BYTES_MAX = 4 << 20, RESERVE_BYTES_MIN = 4096 };

static const char temporary_name[] = "segment.tmp", reserve_name[] = "reserve";

void flk_wal_file_name(uint64_t number, char name[FLK_WAL_NAME_BYTES]) {
    snprintf(name, FLK_WAL_NAME_BYTES, "wal-%016llx.seg", (unsigned long long)number);
}

bool flk_wal_file_number(const char *name, uint64_t *number) {
    char canonical[FLK_WAL_NAME_BYTES];
    unsigned long long value;
    if (sscanf(name, "wal-%16llx.seg", &value) != 1) {
        return false;
    }
    *number = value;
    flk_wal_file_name(value, canonical);
    return strcmp(name, canonical) == 0;
}

static flk_err_t remove_if_there(const char *path, char *errmsg) {
    flk_err_t err = flk_io_unlink(path, errmsg);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

static flk_err_t open_temporary(flk_wal_t *wal, char path[FLK_WAL_PATH_BYTES], int *fd, char *errmsg) {
    flk_wal_path(wal, temporary_name, path);
    flk_err_t err = remove_if_there(path, errmsg);
    return err != FLK_OK ? err : flk_io_open(path, O_WRONLY | O_CREAT | O_EXCL, fd, errmsg);
}

static flk_err_t open_reserve(flk_wal_t *wal, char path[FLK_WAL_PATH_BYTES], int *fd, uint64_t *file_bytes,
                              char *errmsg) {
    flk_wal_path(wal, reserve_name, path);
    flk_err_t err = flk_io_open(path, O_WRONLY, fd, errmsg);
    if (err == FLK_OK) {
        err = flk_io_size(*fd, path, file_bytes, errmsg);
        if (err == FLK_OK && *file_bytes < RESERVE_BYTES_MIN) {
            flk_errmsg(errmsg, "%s holds no space: it is removed", path);
            err = FLK_E_NO_SPACE;
        }
        if (err != FLK_OK) {
            (void)!flk_io_close(*fd, path, NULL);
            (void)!flk_io_unlink(path, NULL);
        }
    }
    return err;
}

static flk_err_t write_header(int fd, const char *path, const flk_wal_header_t *header, char *errmsg) {
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    flk_wal_header_encode(header, bytes);
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    return flk_io_pwritev(fd, path, &iov, 1, 0, errmsg);
}

flk_err_t flk_wal_file_create(flk_wal_t *wal, const flk_wal_header_t *header, bool spend_reserve, uint64_t *file_bytes,
                              int *fd, char *errmsg) {
    char temporary[FLK_WAL_PATH_BYTES], path[FLK_WAL_PATH_BYTES], name[FLK_WAL_NAME_BYTES];
    flk_wal_file_name(header->number, name);
    flk_wal_path(wal, name, path);
    flk_err_t err = spend_reserve ? open_reserve(wal, temporary, fd, file_bytes, errmsg)
                                  : open_temporary(wal, temporary, fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (!spend_reserve) {
        err = flk_io_allocate(*fd, temporary, *file_bytes, errmsg);
    }
    if (err == FLK_OK) {
        err = write_header(*fd, temporary, header, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_sync(*fd, temporary, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
        if (err == FLK_OK) {
            err = flk_io_sync_dir(wal->dir, errmsg);
        }
    }
    if (err != FLK_OK) {
        (void)!flk_io_close(*fd, temporary, NULL);
        (void)!flk_io_unlink(temporary, NULL);
        (void)!flk_io_unlink(path, NULL);
    }
    return err;
}

flk_err_t flk_wal_file_make_reserve(flk_wal_t *wal, char *errmsg) {
    char temporary[FLK_WAL_PATH_BYTES], path[FLK_WAL_PATH_BYTES];
    int fd;
    flk_wal_path(wal, reserve_name, path);
    flk_err_t err = open_temporary(wal, temporary, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    uint64_t bytes =
        wal->options.segment_bytes_max < RESERVE_BYTES_MAX ? wal->options.segment_bytes_max : RESERVE_BYTES_MAX;
    err = flk_io_allocate(fd, temporary, bytes, errmsg);
    if (err == FLK_OK) {
        err = flk_io_sync(fd, temporary, errmsg);
    }
    flk_err_t close_err = flk_io_close(fd, temporary, err == FLK_OK ? errmsg : NULL);
    err = err != FLK_OK ? err : close_err;
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
    }
    if (err != FLK_OK) {
        (void)!flk_io_unlink(temporary, NULL);
    }
    return err;
}

static bool same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

flk_err_t flk_wal_file_quarantine(flk_wal_t *wal, const char *name, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES], aside_name[FLK_WAL_NAME_BYTES + 16], aside[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal, name, path);
    flk_err_t err = FLK_E_EXISTS;
    for (int copy = 0; err == FLK_E_EXISTS && copy < 1000; copy++) {
        snprintf(aside_name, sizeof aside_name, copy == 0 ? "%s.damaged" : "%s.%d.damaged", name, copy);
        flk_wal_path(wal, aside_name, aside);
        err = flk_io_link(path, aside, errmsg);
        if (err == FLK_E_EXISTS && same_file(path, aside)) {
            return FLK_OK; /* an earlier start got this far */
        }
    }
    return err;
}

/* ---- rewriting ---- */

typedef struct copy {
    flk_wal_scan_t scan;
    flk_wal_segment_t *shadow; /* what the new file holds, as a segment of its own */
    int fd;
    char path[FLK_WAL_PATH_BYTES];
    uint8_t *buffer;
    size_t buffered;
    uint64_t written; /* bytes of the new file so far */
} copy_t;

static flk_err_t copy_flush(copy_t *copy, char *errmsg) {
    struct iovec iov = {.iov_base = copy->buffer, .iov_len = copy->buffered};
    flk_err_t err = flk_io_pwritev(copy->fd, copy->path, &iov, 1, copy->written, errmsg);
    copy->written += copy->buffered;
    copy->buffered = 0;
    return err;
}

static flk_err_t copy_put(copy_t *copy, const uint8_t *data, size_t bytes, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && bytes > 0) {
        size_t room = COPY_BUFFER_BYTES - copy->buffered, part = bytes < room ? bytes : room;
        memcpy(copy->buffer + copy->buffered, data, part);
        copy->buffered += part;
        data += part;
        bytes -= part;
        if (copy->buffered == COPY_BUFFER_BYTES) {
            err = copy_flush(copy, errmsg);
        }
    }
    return err;
}

/* The item goes over as it is: same number of the segment, same salt, same checksum. */
static flk_err_t copy_item(copy_t *copy, const flk_wal_found_t *found, char *errmsg) {
    static const uint8_t zeros[FLK_WAL_ALIGN_BYTES];
    size_t bytes = FLK_WAL_ITEM_HEADER_BYTES + (size_t)found->header.body_bytes;
    flk_err_t err = flk_wal_segment_reserve(copy->shadow, found->header.lsn);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "cannot rewrite %s: out of memory", copy->scan.path);
        return err;
    }
    flk_wal_segment_add(copy->shadow, &found->header, copy->written + copy->buffered);
    err = copy_put(copy, found->body - FLK_WAL_ITEM_HEADER_BYTES, bytes, errmsg);
    return err != FLK_OK ? err : copy_put(copy, zeros, (size_t)found->bytes - bytes, errmsg);
}

static bool wanted(flk_wal_t *wal, const flk_wal_segment_t *segment, const flk_wal_item_header_t *item,
                   bool live_only) {
    if (!live_only) {
        return true;
    }
    pthread_mutex_lock(&wal->lock);
    bool live = flk_wal_segment_unacked(segment, item->lsn);
    pthread_mutex_unlock(&wal->lock);
    return live;
}

static flk_err_t copy_items(flk_wal_t *wal, copy_t *copy, const flk_wal_segment_t *segment, bool live_only,
                            uint64_t *items, char *errmsg) {
    flk_wal_found_t found;
    flk_err_t err;
    while ((err = flk_wal_scan_next(&copy->scan, &found, errmsg)) == FLK_OK && found.header.lsn < segment->end_lsn) {
        if (wanted(wal, segment, &found.header, live_only)) {
            err = copy_item(copy, &found, errmsg);
            if (err != FLK_OK) {
                return err;
            }
            (*items)++;
        }
    }
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        return err;
    }
    return copy_flush(copy, errmsg);
}

/* From here on the new file is the segment. */
static void adopt(flk_wal_t *wal, flk_wal_segment_t *segment, flk_wal_segment_t *shadow) {
    pthread_mutex_lock(&wal->lock);
    flk_wal_waypoint_t *waypoints = segment->waypoints;
    segment->waypoints = shadow->waypoints;
    segment->waypoints_len = shadow->waypoints_len;
    segment->waypoints_halved = shadow->waypoints_halved;
    segment->bytes = segment->file_bytes = shadow->bytes;
    segment->generation++;
    pthread_mutex_unlock(&wal->lock);
    shadow->waypoints = waypoints;
}

static flk_err_t copy_open(flk_wal_t *wal, copy_t *copy, const flk_wal_segment_t *segment, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal, segment->name, path);
    copy->buffer = malloc(COPY_BUFFER_BYTES);
    copy->shadow = flk_wal_segment_new(segment->number, segment->first_lsn, segment->end_lsn - segment->first_lsn);
    if (copy->buffer == NULL || copy->shadow == NULL) {
        flk_errmsg(errmsg, "cannot rewrite %s: out of memory", path);
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_wal_scan_open(&copy->scan, path, flk_wal_salt(wal->id, segment->number), errmsg);
    if (err != FLK_OK) {
        return err;
    }
    copy->scan.limit = segment->bytes;
    copy->written = FLK_WAL_SEGMENT_HEADER_BYTES;
    err = open_temporary(wal, copy->path, &copy->fd, errmsg);
    if (err != FLK_OK) {
        copy->fd = -1;
    }
    return err;
}

flk_err_t flk_wal_file_rewrite(flk_wal_t *wal, flk_wal_segment_t *segment, bool live_only, char *errmsg) {
    copy_t copy = {.fd = -1};
    flk_wal_header_t header = {
        .log_id = wal->id,
        .number = segment->number,
        .first_lsn = segment->first_lsn,
        .durable_lsn = segment->durable_lsn,
        .created_ms = (uint64_t)flk_wall_ms(),
        .sparse = true,
        .end_lsn = segment->end_lsn,
    };
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal, segment->name, path);
    flk_wal_scan_init(&copy.scan);
    flk_err_t err = copy_open(wal, &copy, segment, errmsg);
    if (err == FLK_OK) {
        err = copy_items(wal, &copy, segment, live_only, &header.items, errmsg);
    }
    if (err == FLK_OK) {
        err = write_header(copy.fd, copy.path, &header, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_sync(copy.fd, copy.path, errmsg);
    }
    if (copy.fd >= 0) {
        flk_err_t close_err = flk_io_close(copy.fd, copy.path, err == FLK_OK ? errmsg : NULL);
        err = err != FLK_OK ? err : close_err;
    }
    if (err == FLK_OK) {
        err = flk_io_rename(copy.path, path, errmsg);
        if (err == FLK_OK) {
            adopt(wal, segment, copy.shadow);
            err = flk_io_sync_dir(wal->dir, errmsg);
        }
    }
    if (err != FLK_OK && copy.path[0] != '\0') {
        (void)!flk_io_unlink(copy.path, NULL);
    }
    flk_wal_scan_fini(&copy.scan);
    flk_wal_segment_destroy(&copy.shadow);
    free(copy.buffer);
    return err;
}
