/* SPDX-License-Identifier: MIT */
/* A person wants dead letters replayed or purged while the gateway runs: flk-replay dlq leaves a file `order` beside
 * the dead-letter log. A user with write access there owns the log anyway. Once a second the relay looks for it:
 * 1. Read the order: "replay" or "purge", the LSNs in rising order, "end".
 * 2. Walk the dead-letter log and take the records of the order. A purge acks each there; a replay puts each into
 *    the inbox as a new record, and acks it when that is durable. From then on its content is no dead letter any
 *    more, and a worker gets it.
 * 3. When nothing is under way any more, remove the file: flk-replay waits for that.
 *
 * A crash in between leaves the order, and the next life carries out the rest of it: the walk passes over acked
 * records. A dead letter that the inbox did not take stays where it was. An order that cannot be read is removed,
 * with a line in the log. */
#include "gateway/dlq_orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"
#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/relay_internal.h"

enum { ORDER_BYTES_MAX = 64 << 20, RECORDS_PER_TURN = 64 };

typedef struct flk_dlq_orders {
    char path[4096];
    bool active, purge, walked; /* walked: the cursor has seen all of the log */
    uint64_t *lsns;             /* rising */
    size_t len, taken;
    size_t under_way; /* replayed, not yet durable in the inbox */
    flk_wal_cursor_t *cursor;
} flk_dlq_orders_t;

