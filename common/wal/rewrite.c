/* SPDX-License-Identifier: MIT */
/* 1. Open the segment's file and a temporary one.
 * 2. Step by step: read on, copy the wanted items, sync them.
 * 3. At the end: header, sync, rename over the old file, directory synced. From then on memory goes by the new file.
 *
 * The writer does it between two groups, so no step may take long: at most STEP_BYTES are read, and each step
 * syncs its copies, not all of them at the end. A failure leaves the old file; the temporary one is removed. */
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/file.h"
#include "common/wal/rewrite.h"
#include "common/wal/scan.h"

enum {
    COPY_BUFFER_BYTES = 256 << 10,
    STEP_BYTES = 1 << 20,
    WORTH_PARTS = 4, /* a quarter of the file is worth writing the rest anew */
};

struct flk_wal_rewrite {
    flk_wal_t *wal;
    flk_wal_segment_t *segment;
    flk_wal_rewrite_kind_t kind;
    bool measured; /* REFUSED: it is worth it */
    uint64_t refused_bytes;
    flk_wal_header_t header;
    flk_wal_scan_t scan;       /* of the old file */
    flk_wal_segment_t *shadow; /* the new file as a segment of its own */
    int fd;                    /* the new file; -1: closed */
    char path[FLK_WAL_PATH_BYTES];
    uint8_t *buffer;
    size_t buffered;
    uint64_t written; /* bytes of the new file so far */
    bool adopted;     /* the new file is the segment's */
};

static flk_err_t flush(flk_wal_rewrite_t *rewrite, char *errmsg) {
    if (rewrite->buffered == 0) {
        return FLK_OK;
    }
    struct iovec iov = {.iov_base = rewrite->buffer, .iov_len = rewrite->buffered};
    flk_err_t err = flk_io_pwritev(rewrite->fd, rewrite->path, &iov, 1, rewrite->written, errmsg);
    rewrite->written += rewrite->buffered;
    rewrite->buffered = 0;
    return err != FLK_OK ? err : flk_io_sync(rewrite->fd, rewrite->path, errmsg);
}

static flk_err_t put(flk_wal_rewrite_t *rewrite, const uint8_t *data, size_t bytes, char *errmsg) {
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && bytes > 0) {
        size_t room = COPY_BUFFER_BYTES - rewrite->buffered, part = bytes < room ? bytes : room;
        memcpy(rewrite->buffer + rewrite->buffered, data, part);
        rewrite->buffered += part;
        data += part;
        bytes -= part;
        if (rewrite->buffered == COPY_BUFFER_BYTES) {
            err = flush(rewrite, errmsg);
        }
    }
    return err;
}

static flk_err_t nomem(const flk_wal_rewrite_t *rewrite, char *errmsg) {
    flk_errmsg(errmsg, "cannot rewrite %s/%s: out of memory", rewrite->wal->config.dir, rewrite->segment->name);
    return FLK_E_NOMEM;
}

/* The item goes over as it is: same number of the segment, same salt, same checksum. */
static flk_err_t copy_item(flk_wal_rewrite_t *rewrite, const flk_wal_found_t *found, char *errmsg) {
    static const uint8_t zeros[FLK_WAL_ALIGN_BYTES];
    size_t bytes = FLK_WAL_ITEM_HEADER_BYTES + (size_t)found->header.body_bytes;
    if (flk_wal_segment_reserve(rewrite->shadow, found->header.lsn) != FLK_OK) {
        return nomem(rewrite, errmsg);
    }
    flk_wal_segment_add(rewrite->shadow, &found->header, rewrite->written + rewrite->buffered);
    rewrite->header.items++;
    flk_err_t err = put(rewrite, found->body - FLK_WAL_ITEM_HEADER_BYTES, bytes, errmsg);
    return err != FLK_OK ? err : put(rewrite, zeros, (size_t)found->bytes - bytes, errmsg);
}

static bool is_live(const flk_wal_rewrite_t *rewrite, uint64_t lsn) {
    pthread_mutex_lock(&rewrite->wal->shared.lock);
    bool live = flk_wal_segment_unacked(rewrite->segment, lsn);
    pthread_mutex_unlock(&rewrite->wal->shared.lock);
    return live;
}

