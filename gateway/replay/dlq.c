/* SPDX-License-Identifier: MIT */
/* dlq purge, dlq replay: take dead letters out of a queue. A gateway that runs gets an order to do so (order.c).
 * Otherwise: Open the queue's log, which locks it (replay: the inbox beside it, too) -> for each match: into the
 * inbox, durable -> ack it in the queue -> flush. The gateway drives the records of its inbox when it starts.
 *
 * A crash in between leaves a record in both logs; it is answered as a dead letter then, and can be replayed again.
 * Nothing is removed from either log here: retention is the gateway's. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/replay/order.h"
#include "gateway/replay/own.h"
#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"
#include "proto/inbox_format.h"

enum { ACKED_MS_MAX = 5000, LOOK_US = 50000 };

static int compare_lsns(const void *a_arg, const void *b_arg) {
    const uint64_t a = *(const uint64_t *)a_arg, b = *(const uint64_t *)b_arg;
    return (a > b) - (a < b);
}

typedef struct removal {
    const flk_replay_options_t *options;
    flk_wal_t *queue, *inbox; /* queue NULL: dry run; inbox NULL: purge */
    bool is_order;            /* the gateway runs */
    flk_dlq_order_t order;
    uint64_t records;
    flk_err_t err;
    char *errmsg;
} removal_t;

/* The inbox that a queue's gateway has. */
static flk_err_t open_inbox(const char *dir, flk_wal_t **inbox, char *errmsg) {
    char path[4096];
    if (!flk_replay_beside(dir, "dlq", "inbox", path, sizeof path)) {
        flk_errmsg(errmsg, "%.200s is not named dlq: only a gateway's own queue has an inbox beside it", dir);
        return FLK_E_NOT_FOUND;
    }
    return flk_replay_own(path, 0, inbox, errmsg);
}

static bool take_match(void *arg, const flk_journal_record_t *record) {
    removal_t *removal = arg;
    if (removal->options->json) {
        removal->err = flk_print_json(record, false);
    } else {
        flk_print_row(record);
    }
    if (removal->err == FLK_OK && removal->is_order) {
        removal->err = flk_dlq_order_add(&removal->order, record->lsn);
    }
    if (removal->err == FLK_OK && removal->inbox != NULL) {
        uint64_t lsn;
        removal->err = flk_wal_append_wait(removal->inbox, FLK_BODY_MSGPACK, record->body, record->body_bytes, &lsn,
                                           removal->errmsg);
    }
    if (removal->err == FLK_OK && removal->queue != NULL) {
        flk_wal_mark_t mark = {.status = removal->inbox != NULL ? FLK_DLQ_REPLAYED : FLK_DLQ_PURGED};
        flk_wal_ack(removal->queue, record->lsn, mark);
    }
    removal->records += removal->err == FLK_OK;
    return removal->err == FLK_OK;
}

static flk_err_t open_logs(removal_t *removal, const char *dir, char *errmsg) {
    if (removal->options->dry_run) {
        return FLK_OK;
    }
    flk_err_t err = flk_replay_own(dir, 0, &removal->queue, errmsg);
    removal->is_order = err == FLK_E_LOCKED;
    if (removal->is_order) {
        return FLK_OK;
    }
    if (err == FLK_OK && removal->options->verb == FLK_VERB_DLQ_REPLAY) {
        err = open_inbox(dir, &removal->inbox, errmsg);
    }
    return err;
}

static bool note_left(void *arg, const flk_journal_record_t *record) {
    removal_t *removal = arg;
    uint64_t *found = bsearch(&record->lsn, removal->order.lsns, removal->order.len, sizeof *found, compare_lsns);
    removal->records -= found != NULL;
    return true;
}

/* The gateway acks lazily: looks until the dead letters have left the queue, or for as long as that may take. */
static flk_err_t count_left(removal_t *removal, const char *dir, char *errmsg) {
    const uint64_t until_ms = flk_mono_ms() + ACKED_MS_MAX;
    const flk_filter_t waiting = {.unacked = true};
    flk_err_t err;
    do {
        flk_journal_t *journal;
        removal->records = removal->order.len;
        err = flk_journal_open(dir, &journal, errmsg);
        if (err == FLK_OK) {
            err = flk_journal_each(journal, &waiting, false, note_left, removal, errmsg);
            flk_journal_close(&journal);
        }
    } while (err == FLK_OK && removal->records < removal->order.len && flk_mono_ms() < until_ms &&
             usleep(LOOK_US) == 0);
    if (err == FLK_OK && removal->records < removal->order.len) {
        flk_errmsg(errmsg, "%llu dead letters are still in the queue; see the gateway's log",
                   (unsigned long long)(removal->order.len - removal->records));
        err = FLK_E_UNAVAILABLE;
    }
    return err;
}

static flk_err_t take_all(removal_t *removal, const char *dir, char *errmsg) {
    flk_journal_t *journal;
    flk_err_t err = flk_journal_open(dir, &journal, errmsg);
    if (err == FLK_OK) {
        err = flk_journal_each(journal, &removal->options->filter, true, take_match, removal, errmsg);
        flk_journal_close(&journal);
    }
    err = err == FLK_OK ? removal->err : err;
    if (err == FLK_OK && removal->is_order) {
        err = flk_dlq_order_give(&removal->order, dir, removal->options->verb == FLK_VERB_DLQ_PURGE,
                                 removal->options->wait_ms, errmsg);
        err = err == FLK_OK ? count_left(removal, dir, errmsg) : err;
    }
    if (removal->queue != NULL) { /* letters in the inbox already leave the queue, also after an error */
        flk_err_t flushed = flk_wal_flush(removal->queue, err == FLK_OK ? errmsg : NULL);
        err = err == FLK_OK ? flushed : err;
    }
    return err;
}

int flk_replay_dlq(const flk_replay_options_t *options, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    removal_t removal = {.options = options, .errmsg = errmsg};
    flk_err_t err = open_logs(&removal, dir, errmsg);
    if (err == FLK_OK) {
        err = take_all(&removal, dir, errmsg);
        const char *done = options->dry_run ? "matched" : options->verb == FLK_VERB_DLQ_PURGE ? "purged" : "replayed";
        printf(options->json ? "{\"type\":\"summary\",\"%s\":%llu}\n" : "dead letters %s: %llu\n", done,
               (unsigned long long)removal.records);
    }
    flk_dlq_order_fini(&removal.order);
    flk_wal_close(&removal.inbox);
    flk_wal_close(&removal.queue);
    return err != FLK_OK ? flk_replay_failed(errmsg[0] != '\0' ? errmsg : flk_err_text(err)) : FLK_EXIT_OK;
}
