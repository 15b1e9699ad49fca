/* SPDX-License-Identifier: MIT */
/* Picks the backend; times every batch and counts its errors. */
#include "worker/store/store.h"

#include <stdio.h>
#include <string.h>

#include "common/io.h"

struct backend {
    const char *name;
    flk_err_t (*open)(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
    flk_err_t (*migrate)(const flk_store_options_t *options, char *told, char *errmsg); /* NULL: has no schema */
    bool on_disk;
};

static const struct backend backends[] = {
    {"memory", flk_store_memory_open, NULL, true},
    {"lmdb", flk_store_lmdb_open, NULL, true},
    {"redis", flk_store_redis_open, NULL, false},
    {"postgres", flk_store_postgres_open, flk_store_postgres_migrate, false},
};

static const struct backend *find_backend(const char *name, char *errmsg) {
    for (size_t i = 0; i < FLK_COUNT_OF(backends); i++) {
        if (strcmp(backends[i].name, name) == 0) {
            return &backends[i];
        }
    }
    flk_errmsg(errmsg, "DEDUP_BACKEND is \"%s\", which is no store", name);
    return NULL;
}

void flk_store_options(const flk_settings_t *settings, uint64_t policy_ttl_s, flk_store_options_t *options) {
    uint64_t ttl_s = flk_settings_uint(settings, FLK_SET_DEDUP_TTL_S);
    uint64_t recent_bytes = flk_settings_uint(settings, FLK_SET_LMDB_RECENT_BYTES);
    *options = (flk_store_options_t){
        .backend = flk_settings_str(settings, FLK_SET_DEDUP_BACKEND),
        .data_dir = flk_settings_str(settings, FLK_SET_DATA_DIR),
        .ttl_ms = 1000 * (ttl_s != 0 ? ttl_s : policy_ttl_s),
        .timeout_ms = flk_settings_uint(settings, FLK_SET_STORE_TIMEOUT_MS),
        .lmdb_map_bytes = flk_settings_uint(settings, FLK_SET_LMDB_MAP_BYTES),
        .lmdb_recent_bytes = recent_bytes != FLK_SETTING_AUTO ? recent_bytes : 0,
        .snapshot_ms = 1000 * flk_settings_uint(settings, FLK_SET_MEMORY_SNAPSHOT_S),
        .redis_addr = flk_settings_str(settings, FLK_SET_REDIS_ADDR),
        .redis_former = flk_settings_str(settings, FLK_SET_REDIS_FORMER),
        .redis_user = flk_settings_str(settings, FLK_SET_REDIS_USER),
        .redis_password = flk_settings_str(settings, FLK_SET_REDIS_PASSWORD),
        .redis_db = flk_settings_uint(settings, FLK_SET_REDIS_DB),
        .redis_ca_file = flk_settings_str(settings, FLK_SET_REDIS_CA_FILE),
        .pg_conn = flk_settings_str(settings, FLK_SET_POSTGRES_CONN),
        .pg_auto_migrate = flk_settings_bool(settings, FLK_SET_PG_AUTO_MIGRATE),
        .connect_timeout_ms = flk_settings_uint(settings, FLK_SET_STORE_CONNECT_TIMEOUT_MS),
    };
}

flk_err_t flk_store_check(const flk_store_options_t *options, char *errmsg) {
    const struct backend *backend = find_backend(options->backend, errmsg);
    flk_store_t *store;
    if (backend == NULL) {
        return FLK_E_CONFIG;
    }
    if (backend->on_disk) {
        return flk_err_at(flk_io_check_dir(options->data_dir, errmsg), "FLK_DATA_DIR", errmsg);
    }
    flk_err_t err = backend->open(options, &store, errmsg);
    if (err == FLK_OK) {
        store->ops->close(store);
    }
    return err;
}

flk_err_t flk_store_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg) {
    const struct backend *backend = find_backend(options->backend, errmsg);
    *store = NULL;
    flk_err_t err = backend != NULL ? backend->open(options, store, errmsg) : FLK_E_CONFIG;
    if (err != FLK_OK) {
        return err;
    }
    (*store)->ttl_ms = options->ttl_ms;
    (*store)->timeout_ms = options->timeout_ms;
    (*store)->clock = options->clock != NULL ? options->clock : flk_wall_ms;
    flk_store_metrics_register(options->metrics, &(*store)->metrics);
    return FLK_OK;
}

void flk_store_close(flk_store_t **store) {
    if (*store != NULL) {
        (*store)->ops->close(*store);
        *store = NULL;
    }
}

flk_err_t flk_store_migrate(const flk_store_options_t *options, char told[FLK_STORE_TOLD_BYTES], char *errmsg) {
    const struct backend *backend = find_backend(options->backend, errmsg);
    if (backend == NULL) {
        return FLK_E_CONFIG;
    }
    if (backend->migrate != NULL) {
        return backend->migrate(options, told, errmsg);
    }
    snprintf(told, FLK_STORE_TOLD_BYTES, "store %s has no schema: nothing to migrate", backend->name);
    return FLK_OK;
}

void flk_store_set_ttl(flk_store_t *store, uint64_t ttl_ms) {
    store->ttl_ms = ttl_ms;
}

flk_err_t flk_store_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    uint64_t began_ns = flk_mono_ns();
    store->fault = FLK_FAULT_NONE;
    flk_err_t err = store->ops->lookup(store, items, items_len, errmsg);
    flk_store_metrics_batch(&store->metrics, FLK_STORE_OP_LOOKUP, items_len, began_ns, err, store->fault);
    return err;
}

flk_err_t flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    uint64_t began_ns = flk_mono_ns();
    store->fault = FLK_FAULT_NONE;
    flk_err_t err = store->ops->put(store, items, items_len, errmsg);
    flk_store_metrics_batch(&store->metrics, FLK_STORE_OP_PUT, items_len, began_ns, err, store->fault);
    return err;
}

flk_err_t flk_store_health(flk_store_t *store, char *errmsg) {
    return store->ops->health(store, errmsg);
}

flk_err_t flk_store_visit(flk_store_t *store, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    return store->ops->visit(store, visit, arg, errmsg);
}

flk_err_t flk_store_measure(flk_store_t *store, flk_store_part_fn *part, void *arg, char *errmsg) {
    return store->ops->measure(store, part, arg, errmsg);
}

void flk_store_tick(flk_store_t *store, uint64_t mono_ms) {
    store->ops->tick(store, mono_ms);
}
