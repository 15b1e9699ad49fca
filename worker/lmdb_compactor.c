/* SPDX-License-Identifier: MIT */
/* A move, one write transaction of the index:
 *
 *   copy the oldest batches, up to MOVE_BYTES of them
 *   sort their records by key, keep the youngest of each key, put those that have not expired: neighbours share their pages
 *   delete some expired records
 *   commit (LMDB syncs), and only then delete the batches
 *
 * The copy is made while the index's write lock is held: nobody else moves, so what is in the batches is younger than what the index
 * has, and stands. Killed after the commit, the batches stay and are moved again, to the same end.
 *
 * Failures: what LMDB cannot mend is logged once and tried again when somebody wakes this thread. Until then the recent grow; at their
 * limit puts fail (lmdb_writer.c). */
#include "worker/lmdb_compactor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/lmdb_index.h"

enum {
    MOVE_BYTES = 1 << 20,
    READ_MS = 1000,     /* how long to wait for the map of the recent */
    SWEEP_ASKED = 1024, /* expired records deleted in a step that was asked to sweep */
    SWEEP_BESIDE = 16,  /* … beside a move, and two more for each record moved: deleting outruns putting */
};

struct flk_lmdb_compactor {
    flk_lmdb_recent_t *recent;
    flk_lmdb_env_t *index;
    flk_store_clock_fn *clock;
    size_t keep_bytes;
    int lock_fd; /* -1 unless this process may move */
    flk_lmdb_reader_t reader;
    pthread_t thread;
    bool failed; /* last time; logged */

    /* of the step under way */
    uint8_t *bytes;
    size_t bytes_len, bytes_cap;
    flk_lmdb_place_t *records;
    size_t records_len, records_cap;
    uint64_t last_batch; /* 0: none was copied */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t wake;
    bool asked, sweep, stop;
};

/* ---- a move; 0 or LMDB's error ---- */

static int reserve(flk_lmdb_compactor_t *c, size_t bytes) {
    if (c->bytes_len + bytes > c->bytes_cap) {
        size_t cap = 2 * c->bytes_cap + bytes;
        uint8_t *grown = realloc(c->bytes, cap);
        if (grown == NULL) {
            return ENOMEM;
        }
        c->bytes = grown;
        c->bytes_cap = cap;
    }
    return MDB_SUCCESS;
}

