/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store: outcomes in a table that the workers of a cluster share. The schema, and why first write wins in
 * it, is in pg_schema.h.
 *
 *   lookup   one SELECT for all keys
 *   put      one transaction: lock, one INSERT for all keys, COMMIT; then one SELECT for those that were there before
 *
 * Each is one pipeline of prepared statements, one round trip. Keys are sent sorted, each once: the first of equal keys
 * stands for the others, and two batches lock their rows in the same order.
 *
 * Failures: any error fails the batch, within the store timeout; the server gives a statement up at the same time. After
 * an error it is unknown what was committed, above all when the connection breaks at COMMIT: first write wins, so asking
 * again finds out. The connection is made anew behind the batches (dialer.h) when an error lasts; otherwise the
 * transaction is rolled back and the connection stays. A key that expires between INSERT and SELECT is put again. */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/pg_dial.h"
#include "worker/pg_exchange.h"
#include "worker/pg_janitor.h"
#include "worker/store.h"

enum { PUT_ROUNDS = 4, ARRAY_HEADER_BYTES = 20 };
enum { BIGINT_OID = 20, BYTEA_OID = 17 };

/* A key of the batch, once. */
struct entry {
    flk_store_item_t *item; /* the first that has it */
    size_t index;           /* of that item in the batch: keeps equal keys in their order while sorting */
    bool open;              /* put: neither first nor answered yet */
};

struct postgres_store {
    flk_store_t base;
    flk_pg_target_t *target;
    flk_dialer_t *dialer;
    flk_pg_janitor_t *janitor;
    uint64_t connect_timeout_ms;

    /* The batch under way. */
    uint64_t deadline_ms;
    struct entry *entries; /* sorted by key */
    size_t entries_len, entries_cap;
    uint8_t *ids, *values, *ttls; /* arrays in PostgreSQL's binary format */
};

/* ---- batches ---- */

static int compare_entries(const void *left, const void *right) {
    const struct entry *a = left, *b = right;
    int order = memcmp(a->item->key, b->item->key, FLK_STORE_KEY_BYTES);
    return order != 0 ? order : (a->index > b->index) - (a->index < b->index);
}

static void free_buffers(struct postgres_store *store) {
    free(store->entries);
    free(store->ids);
    free(store->values);
    free(store->ttls);
}