flk_err_t flk_dlq_orders_init(flk_relay_t *relay, char *errmsg) {
    flk_dlq_orders_t *orders = flk_start_alloc(sizeof *orders);
    relay->orders = orders;
    const char *data_dir = flk_settings_str(relay->gateway->settings, FLK_SET_DATA_DIR);
    int bytes = snprintf(orders->path, sizeof orders->path, "%s/dlq/" FLK_DLQ_ORDER_NAME, data_dir);
    if (bytes < 0 || (size_t)bytes >= sizeof orders->path) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than a path may be");
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static void end_order(flk_dlq_orders_t *orders) {
    flk_wal_cursor_destroy(&orders->cursor);
    free(orders->lsns);
    orders->lsns = NULL;
    orders->len = orders->taken = 0;
    orders->active = orders->walked = false;
}

void flk_dlq_orders_fini(flk_relay_t *relay) {
    if (relay->orders != NULL) {
        end_order(relay->orders);
        free(relay->orders);
        relay->orders = NULL;
    }
}

/* ---- reading one ---- */

/* False: not an order from the first byte to the last. */
static bool parse_order(flk_dlq_orders_t *orders, char *text, size_t bytes) {
    char *line = strsep(&text, "\n");
    if (text == NULL || (strcmp(line, FLK_DLQ_ORDER_REPLAY) != 0 && strcmp(line, FLK_DLQ_ORDER_PURGE) != 0)) {
        return false;
    }
    orders->purge = strcmp(line, FLK_DLQ_ORDER_PURGE) == 0;
    orders->lsns = calloc(bytes / 2 + 1, sizeof *orders->lsns); /* a line has two bytes at least */
    if (orders->lsns == NULL) {
        return false;
    }
    while ((line = strsep(&text, "\n")) != NULL && strcmp(line, FLK_DLQ_ORDER_END) != 0) {
        char *end;
        uint64_t lsn = strtoull(line, &end, 10);
        if (end == line || *end != '\0' || lsn <= (orders->len > 0 ? orders->lsns[orders->len - 1] : 0)) {
            return false;
        }
        orders->lsns[orders->len++] = lsn;
    }
    return line != NULL;
}

static void remove_order(const flk_dlq_orders_t *orders) {
    char errmsg[FLK_ERRMSG_BYTES];
    if (flk_io_unlink(orders->path, errmsg) != FLK_OK) {
        flk_log(FLK_LOG_ERROR, "order_not_removed", FLK_S("why", errmsg),
                FLK_S("do", "remove it, or it is carried out again"));
    }
}

static void look_for_order(flk_relay_t *relay) {
    flk_dlq_orders_t *orders = relay->orders;
    char *text, errmsg[FLK_ERRMSG_BYTES];
    size_t bytes;
    if (flk_io_read_own(orders->path, ORDER_BYTES_MAX, &text, &bytes, errmsg) != FLK_OK) {
        return; /* none, or not readable now */
    }
    bool sound = parse_order(orders, text, bytes) && flk_dlq_cursor(relay->gateway->dlq, &orders->cursor) == FLK_OK;
    free(text);
    if (!sound) {
        end_order(orders);
        flk_log(FLK_LOG_ERROR, "order_refused", FLK_S("path", orders->path),
                FLK_S("do", "orders are made by flk-replay dlq"));
        remove_order(orders);
        return;
    }
    orders->active = true;
    flk_log(FLK_LOG_INFO, "order_begins", FLK_S("what", orders->purge ? "purge" : "replay"),
            FLK_U("dead_letters", orders->len));
}

/* ---- carrying it out ---- */

static bool is_meant(const flk_dlq_orders_t *orders, uint64_t lsn) {
    size_t low = 0, high = orders->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (orders->lsns[middle] < lsn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < orders->len && orders->lsns[low] == lsn;
}

/* The submission that the dead letter becomes, parsed; NULL: out of memory. */
static flk_submission_t *make_submission(flk_relay_t *relay, const flk_wal_record_t *record) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    zmq_msg_t body;
    if (submission == NULL || zmq_msg_init_size(&body, record->body_bytes) != 0) {
        flk_submission_unref(&submission);
        return NULL;
    }
    memcpy(zmq_msg_data(&body), record->body, record->body_bytes);
    flk_submission_set_msgpack(submission, &body);
    zmq_msg_close(&body);
    submission->dlq_lsn = record->lsn;
    flk_submission_parse(submission, relay->reader);
    return submission;
}

static void carry_out(flk_relay_t *relay, const flk_wal_record_t *record) {
    flk_dlq_orders_t *orders = relay->orders;
    flk_submission_t *submission = make_submission(relay, record);
    if (submission == NULL || submission->parse_err != FLK_OK) {
        flk_submission_unref(&submission); /* it stays a dead letter */
        return;
    }
    orders->taken++;
    if (orders->purge) {
        flk_dlq_release(relay->gateway->dlq, record->lsn, submission, relay->reader, FLK_DLQ_PURGED);
        flk_submission_unref(&submission);
        return;
    }
    orders->under_way++;
    flk_admission_observe(relay->gateway); /* a record of its own, with an end of its own */
    flk_wal_append(relay->gateway->inbox, &submission->entry);
}

void flk_dlq_orders_arrived(flk_relay_t *relay, flk_submission_t *submission) {
    relay->orders->under_way--;
    if (submission->entry.err == FLK_OK) {
        flk_dlq_release(relay->gateway->dlq, submission->dlq_lsn, submission, relay->reader, FLK_DLQ_REPLAYED);
    }
    submission->dlq_lsn = 0;
}

static void walk(flk_relay_t *relay) {
    flk_dlq_orders_t *orders = relay->orders;
    char errmsg[FLK_ERRMSG_BYTES];
    for (int i = 0; i < RECORDS_PER_TURN && orders->under_way < FLK_REDRIVE_WINDOW; i++) {
        flk_wal_record_t record;
        flk_err_t err = flk_wal_cursor_next(orders->cursor, &record, errmsg);
        if (err == FLK_OK && is_meant(orders, record.lsn)) {
            carry_out(relay, &record);
        } else if (err != FLK_OK && err != FLK_E_CORRUPT && err != FLK_E_IO) {
            orders->walked = true;
            return;
        }
    }
}

void flk_dlq_orders_tick(flk_relay_t *relay) {
    flk_dlq_orders_t *orders = relay->orders;
    if (orders->active && !orders->walked) {
        walk(relay);
    }
    if (orders->active && orders->walked && orders->under_way == 0) {
        flk_log(FLK_LOG_INFO, "order_done", FLK_U("dead_letters", orders->taken));
        end_order(orders);
        remove_order(orders);
    }
}

void flk_dlq_orders_look(flk_relay_t *relay) {
    if (!relay->orders->active) {
        look_for_order(relay);
    }
}
