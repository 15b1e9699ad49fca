/* SPDX-License-Identifier: MIT */
/* The LMDB store: one environment in data_dir/store/lmdb for all worker processes of a host.
 *
 *   open     the first store of the process opens the environment and starts its writer thread ("home")
 *   lookup   one read transaction for the batch, on the calling thread; takes no lock that another process holds
 *   put      a copy of the batch goes to the writer, which commits it, synced, with what other threads have for it
 *   tick     once a second asks the writer to delete what expired
 *
 * Failures are the writer's business (lmdb_writer.c); here they arrive as an error within the store timeout. After a
 * timeout the batch may yet be committed: first write wins, so that asking again is right. A bad sector under the map
 * raises SIGBUS and ends the process, as LMDB does it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "worker/lmdb_page.h"
#include "worker/lmdb_writer.h"

enum { SWEEP_MS = 1000 };

struct home {
    struct home *next;
    unsigned stores;
    uint64_t swept_ms; /* atomic */
    flk_lmdb_env_t env;
    flk_lmdb_writer_t *writer;
};

struct lmdb_store {
    flk_store_t base;
    struct home *home;
    flk_lmdb_reader_t reader;
    flk_lmdb_request_t *request;
};

static pthread_mutex_t homes_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct home *homes; /* LMDB must not open one environment twice in a process */

/* ---- home ---- */

static flk_err_t home_open(const flk_store_options_t *options, const char *dir, struct home **out, char *errmsg) {
    struct home *home = calloc(1, sizeof *home);
    if (home == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_lmdb_env_open(&home->env, dir, options->lmdb_map_bytes, errmsg);
    if (err != FLK_OK) {
        free(home);
        return err;
    }
    err =
        flk_lmdb_writer_start(&home->env, options->clock != NULL ? options->clock : flk_wall_ms, &home->writer, errmsg);
    if (err != FLK_OK) {
        flk_lmdb_env_close(&home->env);
        free(home);
        return err;
    }
    *out = home;
    return FLK_OK;
}

static flk_err_t home_acquire(const flk_store_options_t *options, struct home **out, char *errmsg) {
    char dir[sizeof homes->env.dir];
    if (snprintf(dir, sizeof dir, "%s/store/lmdb", options->data_dir) >= (int)sizeof dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than %zu bytes", sizeof dir - 16);
        return FLK_E_CONFIG;
    }
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&homes_mutex);
    struct home *home = homes;
    while (home != NULL && strcmp(home->env.dir, dir) != 0) {
        home = home->next;
    }
    if (home == NULL && (err = home_open(options, dir, &home, errmsg)) == FLK_OK) {
        home->next = homes;
        homes = home;
    }
    if (err == FLK_OK) {
        home->stores++;
        *out = home;
    }
    pthread_mutex_unlock(&homes_mutex);
    return err;
}

static void home_release(struct home *home, uint64_t timeout_ms) {
    pthread_mutex_lock(&homes_mutex);
    if (--home->stores == 0) {
        struct home **at = &homes;
        while (*at != home) {
            at = &(*at)->next;
        }
        *at = home->next;
        if (flk_lmdb_writer_stop(&home->writer, timeout_ms)) {
            flk_lmdb_env_close(&home->env);
            free(home);
        } else {
            flk_log(FLK_LOG_WARN, "store_left_open", FLK_S("store", "lmdb"),
                    FLK_S("reason", "its writer waits for the disk or for a lock; it ends with the process"));
        }
    }
    pthread_mutex_unlock(&homes_mutex);
}

/* ---- store ---- */

static int get_item(const flk_lmdb_env_t *env, MDB_txn *txn, flk_store_item_t *item, int64_t now_ms) {
    MDB_val key = {.mv_data = item->key, .mv_size = sizeof item->key}, record;
    item->found = false;
    int rc = mdb_get(txn, env->outcomes, &key, &record);
    if (rc != MDB_SUCCESS) {
        return rc == MDB_NOTFOUND ? MDB_SUCCESS : rc;
    }
    if (record.mv_size < FLK_LMDB_EXPIRY_BYTES ||
        record.mv_size > FLK_LMDB_EXPIRY_BYTES + (size_t)FLK_STORE_VALUE_BYTES_MAX) {
        return MDB_CORRUPTED;
    }
    if (flk_lmdb_get_time(record.mv_data) > now_ms) {
        item->found = true;
        item->value_bytes = (uint16_t)(record.mv_size - FLK_LMDB_EXPIRY_BYTES);
        memcpy(item->value, (const uint8_t *)record.mv_data + FLK_LMDB_EXPIRY_BYTES, item->value_bytes);
    }
    return MDB_SUCCESS;
}

