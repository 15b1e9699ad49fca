/* SPDX-License-Identifier: MIT */
/* Health is two flags of the writer: `failure` (a write, a sync or the making of a segment failed) and `space_low`
 * (less is free than the low-water mark, or only the reserve is left). Entries are taken while neither is set, acks
 * while the first is not. Each change goes through update_health, so that other threads see it. */
#include "common/wal/health.h"

#include "common/io.h"
#include "common/log.h"
#include "common/wal/active.h"
#include "common/wal/file.h"
#include "common/wal/retain.h"
#include "common/wal/writer.h"

enum { TELL_MS = 60000, IN_VAIN_MAX = 4, VAIN_MS = 10000 };

static void update_health(flk_wal_t *wal) {
    const flk_wal_writer_t *writer = &wal->writer;
    flk_err_t fault = writer->failure == FLK_OK && writer->space_low ? FLK_E_NO_SPACE : writer->failure;
    atomic_store(&wal->shared.fault, (int)fault);
}

/* Says that space is short, each of both things at most once a minute. */
static void tell_low(flk_wal_t *wal, bool refusing, uint64_t free_bytes) {
    uint64_t now_ms = flk_mono_ms(), *told_ms = &wal->writer.told_mono_ms[refusing];
    if (*told_ms == 0 || now_ms - *told_ms >= TELL_MS) {
        *told_ms = now_ms;
        flk_log(FLK_LOG_WARN, "log_low", FLK_S("log", wal->config.dir),
                FLK_S("step", refusing ? "new work is refused" : "settled segments go before their time"),
                FLK_U("free_bytes", free_bytes), FLK_U("low_water_bytes", wal->config.options.low_water_bytes),
                FLK_U("given_up_bytes", wal->shared.stats.given_up_bytes));
    }
}

/* Returns the bytes of the segment that went; 0: none is settled. */
static uint64_t give_up(flk_wal_t *wal, uint64_t free_bytes) {
    uint64_t given_bytes = flk_wal_give_up(wal);
    if (given_bytes > 0) {
        tell_low(wal, false, free_bytes);
    }
    return given_bytes;
}

/* A quota or a limit of the process may be the reason, which the free space does not show: the oldest settled segment
 * goes, once, and no further one unless that helped. */
static flk_err_t open_with_room(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_err_t err = flk_wal_active_open(wal, item_bytes, acks_only);
    if (err == FLK_E_NO_SPACE && !wal->writer.given_in_vain && give_up(wal, 0) > 0) {
        err = flk_wal_active_open(wal, item_bytes, acks_only);
        wal->writer.given_in_vain = err == FLK_E_NO_SPACE;
    }
    return err;
}

static flk_err_t open_active(flk_wal_t *wal, uint64_t item_bytes, bool acks_only) {
    flk_err_t err = open_with_room(wal, item_bytes, acks_only);
    if (err == FLK_OK) {
        wal->writer.given_in_vain = false;
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

/* Segment by segment, until the next one fits above the low-water mark. Files that a snapshot or a reader still holds
 * free nothing. A reader holds one or two; when IN_VAIN_MAX in a row freed nothing, this stops for a while, so that the
 * history is not given up in vain. */
static void make_room(flk_wal_t *wal, uint64_t *free_bytes) {
    const flk_wal_options_t *options = &wal->config.options;
    const uint64_t wanted_bytes = options->low_water_bytes + options->segment_bytes_max;
    wal->writer.pressed = *free_bytes < wanted_bytes && flk_mono_ms() >= wal->writer.vain_until_ms;
    unsigned in_vain = 0; /* removals in a row that freed nothing */
    for (bool more = wal->writer.pressed; more;) {
        const uint64_t before_bytes = *free_bytes, given_bytes = give_up(wal, before_bytes);
        more = given_bytes > 0 && flk_io_free_bytes(wal->config.dir, free_bytes, NULL) == FLK_OK;
        in_vain = more && *free_bytes <= before_bytes ? in_vain + 1 : 0;
        if (in_vain == IN_VAIN_MAX) {
            wal->writer.vain_until_ms = flk_mono_ms() + VAIN_MS;
        }
        more = more && in_vain < IN_VAIN_MAX && *free_bytes < wanted_bytes;
    }
}

/* Before each new segment, and every 100 ms while there is something to do. */
static void look_at_space(flk_wal_t *wal) {
    uint64_t free_bytes = 0;
    wal->writer.space_checked_ms = flk_mono_ms();
    flk_err_t err = flk_io_free_bytes(wal->config.dir, &free_bytes, NULL);
    if (err == FLK_OK) {
        make_room(wal, &free_bytes);
    }
    bool low = err == FLK_E_NO_SPACE || (err == FLK_OK && free_bytes < wal->config.options.low_water_bytes);
    if (low) {
        tell_low(wal, true, free_bytes);
    }
    if (low != wal->writer.space_low) {
        wal->writer.space_low = low;
        update_health(wal);
    }
}

static void check_space(flk_wal_t *wal) {
    if (flk_mono_ms() >= wal->writer.space_checked_ms + FLK_WAL_SPACE_CHECK_MS) {
        look_at_space(wal);
    }
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
    look_at_space(wal);
    if (writer->space_low && !acks_only) {
        return FLK_E_NO_SPACE;
    }
    flk_err_t err = flk_wal_health_replace(wal, item_bytes, acks_only);
    if (err == FLK_E_NO_SPACE && !acks_only && writer->has_reserve) {
        refuse_for_space(wal);
    } else if (err != FLK_OK) {
        flk_wal_health_fail(wal, err);
    }
    return err;
}

void flk_wal_health_init(flk_wal_t *wal) {
    wal->writer.retry_wait_ms = FLK_WAL_RETRY_MS_MIN;
    look_at_space(wal);
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