static bool is_refused(const flk_wal_rewrite_t *rewrite, const flk_wal_item_header_t *item) {
    return item->type == FLK_WAL_ITEM_RECORD && flk_wal_segment_refused(rewrite->segment, item->lsn);
}

static bool wanted(const flk_wal_rewrite_t *rewrite, const flk_wal_item_header_t *item) {
    switch (rewrite->kind) {
    case FLK_WAL_REWRITE_LIVE:
        return is_live(rewrite, item->lsn);
    case FLK_WAL_REWRITE_REFUSED:
        return !is_refused(rewrite, item);
    case FLK_WAL_REWRITE_ALL:
        break;
    }
    return true;
}

static void begin_reading(flk_wal_rewrite_t *rewrite) {
    flk_wal_scan_rewind(&rewrite->scan);
    rewrite->scan.last_lsn = rewrite->segment->first_lsn - 1;
    rewrite->scan.lsn_max = rewrite->segment->end_lsn - 1;
}

/* Sums up the bytes of the refused records. FLK_E_AGAIN: there are more items, or it is worth it. */
static flk_err_t measure_some(flk_wal_rewrite_t *rewrite, char *errmsg) {
    const uint64_t stop_offset = rewrite->scan.offset + STEP_BYTES;
    flk_wal_found_t found;
    while (rewrite->scan.offset < stop_offset) {
        flk_err_t err = flk_wal_scan_next(&rewrite->scan, &found, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            rewrite->measured = true;
            begin_reading(rewrite);
            return rewrite->refused_bytes * WORTH_PARTS < rewrite->segment->bytes ? FLK_E_EXISTS : FLK_E_AGAIN;
        }
        if (err != FLK_OK) {
            return err;
        }
        rewrite->refused_bytes += is_refused(rewrite, &found.header) ? found.bytes : 0;
    }
    return FLK_E_AGAIN;
}