static flk_err_t fill_request(struct lmdb_store *store, flk_store_item_t *const *items, size_t items_len,
                              char *errmsg) {
    flk_lmdb_request_t *request = store->request;
    if (!flk_lmdb_writer_free(store->home->writer, request)) {
        flk_errmsg(errmsg, "lmdb: write: an earlier batch still waits for the disk or for the lock");
        return FLK_E_UNAVAILABLE;
    }
    if (items_len > request->items_cap) {
        flk_store_item_t *grown = realloc(request->items, items_len * sizeof *grown);
        if (grown == NULL) {
            flk_errmsg(errmsg, "out of memory");
            return FLK_E_NOMEM;
        }
        request->items = grown;
        request->items_cap = items_len;
    }
    for (size_t i = 0; i < items_len; i++) {
        request->items[i] = *items[i];
    }
    request->items_len = items_len;
    request->probe = false;
    request->now_ms = store->base.clock();
    request->expires_ms = request->now_ms + (int64_t)store->base.ttl_ms;
    return FLK_OK;
}

/* Has the writer adopt a map that grew, or open anew what LMDB gave up on. */
static flk_err_t mend(struct lmdb_store *store, char *errmsg) {
    flk_err_t err = fill_request(store, NULL, 0, errmsg);
    return err != FLK_OK ? err
                         : flk_lmdb_writer_do(store->home->writer, store->request, store->base.timeout_ms, errmsg);
}

static flk_err_t lmdb_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_env_t *env = &store->home->env;
    int rc = flk_lmdb_read_begin(env, &store->reader);
    if (rc == MDB_MAP_RESIZED || rc == MDB_PANIC) {
        flk_err_t err = mend(store, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        rc = flk_lmdb_read_begin(env, &store->reader);
    }
    if (rc != MDB_SUCCESS) {
        return flk_lmdb_err(rc, "read", errmsg);
    }
    int64_t now_ms = base->clock();
    for (size_t i = 0; rc == MDB_SUCCESS && i < items_len; i++) {
        rc = get_item(env, store->reader.txn, items[i], now_ms);
    }
    flk_lmdb_read_end(env, &store->reader);
    return flk_lmdb_err(rc, "read", errmsg);
}

static flk_err_t lmdb_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_err_t err = fill_request(store, items, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_lmdb_writer_do(store->home->writer, store->request, base->timeout_ms, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < items_len; i++) {
        *items[i] = store->request->items[i];
    }
    return FLK_OK;
}

static flk_err_t lmdb_health(flk_store_t *base, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_err_t err = fill_request(store, NULL, 0, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    store->request->probe = true;
    return flk_lmdb_writer_do(store->home->writer, store->request, base->timeout_ms, errmsg);
}

static void lmdb_tick(flk_store_t *base, uint64_t mono_ms) {
    struct home *home = ((struct lmdb_store *)base)->home;
    uint64_t swept_ms = __atomic_load_n(&home->swept_ms, __ATOMIC_RELAXED);
    if (mono_ms - swept_ms >= SWEEP_MS &&
        __atomic_compare_exchange_n(&home->swept_ms, &swept_ms, mono_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        flk_lmdb_writer_sweep(home->writer);
    }
}

static flk_err_t lmdb_visit(flk_store_t *base, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_page_t *page = calloc(1, sizeof *page);
    if (page == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = FLK_OK;
    bool go_on = true;
    while (err == FLK_OK && go_on && !page->end) {
        err = flk_lmdb_err(flk_lmdb_read_page(&store->home->env, &store->reader, base->clock(), page), "read", errmsg);
        for (size_t i = 0; err == FLK_OK && go_on && i < page->len; i++) {
            const flk_lmdb_record_t *record = &page->records[i];
            go_on = visit(arg, record->key, record->value, record->value_bytes, record->expires_ms);
        }
    }
    free(page);
    return err;
}

static flk_err_t lmdb_measure(flk_store_t *base, flk_store_part_fn *part, void *arg, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    uint64_t outcomes, bytes;
    int rc = flk_lmdb_measure(&store->home->env, &store->reader, &outcomes, &bytes);
    if (rc == MDB_SUCCESS) {
        part(arg, "environment", outcomes, bytes);
    }
    return flk_lmdb_err(rc, "read", errmsg);
}

static void lmdb_close(flk_store_t *base) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_reader_remove(&store->home->env, &store->reader);
    flk_lmdb_request_release(store->home->writer, &store->request);
    home_release(store->home, base->timeout_ms);
    free(store);
}

static const flk_store_ops_t lmdb_ops = {
    .name = "lmdb",
    .close = lmdb_close,
    .lookup = lmdb_lookup,
    .put = lmdb_put,
    .health = lmdb_health,
    .tick = lmdb_tick,
    .visit = lmdb_visit,
    .measure = lmdb_measure,
};

flk_err_t flk_store_lmdb_open(const flk_store_options_t *options, flk_store_t **out, char *errmsg) {
    struct lmdb_store *store = calloc(1, sizeof *store);
    flk_lmdb_request_t *request = calloc(1, sizeof *request);
    flk_err_t err = FLK_E_NOMEM;
    if (store == NULL || request == NULL) {
        flk_errmsg(errmsg, "out of memory");
    } else {
        err = home_acquire(options, &store->home, errmsg);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store lmdb");
        free(request);
        free(store);
        return err;
    }
    store->base.ops = &lmdb_ops;
    store->request = request;
    flk_lmdb_reader_add(&store->home->env, &store->reader);
    *out = &store->base;
    return FLK_OK;
}
