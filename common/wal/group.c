/* SPDX-License-Identifier: MIT */
/* 1. Take entries and acks, as many as one write may hold.
 * 2. Give each item its LSN, header and checksum; gather headers, bodies and padding into one pwritev.
 * 3. fdatasync.
 * 4. Under the lock, set the segment's bits and counters: from here on cursors and acks see the records.
 *
 * The file was given its space by fallocate, but the first sync of such a block has to write file system metadata as
 * well (ext4 here: 200 us a sync against 120 us). So a write that reaches blocks not yet written takes zeros along up
 * to the next 1 MiB: one dear sync per MiB, at the price of one second write per block. */
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/wal/group.h"

enum {
    ENTRIES_MAX = 1024,
    ACKS_BYTES_MAX = 256 << 10,
    ZERO_AHEAD_BYTES = 1 << 20,
};

static uint8_t zeros[ZERO_AHEAD_BYTES]; /* never written: costs no memory */

struct flk_wal_frames {
    struct iovec iov[ENTRIES_MAX * 2 + 2]; /* (padding + header, body) each; the rest of the frames; zeros */
    int iov_len;
    uint8_t bytes[ENTRIES_MAX * (FLK_WAL_ITEM_HEADER_BYTES + FLK_WAL_ALIGN_BYTES) + ACKS_BYTES_MAX];
};

flk_wal_frames_t *flk_wal_frames_new(void) {
    return malloc(sizeof(flk_wal_frames_t));
}

static void take_acks(const flk_wal_ack_node_t *ack, flk_wal_group_t *group, uint64_t bytes_max) {
    uint64_t taken = 0;
    for (; ack != NULL; ack = ack->next) {
        const uint64_t bytes = flk_wal_item_bytes(ack->body_bytes);
        if (taken + bytes > ACKS_BYTES_MAX || (group->bytes > 0 && group->bytes + bytes > bytes_max)) {
            break;
        }
        taken += bytes;
        group->bytes += bytes;
        group->acks++;
    }
}

void flk_wal_group_take(flk_wal_writer_t *writer, flk_wal_group_t *group, bool entries, bool acks, uint64_t bytes_max) {
    *group = (flk_wal_group_t){.first = writer->backlog, .time_ms = flk_wall_ms()};
    uint64_t acks_bytes = acks ? writer->pending_acks.bytes : 0;
    acks_bytes = acks_bytes < bytes_max / 2 ? acks_bytes : bytes_max / 2;
    acks_bytes = acks_bytes < ACKS_BYTES_MAX ? acks_bytes : ACKS_BYTES_MAX;
    flk_wal_entry_t **link = &group->first;
    while (entries && *link != NULL && group->entries < ENTRIES_MAX) {
        uint64_t bytes = flk_wal_item_bytes((*link)->body_bytes);
        if (group->entries > 0 && group->bytes + bytes + acks_bytes > bytes_max) {
            break;
        }
        group->bytes += bytes;
        group->entries++;
        link = &(*link)->next;
    }
    writer->backlog = *link;
    *link = NULL;
    if (writer->backlog == NULL) {
        writer->backlog_end = &writer->backlog;
    }
    if (acks) {
        take_acks(writer->pending_acks.first, group, bytes_max);
    }
}

static void put(flk_wal_frames_t *frames, const void *data, uint64_t bytes) {
    frames->iov[frames->iov_len++] =
        (struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = (size_t)bytes}; /* pwritev only reads */
}

static void frame(flk_wal_writer_t *writer, uint64_t log_id, const flk_wal_group_t *group) {
    flk_wal_frames_t *frames = writer->frames;
    const uint64_t salt = flk_wal_salt(log_id, writer->active->number);
    uint8_t *at = frames->bytes, *start = at;
    flk_wal_item_header_t item = {.lsn = group->first_lsn, .time_ms = group->time_ms, .type = FLK_WAL_ITEM_RECORD};
    frames->iov_len = 0;
    for (const flk_wal_entry_t *entry = group->first; entry != NULL; entry = entry->next, item.lsn++) {
        item.body_bytes = entry->body_bytes;
        item.kind = entry->kind;
        item.unsynced = (uint32_t)(item.lsn - writer->durable_lsn);
        flk_wal_item_encode(&item, entry->body, salt, at);
        at += FLK_WAL_ITEM_HEADER_BYTES;
        put(frames, start, (uint64_t)(at - start));
        put(frames, entry->body, entry->body_bytes);
        start = at;
        size_t padding = (size_t)flk_wal_item_bytes(entry->body_bytes) - FLK_WAL_ITEM_HEADER_BYTES - entry->body_bytes;
        memset(at, 0, padding);
        at += padding;
    }
    item.type = FLK_WAL_ITEM_ACK;
    item.kind = 0;
    const flk_wal_ack_node_t *ack = writer->pending_acks.first;
    for (size_t i = 0; i < group->acks; i++, ack = ack->next, item.lsn++) {
        const uint64_t bytes = flk_wal_item_bytes(ack->body_bytes);
        item.body_bytes = ack->body_bytes;
        item.unsynced = (uint32_t)(item.lsn - writer->durable_lsn);
        flk_wal_item_encode(&item, ack->body, salt, at);
        memset(at + bytes - FLK_WAL_ALIGN_BYTES, 0, FLK_WAL_ALIGN_BYTES); /* the padding */
        memcpy(at + FLK_WAL_ITEM_HEADER_BYTES, ack->body, ack->body_bytes);
        at += bytes;
    }
    put(frames, start, (uint64_t)(at - start));
}

