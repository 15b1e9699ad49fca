/* SPDX-License-Identifier: MIT */
/* Un-acked records get their outcome without a client's help: after a restart all that the log holds, later those that a
 * 503 left behind. One cursor walks the log from the oldest un-acked record; memory does not grow with their number.
 *
 * A pass runs while a broker is linked, with at most FLK_REDRIVE_WINDOW records on their way, beside new traffic. It skips what is
 * in the in-flight table, and ends at the horizon: younger records are still their door's. Trouble ends a pass; the rest
 * before the next one doubles up to 5 s, with chance in it. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "gateway/relay_internal.h"

enum {
    REST_MS = 1000, /* between passes that had no trouble */
    BACKOFF_MS_MIN = 200,
    BACKOFF_MS_MAX = 5000,
    PER_TURN = 64,
    HORIZON_MS = 1000,
};

flk_err_t flk_redrive_init(flk_relay_t *relay) {
    flk_redrive_t *redrive = &relay->redrive;
    flk_wal_stats_t stats;
    flk_wal_stats(relay->gateway->inbox, &stats);
    redrive->horizon = redrive->next_horizon = stats.next_lsn - 1;
    redrive->next_horizon_ms = relay->now_ms + HORIZON_MS;
    redrive->backoff_ms = BACKOFF_MS_MIN;
    if (stats.unacked > 0) {
        flk_log(FLK_LOG_INFO, "redrive_begins", FLK_U("records", stats.unacked));
    }
    return flk_wal_cursor_new(relay->gateway->inbox, &redrive->cursor);
}

void flk_redrive_fini(flk_relay_t *relay) {
    flk_wal_cursor_destroy(&relay->redrive.cursor);
}

static void rest(flk_relay_t *relay, uint64_t ms) {
    relay->redrive.running = false;
    relay->redrive.rest_until_ms = relay->now_ms + ms / 2 + flk_random_u64() % (ms / 2 + 1);
}

void flk_redrive_trouble(flk_relay_t *relay, uint32_t retry_ms) {
    flk_redrive_t *redrive = &relay->redrive;
    if (relay->now_ms < redrive->rest_until_ms) {
        return; /* the same trouble, told by another submission */
    }
    rest(relay, retry_ms > redrive->backoff_ms ? retry_ms : redrive->backoff_ms);
    redrive->backoff_ms = redrive->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : redrive->backoff_ms * 2;
}

void flk_redrive_progress(flk_relay_t *relay) {
    relay->redrive.backoff_ms = BACKOFF_MS_MIN;
}

/* What was committed a whole period ago has left its door by now. */
static void move_horizon(flk_relay_t *relay) {
    flk_redrive_t *redrive = &relay->redrive;
    if (relay->now_ms < redrive->next_horizon_ms) {
        return;
    }
    redrive->horizon = redrive->next_horizon;
    uint64_t committed = atomic_load_explicit(&relay->gateway->committed_lsn, memory_order_acquire);
    if (committed > redrive->next_horizon) {
        redrive->next_horizon = committed;
    }
    redrive->next_horizon_ms = relay->now_ms + HORIZON_MS;
}

/* Makes a submission of a record and lets it arrive. False: out of memory. */
static bool drive(flk_relay_t *relay, const flk_wal_record_t *record) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    if (submission == NULL) {
        return false;
    }
    submission->entry.lsn = record->lsn;
    submission->entry.time_ms = record->time_ms;
    if (record->kind == FLK_BODY_JSON) {
        char *json = malloc(record->body_bytes + 1);
        if (json == NULL) {
            flk_submission_unref(&submission);
            return false;
        }
        memcpy(json, record->body, record->body_bytes);
        json[record->body_bytes] = '\0';
        flk_submission_set_json(submission, json, record->body_bytes);
    } else {
        zmq_msg_t body;
        if (zmq_msg_init_size(&body, record->body_bytes) != 0) {
            flk_submission_unref(&submission);
            return false;
        }
        memcpy(zmq_msg_data(&body), record->body, record->body_bytes);
        flk_submission_set_msgpack(submission, &body);
        zmq_msg_close(&body);
    }
    flk_submission_parse(submission, relay->reader);
    flk_counter_add(relay->gateway->metrics.redriven, 1);
    flk_relay_arrive(relay, submission);
    return true;
}

/* False: the pass is over, for now or for good. */
static bool step(flk_relay_t *relay) {
    flk_redrive_t *redrive = &relay->redrive;
    flk_wal_record_t record;
    char errmsg[FLK_ERRMSG_BYTES];
    flk_err_t err = flk_wal_cursor_next(redrive->cursor, &record, errmsg);
    if (err == FLK_OK && record.lsn <= redrive->horizon) {
        return flk_inflight_find(relay->table, record.lsn) != NULL || drive(relay, &record);
    }
    if (err == FLK_E_CORRUPT || err == FLK_E_IO) {
        if (record.lsn > redrive->unreadable_lsn) {
            redrive->unreadable_lsn = record.lsn;
            flk_log(FLK_LOG_ERROR, "record_unreadable", FLK_U("lsn", record.lsn), FLK_S("why", errmsg));
        }
        return err == FLK_E_CORRUPT;
    }
    return false;
}

void flk_redrive_tick(flk_relay_t *relay) {
    flk_redrive_t *redrive = &relay->redrive;
    move_horizon(relay);
    if (!redrive->running) {
        if (relay->now_ms < redrive->rest_until_ms || !flk_relay_linked(relay)) {
            return;
        }
        flk_wal_stats_t stats;
        flk_wal_stats(relay->gateway->inbox, &stats);
        if (stats.unacked == 0) {
            rest(relay, REST_MS);
            return;
        }
        flk_wal_cursor_rewind(redrive->cursor);
        redrive->running = true;
    }
    for (int i = 0; i < PER_TURN && redrive->outstanding < FLK_REDRIVE_WINDOW && redrive->running; i++) {
        if (!step(relay)) {
            rest(relay, REST_MS);
        }
    }
}
