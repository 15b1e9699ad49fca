/* SPDX-License-Identifier: MIT */
/* dlq purge, dlq replay: take dead letters out of a queue. A gateway that runs gets an order to do so (order.c); else:
 * Open the queue's log, which locks it (replay: the inbox beside it, too) -> for each match: into the inbox, durable -> ack it
 * in the queue -> flush. The gateway drives what it finds in its inbox when it starts.
 *
 * A crash in between leaves a record in both logs; it is answered
 * as a dead letter then, and can be replayed again. Nothing is removed from either log here: retention is the gateway's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/replay/order.h"
#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"

enum { STATUS_PURGED = 410, STATUS_REPLAYED = 303 }; /* kept in the queue's ack; nobody is answered so */
static const uint64_t FOR_EVER_MS = UINT64_C(100) * 365 * 86400 * 1000;

enum { ACKED_MS_MAX = 5000, LOOK_US = 50000 };

static int compare_lsns(const void *a_arg, const void *b_arg) {
    const uint64_t a = *(const uint64_t *)a_arg, b = *(const uint64_t *)b_arg;
    return (a > b) - (a < b);
}

typedef struct graves {
    const flk_replay_options_t *options;
    flk_wal_t *queue, *inbox; /* queue NULL: dry run; inbox NULL: purge */
    bool is_order;            /* the gateway runs */
    flk_order_t order;
    uint64_t records;
    flk_err_t err;
    char *errmsg;
} graves_t;

static flk_err_t open_log(const char *dir, flk_wal_t **wal, char *errmsg) {
    flk_wal_options_t options = {.dir = dir, .retention_ms = FOR_EVER_MS};
    flk_err_t err = flk_wal_open(&options, wal, errmsg);
    if (err == FLK_E_LOCKED) {
        flk_errmsg(errmsg, "the gateway of %.200s runs; stop it, do this, and start it again", dir);
    }
    return err;
}

/* The inbox that a queue's gateway has: DIR/dlq -> DIR/inbox. */
static flk_err_t open_inbox(const char *dir, flk_wal_t **inbox, char *errmsg) {
    char path[4096];
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/') {
        len--;
    }
    if (len < 4 || len > sizeof path - 8 || strncmp(dir + len - 4, "/dlq", 4) != 0) {
        flk_errmsg(errmsg, "%.200s is not named dlq: only a gateway's own queue has an inbox beside it", dir);
        return FLK_E_NOT_FOUND;
    }
    snprintf(path, sizeof path, "%.*s/inbox", (int)(len - 4), dir);
    flk_journal_t *journal; /* opening would make what is not there */
    flk_err_t err = flk_journal_open(path, &journal, errmsg);
    flk_journal_close(&journal);
    return err == FLK_OK ? open_log(path, inbox, errmsg) : err;
}

static bool take(void *arg, const flk_journal_record_t *record) {
    graves_t *graves = arg;
    if (graves->options->json) {
        graves->err = flk_print_json(record, false);
    } else {
        flk_print_row(record);
    }
    if (graves->err == FLK_OK && graves->is_order) {
        graves->err = flk_order_add(&graves->order, record->lsn);
    }
    if (graves->err == FLK_OK && graves->inbox != NULL) {
        uint64_t lsn;
        graves->err =
            flk_wal_append_wait(graves->inbox, record->kind, record->body, record->body_bytes, &lsn, graves->errmsg);
    }
    if (graves->err == FLK_OK && graves->queue != NULL) {
        flk_wal_mark_t mark = {.status = graves->inbox != NULL ? STATUS_REPLAYED : STATUS_PURGED};
        flk_wal_ack(graves->queue, record->lsn, mark);
    }
    graves->records += graves->err == FLK_OK;
    return graves->err == FLK_OK;
}

