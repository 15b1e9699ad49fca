/* SPDX-License-Identifier: MIT */
/* A move carries all records that are recent when it begins. A single put dirties about one index page per record.
 * Moving many sorted records at once shares pages; steps keep each write transaction short, so that the sync of another
 * process on the same disk does not wait long:
 *
 *   list the youngest record of each key, of those that live
 *   put their expiries in steps, by expiry; then the outcomes in steps, by key: the records of a step share their pages
 *   beside the outcomes, delete records that expired before the list was made
 *   each step is committed (LMDB syncs); only after the last one delete the batches, in steps as well
 *
 * Between steps it pauses, so that the move spreads over the time that the next one takes to gather, unless too much
 * is recent. No other process moves meanwhile, so the batches are younger than the index, and stand. Killed at any
 * step, the batches stay and are moved again, to the same end.
 *
 * While nothing is put for a while, a move takes the rest to the index and gives the memory back.
 *
 * Failures: an error that LMDB cannot mend is logged once, and the move is tried again when this thread is woken. Until
 * then the recent grow; at their limit puts fail (lmdb/writer.c). */
#include "worker/store/lmdb/compactor.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "common/thread.h"
#include "worker/store/lmdb/index.h"
#include "worker/store/lmdb/move_list.h"

enum {
    STEP_MS = 8, /* the aim for a step; its number of records follows */
    STEP_RECORDS_MIN = 512,
    STEP_RECORDS_MAX = 8192,
    FORGET_BYTES = 512 << 10, /* of the batches deleted in a step: the table drops them with everybody waiting */
    PAUSES = 3,               /* a pause is so many times as long as the step, */
    PAUSE_MS_MAX = 50,        /* and no more than this */
    READ_MS = 1000,           /* how long to wait for the map of the recent */
    SWEEP_ASKED = 1024,       /* expired records deleted in a step that was asked to sweep */
    SWEEP_BESIDE = 16,        /* … beside outcomes, and two more for each of them: deleting outruns putting */
    IDLE_MS = 10000,          /* nothing was put for so long: move */
    IDLE_FACTOR = 16,         /* … the records beyond this part of keep_bytes */
};

/* One half of putting records to the index (lmdb/index.h). */
typedef int put_fn(const flk_lmdb_env_t *index, MDB_txn *txn, const flk_lmdb_place_t *records, size_t records_len);

struct flk_lmdb_compactor {
    flk_lmdb_recent_t *recent;
    flk_lmdb_env_t *index;
    flk_store_clock_fn *clock;
    size_t keep_bytes;
    int lock_fd; /* -1 unless this process may move */
    flk_lmdb_reader_t reader;
    pthread_t thread;
    bool failed; /* last time; logged */
    size_t idle_bytes;
    int64_t idle_since_ms; /* so much has been recent since, by `clock` */

    /* of the move under way */
    flk_lmdb_move_list_t list;
    int64_t now_ms; /* when its list was made */
    put_fn *put;
    size_t done, step_len; /* of the list; the step's records */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake, stopped;
    bool asked, sweep, stop;
};

/* ---- steps; 0 or LMDB's error ---- */

static int put_step(void *arg, MDB_txn *txn) {
    const flk_lmdb_compactor_t *c = arg;
    int rc = c->put(c->index, txn, c->list.places + c->done, c->step_len);
    if (rc != MDB_SUCCESS || c->put != flk_lmdb_index_put_outcomes) {
        return rc;
    }
    /* A later expiry may be one whose outcome is still to come. */
    return flk_lmdb_index_sweep(c->index, txn, c->now_ms, SWEEP_BESIDE + 2 * c->step_len);
}