/* Returns up to where the file will have been written once. */
static uint64_t add_zeros(flk_wal_writer_t *writer, uint64_t end) {
    if (end <= writer->zeroed_bytes) {
        return writer->zeroed_bytes;
    }
    uint64_t target = (end + ZERO_AHEAD_BYTES - 1) / ZERO_AHEAD_BYTES * ZERO_AHEAD_BYTES;
    target = target < writer->active->file_bytes ? target : writer->active->file_bytes;
    put(writer->frames, zeros, target - end);
    return target;
}

flk_err_t flk_wal_group_write(const flk_wal_config_t *config, flk_wal_writer_t *writer, flk_wal_group_t *group) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_segment_t *segment = writer->active;
    FLK_ASSERT(segment->bytes + group->bytes <= segment->file_bytes);
    flk_wal_path(config->dir, segment->name, path);
    group->written = false;
    group->first_lsn = writer->next_lsn;
    frame(writer, config->id, group);
    uint64_t zeroed = add_zeros(writer, segment->bytes + group->bytes);
    flk_wal_frames_t *frames = writer->frames;
    flk_err_t err = flk_io_pwritev(writer->active_fd, path, frames->iov, frames->iov_len, segment->bytes, NULL);
    if (err != FLK_OK) {
        return err;
    }
    group->written = true;
    uint64_t start_ns = flk_mono_ns();
    err = flk_io_sync(writer->active_fd, path, NULL);
    group->sync_seconds = (double)(flk_mono_ns() - start_ns) / 1e9;
    if (err != FLK_OK) {
        return err;
    }
    writer->zeroed_bytes = zeroed;
    return FLK_OK;
}

static void publish_items(flk_wal_t *wal, const flk_wal_group_t *group) {
    flk_wal_segment_t *segment = wal->writer.active;
    flk_wal_item_header_t item = {.lsn = group->first_lsn, .time_ms = group->time_ms, .type = FLK_WAL_ITEM_RECORD};
    for (const flk_wal_entry_t *entry = group->first; entry != NULL; entry = entry->next, item.lsn++) {
        item.body_bytes = entry->body_bytes;
        flk_wal_segment_add(segment, &item, segment->bytes);
    }
    item.type = FLK_WAL_ITEM_ACK;
    const flk_wal_ack_node_t *ack = wal->writer.pending_acks.first;
    for (size_t i = 0; i < group->acks; i++, ack = ack->next, item.lsn++) {
        item.body_bytes = ack->body_bytes;
        flk_wal_segment_add(segment, &item, segment->bytes);
    }
    wal->shared.stats.records_total += group->entries;
    wal->shared.stats.acks_total += group->acks;
    wal->shared.stats.groups_total++;
    wal->shared.stats.bytes_total += group->bytes;
    wal->shared.acks_durable += group->acks;
}

/* The acks are durable: their records are settled. */
static void drop_acks(flk_wal_t *wal, const flk_wal_group_t *group) {
    flk_wal_segment_t *active = wal->writer.active;
    for (size_t i = 0; i < group->acks; i++) {
        flk_wal_ack_node_t *ack = wal->writer.pending_acks.first;
        active->acks_lsn_min = ack->lsn < active->acks_lsn_min ? ack->lsn : active->acks_lsn_min;
        active->acks_lsn_max = ack->lsn > active->acks_lsn_max ? ack->lsn : active->acks_lsn_max;
        flk_wal_segment_t *target = flk_wal_segments_find(&wal->shared.segments, ack->lsn);
        if (target != NULL) {
            target->unsettled--;
            target->acked_to_lsn = group->first_lsn + group->entries + i;
            if (ack->status == FLK_WAL_STATUS_REFUSED) {
                flk_wal_segment_refuse(target, ack->lsn);
            }
        }
        wal->writer.pending_acks.first = ack->next;
        wal->writer.pending_acks.bytes -= flk_wal_item_bytes(ack->body_bytes);
        free(ack);
    }
    wal->writer.pending_acks.len -= group->acks;
    if (wal->writer.pending_acks.len == 0) {
        wal->writer.pending_acks.last = NULL;
    }
}

void flk_wal_group_publish(flk_wal_t *wal, flk_wal_group_t *group) {
    pthread_mutex_lock(&wal->shared.lock);
    publish_items(wal, group);
    wal->writer.next_lsn = group->first_lsn + group->entries + group->acks;
    wal->writer.durable_lsn = wal->writer.next_lsn - 1;
    wal->shared.stats.next_lsn = wal->writer.next_lsn;
    pthread_cond_broadcast(&wal->shared.done);
    pthread_mutex_unlock(&wal->shared.lock);
    drop_acks(wal, group);
}
