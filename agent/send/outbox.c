/* SPDX-License-Identifier: MIT */
/* Appends go to the log's writer many at a time and come back in `committed`, on the writer's thread; it counts them
 * down, wakes the owner through an eventfd, and frees them. Reading goes by a cursor over durable, un-acked records,
 * so new PCS and those of an earlier run take one way, and memory does not grow with either. An append that fails is
 * kept as `fault`: the owner stops taking input, because a PCS that is not durable must not be sent. */
#include "agent/send/outbox.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/program/program.h"
#include "common/wal/cursor.h"

enum { DEAD_SEGMENT_BYTES_MAX = 4 << 20, STATUS_PURGED = 410 };

struct flk_outbox {
    flk_wal_t *pending, *dead;
    flk_wal_t *read; /* one of the two */
    flk_wal_cursor_t *cursor;
    uint64_t first_new; /* LSN; older records come from an earlier run */
    atomic_size_t syncing;
    atomic_int fault; /* flk_err_t */
    int wake_fd;
};

/* An append on its way. */
typedef struct append {
    flk_wal_entry_t entry; /* first: the log gives entries back */
    char *json;
} append_t;

/* On the writer's thread. */
static void committed(void *arg, flk_wal_entry_t *group) {
    flk_outbox_t *outbox = arg;
    size_t count = 0;
    while (group != NULL) {
        append_t *append = (append_t *)group;
        group = group->next;
        int none = FLK_OK;
        if (append->entry.err != FLK_OK) {
            atomic_compare_exchange_strong(&outbox->fault, &none, (int)append->entry.err);
        }
        free(append->json);
        free(append);
        count++;
    }
    uint64_t one = 1;
    ssize_t wrote = write(outbox->wake_fd, &one, sizeof one);
    FLK_ASSERT(wrote == sizeof one || errno == EAGAIN); /* EAGAIN: it is readable anyway */
    atomic_fetch_sub(&outbox->syncing, count);          /* last: a reader that sees 0 has been woken for all */
}

/* Segments are allocated whole; dead letters are few. */
static uint64_t segment_bytes(const flk_settings_t *settings, bool dead) {
    uint64_t bytes = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_BYTES);
    return dead && bytes > DEAD_SEGMENT_BYTES_MAX ? DEAD_SEGMENT_BYTES_MAX : bytes;
}

/* `owner` NULL: the dead-letter queue, which is appended to by flk_wal_append_wait. */
static flk_err_t open_log(const flk_settings_t *settings, const char *name, flk_outbox_t *owner, flk_wal_t **wal,
                          char *errmsg) {
    const char *data_dir = flk_settings_str(settings, FLK_SET_DATA_DIR);
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/%s", data_dir, name);
    flk_wal_options_t options = {.dir = dir,
                                 .segment_bytes_max = segment_bytes(settings, owner == NULL),
                                 .segment_age_ms = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_AGE_S) * 1000,
                                 .retention_ms = flk_settings_uint(settings, FLK_SET_WAL_RETENTION_S) * 1000,
                                 .retained_bytes_max = flk_settings_uint(settings, FLK_SET_WAL_RETAINED_BYTES),
                                 .stop_asked = flk_program_stop_asked,
                                 .low_water_bytes = flk_settings_uint(settings, FLK_SET_WAL_LOW_WATER_BYTES),
                                 .on_commit = owner == NULL ? NULL : committed,
                                 .on_commit_arg = owner};
    flk_err_t err = flk_wal_open(&options, wal, errmsg);
    if (err == FLK_E_LOCKED) {
        flk_errmsg(errmsg,
                   "%s is in use by another flk-agent: one per data directory, give this one its own FLK_DATA_DIR",
                   data_dir);
    }
    return err;
}

static void report_recovery(const char *log, const flk_wal_t *wal) {
    flk_wal_stats_t stats;
    flk_wal_stats(wal, &stats);
    if (stats.torn_bytes > 0 || stats.damaged_records > 0 || stats.quarantined > 0) {
        flk_log(FLK_LOG_WARN, "outbox_damaged", FLK_S("log", log), FLK_U("torn_bytes", stats.torn_bytes),
                FLK_U("damaged_records", stats.damaged_records), FLK_U("quarantined", stats.quarantined));
    }
}