static int forget_step(void *arg, MDB_txn *txn) {
    const flk_lmdb_compactor_t *c = arg;
    MDB_cursor *cursor;
    MDB_val key, records;
    int rc = mdb_cursor_open(txn, c->recent->env.batches, &cursor);
    for (size_t bytes = 0; rc == MDB_SUCCESS && bytes < FORGET_BYTES; bytes += records.mv_size) {
        rc = mdb_cursor_get(cursor, &key, &records, MDB_FIRST);
        if (rc == MDB_SUCCESS) {
            uint64_t batch;
            memcpy(&batch, key.mv_data, sizeof batch);
            rc = batch > c->list.last_batch ? MDB_NOTFOUND : mdb_cursor_del(cursor, 0);
        }
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int sweep_step(void *arg, MDB_txn *txn) {
    const flk_lmdb_compactor_t *c = arg;
    return flk_lmdb_index_sweep(c->index, txn, c->clock(), SWEEP_ASKED);
}

/* ---- a move; 0, LMDB's error, or EINTR: this thread is to stop ---- */

/* Waits as long as a step that took so long asks for. */
static int pause_after(flk_lmdb_compactor_t *c, uint64_t took_ms) {
    uint64_t pause_ms = PAUSES * took_ms + 1;
    if (flk_lmdb_recent_bytes(c->recent, NULL) > 2 * c->keep_bytes) {
        pause_ms = 0;
    }
    uint64_t until_ms = flk_mono_ms() + (pause_ms < PAUSE_MS_MAX ? pause_ms : PAUSE_MS_MAX);
    pthread_mutex_lock(&c->mutex);
    while (!c->stop && pause_ms > 0 && flk_cond_wait_until(&c->stopped, &c->mutex, until_ms)) {
    }
    int rc = c->stop ? EINTR : MDB_SUCCESS;
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

/* Puts one half of all records to the index. */
static int carry(flk_lmdb_compactor_t *c, put_fn *put) {
    int rc = MDB_SUCCESS;
    size_t step_records = STEP_RECORDS_MIN;
    c->put = put;
    for (c->done = 0; rc == MDB_SUCCESS && c->done < c->list.len; c->done += c->step_len) {
        size_t left = c->list.len - c->done;
        c->step_len = left < step_records ? left : step_records;
        uint64_t began_ms = flk_mono_ms();
        rc = flk_lmdb_write(c->index, put_step, c);
        uint64_t took_ms = flk_mono_ms() - began_ms;
        if (took_ms < STEP_MS && step_records < STEP_RECORDS_MAX) {
            step_records *= 2;
        } else if (took_ms > 2 * STEP_MS && step_records > STEP_RECORDS_MIN) {
            step_records /= 2;
        }
        rc = rc == MDB_SUCCESS ? pause_after(c, took_ms) : rc;
    }
    return rc;
}

/* Deletes the batches whose records the index has. */
static int forget(flk_lmdb_compactor_t *c) {
    int rc = MDB_SUCCESS;
    const flk_lmdb_batch_t *first = flk_lmdb_recent_next(c->recent, NULL);
    while (rc == MDB_SUCCESS && first != NULL && flk_lmdb_batch_id(first) <= c->list.last_batch) {
        uint64_t began_ms = flk_mono_ms();
        if ((rc = flk_lmdb_write(&c->recent->env, forget_step, c)) == MDB_SUCCESS &&
            (rc = flk_lmdb_recent_catch_up(c->recent, &c->reader, READ_MS, NULL)) == MDB_SUCCESS) {
            rc = pause_after(c, flk_mono_ms() - began_ms);
        }
        first = flk_lmdb_recent_next(c->recent, NULL);
    }
    return rc;
}

static int move(flk_lmdb_compactor_t *c) {
    c->now_ms = c->clock();
    int rc = flk_lmdb_move_list_load(&c->list, c->recent, c->now_ms);
    if (rc == MDB_SUCCESS && (rc = carry(c, flk_lmdb_index_put_expiries)) == MDB_SUCCESS) {
        flk_lmdb_move_list_sort_by_key(&c->list);
        rc = carry(c, flk_lmdb_index_put_outcomes);
    }
    rc = rc == MDB_SUCCESS ? forget(c) : rc;
    flk_lmdb_move_list_unload(&c->list);
    return rc;
}

/* ---- the thread ---- */

/* True when nothing was put for a while, but something is left. */
static bool is_idle(flk_lmdb_compactor_t *c, size_t bytes) {
    int64_t now_ms = c->clock();
    if (bytes != c->idle_bytes || now_ms < c->idle_since_ms) {
        c->idle_bytes = bytes;
        c->idle_since_ms = now_ms;
    }
    return bytes > c->keep_bytes / IDLE_FACTOR && now_ms - c->idle_since_ms >= IDLE_MS;
}

/* Moves while there is too much. As move. */
static int move_what_is_due(flk_lmdb_compactor_t *c) {
    int rc = flk_lmdb_recent_catch_up(c->recent, &c->reader, READ_MS, NULL);
    while (rc == MDB_SUCCESS) {
        size_t bytes = flk_lmdb_recent_bytes(c->recent, NULL);
        bool idle = is_idle(c, bytes);
        if (!idle && bytes <= c->keep_bytes) {
            break;
        }
        rc = move(c);
        if (idle) {
            malloc_trim(0);
        }
    }
    return rc;
}

static void work(flk_lmdb_compactor_t *c, bool asked_to_sweep) {
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return; /* another process is at it */
    }
    int rc = move_what_is_due(c);
    if (rc == MDB_SUCCESS && asked_to_sweep) {
        rc = flk_lmdb_write(c->index, sweep_step, c);
    }
    flock(c->lock_fd, LOCK_UN);
    if (rc == EINTR) {
        return;
    }
    if (rc != MDB_SUCCESS && !c->failed) {
        char errmsg[FLK_ERRMSG_BYTES];
        (void)flk_lmdb_err(rc, "move outcomes to the index", errmsg);
        flk_log(FLK_LOG_ERROR, "store_not_compacted", FLK_S("store", "lmdb"), FLK_S("error", errmsg));
    }
    c->failed = rc != MDB_SUCCESS;
}

static void *compactor_main(void *arg) {
    flk_lmdb_compactor_t *c = arg;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (!c->asked && !c->sweep && !c->stop) {
            pthread_cond_wait(&c->wake, &c->mutex);
        }
        if (c->stop) {
            break;
        }
        bool asked_to_sweep = c->sweep;
        c->asked = c->sweep = false;
        pthread_mutex_unlock(&c->mutex);
        work(c, asked_to_sweep);
        pthread_mutex_lock(&c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* ---- other threads ---- */

static void compactor_free(flk_lmdb_compactor_t *c) {
    flk_lmdb_reader_remove(&c->recent->env, &c->reader);
    close(c->lock_fd);
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->stopped);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

flk_err_t flk_lmdb_compactor_start(flk_lmdb_recent_t *recent, flk_lmdb_env_t *index, flk_store_clock_fn *clock,
                                   size_t keep_bytes, flk_lmdb_compactor_t **out, char *errmsg) {
    char path[sizeof index->dir + 16];
    snprintf(path, sizeof path, "%s/compactor.lock", index->dir);
    int lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_fd < 0) {
        flk_errmsg(errmsg, "%s: %s", path, strerror(errno));
        return FLK_E_IO;
    }
    flk_lmdb_compactor_t *c = calloc(1, sizeof *c);
    if (c == NULL) {
        close(lock_fd);
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    c->recent = recent;
    c->index = index;
    c->clock = clock;
    c->keep_bytes = keep_bytes;
    c->lock_fd = lock_fd;
    flk_lmdb_reader_add(&recent->env, &c->reader);
    pthread_mutex_init(&c->mutex, NULL);
    flk_cond_init(&c->wake);
    flk_cond_init(&c->stopped);
    flk_err_t err = flk_thread_start(&c->thread, "flk-lmdb-move", compactor_main, c, errmsg);
    if (err != FLK_OK) {
        compactor_free(c);
        return err;
    }
    *out = c;
    return FLK_OK;
}

bool flk_lmdb_compactor_stop(flk_lmdb_compactor_t **compactor, uint64_t timeout_ms) {
    flk_lmdb_compactor_t *c = *compactor;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_cond_signal(&c->stopped);
    pthread_mutex_unlock(&c->mutex);
    struct timespec until = flk_time_in_ms(CLOCK_REALTIME, timeout_ms);
    if (pthread_timedjoin_np(c->thread, NULL, &until) != 0) {
        return false;
    }
    compactor_free(c);
    *compactor = NULL;
    return true;
}

static void ask(flk_lmdb_compactor_t *c, bool to_sweep) {
    pthread_mutex_lock(&c->mutex);
    c->asked = true;
    c->sweep = c->sweep || to_sweep;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void flk_lmdb_compactor_wake(flk_lmdb_compactor_t *compactor) {
    ask(compactor, false);
}

void flk_lmdb_compactor_sweep(flk_lmdb_compactor_t *compactor) {
    ask(compactor, true);
}
