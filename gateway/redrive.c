/* SPDX-License-Identifier: MIT */
/* Un-acked records get their outcome without a client's help: after a restart all that the log holds, later those
 * that a 503 left behind. One cursor walks the log from the oldest un-acked record on; memory does not grow with
 * their number.
 *
 * A pass runs while a broker is linked, with at most FLK_REDRIVE_WINDOW records on their way, beside new traffic. It
 * passes over records that are in the in-flight table, and ends at the horizon: younger records are still their
 * door's. After trouble it rests, twice as long each time up to 5 s, with chance in it, and goes on where it was: so
 * records that cannot be verified now do not hold up those behind them.
 *
 * A record that cannot be read is passed over, reported once for as long as that does not change, and stays in the
 * log for flk-replay; so does a record of a kind that only a later version knows. A body that is no PCS is acked,
 * since driving it again would change nothing: earlier versions logged bodies before they parsed them. */
#include "gateway/redrive.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "gateway/arrive.h"
#include "gateway/relay_internal.h"

enum {
    REST_MS = 1000, /* between passes */
    BACKOFF_MS_MIN = 200,
    BACKOFF_MS_MAX = 5000,
    RECORDS_PER_TURN = 64,
    BYTES_PER_TURN = 1 << 20, /* parsing more would keep the brokers waiting */
    HORIZON_MS = 1000,
};

typedef struct flk_redrive {
    flk_wal_cursor_t *cursor;
    bool running;              /* a pass is under way, though it may rest */
    uint64_t rest_until_ms;    /* between passes */
    uint64_t trouble_until_ms; /* after a 503-class answer */
    uint32_t backoff_ms;
    uint64_t horizon; /* younger records than this LSN are still their door's */
    uint64_t next_horizon;
    uint64_t next_horizon_ms;
    size_t unreadable;          /* records, or places where some should be, that this pass could not read */
    size_t unreadable_reported; /* … the last one that was logged */
    char unreadable_why[FLK_ERRMSG_BYTES];
} flk_redrive_t;

flk_err_t flk_redrive_init(flk_relay_t *relay) {
    flk_redrive_t *redrive = flk_start_alloc(sizeof *redrive);
    relay->redrive = redrive;
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
    if (relay->redrive != NULL) {
        flk_wal_cursor_destroy(&relay->redrive->cursor);
        free(relay->redrive);
        relay->redrive = NULL;
    }
}

/* ---- when ---- */

/* Half of it is chance, so that several gateways do not come back together. */
static uint64_t after(const flk_relay_t *relay, uint32_t ms) {
    return relay->now_ms + ms / 2 + flk_random_u64() % (ms / 2 + 1);
}

void flk_redrive_trouble(flk_relay_t *relay, uint32_t retry_ms) {
    flk_redrive_t *redrive = relay->redrive;
    if (relay->now_ms < redrive->trouble_until_ms) {
        return; /* the same trouble, told by another submission */
    }
    redrive->trouble_until_ms = after(relay, retry_ms > redrive->backoff_ms ? retry_ms : redrive->backoff_ms);
    redrive->backoff_ms = redrive->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : redrive->backoff_ms * 2;
}

void flk_redrive_progress(flk_relay_t *relay) {
    relay->redrive->backoff_ms = BACKOFF_MS_MIN;
}

/* A record committed a whole period ago has come to the relay by now. Should the log's writer be slower still,
 * flk_relay_arrive finds the record in the table, or the log knows that it was settled: either is harmless. */
