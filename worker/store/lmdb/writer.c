/* SPDX-License-Identifier: MIT */
/* A turn, one write transaction of the recent: take all requests that wait, take in the batches of other processes,
 * look each item up in the table, then in the index, append those that are absent as one batch, commit (LMDB syncs),
 * wake the callers.
 *
 * Failures: an error that LMDB cannot mend fails the requests of this turn, whose callers ask again later. While more
 * is recent than the limit allows, the turn is tried again until the compactor, of whichever process, made room;
 * callers leave at their own deadline, and each handle has at most one batch waiting here. So it is while a stopped
 * process holds the write lock. */
#include "worker/store/lmdb/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "common/thread.h"
#include "worker/store/lmdb/index.h"

enum {
    READ_MS = 1000, /* how long to wait for the map of the index */
    ROOM_MS = 5,    /* until the next look whether there is room */
    ROOM_TRIES = 200,
    SLOTS_MIN = 256,
};

/* An item that will be put. */
struct place {
    flk_store_item_t *item;
    int64_t expires_ms;
};

struct flk_lmdb_writer {
    flk_lmdb_writer_options_t options;
    flk_lmdb_reader_t reader; /* of the index */
    pthread_t thread;

    /* of the turn under way */
    flk_lmdb_request_t *group;
    bool probe; /* some request wants one */
    int64_t probe_ms;
    struct place *places; /* in order; as many as slots / 2 */
    size_t places_len;
    struct place **slots; /* the same by key: open addressing */
    size_t slots_len;     /* a power of two */
    size_t bytes;         /* of the records of all places */

    pthread_mutex_t mutex; /* guards all below and the states of requests */
    pthread_cond_t wake;   /* to the writer: work, or stop */
    flk_lmdb_request_t *head, **tail;
    bool stop;
};

/* ---- in a transaction; 0 or LMDB's error ---- */

/* Looks the request's items up: in the table, and those that it lacks in the index, unless the caller did when all that
 * came since was still recent. */
static int find_items(const flk_lmdb_writer_t *writer, MDB_txn *index_txn, flk_lmdb_request_t *request) {
    int rc = MDB_SUCCESS;
    size_t missing = flk_lmdb_recent_get(writer->options.recent, request->items, request->items_len, request->now_ms);
    if (request->absent_at != 0 && flk_lmdb_recent_has_all_since(writer->options.recent, request->absent_at)) {
        return MDB_SUCCESS;
    }
    for (size_t i = 0; missing > 0 && rc == MDB_SUCCESS && i < request->items_len; i++) {
        if (!request->items[i]->found) {
            rc = flk_lmdb_index_get(writer->options.index, index_txn, request->items[i], request->now_ms);
        }
    }
    return rc;
}

/* Gives the item a place, or the value of the one that has its key's already. */
static void place_item(flk_lmdb_writer_t *writer, flk_store_item_t *item, int64_t expires_ms) {
    size_t at = XXH3_64bits(item->key, sizeof item->key) & (writer->slots_len - 1);
    while (writer->slots[at] != NULL && memcmp(writer->slots[at]->item->key, item->key, sizeof item->key) != 0) {
        at = (at + 1) & (writer->slots_len - 1);
    }
    if (writer->slots[at] != NULL) {
        flk_store_item_copy(item, writer->slots[at]->item);
        item->found = true;
        return;
    }
    struct place *place = &writer->places[writer->places_len++];
    *place = (struct place){.item = item, .expires_ms = expires_ms};
    writer->slots[at] = place;
    writer->bytes += FLK_LMDB_RECORD_HEAD + item->value_bytes;
}

static int append_batch(const flk_lmdb_writer_t *writer, MDB_txn *txn) {
    uint64_t id = mdb_txn_id(txn);
    MDB_val key = {.mv_data = &id, .mv_size = sizeof id}, records = {.mv_size = writer->bytes};
    int rc = mdb_put(txn, writer->options.recent->env.batches, &key, &records, MDB_APPEND | MDB_RESERVE);
    uint8_t *at = records.mv_data;
    for (size_t i = 0; rc == MDB_SUCCESS && i < writer->places_len; i++) {
        at += flk_lmdb_record_write(writer->places[i].item, writer->places[i].expires_ms, at);
    }
    return rc;
}

