/* SPDX-License-Identifier: MIT */
/* Health is two flags of the writer: `failure` (a write, a sync or the making of a segment failed) and `space_low`
 * (less is free than the low-water mark, or only the reserve is left). Entries are taken while neither is set, acks
 * while the first is not. Each change goes through update_health, so that other threads see it. */
#include "common/wal/health.h"

#include "common/io.h"
#include "common/wal/active.h"
#include "common/wal/file.h"
#include "common/wal/writer.h"

static void update_health(flk_wal_t *wal) {
    atomic_store(&wal->shared.healthy, wal->writer.failure == FLK_OK && !wal->writer.space_low);
}

static flk_err_t open_active(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_err_t err = flk_wal_active_open(wal, item_bytes, acks_only);
    if (err == FLK_OK) {
        wal->writer.failure = FLK_OK;
        wal->writer.retry_wait_ms = FLK_WAL_RETRY_MS_MIN;
        update_health(wal);
    }
    return err;
}

flk_err_t flk_wal_health_replace(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_wal_active_seal(wal);
    return open_active(wal, item_bytes, acks_only);
}

void flk_wal_health_fail(flk_wal_t *wal, flk_err_t err) {
    flk_wal_writer_t *writer = &wal->writer;
    writer->failure = err == FLK_E_NO_SPACE ? FLK_E_NO_SPACE : FLK_E_IO;
    writer->retry_mono_ms = flk_mono_ms() + writer->retry_wait_ms;
    writer->retry_wait_ms =
        writer->retry_wait_ms * 2 < FLK_WAL_RETRY_MS_MAX ? writer->retry_wait_ms * 2 : FLK_WAL_RETRY_MS_MAX;
    update_health(wal);
}

static void refuse_for_space(flk_wal_t *wal) {
    wal->writer.space_low = true;
    /* look again in a second */
    wal->writer.space_checked_ms = flk_mono_ms() + FLK_WAL_RETRY_MS_MAX - FLK_WAL_SPACE_CHECK_MS;
    update_health(wal);
}

flk_err_t flk_wal_health_room(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_wal_writer_t *writer = &wal->writer;
    if (writer->failure != FLK_OK) {
        return writer->failure;
    }
    const bool reserved = writer->active != NULL && writer->active_is_reserve && !acks_only;
    if (flk_wal_active_has_room(&wal->config, writer, item_bytes) && !reserved) {
        return FLK_OK;
    }
    if (reserved) { /* is there space again, at least for the next reserve? */
        writer->has_reserve = flk_wal_file_make_reserve(&wal->config, NULL) == FLK_OK;
        if (!writer->has_reserve) {
            refuse_for_space(wal);
            return FLK_E_NO_SPACE;
        }
    }
    flk_err_t err = flk_wal_health_replace(wal, item_bytes, acks_only);
    if (err == FLK_E_NO_SPACE && !acks_only && writer->has_reserve) {
        refuse_for_space(wal);
    } else if (err != FLK_OK) {
        flk_wal_health_fail(wal, err);
    }
    return err;
}

static void check_space(flk_wal_t *wal) {
    uint64_t now_ms = flk_mono_ms(), free_bytes = 0;
    if (now_ms < wal->writer.space_checked_ms + FLK_WAL_SPACE_CHECK_MS) {
        return;
    }
    wal->writer.space_checked_ms = now_ms;
    flk_err_t err = flk_io_free_bytes(wal->config.dir, &free_bytes, NULL);
    bool low = err == FLK_E_NO_SPACE || (err == FLK_OK && free_bytes < wal->config.options.low_water_bytes);
    if (low != wal->writer.space_low) {
        wal->writer.space_low = low;
        update_health(wal);
    }
}

void flk_wal_health_init(flk_wal_t *wal) {
    wal->writer.retry_wait_ms = FLK_WAL_RETRY_MS_MIN;
    atomic_store(&wal->shared.healthy, true);
    check_space(wal);
    flk_err_t err = open_active(wal, 0, false);
    if (err != FLK_OK) {
        flk_wal_health_fail(wal, err);
    }
}

void flk_wal_health_check(flk_wal_t *wal, bool stopping) {
    const flk_wal_writer_t *writer = &wal->writer;
    if (writer->failure != FLK_OK && (stopping || flk_mono_ms() >= writer->retry_mono_ms)) {
        flk_err_t err = open_active(wal, 0, writer->backlog == NULL && writer->pending_acks.len > 0);
        if (err != FLK_OK) {
            flk_wal_health_fail(wal, err);
        }
    }
    check_space(wal);
}

uint64_t flk_wal_health_due_ms(const flk_wal_writer_t *writer) {
    uint64_t due_ms = UINT64_MAX;
    if (writer->failure != FLK_OK) {
        due_ms = writer->retry_mono_ms;
    }
    if (writer->space_low && writer->space_checked_ms + FLK_WAL_SPACE_CHECK_MS < due_ms) {
        due_ms = writer->space_checked_ms + FLK_WAL_SPACE_CHECK_MS;
    }
    return due_ms;
}