flk_err_t flk_outbox_open(const flk_settings_t *settings, flk_outbox_source_t from, flk_outbox_t **out, char *errmsg) {
    flk_outbox_t *outbox = flk_start_alloc(sizeof *outbox);
    outbox->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    flk_err_t err = FLK_E_IO;
    if (outbox->wake_fd < 0) {
        flk_errmsg(errmsg, "cannot make an eventfd: %s", strerror(errno));
    } else {
        err = open_log(settings, "outbox", outbox, &outbox->pending, errmsg);
    }
    err = err == FLK_OK ? open_log(settings, "outbox-dlq", NULL, &outbox->dead, errmsg) : err;
    if (err == FLK_OK) {
        outbox->read = from == FLK_OUTBOX_DEAD ? outbox->dead : outbox->pending;
        err = flk_wal_cursor_new(outbox->read, &outbox->cursor);
    }
    if (err != FLK_OK) {
        flk_outbox_close(&outbox);
        return err;
    }
    report_recovery("outbox", outbox->pending);
    report_recovery("outbox-dlq", outbox->dead);
    flk_wal_stats_t stats;
    flk_wal_stats(outbox->pending, &stats);
    outbox->first_new = stats.next_lsn;
    *out = outbox;
    return FLK_OK;
}

void flk_outbox_close(flk_outbox_t **outbox) {
    if (*outbox == NULL) {
        return;
    }
    flk_wal_cursor_destroy(&(*outbox)->cursor);
    flk_wal_close(&(*outbox)->pending);
    flk_wal_close(&(*outbox)->dead);
    if ((*outbox)->wake_fd >= 0) {
        close((*outbox)->wake_fd);
    }
    free(*outbox);
    *outbox = NULL;
}

flk_err_t flk_outbox_append(flk_outbox_t *outbox, uint8_t kind, char *json, size_t json_bytes) {
    if (atomic_load(&outbox->syncing) >= FLK_OUTBOX_SYNCING_MAX) {
        return FLK_E_FULL;
    }
    append_t *append = calloc(1, sizeof *append);
    if (append == NULL) {
        return FLK_E_NOMEM;
    }
    append->json = json;
    append->entry = (flk_wal_entry_t){.body = json, .body_bytes = (uint32_t)json_bytes, .kind = kind};
    atomic_fetch_add(&outbox->syncing, 1);
    flk_wal_append(outbox->pending, &append->entry);
    return FLK_OK;
}

size_t flk_outbox_syncing(const flk_outbox_t *outbox) {
    return atomic_load(&outbox->syncing);
}

flk_err_t flk_outbox_fault(const flk_outbox_t *outbox) {
    return (flk_err_t)atomic_load(&outbox->fault);
}

int flk_outbox_fd(const flk_outbox_t *outbox) {
    return outbox->wake_fd;
}

bool flk_outbox_woken(flk_outbox_t *outbox) {
    uint64_t groups;
    return read(outbox->wake_fd, &groups, sizeof groups) == (ssize_t)sizeof groups;
}

/* The JSON of a dead letter is behind its reason's line. */
static void skip_reason(flk_wal_record_t *record) {
    const char *line_end = memchr(record->body, '\n', record->body_bytes);
    if (line_end != NULL) {
        uint32_t reason_bytes = (uint32_t)(line_end + 1 - (const char *)record->body);
        record->body = line_end + 1;
        record->body_bytes -= reason_bytes;
    }
}