static int put_probe(const flk_lmdb_writer_t *writer, MDB_txn *txn) {
    uint8_t time[FLK_LMDB_EXPIRY_BYTES];
    flk_lmdb_put_time(time, writer->probe_ms);
    MDB_val key = {.mv_data = (void *)(uintptr_t) "probe", .mv_size = 5};
    MDB_val value = {.mv_data = time, .mv_size = sizeof time};
    return mdb_put(txn, writer->options.recent->env.meta, &key, &value, 0);
}

/* Which items are absent. The index's snapshot is begun within `txn`, and no batch leaves the recent meanwhile. */
static int decide(flk_lmdb_writer_t *writer) {
    int rc = flk_lmdb_read_begin(writer->options.index, &writer->reader, READ_MS);
    if (rc != MDB_SUCCESS) {
        return rc == MDB_PANIC ? EIO : rc; /* the index's trouble, not the recent's */
    }
    writer->places_len = writer->bytes = 0;
    memset(writer->slots, 0, writer->slots_len * sizeof(struct place *));
    for (flk_lmdb_request_t *request = writer->group; rc == MDB_SUCCESS && request != NULL; request = request->next) {
        rc = find_items(writer, writer->reader.txn, request);
        for (size_t i = 0; rc == MDB_SUCCESS && i < request->items_len; i++) {
            flk_store_item_t *item = request->items[i];
            if (!item->found) {
                place_item(writer, item,
                           item->ttl_ms != 0 ? request->now_ms + (int64_t)item->ttl_ms : request->expires_ms);
            }
        }
    }
    flk_lmdb_read_end(writer->options.index, &writer->reader);
    return rc;
}

static int write_step(void *arg, MDB_txn *txn) {
    flk_lmdb_writer_t *writer = arg;
    int rc = flk_lmdb_recent_follow(writer->options.recent, txn, true);
    if (rc == MDB_SUCCESS && flk_lmdb_recent_bytes(writer->options.recent, NULL) > writer->options.limit_bytes) {
        rc = EAGAIN;
    }
    if (rc == MDB_SUCCESS) {
        rc = decide(writer);
    }
    if (rc == MDB_SUCCESS && writer->places_len > 0) {
        rc = append_batch(writer, txn);
    }
    return rc == MDB_SUCCESS && writer->probe ? put_probe(writer, txn) : rc;
}

/* ---- a turn ---- */

/* Makes room for the places of the whole group. */
static int prepare(flk_lmdb_writer_t *writer) {
    size_t len = 0, slots_len = SLOTS_MIN;
    writer->probe = false;
    for (const flk_lmdb_request_t *request = writer->group; request != NULL; request = request->next) {
        len += request->items_len;
        writer->probe = writer->probe || request->probe;
        writer->probe_ms = request->now_ms;
    }
    while (slots_len < 2 * len) {
        slots_len *= 2;
    }
    if (slots_len > writer->slots_len) {
        free(writer->places);
        free(writer->slots);
        writer->slots_len = 0;
        writer->places = malloc(slots_len / 2 * sizeof *writer->places);
        writer->slots = malloc(slots_len * sizeof(struct place *));
        if (writer->places == NULL || writer->slots == NULL) {
            return ENOMEM;
        }
        writer->slots_len = slots_len;
    }
    return MDB_SUCCESS;
}

static void wait_for_room(flk_lmdb_writer_t *writer) {
    flk_lmdb_compactor_wake(writer->options.compactor);
    uint64_t until_ms = flk_mono_ms() + ROOM_MS;
    pthread_mutex_lock(&writer->mutex);
    while (!writer->stop && flk_cond_wait_until(&writer->wake, &writer->mutex, until_ms)) {
    }
    pthread_mutex_unlock(&writer->mutex);
}

static void write_group(flk_lmdb_writer_t *writer) {
    int rc = prepare(writer);
    for (int tries = 0; rc == MDB_SUCCESS && tries < ROOM_TRIES; tries++) {
        rc = flk_lmdb_write(&writer->options.recent->env, write_step, writer);
        if (rc != EAGAIN) {
            break;
        }
        wait_for_room(writer);
        rc = tries + 1 < ROOM_TRIES ? MDB_SUCCESS : EAGAIN;
    }
    for (flk_lmdb_request_t *request = writer->group; request != NULL; request = request->next) {
        request->err = flk_lmdb_err(rc, "write", request->errmsg);
    }
    /* The table follows when somebody looks: it does not have this turn's batch yet. */
    if (flk_lmdb_recent_bytes(writer->options.recent, NULL) + writer->bytes > writer->options.keep_bytes) {
        flk_lmdb_compactor_wake(writer->options.compactor);
    }
}