static flk_err_t open_logs(graves_t *graves, const char *dir, char *errmsg) {
    if (graves->options->dry_run) {
        return FLK_OK;
    }
    flk_journal_t *journal;
    flk_err_t err = flk_journal_open(dir, &journal, errmsg); /* opening would make what is not there */
    flk_journal_close(&journal);
    if (err == FLK_OK) {
        err = open_log(dir, &graves->queue, errmsg);
        graves->is_order = err == FLK_E_LOCKED;
    }
    if (graves->is_order) {
        return FLK_OK;
    }
    if (err == FLK_OK && graves->options->verb == FLK_VERB_DLQ_REPLAY) {
        err = open_inbox(dir, &graves->inbox, errmsg);
    }
    return err;
}

static bool note_left(void *arg, const flk_journal_record_t *record) {
    graves_t *graves = arg;
    uint64_t *found = bsearch(&record->lsn, graves->order.lsns, graves->order.len, sizeof *found, compare_lsns);
    graves->records -= found != NULL;
    return true;
}

/* The gateway acks lazily: looks until the letters have left the queue, or do not for as long as that may take. */
static flk_err_t count_left(graves_t *graves, const char *dir, char *errmsg) {
    const uint64_t until_ms = flk_mono_ms() + ACKED_MS_MAX;
    const flk_filter_t buried = {.unacked = true};
    flk_err_t err;
    do {
        flk_journal_t *journal;
        graves->records = graves->order.len;
        err = flk_journal_open(dir, &journal, errmsg);
        if (err == FLK_OK) {
            err = flk_journal_each(journal, &buried, false, note_left, graves, errmsg);
            flk_journal_close(&journal);
        }
    } while (err == FLK_OK && graves->records < graves->order.len && flk_mono_ms() < until_ms && usleep(LOOK_US) == 0);
    if (err == FLK_OK && graves->records < graves->order.len) {
        flk_errmsg(errmsg, "%llu letters are still in the queue; see the gateway's log",
                   (unsigned long long)(graves->order.len - graves->records));
        err = FLK_E_UNAVAILABLE;
    }
    return err;
}

static flk_err_t take_all(graves_t *graves, const char *dir, char *errmsg) {
    flk_journal_t *journal;
    flk_err_t err = flk_journal_open(dir, &journal, errmsg);
    if (err == FLK_OK) {
        err = flk_journal_each(journal, &graves->options->filter, true, take, graves, errmsg);
        flk_journal_close(&journal);
    }
    err = err == FLK_OK ? graves->err : err;
    if (err == FLK_OK && graves->is_order) {
        err = flk_order_give(&graves->order, dir, graves->options->verb == FLK_VERB_DLQ_PURGE, graves->options->wait_ms,
                             errmsg);
        err = err == FLK_OK ? count_left(graves, dir, errmsg) : err;
    }
    if (graves->queue != NULL) { /* what is in the inbox already leaves the queue, whatever came after it */
        flk_err_t flushed = flk_wal_flush(graves->queue, err == FLK_OK ? errmsg : NULL);
        err = err == FLK_OK ? flushed : err;
    }
    return err;
}

int flk_replay_graves(const flk_replay_options_t *options, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    graves_t graves = {.options = options, .errmsg = errmsg};
    flk_err_t err = open_logs(&graves, dir, errmsg);
    if (err == FLK_OK) {
        err = take_all(&graves, dir, errmsg);
        const char *done = options->dry_run ? "matched" : options->verb == FLK_VERB_DLQ_PURGE ? "purged" : "replayed";
        printf(options->json ? "{\"type\":\"summary\",\"%s\":%llu}\n" : "dead letters %s: %llu\n", done,
               (unsigned long long)graves.records);
    }
    flk_order_fini(&graves.order);
    flk_wal_close(&graves.inbox);
    flk_wal_close(&graves.queue);
    return err != FLK_OK ? flk_replay_failed(errmsg[0] != '\0' ? errmsg : flk_err_text(err)) : FLK_REPLAY_OK;
}