static void move_horizon(flk_relay_t *relay) {
    flk_redrive_t *redrive = relay->redrive;
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

/* False: there is nothing to do. */
static bool begin_pass(flk_relay_t *relay) {
    flk_redrive_t *redrive = relay->redrive;
    flk_wal_stats_t stats;
    flk_wal_stats(relay->gateway->inbox, &stats);
    if (stats.unacked == 0) {
        redrive->rest_until_ms = after(relay, REST_MS);
        return false;
    }
    flk_wal_cursor_rewind(redrive->cursor);
    redrive->unreadable = 0;
    redrive->running = true;
    return true;
}

static void end_pass(flk_relay_t *relay) {
    flk_redrive_t *redrive = relay->redrive;
    redrive->running = false;
    redrive->rest_until_ms = after(relay, REST_MS);
    flk_gauge_set(relay->gateway->metrics.unreadable, (int64_t)redrive->unreadable);
    if (redrive->unreadable > 0 && redrive->unreadable != redrive->unreadable_reported) {
        flk_log(FLK_LOG_ERROR, "records_unreadable", FLK_U("places", redrive->unreadable),
                FLK_S("first", redrive->unreadable_why), FLK_S("do", "they stay in the log; see flk-replay"));
    }
    redrive->unreadable_reported = redrive->unreadable;
}

/* ---- one record ---- */

static void pass_over(flk_redrive_t *redrive, const char *why) {
    if (redrive->unreadable++ == 0) {
        flk_errmsg(redrive->unreadable_why, "%s", why);
    }
}

/* A dead letter's kind comes from an flk-replay that knows no reasons: its body is msgpack. */
static bool is_known(uint8_t kind) {
    return kind == FLK_BODY_JSON || kind == FLK_BODY_MSGPACK || kind == FLK_DEAD_LETTER_UNSETTLED;
}

static flk_err_t copy_json(flk_submission_t *submission, const flk_wal_record_t *record) {
    char *json = malloc(record->body_bytes + 1);
    if (json == NULL) {
        return FLK_E_NOMEM;
    }
    memcpy(json, record->body, record->body_bytes);
    json[record->body_bytes] = '\0';
    flk_submission_set_json(submission, json, record->body_bytes);
    return FLK_OK;
}

static flk_err_t copy_msgpack(flk_submission_t *submission, const flk_wal_record_t *record) {
    zmq_msg_t body;
    if (zmq_msg_init_size(&body, record->body_bytes) != 0) {
        return FLK_E_NOMEM;
    }
    memcpy(zmq_msg_data(&body), record->body, record->body_bytes);
    flk_submission_set_msgpack(submission, &body);
    zmq_msg_close(&body);
    return FLK_OK;
}

/* Makes a submission of a record and lets it arrive. False: out of memory. */
static bool drive(flk_relay_t *relay, const flk_wal_record_t *record) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    if (submission == NULL) {
        return false;
    }
    flk_err_t err = record->kind == FLK_BODY_JSON ? copy_json(submission, record) : copy_msgpack(submission, record);
    if (err != FLK_OK) {
        flk_submission_unref(&submission);
        return false;
    }
    submission->entry.lsn = record->lsn;
    submission->entry.time_ms = record->time_ms;
    flk_submission_parse(submission, relay->reader);
    flk_counter_add(relay->gateway->metrics.redriven, 1);
    flk_relay_arrive(relay, submission);
    return true;
}

/* One record. False: the pass is over. */
static bool step(flk_relay_t *relay, size_t *bytes) {
    flk_redrive_t *redrive = relay->redrive;
    flk_wal_record_t record;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = flk_wal_cursor_next(redrive->cursor, &record, errmsg);
    if (err == FLK_E_CORRUPT || err == FLK_E_IO) {
        pass_over(redrive, errmsg); /* and the cursor has moved behind it */
        return true;
    }
    if (err != FLK_OK || record.lsn > redrive->horizon) {
        return false;
    }
    if (!is_known(record.kind)) {
        pass_over(redrive, "a record of a kind that this version does not know");
        return true;
    }
    *bytes += record.body_bytes;
    return flk_inflight_find(relay->table, record.lsn) != NULL || drive(relay, &record);
}

void flk_redrive_tick(flk_relay_t *relay, bool linked) {
    flk_redrive_t *redrive = relay->redrive;
    size_t bytes = 0;
    move_horizon(relay);
    if (relay->now_ms < redrive->rest_until_ms || relay->now_ms < redrive->trouble_until_ms || !linked ||
        (!redrive->running && !begin_pass(relay))) {
        return;
    }
    for (int i = 0; i < RECORDS_PER_TURN && bytes < BYTES_PER_TURN && relay->driven.len < FLK_REDRIVE_WINDOW; i++) {
        if (!step(relay, &bytes)) {
            end_pass(relay);
            return;
        }
    }
}
