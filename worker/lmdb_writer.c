/* SPDX-License-Identifier: MIT */
/* A turn: take all requests that wait, begin, put each item if absent, delete some expired records, commit (LMDB syncs),
 * wake the callers.
 *
 * Failures: MDB_MAP_RESIZED (another process grew the map) adopt and again; MDB_MAP_FULL free the slots of dead readers,
 * grow, and again; MDB_PANIC (a meta page could not be written) open anew and again; anything else fails the requests
 * of this turn, whose callers ask again later. So does a data file that is no longer at its path: writing on would lose
 * outcomes at the next start. LMDB's write lock has no deadline: while a stopped process holds it this
 * thread waits, callers leave at their own deadline, and each handle has at most one batch waiting here. Killing that
 * process, as a liveness probe does, passes the lock on. */
#include "worker/lmdb_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"

enum {
    ATTEMPTS_MAX = 12,  /* of one turn; each but the last grew, adopted or reopened */
    SWEEP_ASKED = 1024, /* expired records deleted in a turn that was asked to sweep */
    SWEEP_BESIDE = 16,  /* … in any other turn, and two more for each put: deleting outruns putting */
    READER_CHECK_MS = 10000,
};

struct flk_lmdb_writer {
    flk_lmdb_env_t *env;
    flk_store_clock_fn *clock;
    pthread_t thread;
    uint64_t readers_checked_ms;
    pthread_mutex_t mutex; /* guards all below and the states of requests */
    pthread_cond_t wake;   /* to the writer: work, or stop */
    pthread_cond_t done;   /* to the callers: some requests are done */
    flk_lmdb_request_t *head, **tail;
    bool sweep, stop;
};

/* ---- in a transaction; 0 or LMDB's error ---- */

static MDB_val expiry_key(uint8_t bytes[FLK_LMDB_EXPIRY_KEY_BYTES], int64_t expires_ms, const void *key) {
    flk_lmdb_put_time(bytes, expires_ms);
    memcpy(bytes + FLK_LMDB_EXPIRY_BYTES, key, FLK_STORE_KEY_BYTES);
    return (MDB_val){.mv_data = bytes, .mv_size = FLK_LMDB_EXPIRY_KEY_BYTES};
}

static bool valid(const MDB_val *record) {
    return record->mv_size >= FLK_LMDB_EXPIRY_BYTES &&
           record->mv_size <= FLK_LMDB_EXPIRY_BYTES + FLK_STORE_VALUE_BYTES_MAX;
}

