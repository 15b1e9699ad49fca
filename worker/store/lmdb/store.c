/* SPDX-License-Identifier: MIT */
/* The LMDB store: two environments in data_dir/store/lmdb for all worker processes of a host (lmdb/env.h).
 *
 *   open     the first store of the process opens them and starts a writer and a compactor thread (lmdb/shared.h)
 *   lookup   the recent outcomes first (lmdb/recent.h), then the index, on the calling thread; takes no lock of
 *            another process
 *   put      a copy of the batch goes to the writer, which commits it, synced, with those of other threads
 *   tick     once a second asks the compactor to delete expired outcomes
 *
 * Failures are the writer's and the compactor's business; here they arrive as an error within the store timeout.
 * After a timeout the batch may yet be committed: first write wins, so that asking again is right. A bad sector
 * under the map raises SIGBUS and ends the process, as LMDB does it. */
#include <stdlib.h>
#include <string.h>

#include "worker/store/lmdb/index.h"
#include "worker/store/lmdb/page.h"
#include "worker/store/lmdb/shared.h"

enum { SWEEP_MS = 1000 };

struct lmdb_store {
    flk_store_t base;
    flk_lmdb_shared_t *shared;
    flk_lmdb_reader_t recent_reader, index_reader;
    flk_lmdb_request_t *request;
    uint64_t absent_at; /* the transaction of the recent at which the last lookup did not find these: */
    uint8_t (*absent)[FLK_STORE_KEY_BYTES];
    size_t absent_len, absent_cap;
};

static bool make_room(flk_lmdb_request_t *request, size_t items_len) {
    free(request->items);
    free(request->copies);
    request->items_cap = 0;
    request->items = malloc(items_len * sizeof *request->items);
    request->copies = malloc(items_len * sizeof *request->copies);
    if (request->items == NULL || request->copies == NULL) {
        return false;
    }
    for (size_t i = 0; i < items_len; i++) {
        request->items[i] = &request->copies[i];
    }
    request->items_cap = items_len;
    return true;
}

/* Remembers the keys that a lookup did not find: most likely they are put next, and then need no second look into the
 * index. */
static void note_absent(struct lmdb_store *store, flk_store_item_t *const *items, size_t items_len, uint64_t seen) {
    store->absent_len = 0;
    if (items_len > store->absent_cap) {
        free(store->absent);
        store->absent = malloc(items_len * sizeof *store->absent);
        store->absent_cap = store->absent != NULL ? items_len : 0;
    }
    for (size_t i = 0; i < items_len && store->absent_cap >= items_len; i++) {
        if (!items[i]->found) {
            memcpy(store->absent[store->absent_len++], items[i]->key, FLK_STORE_KEY_BYTES);
        }
    }
    store->absent_at = seen;
}

static bool are_known_absent(const struct lmdb_store *store, flk_store_item_t *const *items, size_t items_len) {
    bool known = items_len == store->absent_len;
    for (size_t i = 0; known && i < items_len; i++) {
        known = memcmp(items[i]->key, store->absent[i], FLK_STORE_KEY_BYTES) == 0;
    }
    return known;
}

/* The items' stale values are borrowed for the call only: the copies get copies. */
static bool copy_stales(flk_lmdb_request_t *request) {
    size_t bytes = 0;
    for (size_t i = 0; i < request->items_len; i++) {
        bytes += request->copies[i].stale != NULL ? request->copies[i].stale_bytes + 1u : 0;
    }
    free(request->stales);
    request->stales = bytes > 0 ? malloc(bytes) : NULL;
    uint8_t *at = request->stales;
    for (size_t i = 0; at != NULL && i < request->items_len; i++) {
        flk_store_item_t *copy = &request->copies[i];
        if (copy->stale != NULL) {
            memcpy(at, copy->stale, copy->stale_bytes);
            copy->stale = at;
            at += copy->stale_bytes + 1u; /* one without bytes has a place, too */
        }
    }
    return bytes == 0 || request->stales != NULL;
}

static flk_err_t fill_request(struct lmdb_store *store, flk_store_item_t *const *items, size_t items_len,
                              char *errmsg) {
    flk_lmdb_request_t *request = store->request;
    if (!flk_lmdb_writer_free(store->shared->writer, request)) {
        flk_errmsg(errmsg, "lmdb: write: an earlier batch still waits for the disk or for the lock");
        return FLK_E_UNAVAILABLE;
    }
    if (items_len > request->items_cap && !make_room(request, items_len)) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    for (size_t i = 0; i < items_len; i++) {
        flk_store_item_copy(request->items[i], items[i]);
    }
    request->items_len = items_len;
    if (!copy_stales(request)) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    request->probe = false;
    request->absent_at = are_known_absent(store, items, items_len) ? store->absent_at : 0;
    request->now_ms = store->base.clock();
    request->expires_ms = request->now_ms + (int64_t)store->base.ttl_ms;
    return FLK_OK;
}

static int lookup_index(struct lmdb_store *store, flk_store_item_t *const *items, size_t items_len, int64_t now_ms) {
    flk_lmdb_env_t *index = &store->shared->index;
    int rc = flk_lmdb_read_begin(index, &store->index_reader, store->base.timeout_ms);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    for (size_t i = 0; rc == MDB_SUCCESS && i < items_len; i++) {
        if (!items[i]->found) {
            rc = flk_lmdb_index_get(index, store->index_reader.txn, items[i], now_ms);
        }
    }
    flk_lmdb_read_end(index, &store->index_reader);
    return rc;
}

