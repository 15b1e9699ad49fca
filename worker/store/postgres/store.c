/* SPDX-License-Identifier: MIT */
/* The PostgreSQL store: outcomes in a table that the workers of a cluster share. The schema, and why first write
 * wins in it, is in postgres/schema.h.
 *
 *   lookup   one SELECT for all keys
 *   put      one transaction: lock, one UPDATE that lets stale values expire (if any), one INSERT for all keys, COMMIT;
 *            then one SELECT for those that were there before
 *
 * Each is one pipeline of prepared statements, one round trip. Keys are sent sorted, each once: the first of equal keys
 * stands for the others, and two batches lock their rows in the same order.
 *
 * Failures: any error fails the batch, within the store timeout; the server gives a statement up at the same time.
 * After an error it is unknown which rows were committed, above all when the connection breaks at COMMIT: first write
 * wins, so asking again finds out. The connection is made anew behind the batches (dialer.h) when an error lasts;
 * otherwise the transaction is rolled back and the connection stays. A session that the server ended while it was idle,
 * or before it did anything of a pipeline, fails no batch: the pipeline is sent once more in a new one. A key that
 * expires between INSERT and SELECT is put again.
 *
 * A server that waits for a standby (synchronous_standby_names) has committed on its own disk by then. The put is
 * UNAVAILABLE at the store timeout and its session is ended (postgres/session.h), so that none piles up; but from
 * then on a lookup finds the outcome, and it is answered, although no standby has it. Should the server be lost
 * before one has, the id is verified anew: as with any server that lost outcomes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "worker/store/postgres/batch.h"
#include "worker/store/postgres/dial.h"
#include "worker/store/postgres/exchange.h"
#include "worker/store/postgres/janitor.h"
#include "worker/store/postgres/schema.h"
#include "worker/store/postgres/session.h"
#include "worker/store/store.h"

enum { PUT_ROUNDS = 4, MIGRATE_MS = 60000 };

struct postgres_store {
    flk_store_t base;
    flk_pg_target_t *target;
    flk_dialer_t *dialer;
    flk_pg_janitor_t *janitor;

    /* The batch under way. */
    uint64_t deadline_ms;
    flk_pg_batch_t batch;
};

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
        flk_dialer_drop(store->dialer, FLK_DIALER_FAILED, fault, why);
    }
}

/* *repeat: nothing of the calls was done, and they may be sent on another connection. */
static flk_err_t try_exchange(struct postgres_store *store, flk_pg_call_t *calls, size_t calls_len, bool *repeat,
                              char *errmsg) {
    void *pg;
    char why[FLK_ERRMSG_BYTES] = "";
    *repeat = false;
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
        *repeat = x.untouched && flk_mono_ms() < store->deadline_ms;
        flk_dialer_drop(store->dialer, x.untouched ? FLK_DIALER_CLOSED : FLK_DIALER_FAILED, x.fault, why);
    } else {
        roll_back(store, pg, x.fault, why);
    }
    return err;
}

/* Caller clears the calls' results with flk_pg_clear, also after an error. */
static flk_err_t exchange(struct postgres_store *store, flk_pg_call_t *calls, size_t calls_len, char *errmsg) {
    bool repeat;
    for (size_t i = 0; i < calls_len; i++) {
        calls[i].result = NULL;
    }
    flk_err_t err = try_exchange(store, calls, calls_len, &repeat, errmsg);
    if (repeat) {
        flk_pg_clear(calls, calls_len);
        err = try_exchange(store, calls, calls_len, &repeat, errmsg);
    }
    return err;
}

/* ---- the results ---- */

static flk_err_t senseless(char *errmsg) {
    flk_errmsg(errmsg, "postgres: a row that does not belong to the question");
    return FLK_E_CORRUPT;
}

static flk_pg_entry_t *entry_of_row(const struct postgres_store *store, const PGresult *result, int row) {
    return PQgetlength(result, row, 0) == FLK_STORE_KEY_BYTES
               ? flk_pg_batch_find(&store->batch, PQgetvalue(result, row, 0))
               : NULL;
}

/* pcs_id, outcome: the rows that are there. */
static flk_err_t take_found(struct postgres_store *store, const PGresult *result, char *errmsg) {
    for (int row = 0; row < PQntuples(result); row++) {
        flk_pg_entry_t *entry = entry_of_row(store, result, row);
        int bytes = PQgetlength(result, row, 1);
        if (entry == NULL) {
            return senseless(errmsg);
        }
        entry->open = false;
        flk_store_item_take(entry->item, PQgetvalue(result, row, 1), (size_t)bytes);
    }
    return FLK_OK;
}

/* pcs_id: those that were first. */
static flk_err_t take_firsts(struct postgres_store *store, const PGresult *result, char *errmsg) {
    for (int row = 0; row < PQntuples(result); row++) {
        flk_pg_entry_t *entry = entry_of_row(store, result, row);
        if (entry == NULL) {
            return senseless(errmsg);
        }
        entry->open = false;
    }
    return FLK_OK;
}

static flk_err_t look_up_open(struct postgres_store *store, char *errmsg) {
    flk_pg_batch_encode(&store->batch, &store->base);
    flk_pg_call_t call = {.statement = FLK_PG_LOOKUP,
                          .params_len = 1,
                          .params = (const char *[]){(const char *)store->batch.ids},
                          .params_bytes = &store->batch.ids_bytes};
    flk_err_t err = exchange(store, &call, 1, errmsg);
    err = err != FLK_OK ? err : take_found(store, call.result, errmsg);
    flk_pg_clear(&call, 1);
    return err;
}

