/* SPDX-License-Identifier: MIT */
/* The segment that is being written: opened when there is something to write and none is open, sealed when it is full,
 * too old or poisoned. Sealing cuts the file to its durable bytes, so the rest of a failed group goes with it;
 * should the cut fail, the header of the next segment declares it void. A segment without items leaves no trace. */
#include <stdlib.h>

#include "common/io.h"
#include "common/wal/active.h"
#include "common/wal/file.h"

enum { ITEM_BYTES_MIN = FLK_WAL_ITEM_HEADER_BYTES };

/* The file of the segment is not needed any more: it never got an item. */
static void forget_empty(flk_wal_t *wal, flk_wal_segment_t *segment, const char *path) {
    pthread_mutex_lock(&wal->shared.lock);
    FLK_ASSERT(wal->shared.segments.at[wal->shared.segments.len - 1] == segment);
    wal->shared.segments.len--;
    pthread_mutex_unlock(&wal->shared.lock);
    (void)!flk_io_unlink(path, NULL); /* else recovery removes it */
    flk_wal_segment_destroy(&segment);
}

void flk_wal_active_seal(flk_wal_t *wal) {
    flk_wal_segment_t *segment = wal->writer.active;
    if (segment == NULL) {
        return;
    }
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(wal->config.dir, segment->name, path);
    bool cut = flk_io_truncate(wal->writer.active_fd, path, segment->bytes, NULL) ==
               FLK_OK;                                      /* else it only takes more space */
    (void)!flk_io_close(wal->writer.active_fd, path, NULL); /* its records were synced before */
    wal->writer.active = NULL;
    if (segment->end_lsn == segment->first_lsn) {
        forget_empty(wal, segment, path);
        return;
    }
    pthread_mutex_lock(&wal->shared.lock);
    segment->sealed = true;
    segment->file_bytes = cut ? segment->bytes : segment->file_bytes;
    pthread_mutex_unlock(&wal->shared.lock);
    wal->writer.checkpoint_due = true;
}

/* Only the writer changes the list, so only the change itself needs the lock. */
static flk_err_t list_segment(flk_wal_t *wal, flk_wal_segment_t *segment) {
    flk_wal_segments_t longer = {0};
    flk_wal_segment_t **to_free = NULL;
    if (wal->shared.segments.len == wal->shared.segments.capacity) {
        if (flk_wal_segments_reserve(&longer, wal->shared.segments.len * 2 + 1) != FLK_OK) {
            return FLK_E_NOMEM;
        }
        for (size_t i = 0; i < wal->shared.segments.len; i++) {
            longer.at[i] = wal->shared.segments.at[i];
        }
    }
    pthread_mutex_lock(&wal->shared.lock);
    if (longer.at != NULL) {
        to_free = wal->shared.segments.at;
        wal->shared.segments.at = longer.at;
        wal->shared.segments.capacity = longer.capacity;
    }
    wal->shared.segments.at[wal->shared.segments.len++] = segment;
    pthread_mutex_unlock(&wal->shared.lock);
    free(to_free);
    return FLK_OK;
}

static flk_err_t create_file(flk_wal_t *wal, const flk_wal_header_t *header, bool acks_only, uint64_t *file_bytes) {
    flk_err_t err = FLK_E_NO_SPACE;
    wal->writer.active_is_reserve = false;
    bool keep_space = acks_only && wal->writer.space_low && wal->writer.has_reserve;
    if (!keep_space) {
        err = flk_wal_file_create(&wal->config, header, false, file_bytes, &wal->writer.active_fd, NULL);
    }
    if (err == FLK_E_NO_SPACE && acks_only && wal->writer.has_reserve) {
        wal->writer.has_reserve = false;
        err = flk_wal_file_create(&wal->config, header, true, file_bytes, &wal->writer.active_fd, NULL);
        wal->writer.active_is_reserve = err == FLK_OK;
    }
    return err;
}

flk_err_t flk_wal_active_open(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    FLK_ASSERT(wal->writer.active == NULL);
    uint64_t file_bytes = wal->config.options.segment_bytes_max;
    if (file_bytes < FLK_WAL_SEGMENT_HEADER_BYTES + item_bytes) {
        file_bytes = FLK_WAL_SEGMENT_HEADER_BYTES + item_bytes;
    }
    const flk_wal_header_t header = {
        .log_id = wal->config.id,
        .number = wal->writer.next_number++,
        .first_lsn = wal->writer.next_lsn,
        .durable_lsn = wal->writer.durable_lsn,
        .created_ms = (uint64_t)flk_wall_ms(),
        .name_id = wal->config.number,
    };
    flk_wal_segment_t *segment = flk_wal_segment_new(header.number, header.first_lsn, file_bytes / ITEM_BYTES_MIN);
    if (segment == NULL) {
        return FLK_E_NOMEM;
    }
    flk_err_t err = create_file(wal, &header, acks_only, &file_bytes);
    if (err != FLK_OK) {
        flk_wal_segment_destroy(&segment);
        return err;
    }
    flk_wal_file_name(segment->number, segment->name);
    segment->durable_lsn = header.durable_lsn;
    segment->name_id = header.name_id;
    segment->last_ms = (int64_t)header.created_ms;
    segment->file_bytes = file_bytes;
    err = list_segment(wal, segment);
    if (err != FLK_OK) {
        (void)!flk_io_close(wal->writer.active_fd, segment->name, NULL);
        flk_wal_segment_destroy(&segment);
        return err;
    }
    wal->writer.active = segment;
    wal->writer.active_mono_ms = flk_mono_ms();
    wal->writer.zeroed_bytes = FLK_WAL_SEGMENT_HEADER_BYTES;
    return FLK_OK;
}

bool flk_wal_active_has_room(const flk_wal_config_t *config, const flk_wal_writer_t *writer, uint64_t bytes) {
    return writer->active != NULL && writer->active->bytes + bytes <= writer->active->file_bytes &&
           (flk_mono_ms() - writer->active_mono_ms < config->options.segment_age_ms ||
            writer->active->end_lsn == writer->active->first_lsn);
}