/* FLK_E_AGAIN: there are more items. */
static flk_err_t copy_some(flk_wal_rewrite_t *rewrite, char *errmsg) {
    const uint64_t stop_offset = rewrite->scan.offset + STEP_BYTES;
    flk_wal_found_t found;
    while (rewrite->scan.offset < stop_offset) {
        flk_err_t err = flk_wal_scan_next(&rewrite->scan, &found, errmsg);
        if (err == FLK_E_NOT_FOUND) {
            return flush(rewrite, errmsg);
        }
        if (err == FLK_OK && wanted(rewrite, &found.header)) {
            err = copy_item(rewrite, &found, errmsg);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    flk_err_t err = flush(rewrite, errmsg);
    return err == FLK_OK ? FLK_E_AGAIN : err;
}

/* From here on the new file is the segment's. */
static void adopt(flk_wal_rewrite_t *rewrite) {
    flk_wal_segment_t *segment = rewrite->segment, *shadow = rewrite->shadow;
    pthread_mutex_lock(&rewrite->wal->shared.lock);
    flk_wal_waypoint_t *waypoints = segment->waypoints;
    segment->waypoints = shadow->waypoints;
    segment->waypoints_len = shadow->waypoints_len;
    segment->waypoints_halved = shadow->waypoints_halved;
    segment->bytes = segment->file_bytes = shadow->bytes;
    segment->generation++;
    segment->acks_lost = !rewrite->header.acks_kept;
    pthread_mutex_unlock(&rewrite->wal->shared.lock);
    shadow->waypoints = waypoints;
    rewrite->adopted = true;
}

static flk_err_t finish(flk_wal_rewrite_t *rewrite, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(rewrite->wal->config.dir, rewrite->segment->name, path);
    flk_err_t err = flk_wal_file_write_header(rewrite->fd, rewrite->path, &rewrite->header, errmsg);
    if (err == FLK_OK) {
        err = flk_io_sync(rewrite->fd, rewrite->path, errmsg);
    }
    flk_err_t close_err = flk_io_close(rewrite->fd, rewrite->path, err == FLK_OK ? errmsg : NULL);
    rewrite->fd = -1;
    err = err != FLK_OK ? err : close_err;
    if (err == FLK_OK) {
        err = flk_io_rename(rewrite->path, path, errmsg);
    }
    if (err == FLK_OK) {
        adopt(rewrite);
        err = flk_io_sync_dir(rewrite->wal->config.dir, errmsg);
    }
    return err;
}

flk_err_t flk_wal_rewrite_step(flk_wal_rewrite_t *rewrite, char *errmsg) {
    if (rewrite->kind == FLK_WAL_REWRITE_REFUSED && !rewrite->measured) {
        return measure_some(rewrite, errmsg);
    }
    flk_err_t err = copy_some(rewrite, errmsg);
    return err == FLK_OK ? finish(rewrite, errmsg) : err;
}

static flk_err_t open_files(flk_wal_rewrite_t *rewrite, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    const flk_wal_segment_t *segment = rewrite->segment;
    flk_wal_path(rewrite->wal->config.dir, segment->name, path);
    rewrite->buffer = malloc(COPY_BUFFER_BYTES);
    rewrite->shadow = flk_wal_segment_new(segment->number, segment->first_lsn, segment->end_lsn - segment->first_lsn);
    if (rewrite->buffer == NULL || rewrite->shadow == NULL) {
        return nomem(rewrite, errmsg);
    }
    flk_err_t err =
        flk_wal_scan_open(&rewrite->scan, path, flk_wal_salt(rewrite->wal->config.id, segment->number), errmsg);
    if (err != FLK_OK) {
        return err;
    }
    rewrite->scan.limit = segment->bytes;
    begin_reading(rewrite);
    rewrite->written = FLK_WAL_SEGMENT_HEADER_BYTES;
    err = flk_wal_file_temporary(&rewrite->wal->config, FLK_WAL_REWRITE_NAME, rewrite->path, &rewrite->fd, errmsg);
    if (err != FLK_OK) {
        rewrite->fd = -1;
        rewrite->path[0] = '\0';
    }
    return err;
}

flk_err_t flk_wal_rewrite_new(flk_wal_t *wal, flk_wal_segment_t *segment, flk_wal_rewrite_kind_t kind,
                              flk_wal_rewrite_t **rewrite, char *errmsg) {
    flk_wal_rewrite_t *mine = calloc(1, sizeof *mine);
    *rewrite = mine;
    if (mine == NULL) {
        flk_errmsg(errmsg, "cannot rewrite %s/%s: out of memory", wal->config.dir, segment->name);
        return FLK_E_NOMEM;
    }
    mine->wal = wal;
    mine->segment = segment;
    mine->kind = kind;
    mine->fd = -1;
    mine->header = (flk_wal_header_t){
        .log_id = wal->config.id,
        .number = segment->number,
        .first_lsn = segment->first_lsn,
        .durable_lsn = segment->durable_lsn,
        .created_ms = (uint64_t)flk_wall_ms(),
        .sparse = true,
        .acks_kept = kind != FLK_WAL_REWRITE_LIVE && !segment->acks_lost,
        .end_lsn = segment->end_lsn,
        .name_id = segment->name_id,
    };
    flk_wal_scan_init(&mine->scan);
    flk_err_t err = open_files(mine, errmsg);
    if (err != FLK_OK) {
        flk_wal_rewrite_destroy(rewrite);
    }
    return err;
}

const flk_wal_segment_t *flk_wal_rewrite_segment(const flk_wal_rewrite_t *rewrite) {
    return rewrite->segment;
}

void flk_wal_rewrite_destroy(flk_wal_rewrite_t **rewrite) {
    flk_wal_rewrite_t *mine = *rewrite;
    *rewrite = NULL;
    if (mine == NULL) {
        return;
    }
    if (mine->fd >= 0) {
        (void)!flk_io_close(mine->fd, mine->path, NULL);
    }
    if (!mine->adopted && mine->path[0] != '\0') {
        (void)!flk_io_unlink(mine->path, NULL);
    }
    flk_wal_scan_fini(&mine->scan);
    flk_wal_segment_destroy(&mine->shadow);
    free(mine->buffer);
    free(mine);
}
