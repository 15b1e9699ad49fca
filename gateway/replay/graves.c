/* SPDX-License-Identifier: MIT */
/* dlq purge, dlq replay: take dead letters out of a queue whose gateway does not run.
 * Open the queue's log, which locks it (replay: the inbox beside it, too) -> for each match: into the inbox, durable -> ack it
 * in the queue -> flush. The gateway drives what it finds in its inbox when it starts.
 *
 * A gateway that runs holds the locks: nothing is done then. A crash in between leaves a record in both logs; it is answered
 * as a dead letter then, and can be replayed again. Nothing is removed from either log here: retention is the gateway's. */
#include <stdio.h>
#include <string.h>

#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"

enum { STATUS_PURGED = 410, STATUS_REPLAYED = 303 }; /* kept in the queue's ack; nobody is answered so */
static const uint64_t FOR_EVER_MS = UINT64_C(100) * 365 * 86400 * 1000;

typedef struct graves {
    const flk_replay_options_t *options;
    flk_wal_t *queue, *inbox; /* queue NULL: dry run; inbox NULL: purge */
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
    }
    if (err == FLK_OK && graves->options->verb == FLK_VERB_DLQ_REPLAY) {
        err = open_inbox(dir, &graves->inbox, errmsg);
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
    flk_wal_close(&graves.inbox);
    flk_wal_close(&graves.queue);
    return err != FLK_OK ? flk_replay_failed(errmsg[0] != '\0' ? errmsg : flk_err_text(err)) : FLK_REPLAY_OK;
}