static flk_err_t lmdb_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_recent_t *recent = &store->shared->recent;
    uint64_t seen;
    store->absent_len = 0;
    int rc = flk_lmdb_recent_catch_up(recent, &store->recent_reader, base->timeout_ms, &seen);
    if (rc != MDB_SUCCESS) {
        return flk_lmdb_err(rc, "read", errmsg);
    }
    int64_t now_ms = base->clock();
    if (flk_lmdb_recent_get(recent, items, items_len, now_ms) > 0) {
        rc = lookup_index(store, items, items_len, now_ms);
    }
    if (rc == MDB_SUCCESS) {
        note_absent(store, items, items_len, seen);
    }
    return flk_lmdb_err(rc, "read", errmsg);
}

static flk_err_t lmdb_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_err_t err = fill_request(store, items, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_lmdb_writer_do(store->shared->writer, store->request, base->timeout_ms, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < items_len; i++) {
        const flk_store_item_t *answer = store->request->items[i];
        items[i]->found = answer->found;
        items[i]->value_bytes = answer->value_bytes;
        memcpy(items[i]->value, answer->value, answer->value_bytes);
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
    return flk_lmdb_writer_do(store->shared->writer, store->request, base->timeout_ms, errmsg);
}

static void lmdb_tick(flk_store_t *base, uint64_t mono_ms) {
    flk_lmdb_shared_t *shared = ((struct lmdb_store *)base)->shared;
    uint64_t swept_ms = __atomic_load_n(&shared->swept_ms, __ATOMIC_RELAXED);
    if (mono_ms - swept_ms >= SWEEP_MS &&
        __atomic_compare_exchange_n(&shared->swept_ms, &swept_ms, mono_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        flk_lmdb_compactor_sweep(shared->compactor);
    }
}

/* Shows one page; false: enough was seen. */
static bool show(const flk_lmdb_page_t *page, flk_store_visit_fn *visit, void *arg) {
    bool go_on = true;
    for (size_t i = 0; go_on && i < page->len; i++) {
        const flk_lmdb_shown_t *shown = &page->shown[i];
        go_on = visit(arg, shown->key, shown->value, shown->value_bytes, shown->expires_ms);
    }
    return go_on;
}

/* The recent first: outcomes that the compactor moves meanwhile are seen in the index. */
static flk_err_t lmdb_visit(flk_store_t *base, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_page_t *page = calloc(1, sizeof *page);
    if (page == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    int rc = MDB_SUCCESS;
    bool go_on = true;
    while (rc == MDB_SUCCESS && go_on && !page->recent_end) {
        rc = flk_lmdb_read_recent_page(&store->shared->recent.env, &store->recent_reader, base->clock(), page);
        go_on = rc == MDB_SUCCESS && show(page, visit, arg);
    }
    while (rc == MDB_SUCCESS && go_on && !page->end) {
        rc = flk_lmdb_read_index_page(&store->shared->index, &store->index_reader, base->clock(), page);
        go_on = rc == MDB_SUCCESS && show(page, visit, arg);
    }
    free(page);
    return flk_lmdb_err(rc, "read", errmsg);
}

static flk_err_t lmdb_measure(flk_store_t *base, flk_store_part_fn *part, void *arg, char *errmsg) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    uint64_t outcomes, recent_bytes, index_bytes;
    size_t recent_outcomes;
    int rc = flk_lmdb_recent_catch_up(&store->shared->recent, &store->recent_reader, base->timeout_ms, NULL);
    if (rc == MDB_SUCCESS) {
        (void)flk_lmdb_recent_bytes(&store->shared->recent, &recent_outcomes);
        rc = flk_lmdb_measure(&store->shared->recent.env, &store->recent_reader, NULL, &recent_bytes);
    }
    if (rc == MDB_SUCCESS) {
        rc = flk_lmdb_measure(&store->shared->index, &store->index_reader, &outcomes, &index_bytes);
    }
    if (rc == MDB_SUCCESS) {
        part(arg, "recent", recent_outcomes, recent_bytes);
        part(arg, "index", outcomes, index_bytes);
    }
    return flk_lmdb_err(rc, "read", errmsg);
}

static void lmdb_close(flk_store_t *base) {
    struct lmdb_store *store = (struct lmdb_store *)base;
    flk_lmdb_reader_remove(&store->shared->recent.env, &store->recent_reader);
    flk_lmdb_reader_remove(&store->shared->index, &store->index_reader);
    flk_lmdb_request_release(store->shared->writer, &store->request);
    flk_lmdb_shared_release(store->shared, base->timeout_ms);
    free(store->absent);
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
    flk_lmdb_request_t *request = flk_lmdb_request_new();
    flk_err_t err = FLK_E_NOMEM;
    if (store == NULL || request == NULL) {
        flk_errmsg(errmsg, "out of memory");
    } else {
        err = flk_lmdb_shared_acquire(options, &store->shared, errmsg);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store lmdb");
        flk_lmdb_request_release(NULL, &request);
        free(store);
        return err;
    }
    store->base.ops = &lmdb_ops;
    store->request = request;
    flk_lmdb_reader_add(&store->shared->recent.env, &store->recent_reader);
    flk_lmdb_reader_add(&store->shared->index, &store->index_reader);
    *out = &store->base;
    return FLK_OK;
}