static int copy_batches(flk_lmdb_compactor_t *c) {
    MDB_cursor *cursor;
    MDB_val key, records;
    c->bytes_len = 0;
    c->last_batch = 0;
    int rc = mdb_cursor_open(c->reader.txn, c->recent->env.batches, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = mdb_cursor_get(cursor, &key, &records, MDB_FIRST);
    while (rc == MDB_SUCCESS && c->bytes_len < MOVE_BYTES && (rc = reserve(c, records.mv_size)) == MDB_SUCCESS) {
        memcpy(c->bytes + c->bytes_len, records.mv_data, records.mv_size);
        c->bytes_len += records.mv_size;
        memcpy(&c->last_batch, key.mv_data, sizeof c->last_batch);
        rc = mdb_cursor_get(cursor, &key, &records, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int list_records(flk_lmdb_compactor_t *c) {
    c->records_len = 0;
    for (size_t at = 0, bytes; at < c->bytes_len; at += bytes) {
        bytes = flk_lmdb_record_bytes(c->bytes + at, c->bytes_len - at);
        if (bytes == 0) {
            return MDB_CORRUPTED;
        }
        if (c->records_len == c->records_cap) {
            size_t cap = 2 * c->records_cap + 1024;
            flk_lmdb_place_t *grown = realloc(c->records, cap * sizeof *grown);
            if (grown == NULL) {
                return ENOMEM;
            }
            c->records = grown;
            c->records_cap = cap;
        }
        c->records[c->records_len] = (flk_lmdb_place_t){.at = c->bytes + at, .order = (uint32_t)c->records_len};
        c->records_len++;
    }
    return MDB_SUCCESS;
}

static int by_key_youngest_first(const void *a, const void *b) {
    const flk_lmdb_place_t *left = a, *right = b;
    int order = memcmp(left->at, right->at, FLK_STORE_KEY_BYTES);
    return order != 0 ? order : left->order < right->order ? 1 : -1;
}

/* Leaves the youngest record of each key, of those that live. */
static void keep_living(flk_lmdb_compactor_t *c) {
    int64_t now_ms = c->clock();
    size_t kept = 0;
    const uint8_t *key = NULL;
    qsort(c->records, c->records_len, sizeof *c->records, by_key_youngest_first);
    for (size_t i = 0; i < c->records_len; i++) {
        const uint8_t *record = c->records[i].at;
        bool youngest = key == NULL || memcmp(key, record, FLK_STORE_KEY_BYTES) != 0;
        key = record;
        if (youngest && flk_lmdb_record_expires_ms(record) > now_ms) {
            c->records[kept++] = c->records[i];
        }
    }
    c->records_len = kept;
}

static int move_step(void *arg, MDB_txn *txn) {
    flk_lmdb_compactor_t *c = arg;
    int rc = flk_lmdb_read_begin(&c->recent->env, &c->reader, READ_MS);
    if (rc != MDB_SUCCESS) {
        return rc == MDB_PANIC ? EIO : rc; /* the recent's trouble, not the index's */
    }
    rc = copy_batches(c);
    flk_lmdb_read_end(&c->recent->env, &c->reader);
    if (rc == MDB_SUCCESS && (rc = list_records(c)) == MDB_SUCCESS) {
        keep_living(c);
        rc = flk_lmdb_index_put(c->index, txn, c->records, c->records_len);
    }
    return rc != MDB_SUCCESS ? rc : flk_lmdb_index_sweep(c->index, txn, c->clock(), SWEEP_BESIDE + 2 * c->records_len);
}

static int forget_step(void *arg, MDB_txn *txn) {
    const flk_lmdb_compactor_t *c = arg;
    MDB_cursor *cursor;
    MDB_val key, records;
    int rc = mdb_cursor_open(txn, c->recent->env.batches, &cursor);
    while (rc == MDB_SUCCESS && (rc = mdb_cursor_get(cursor, &key, &records, MDB_FIRST)) == MDB_SUCCESS) {
        uint64_t batch;
        memcpy(&batch, key.mv_data, sizeof batch);
        if (batch > c->last_batch) {
            return MDB_SUCCESS;
        }
        rc = mdb_cursor_del(cursor, 0);
    }
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int sweep_step(void *arg, MDB_txn *txn) {
    const flk_lmdb_compactor_t *c = arg;
    return flk_lmdb_index_sweep(c->index, txn, c->clock(), SWEEP_ASKED);
}

/* ---- the thread ---- */

static bool stopping(flk_lmdb_compactor_t *c) {
    pthread_mutex_lock(&c->mutex);
    bool stop = c->stop;
    pthread_mutex_unlock(&c->mutex);
    return stop;
}

/* Moves while there is too much. 0 or LMDB's error. */
static int move(flk_lmdb_compactor_t *c) {
    int rc = flk_lmdb_recent_catch_up(c->recent, &c->reader, READ_MS);
    while (rc == MDB_SUCCESS && flk_lmdb_recent_bytes(c->recent, NULL) > c->keep_bytes && !stopping(c)) {
        rc = flk_lmdb_write(c->index, move_step, c);
        if (rc == MDB_SUCCESS) {
            rc = flk_lmdb_write(&c->recent->env, forget_step, c);
        }
        if (rc == MDB_SUCCESS) {
            rc = flk_lmdb_recent_catch_up(c->recent, &c->reader, READ_MS);
        }
    }
    return rc;
}

static void work(flk_lmdb_compactor_t *c, bool asked_to_sweep) {
    if (flock(c->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return; /* another process is at it */
    }
    int rc = move(c);
    if (rc == MDB_SUCCESS && asked_to_sweep) {
        rc = flk_lmdb_write(c->index, sweep_step, c);
    }
    flock(c->lock_fd, LOCK_UN);
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
    free(c->bytes);
    free(c->records);
    pthread_cond_destroy(&c->wake);
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
    pthread_cond_init(&c->wake, NULL);
    int rc = pthread_create(&c->thread, NULL, compactor_main, c);
    if (rc != 0) {
        flk_errmsg(errmsg, "cannot start the compactor thread: %s", strerror(rc));
        compactor_free(c);
        return FLK_E_NOMEM;
    }
    *out = c;
    return FLK_OK;
}

bool flk_lmdb_compactor_stop(flk_lmdb_compactor_t **compactor, uint64_t timeout_ms) {
    flk_lmdb_compactor_t *c = *compactor;
    pthread_mutex_lock(&c->mutex);
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    struct timespec until = flk_lmdb_in_ms(CLOCK_REALTIME, timeout_ms);
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