/* Takes the expired record out of the way of one that is put now. */
static int drop_expired(const flk_lmdb_env_t *env, MDB_txn *txn, MDB_val *key, int64_t expired_ms) {
    uint8_t bytes[FLK_LMDB_EXPIRY_KEY_BYTES];
    MDB_val index = expiry_key(bytes, expired_ms, key->mv_data);
    int rc = mdb_del(txn, env->expiry, &index, NULL);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

static int put_item(const flk_lmdb_env_t *env, MDB_txn *txn, flk_store_item_t *item, int64_t now_ms,
                    int64_t expires_ms) {
    uint8_t record[FLK_LMDB_EXPIRY_BYTES + FLK_STORE_VALUE_BYTES_MAX];
    flk_lmdb_put_time(record, expires_ms);
    memcpy(record + FLK_LMDB_EXPIRY_BYTES, item->value, item->value_bytes);
    MDB_val key = {.mv_data = item->key, .mv_size = sizeof item->key};
    MDB_val value = {.mv_data = record, .mv_size = FLK_LMDB_EXPIRY_BYTES + (size_t)item->value_bytes};
    item->found = false;
    int rc = mdb_put(txn, env->outcomes, &key, &value, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) { /* value is now what is there */
        if (!valid(&value)) {
            return MDB_CORRUPTED;
        }
        int64_t there_ms = flk_lmdb_get_time(value.mv_data);
        if (there_ms > now_ms) {
            item->found = true;
            item->value_bytes = (uint16_t)(value.mv_size - FLK_LMDB_EXPIRY_BYTES);
            memcpy(item->value, (const uint8_t *)value.mv_data + FLK_LMDB_EXPIRY_BYTES, item->value_bytes);
            return MDB_SUCCESS;
        }
        if ((rc = drop_expired(env, txn, &key, there_ms)) != MDB_SUCCESS) {
            return rc;
        }
        value = (MDB_val){.mv_data = record, .mv_size = FLK_LMDB_EXPIRY_BYTES + (size_t)item->value_bytes};
        rc = mdb_put(txn, env->outcomes, &key, &value, 0);
    }
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    uint8_t bytes[FLK_LMDB_EXPIRY_KEY_BYTES];
    MDB_val index = expiry_key(bytes, expires_ms, item->key), nothing = {0};
    return mdb_put(txn, env->expiry, &index, &nothing, 0);
}

static int put_probe(const flk_lmdb_env_t *env, MDB_txn *txn, int64_t now_ms) {
    uint8_t time[FLK_LMDB_EXPIRY_BYTES];
    flk_lmdb_put_time(time, now_ms);
    MDB_val key = {.mv_data = (void *)"probe", .mv_size = 5}, value = {.mv_data = time, .mv_size = sizeof time};
    return mdb_put(txn, env->meta, &key, &value, 0);
}

/* Deletes up to `records` expired records, oldest first. */
static int sweep(const flk_lmdb_env_t *env, MDB_txn *txn, int64_t now_ms, size_t records) {
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(txn, env->expiry, &cursor);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    MDB_val index, nothing;
    while (records-- > 0 && (rc = mdb_cursor_get(cursor, &index, &nothing, MDB_FIRST)) == MDB_SUCCESS &&
           index.mv_size == FLK_LMDB_EXPIRY_KEY_BYTES && flk_lmdb_get_time(index.mv_data) <= now_ms) {
        uint8_t key_bytes[FLK_STORE_KEY_BYTES];
        memcpy(key_bytes, (const uint8_t *)index.mv_data + FLK_LMDB_EXPIRY_BYTES, sizeof key_bytes);
        MDB_val key = {.mv_data = key_bytes, .mv_size = sizeof key_bytes};
        if ((rc = mdb_cursor_del(cursor, 0)) != MDB_SUCCESS ||
            ((rc = mdb_del(txn, env->outcomes, &key, NULL)) != MDB_SUCCESS && rc != MDB_NOTFOUND)) {
            break;
        }
    }
    mdb_cursor_close(cursor);
    return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
}

/* ---- a turn ---- */

static int write_once(flk_lmdb_writer_t *writer, flk_lmdb_request_t *group, bool asked_to_sweep) {
    const flk_lmdb_env_t *env = writer->env;
    if (env->mdb == NULL) {
        return MDB_PANIC;
    }
    if (!flk_lmdb_env_in_place(env)) {
        return ENOENT;
    }
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    size_t sweep_records = asked_to_sweep ? SWEEP_ASKED : SWEEP_BESIDE;
    for (flk_lmdb_request_t *request = group; rc == MDB_SUCCESS && request != NULL; request = request->next) {
        for (size_t i = 0; rc == MDB_SUCCESS && i < request->items_len; i++) {
            flk_store_item_t *item = &request->items[i];
            int64_t expires_ms = item->ttl_ms != 0 ? request->now_ms + (int64_t)item->ttl_ms : request->expires_ms;
            rc = put_item(env, txn, item, request->now_ms, expires_ms);
        }
        if (rc == MDB_SUCCESS && request->probe) {
            rc = put_probe(env, txn, request->now_ms);
        }
        sweep_records += 2 * request->items_len;
    }
    if (rc == MDB_SUCCESS) {
        rc = sweep(env, txn, writer->clock(), sweep_records);
    }
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

static void check_readers(flk_lmdb_writer_t *writer) {
    int dead = 0;
    if (writer->env->mdb != NULL && mdb_reader_check(writer->env->mdb, &dead) == MDB_SUCCESS && dead > 0) {
        flk_log(FLK_LOG_INFO, "store_readers_freed", FLK_S("store", "lmdb"), FLK_I("readers", dead));
    }
    writer->readers_checked_ms = flk_mono_ms();
}

/* Makes another attempt worth while, or gives the error back. */
static int mend(flk_lmdb_writer_t *writer, int rc) {
    flk_lmdb_env_t *env = writer->env;
    switch (rc) {
    case MDB_MAP_RESIZED:
        return flk_lmdb_env_adopt(env);
    case MDB_MAP_FULL:
        check_readers(writer);
        rc = flk_lmdb_env_grow(env);
        flk_log(FLK_LOG_INFO, "store_map_grown", FLK_S("store", "lmdb"), FLK_U("map_bytes", env->map_bytes));
        return rc;
    case MDB_PANIC:
        rc = flk_lmdb_env_reopen(env);
        flk_log(FLK_LOG_WARN, "store_reopened", FLK_S("store", "lmdb"), FLK_S("result", mdb_strerror(rc)));
        return rc;
    default:
        return rc;
    }
}

static void write_group(flk_lmdb_writer_t *writer, flk_lmdb_request_t *group, bool asked_to_sweep) {
    int rc = write_once(writer, group, asked_to_sweep);
    for (int attempt = 1; rc != MDB_SUCCESS && attempt < ATTEMPTS_MAX; attempt++) {
        if ((rc = mend(writer, rc)) != MDB_SUCCESS) {
            break;
        }
        rc = write_once(writer, group, asked_to_sweep);
    }
    for (flk_lmdb_request_t *request = group; request != NULL; request = request->next) {
        request->err = flk_lmdb_err(rc, "write", request->errmsg);
    }
    if (flk_mono_ms() - writer->readers_checked_ms >= READER_CHECK_MS) {
        check_readers(writer);
    }
}

static void request_free(flk_lmdb_request_t *request) {
    free(request->items);
    free(request);
}

/* Gives the requests back to their handles. The writer's mutex is held. */
static void finish_group(flk_lmdb_writer_t *writer, flk_lmdb_request_t *group) {
    for (flk_lmdb_request_t *request = group, *next; request != NULL; request = next) {
        next = request->next;
        request->state = FLK_LMDB_DONE;
        if (request->orphan) {
            request_free(request);
        }
    }
    pthread_cond_broadcast(&writer->done);
}

static void *writer_main(void *arg) {
    flk_lmdb_writer_t *writer = arg;
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        while (writer->head == NULL && !writer->sweep && !writer->stop) {
            pthread_cond_wait(&writer->wake, &writer->mutex);
        }
        if (writer->head == NULL && writer->stop) {
            break;
        }
        flk_lmdb_request_t *group = writer->head;
        bool asked_to_sweep = writer->sweep;
        writer->head = NULL;
        writer->tail = &writer->head;
        writer->sweep = false;
        pthread_mutex_unlock(&writer->mutex);
        write_group(writer, group, asked_to_sweep);
        pthread_mutex_lock(&writer->mutex);
        finish_group(writer, group);
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* ---- other threads ---- */

static struct timespec in_ms(clockid_t clock, uint64_t ms) {
    struct timespec at;
    clock_gettime(clock, &at);
    at.tv_nsec += (long)(ms % 1000) * 1000000;
    at.tv_sec += (time_t)(ms / 1000) + at.tv_nsec / 1000000000;
    at.tv_nsec %= 1000000000;
    return at;
}

static void writer_free(flk_lmdb_writer_t *writer) {
    pthread_cond_destroy(&writer->done);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    free(writer);
}

flk_err_t flk_lmdb_writer_start(flk_lmdb_env_t *env, flk_store_clock_fn *clock, flk_lmdb_writer_t **out, char *errmsg) {
    flk_lmdb_writer_t *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    writer->env = env;
    writer->clock = clock;
    writer->tail = &writer->head;
    writer->readers_checked_ms = flk_mono_ms();
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, &attributes);
    pthread_cond_init(&writer->done, &attributes);
    pthread_condattr_destroy(&attributes);
    int rc = pthread_create(&writer->thread, NULL, writer_main, writer);
    if (rc != 0) {
        flk_errmsg(errmsg, "cannot start the writer thread: %s", strerror(rc));
        writer_free(writer);
        return FLK_E_NOMEM;
    }
    *out = writer;
    return FLK_OK;
}

bool flk_lmdb_writer_stop(flk_lmdb_writer_t **writer, uint64_t timeout_ms) {
    pthread_mutex_lock(&(*writer)->mutex);
    (*writer)->stop = true;
    pthread_cond_signal(&(*writer)->wake);
    pthread_mutex_unlock(&(*writer)->mutex);
    struct timespec until = in_ms(CLOCK_REALTIME, timeout_ms);
    if (pthread_timedjoin_np((*writer)->thread, NULL, &until) != 0) {
        return false;
    }
    writer_free(*writer);
    *writer = NULL;
    return true;
}

flk_err_t flk_lmdb_writer_do(flk_lmdb_writer_t *writer, flk_lmdb_request_t *request, uint64_t timeout_ms,
                             char *errmsg) {
    struct timespec until = in_ms(CLOCK_MONOTONIC, timeout_ms);
    pthread_mutex_lock(&writer->mutex);
    FLK_ASSERT(request->state != FLK_LMDB_QUEUED);
    request->state = FLK_LMDB_QUEUED;
    request->next = NULL;
    *writer->tail = request;
    writer->tail = &request->next;
    pthread_cond_signal(&writer->wake);
    while (request->state != FLK_LMDB_DONE &&
           pthread_cond_timedwait(&writer->done, &writer->mutex, &until) != ETIMEDOUT) {
    }
    flk_err_t err = FLK_E_UNAVAILABLE;
    if (request->state == FLK_LMDB_DONE) {
        err = request->err;
        flk_errmsg(errmsg, "%s", err == FLK_OK ? "" : request->errmsg);
    } else {
        flk_errmsg(errmsg, "lmdb: write: no commit in time: the disk is slow, or a stopped process holds the lock");
    }
    pthread_mutex_unlock(&writer->mutex);
    return err;
}

bool flk_lmdb_writer_free(flk_lmdb_writer_t *writer, flk_lmdb_request_t *request) {
    pthread_mutex_lock(&writer->mutex);
    bool is_free = request->state != FLK_LMDB_QUEUED;
    pthread_mutex_unlock(&writer->mutex);
    return is_free;
}

void flk_lmdb_request_release(flk_lmdb_writer_t *writer, flk_lmdb_request_t **request) {
    pthread_mutex_lock(&writer->mutex);
    if ((*request)->state == FLK_LMDB_QUEUED) {
        (*request)->orphan = true;
    } else {
        request_free(*request);
    }
    pthread_mutex_unlock(&writer->mutex);
    *request = NULL;
}

void flk_lmdb_writer_sweep(flk_lmdb_writer_t *writer) {
    pthread_mutex_lock(&writer->mutex);
    writer->sweep = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
}