static flk_err_t reserve(struct postgres_store *store, size_t len, char *errmsg) {
    if (len <= store->entries_cap) {
        return FLK_OK;
    }
    size_t ids_bytes = ARRAY_HEADER_BYTES + len * (4 + FLK_STORE_KEY_BYTES);
    size_t values_bytes = ARRAY_HEADER_BYTES + len * (4 + FLK_STORE_VALUE_BYTES_MAX);
    struct entry *entries = malloc(len * sizeof *entries);
    uint8_t *ids = malloc(ids_bytes), *values = malloc(values_bytes), *ttls = malloc(ids_bytes);
    if (entries == NULL || ids == NULL || values == NULL || ttls == NULL) {
        free(entries);
        free(ids);
        free(values);
        free(ttls);
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    free_buffers(store);
    store->entries = entries;
    store->ids = ids;
    store->values = values;
    store->ttls = ttls;
    store->entries_cap = len;
    return FLK_OK;
}

static flk_err_t begin_batch(struct postgres_store *store, flk_store_item_t *const *items, size_t items_len,
                             char *errmsg) {
    store->deadline_ms = flk_mono_ms() + store->base.timeout_ms;
    flk_err_t err = reserve(store, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < items_len; i++) {
        items[i]->found = false;
        store->entries[i] = (struct entry){.item = items[i], .index = i, .open = true};
    }
    qsort(store->entries, items_len, sizeof *store->entries, compare_entries);
    size_t kept = 0;
    for (size_t i = 0; i < items_len; i++) {
        if (kept == 0 ||
            memcmp(store->entries[kept - 1].item->key, store->entries[i].item->key, FLK_STORE_KEY_BYTES) != 0) {
            store->entries[kept++] = store->entries[i];
        }
    }
    store->entries_len = kept;
    return FLK_OK;
}

static int compare_key(const void *key, const void *entry) {
    return memcmp(key, ((const struct entry *)entry)->item->key, FLK_STORE_KEY_BYTES);
}

static struct entry *find_entry(const struct postgres_store *store, const void *key) {
    return bsearch(key, store->entries, store->entries_len, sizeof *store->entries, compare_key);
}

/* ---- what goes out: arrays ---- */

static uint8_t *put_int(uint8_t *at, size_t value) {
    uint32_t big = htobe32((uint32_t)value);
    memcpy(at, &big, sizeof big);
    return at + sizeof big;
}

/* dimensions (4) = 1 · has nulls (4) = 0 · element type (4) · length (4) · lower bound (4) = 1, then for each element
 * bytes (4) · data; all big-endian. */
static uint8_t *put_array_header(uint8_t *at, size_t type, size_t len) {
    at = put_int(at, 1);
    at = put_int(at, 0);
    at = put_int(at, type);
    at = put_int(at, len);
    return put_int(at, 1);
}

static uint8_t *put_element(uint8_t *at, const void *data, size_t bytes) {
    at = put_int(at, bytes);
    memcpy(at, data, bytes);
    return at + bytes;
}

struct arrays {
    int ids_bytes, values_bytes, ttls_bytes;
};

/* Of the open entries. */
static struct arrays write_arrays(struct postgres_store *store) {
    size_t len = 0;
    for (size_t i = 0; i < store->entries_len; i++) {
        len += store->entries[i].open;
    }
    uint8_t *id = put_array_header(store->ids, BYTEA_OID, len);
    uint8_t *value = put_array_header(store->values, BYTEA_OID, len);
    uint8_t *ttl = put_array_header(store->ttls, BIGINT_OID, len);
    for (size_t i = 0; i < store->entries_len; i++) {
        const flk_store_item_t *item = store->entries[i].item;
        if (store->entries[i].open) {
            id = put_element(id, item->key, sizeof item->key);
            value = put_element(value, item->value, item->value_bytes);
            uint64_t ttl_ms = htobe64(flk_store_ttl_ms(&store->base, item));
            ttl = put_element(ttl, &ttl_ms, sizeof ttl_ms);
        }
    }
    return (struct arrays){.ids_bytes = (int)(id - store->ids),
                           .values_bytes = (int)(value - store->values),
                           .ttls_bytes = (int)(ttl - store->ttls)};
}

/* ---- one round trip ---- */

static void roll_back(struct postgres_store *store, PGconn *pg, flk_store_fault_t fault, const char *why) {
    flk_pg_call_t call = {.statement = FLK_PG_ROLLBACK};
    flk_pg_exchange_t x = {.pg = pg, .deadline_ms = store->deadline_ms};
    flk_err_t err = FLK_OK;
    if (PQtransactionStatus(pg) != PQTRANS_IDLE) {
        err = flk_pg_pipeline(&x, &call, 1);
        flk_pg_clear(&call, 1);
        flk_store_metrics_add(&store->base.metrics, store->base.metrics.round_trips, 1);
    }
    if (err != FLK_OK) {
        flk_dialer_drop(store->dialer, fault, why);
    }
}

/* Caller clears the calls' results with flk_pg_clear, also after an error. */
static flk_err_t exchange(struct postgres_store *store, flk_pg_call_t *calls, size_t calls_len, char *errmsg) {
    void *pg;
    char why[FLK_ERRMSG_BYTES] = "";
    flk_err_t err =
        flk_dialer_get(store->dialer, &store->base.metrics, store->deadline_ms, &pg, &store->base.fault, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_pg_exchange_t x = {.pg = pg, .deadline_ms = store->deadline_ms, .errmsg = why};
    flk_store_metrics_add(&store->base.metrics, store->base.metrics.round_trips, 1);
    err = flk_pg_pipeline(&x, calls, calls_len);
    if (err == FLK_OK) {
        return FLK_OK;
    }
    store->base.fault = x.fault;
    flk_errmsg_prefix(why, flk_pg_target_name(store->target));
    flk_errmsg(errmsg, "%s", why);
    if (x.lasting) {
        flk_dialer_drop(store->dialer, x.fault, why);
    } else {
        roll_back(store, pg, x.fault, why);
    }
    return err;
}

/* ---- what comes back ---- */

static flk_err_t senseless(char *errmsg) {
    flk_errmsg(errmsg, "postgres: a row that does not belong to the question");
    return FLK_E_CORRUPT;
}

static struct entry *entry_of_row(const struct postgres_store *store, const PGresult *result, int row) {
    return PQgetlength(result, row, 0) == FLK_STORE_KEY_BYTES ? find_entry(store, PQgetvalue(result, row, 0)) : NULL;
}

/* pcs_id, outcome: what is there. */
static flk_err_t take_found(struct postgres_store *store, const PGresult *result, char *errmsg) {
    for (int row = 0; row < PQntuples(result); row++) {
        struct entry *entry = entry_of_row(store, result, row);
        int bytes = PQgetlength(result, row, 1);
        if (entry == NULL || bytes > FLK_STORE_VALUE_BYTES_MAX) {
            return senseless(errmsg);
        }
        entry->open = false;
        entry->item->found = true;
        entry->item->value_bytes = (uint16_t)bytes;
        memcpy(entry->item->value, PQgetvalue(result, row, 1), (size_t)bytes);
    }
    return FLK_OK;
}

/* pcs_id: those that were first. */
static flk_err_t take_firsts(struct postgres_store *store, const PGresult *result, char *errmsg) {
    for (int row = 0; row < PQntuples(result); row++) {
        struct entry *entry = entry_of_row(store, result, row);
        if (entry == NULL) {
            return senseless(errmsg);
        }
        entry->open = false;
    }
    return FLK_OK;
}

static flk_err_t look_up_open(struct postgres_store *store, char *errmsg) {
    struct arrays arrays = write_arrays(store);
    flk_pg_call_t call = {.statement = FLK_PG_LOOKUP,
                          .params_len = 1,
                          .params = (const char *[]){(const char *)store->ids},
                          .params_bytes = &arrays.ids_bytes};
    flk_err_t err = exchange(store, &call, 1, errmsg);
    err = err != FLK_OK ? err : take_found(store, call.result, errmsg);
    flk_pg_clear(&call, 1);
    return err;
}

static flk_err_t insert_open(struct postgres_store *store, char *errmsg) {
    struct arrays arrays = write_arrays(store);
    flk_pg_call_t calls[] = {
        {.statement = FLK_PG_BEGIN},
        {.statement = FLK_PG_LOCK},
        {.statement = FLK_PG_PUT,
         .params_len = 3,
         .params = (const char *[]){(const char *)store->ids, (const char *)store->values, (const char *)store->ttls},
         .params_bytes = (int[]){arrays.ids_bytes, arrays.values_bytes, arrays.ttls_bytes}},
        {.statement = FLK_PG_COMMIT},
    };
    flk_err_t err = exchange(store, calls, FLK_COUNT_OF(calls), errmsg);
    if (err == FLK_OK && strcmp(PQcmdStatus(calls[3].result), "COMMIT") != 0) {
        flk_errmsg(errmsg, "postgres: the transaction was rolled back");
        err = FLK_E_UNAVAILABLE;
    }
    err = err != FLK_OK ? err : take_firsts(store, calls[2].result, errmsg);
    flk_pg_clear(calls, FLK_COUNT_OF(calls));
    return err;
}

static bool any_open(const struct postgres_store *store) {
    for (size_t i = 0; i < store->entries_len; i++) {
        if (store->entries[i].open) {
            return true;
        }
    }
    return false;
}

/* Gives the items with equal keys what the first of them has. `found` is what they are told. */
static void share(struct postgres_store *store, flk_store_item_t *const *items, size_t items_len, bool put) {
    if (store->entries_len == items_len) {
        return;
    }
    for (size_t i = 0; i < items_len; i++) {
        const flk_store_item_t *first = find_entry(store, items[i]->key)->item;
        if (items[i] != first) {
            items[i]->found = put || first->found;
            items[i]->value_bytes = first->value_bytes;
            memcpy(items[i]->value, first->value, first->value_bytes);
        }
    }
}

static flk_err_t postgres_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    if (items_len == 0) {
        return FLK_OK;
    }
    flk_err_t err = begin_batch(store, items, items_len, errmsg);
    err = err != FLK_OK ? err : look_up_open(store, errmsg);
    if (err == FLK_OK) {
        share(store, items, items_len, false);
    }
    return err;
}

static flk_err_t postgres_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    if (items_len == 0) {
        return FLK_OK;
    }
    flk_err_t err = begin_batch(store, items, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_pg_janitor_set_ttl(store->janitor, base->ttl_ms);
    for (int round = 0; round < PUT_ROUNDS && any_open(store); round++) {
        err = insert_open(store, errmsg);
        if (err == FLK_OK && any_open(store)) {
            err = look_up_open(store, errmsg);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    if (any_open(store)) {
        flk_errmsg(errmsg, "postgres: outcomes expire as soon as they are put");
        return FLK_E_UNAVAILABLE;
    }
    share(store, items, items_len, true);
    return FLK_OK;
}

static flk_err_t postgres_health(flk_store_t *base, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    flk_pg_call_t call = {.statement = FLK_PG_PROBE};
    store->deadline_ms = flk_mono_ms() + base->timeout_ms;
    flk_err_t err = exchange(store, &call, 1, errmsg);
    flk_pg_clear(&call, 1);
    return err;
}

/* ---- looking through ---- */

static int64_t get_int64(const PGresult *result, int row, int column) {
    uint64_t big = 0;
    if (PQgetlength(result, row, column) == sizeof big) {
        memcpy(&big, PQgetvalue(result, row, column), sizeof big);
    }
    return (int64_t)be64toh(big);
}

/* Shows a page, and moves `last` to its end. */
static flk_err_t show_page(const PGresult *result, uint8_t last[FLK_STORE_KEY_BYTES], flk_store_visit_fn *visit,
                           void *arg, bool *go_on, char *errmsg) {
    for (int row = 0; *go_on && row < PQntuples(result); row++) {
        int bytes = PQgetlength(result, row, 1);
        if (PQgetlength(result, row, 0) != FLK_STORE_KEY_BYTES || bytes > FLK_STORE_VALUE_BYTES_MAX) {
            return senseless(errmsg);
        }
        memcpy(last, PQgetvalue(result, row, 0), FLK_STORE_KEY_BYTES);
        *go_on =
            visit(arg, last, (const uint8_t *)PQgetvalue(result, row, 1), (size_t)bytes, get_int64(result, row, 2));
    }
    *go_on = *go_on && PQntuples(result) > 0;
    return FLK_OK;
}

static flk_err_t postgres_visit(flk_store_t *base, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    uint8_t last[FLK_STORE_KEY_BYTES];
    int last_bytes = 0; /* the empty string is before every id */
    bool go_on = true;
    flk_err_t err = FLK_OK;
    while (err == FLK_OK && go_on) {
        flk_pg_call_t call = {.statement = FLK_PG_PAGE,
                              .params_len = 1,
                              .params = (const char *[]){(const char *)last},
                              .params_bytes = &last_bytes};
        store->deadline_ms = flk_mono_ms() + base->timeout_ms;
        err = exchange(store, &call, 1, errmsg);
        err = err != FLK_OK ? err : show_page(call.result, last, visit, arg, &go_on, errmsg);
        flk_pg_clear(&call, 1);
        last_bytes = sizeof last;
    }
    return err;
}

static flk_err_t postgres_measure(flk_store_t *base, flk_store_part_fn *part, void *arg, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    flk_pg_call_t call = {.statement = FLK_PG_MEASURE};
    store->deadline_ms = flk_mono_ms() + base->timeout_ms;
    flk_err_t err = exchange(store, &call, 1, errmsg);
    for (int row = 0; err == FLK_OK && row < PQntuples(call.result); row++) {
        uint32_t generation;
        char name[32];
        memcpy(&generation, PQgetvalue(call.result, row, 0), sizeof generation);
        snprintf(name, sizeof name, "generation %u", be32toh(generation));
        part(arg, name, (uint64_t)get_int64(call.result, row, 1), (uint64_t)get_int64(call.result, row, 2));
    }
    flk_pg_clear(&call, 1);
    return err;
}

/* The janitor sweeps. */
static void postgres_tick(flk_store_t *base, uint64_t mono_ms) {
    (void)base;
    (void)mono_ms;
}

static void postgres_close(flk_store_t *base) {
    struct postgres_store *store = (struct postgres_store *)base;
    flk_dialer_destroy(&store->dialer, base->timeout_ms);
    flk_pg_janitor_leave(&store->janitor, base->timeout_ms);
    flk_pg_target_release(store->target);
    free_buffers(store);
    free(store);
}

static const flk_store_ops_t postgres_ops = {
    .name = "postgres",
    .close = postgres_close,
    .lookup = postgres_lookup,
    .put = postgres_put,
    .health = postgres_health,
    .tick = postgres_tick,
    .visit = postgres_visit,
    .measure = postgres_measure,
};

static flk_err_t open_parts(struct postgres_store *store, const flk_store_options_t *options, char *errmsg) {
    flk_err_t err = flk_pg_target_new(options, &store->target, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_dialer_options_t dialer = {.ops = &flk_pg_dial_ops,
                                   .arg = flk_pg_target_hold(store->target),
                                   .store = "postgres",
                                   .server = flk_pg_target_name(store->target),
                                   .timeout_ms = options->connect_timeout_ms};
    err = flk_dialer_new(&dialer, &store->dialer, errmsg);
    return err != FLK_OK ? err
                         : flk_pg_janitor_join(store->target, options->ttl_ms, options->connect_timeout_ms,
                                               &store->janitor, errmsg);
}

flk_err_t flk_store_postgres_open(const flk_store_options_t *options, flk_store_t **out, char *errmsg) {
    struct postgres_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        flk_errmsg(errmsg, "store postgres: out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = open_parts(store, options, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store postgres");
        postgres_close(&store->base);
        return err;
    }
    store->base.ops = &postgres_ops;
    *out = &store->base;
    return FLK_OK;
}