static flk_err_t bury_bytes(flk_outbox_t *outbox, uint8_t kind, const char *reason, const void *json, size_t json_bytes,
                            char *errmsg) {
    size_t reason_bytes = strlen(reason);
    char *letter = malloc(reason_bytes + 1 + json_bytes);
    if (letter == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    memcpy(letter, reason, reason_bytes);
    letter[reason_bytes] = '\n';
    memcpy(letter + reason_bytes + 1, json, json_bytes);
    uint64_t lsn;
    flk_err_t err =
        flk_wal_append_wait(outbox->dead, kind, letter, (uint32_t)(reason_bytes + 1 + json_bytes), &lsn, errmsg);
    free(letter);
    return err;
}

/* A record that is no PCS can never be answered. */
static void bury_foreign(flk_outbox_t *outbox, const flk_wal_record_t *record, const char *why) {
    char reason[FLK_ERRMSG_BYTES + 16], errmsg[FLK_ERRMSG_BYTES];
    snprintf(reason, sizeof reason, "not a PCS: %s", why);
    flk_log(FLK_LOG_WARN, "outbox_record_is_no_pcs", FLK_U("lsn", record->lsn), FLK_S("why", why));
    if (outbox->read == outbox->pending &&
        bury_bytes(outbox, record->kind, reason, record->body, record->body_bytes, errmsg) == FLK_OK) {
        flk_wal_ack(outbox->pending, record->lsn, (flk_wal_mark_t){.status = 400});
    }
}

flk_err_t flk_outbox_next(flk_outbox_t *outbox, flk_parcel_t **parcel, uint64_t *unreadable) {
    for (;;) {
        char errmsg[FLK_ERRMSG_BYTES] = "";
        flk_wal_record_t record;
        flk_err_t err = flk_wal_cursor_next(outbox->cursor, &record, errmsg);
        if (err == FLK_E_CORRUPT || err == FLK_E_IO) {
            flk_log(FLK_LOG_ERROR, "outbox_record_unreadable", FLK_S("why", errmsg));
            (*unreadable)++;
            continue;
        }
        if (err != FLK_OK) {
            return err;
        }
        if (outbox->read == outbox->dead) {
            skip_reason(&record);
        }
        err = flk_parcel_new(record.body, record.body_bytes, parcel, errmsg);
        if (err == FLK_E_INVALID) {
            bury_foreign(outbox, &record, errmsg);
            (*unreadable)++;
            continue;
        }
        if (err == FLK_OK) {
            (*parcel)->lsn = record.lsn;
            (*parcel)->made_ms = record.time_ms;
            flk_id_from_lsn(flk_wal_id(outbox->read), record.lsn, &(*parcel)->id);
            (*parcel)->ready = record.kind == FLK_RECORD_READY;
            (*parcel)->resent = outbox->read == outbox->dead || record.lsn < outbox->first_new;
        }
        return err;
    }
}

void flk_outbox_settle(flk_outbox_t *outbox, const flk_parcel_t *parcel, unsigned status) {
    flk_wal_ack(outbox->read, parcel->lsn, (flk_wal_mark_t){.status = (uint16_t)status});
}

flk_err_t flk_outbox_bury(flk_outbox_t *outbox, const flk_parcel_t *parcel, const char *reason, unsigned status,
                          char *errmsg) {
    if (outbox->read == outbox->dead) {
        return FLK_OK;
    }
    flk_err_t err = bury_bytes(outbox, parcel->ready ? FLK_RECORD_READY : FLK_RECORD_COMPUTED, reason, parcel->json,
                               parcel->json_bytes, errmsg);
    if (err == FLK_OK) {
        /* 408: no answer came; a mark's status is never 0. */
        flk_wal_ack(outbox->pending, parcel->lsn, (flk_wal_mark_t){.status = status == 0 ? 408 : (uint16_t)status});
    }
    return err;
}

/* The id of the PCS in a dead letter; "" when it is none. FLK_E_NOMEM. */
static flk_err_t read_id(flk_wal_record_t *record, char pcs_id[FLK_PCS_ID_HEX + 1]) {
    flk_parcel_t *parcel = NULL;
    skip_reason(record);
    flk_err_t err = flk_parcel_new(record->body, record->body_bytes, &parcel, NULL);
    snprintf(pcs_id, FLK_PCS_ID_HEX + 1, "%s", err == FLK_OK ? parcel->pcs.id : "");
    flk_parcel_destroy(&parcel);
    return err == FLK_E_INVALID ? FLK_OK : err;
}

flk_err_t flk_outbox_purge(flk_outbox_t *outbox, flk_outbox_select_fn *select, void *arg, uint64_t *purged,
                           char *errmsg) {
    flk_wal_record_t record;
    flk_err_t err;
    FLK_ASSERT(outbox->read == outbox->dead);
    while ((err = flk_wal_cursor_next(outbox->cursor, &record, errmsg)) != FLK_E_NOT_FOUND) {
        char pcs_id[FLK_PCS_ID_HEX + 1] = "";
        bool readable = err == FLK_OK;
        err = readable ? read_id(&record, pcs_id) : err;
        if (err == FLK_E_NOMEM) {
            return err;
        }
        if (readable && select(arg, pcs_id)) {
            *purged += flk_wal_ack(outbox->dead, record.lsn, (flk_wal_mark_t){.status = STATUS_PURGED});
        }
    }
    return flk_outbox_flush(outbox, errmsg);
}

flk_err_t flk_outbox_flush(flk_outbox_t *outbox, char *errmsg) {
    return flk_wal_flush(outbox->read, errmsg);
}

uint64_t flk_outbox_unanswered(const flk_outbox_t *outbox) {
    flk_wal_stats_t stats;
    flk_wal_stats(outbox->read, &stats);
    return stats.unacked;
}