static flk_err_t insert_open(struct postgres_store *store, char *errmsg) {
    flk_pg_batch_t *batch = &store->batch;
    flk_pg_batch_encode(batch, &store->base);
    flk_pg_batch_encode_stales(batch);
    const flk_pg_call_t begin = {.statement = FLK_PG_BEGIN}, lock = {.statement = FLK_PG_LOCK};
    const flk_pg_call_t expire = {.statement = FLK_PG_EXPIRE,
                                  .params_len = 2,
                                  .params =
                                      (const char *[]){(const char *)batch->stale_ids, (const char *)batch->stales},
                                  .params_bytes = (int[]){batch->stale_ids_bytes, batch->stales_bytes}};
    const flk_pg_call_t put = {
        .statement = FLK_PG_PUT,
        .params_len = 3,
        .params = (const char *[]){(const char *)batch->ids, (const char *)batch->values, (const char *)batch->ttls},
        .params_bytes = (int[]){batch->ids_bytes, batch->values_bytes, batch->ttls_bytes}};
    const flk_pg_call_t commit = {.statement = FLK_PG_COMMIT};
    flk_pg_call_t calls[5];
    size_t len = 0;
    calls[len++] = begin;
    calls[len++] = lock;
    if (batch->stales_len > 0) {
        calls[len++] = expire;
    }
    calls[len++] = put;
    calls[len++] = commit;
    flk_err_t err = exchange(store, calls, len, errmsg);
    if (err == FLK_OK && strcmp(PQcmdStatus(calls[len - 1].result), "COMMIT") != 0) {
        flk_errmsg(errmsg, "postgres: the transaction was rolled back");
        err = FLK_E_UNAVAILABLE;
    }
    err = err != FLK_OK ? err : take_firsts(store, calls[len - 2].result, errmsg);
    flk_pg_clear(calls, len);
    return err;
}

static flk_err_t postgres_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    if (items_len == 0) {
        return FLK_OK;
    }
    store->deadline_ms = flk_mono_ms() + base->timeout_ms;
    flk_err_t err = flk_pg_batch_begin(&store->batch, items, items_len, errmsg);
    err = err != FLK_OK ? err : look_up_open(store, errmsg);
    if (err == FLK_OK) {
        flk_pg_batch_share(&store->batch, items, items_len, false);
    }
    return err;
}

static flk_err_t postgres_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct postgres_store *store = (struct postgres_store *)base;
    if (items_len == 0) {
        return FLK_OK;
    }
    store->deadline_ms = flk_mono_ms() + base->timeout_ms;
    flk_err_t err = flk_pg_batch_begin(&store->batch, items, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_pg_janitor_set_ttl(store->janitor, base->ttl_ms);
    for (int round = 0; round < PUT_ROUNDS && flk_pg_batch_any_open(&store->batch); round++) {
        err = insert_open(store, errmsg);
        if (err == FLK_OK && flk_pg_batch_any_open(&store->batch)) {
            err = look_up_open(store, errmsg);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    if (flk_pg_batch_any_open(&store->batch)) {
        flk_errmsg(errmsg, "postgres: outcomes expire as soon as they are put");
        return FLK_E_UNAVAILABLE;
    }
    flk_pg_batch_share(&store->batch, items, items_len, true);
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
    bool fits = PQgetlength(result, row, column) == sizeof(int64_t);
    return fits ? (int64_t)flk_get_be64(PQgetvalue(result, row, column)) : 0;
}

/* Shows a page, and moves `last` to its end. */
static flk_err_t show_page(const PGresult *result, uint8_t last[FLK_STORE_KEY_BYTES], flk_store_visit_fn *visit,
                           void *arg, bool *go_on, char *errmsg) {
    for (int row = 0; *go_on && row < PQntuples(result); row++) {
        int bytes = PQgetlength(result, row, 1);
        if (PQgetlength(result, row, 0) != FLK_STORE_KEY_BYTES) {
            return senseless(errmsg);
        }
        memcpy(last, PQgetvalue(result, row, 0), FLK_STORE_KEY_BYTES);
        *go_on = visit(arg, last, (const uint8_t *)PQgetvalue(result, row, 1), flk_store_value_cut((size_t)bytes),
                       get_int64(result, row, 2));
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
        char name[32];
        snprintf(name, sizeof name, "generation %u", flk_get_be32(PQgetvalue(call.result, row, 0)));
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
    flk_pg_batch_fini(&store->batch);
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

flk_err_t flk_store_postgres_migrate(const flk_store_options_t *options, char told[FLK_STORE_TOLD_BYTES],
                                     char *errmsg) {
    flk_pg_target_t *target;
    flk_store_fault_t fault;
    int from = 0;
    flk_err_t err = flk_pg_target_new(options, &target, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_pg_exchange_t x = {.deadline_ms = flk_mono_ms() + MIGRATE_MS, .errmsg = errmsg};
    err = flk_pg_connect(target, MIGRATE_MS, MIGRATE_MS, &x.pg, &fault, errmsg);
    if (err == FLK_OK) {
        err = flk_pg_schema_migrate(&x, &from);
        flk_pg_session_end(x.pg, MIGRATE_MS);
    }
    if (err == FLK_OK) {
        snprintf(told, FLK_STORE_TOLD_BYTES, "schema flk in %s: version %d%s", flk_pg_target_name(target),
                 FLK_PG_SCHEMA_VERSION, from == FLK_PG_SCHEMA_VERSION ? ", as it was" : "");
    }
    flk_pg_target_release(target);
    return err == FLK_E_CONFIG ? FLK_E_UNAVAILABLE : err; /* a newer schema is no wrong setting */
}