static void request_free(flk_lmdb_request_t *request) {
    if (request == NULL) {
        return;
    }
    pthread_cond_destroy(&request->done);
    free(request->items);
    free(request->copies);
    free(request->stales);
    free(request);
}

/* Gives the requests back to their handles. The writer's mutex is held. */
static void finish_group(flk_lmdb_request_t *group) {
    for (flk_lmdb_request_t *request = group, *next; request != NULL; request = next) {
        next = request->next;
        request->state = FLK_LMDB_DONE;
        if (request->orphan) {
            request_free(request);
        } else {
            pthread_cond_signal(&request->done);
        }
    }
}

static void *writer_main(void *arg) {
    flk_lmdb_writer_t *writer = arg;
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        while (writer->head == NULL && !writer->stop) {
            pthread_cond_wait(&writer->wake, &writer->mutex);
        }
        if (writer->head == NULL) {
            break;
        }
        writer->group = writer->head;
        writer->head = NULL;
        writer->tail = &writer->head;
        pthread_mutex_unlock(&writer->mutex);
        write_group(writer);
        pthread_mutex_lock(&writer->mutex);
        finish_group(writer->group);
    }
    pthread_mutex_unlock(&writer->mutex);
    return NULL;
}

/* ---- other threads ---- */

static void writer_free(flk_lmdb_writer_t *writer) {
    flk_lmdb_reader_remove(writer->options.index, &writer->reader);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->places);
    free(writer->slots);
    free(writer);
}

flk_err_t flk_lmdb_writer_start(const flk_lmdb_writer_options_t *options, flk_lmdb_writer_t **out, char *errmsg) {
    flk_lmdb_writer_t *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    writer->options = *options;
    writer->tail = &writer->head;
    flk_lmdb_reader_add(options->index, &writer->reader);
    pthread_mutex_init(&writer->mutex, NULL);
    flk_cond_init(&writer->wake);
    flk_err_t err = flk_thread_start(&writer->thread, "flk-lmdb-write", writer_main, writer, errmsg);
    if (err != FLK_OK) {
        writer_free(writer);
        return err;
    }
    *out = writer;
    return FLK_OK;
}

bool flk_lmdb_writer_stop(flk_lmdb_writer_t **writer, uint64_t timeout_ms) {
    pthread_mutex_lock(&(*writer)->mutex);
    (*writer)->stop = true;
    pthread_cond_signal(&(*writer)->wake);
    pthread_mutex_unlock(&(*writer)->mutex);
    struct timespec until = flk_time_in_ms(CLOCK_REALTIME, timeout_ms);
    if (pthread_timedjoin_np((*writer)->thread, NULL, &until) != 0) {
        return false;
    }
    writer_free(*writer);
    *writer = NULL;
    return true;
}

flk_err_t flk_lmdb_writer_do(flk_lmdb_writer_t *writer, flk_lmdb_request_t *request, uint64_t timeout_ms,
                             char *errmsg) {
    uint64_t until_ms = flk_mono_ms() + timeout_ms;
    pthread_mutex_lock(&writer->mutex);
    FLK_ASSERT(request->state != FLK_LMDB_QUEUED);
    request->state = FLK_LMDB_QUEUED;
    request->next = NULL;
    *writer->tail = request;
    writer->tail = &request->next;
    pthread_cond_signal(&writer->wake);
    while (request->state != FLK_LMDB_DONE && flk_cond_wait_until(&request->done, &writer->mutex, until_ms)) {
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

flk_lmdb_request_t *flk_lmdb_request_new(void) {
    flk_lmdb_request_t *request = calloc(1, sizeof *request);
    if (request != NULL) {
        flk_cond_init(&request->done);
    }
    return request;
}

void flk_lmdb_request_release(flk_lmdb_writer_t *writer, flk_lmdb_request_t **request) {
    if (writer == NULL) {
        request_free(*request);
        *request = NULL;
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    if ((*request)->state == FLK_LMDB_QUEUED) {
        (*request)->orphan = true;
    } else {
        request_free(*request);
    }
    pthread_mutex_unlock(&writer->mutex);
    *request = NULL;
}
