/* SPDX-License-Identifier: MIT */
/* Picks the backend, times every call and counts its errors. */
#include "worker/store.h"

#include <string.h>

static const struct {
    const char *name;
    flk_err_t (*open)(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
} backends[] = {
    {"memory", flk_store_memory_open},
    {"lmdb", flk_store_lmdb_open},
};

/* The last one stands for every code that is not listed. */
static const struct {
    flk_err_t err;
    const char *label;
} error_kinds[FLK_STORE_ERROR_KINDS] = {
    {FLK_E_UNAVAILABLE, "kind=\"unavailable\""},
    {FLK_E_TIMEOUT, "kind=\"timeout\""},
    {FLK_E_NO_SPACE, "kind=\"no_space\""},
    {FLK_E_CORRUPT, "kind=\"corrupt\""},
    {FLK_E_IO, "kind=\"io\""},
    {FLK_E_NOMEM, "kind=\"no_memory\""},
    {FLK_OK, "kind=\"other\""},
};

void flk_store_options(const flk_settings_t *settings, uint64_t policy_ttl_s, flk_store_options_t *options) {
    uint64_t ttl_s = flk_settings_uint(settings, FLK_SET_DEDUP_TTL_S);
    *options = (flk_store_options_t){
        .backend = flk_settings_str(settings, FLK_SET_DEDUP_BACKEND),
        .data_dir = flk_settings_str(settings, FLK_SET_DATA_DIR),
        .ttl_ms = 1000 * (ttl_s != 0 ? ttl_s : policy_ttl_s),
        .timeout_ms = flk_settings_uint(settings, FLK_SET_STORE_TIMEOUT_MS),
        .lmdb_map_bytes = flk_settings_uint(settings, FLK_SET_LMDB_MAP_BYTES),
        .snapshot_ms = 1000 * flk_settings_uint(settings, FLK_SET_MEMORY_SNAPSHOT_S),
    };
}

static void register_metrics(flk_store_t *store, flk_metrics_t *metrics) {
    const char *seconds = "flk_store_seconds", *seconds_help = "Time of one batch at the store.";
    store->lookup_seconds = flk_metrics_histogram(metrics, seconds, "op=\"lookup\"", seconds_help, flk_latency_bounds,
                                                  flk_latency_bounds_len);
    store->put_seconds =
        flk_metrics_histogram(metrics, seconds, "op=\"put\"", seconds_help, flk_latency_bounds, flk_latency_bounds_len);
    for (size_t i = 0; i < FLK_STORE_ERROR_KINDS; i++) {
        store->errors[i] = flk_metrics_counter(metrics, "flk_store_errors_total", error_kinds[i].label,
                                               "Batches that the store could not answer.");
    }
}

flk_err_t flk_store_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg) {
    *store = NULL;
    for (size_t i = 0; i < FLK_COUNT_OF(backends); i++) {
        if (strcmp(backends[i].name, options->backend) != 0) {
            continue;
        }
        flk_err_t err = backends[i].open(options, store, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        (*store)->ttl_ms = options->ttl_ms;
        (*store)->timeout_ms = options->timeout_ms;
        (*store)->clock = options->clock != NULL ? options->clock : flk_wall_ms;
        if (options->metrics != NULL) {
            register_metrics(*store, options->metrics);
        }
        return FLK_OK;
    }
    flk_errmsg(errmsg, "DEDUP_BACKEND is \"%s\", which is no store", options->backend);
    return FLK_E_CONFIG;
}

void flk_store_close(flk_store_t **store) {
    if (*store != NULL) {
        (*store)->ops->close(*store);
        *store = NULL;
    }
}

void flk_store_set_ttl(flk_store_t *store, uint64_t ttl_ms) {
    store->ttl_ms = ttl_ms;
}

static void account(flk_store_t *store, flk_histogram_t *seconds, uint64_t began_ns, flk_err_t err) {
    if (seconds == NULL) {
        return;
    }
    flk_histogram_observe(seconds, (double)(flk_mono_ns() - began_ns) * 1e-9);
    if (err == FLK_OK) {
        return;
    }
    size_t kind = 0;
    while (kind < FLK_STORE_ERROR_KINDS - 1 && error_kinds[kind].err != err) {
        kind++;
    }
    flk_counter_add(store->errors[kind], 1);
}

flk_err_t flk_store_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    uint64_t began_ns = flk_mono_ns();
    flk_err_t err = store->ops->lookup(store, items, items_len, errmsg);
    account(store, store->lookup_seconds, began_ns, err);
    return err;
}

flk_err_t flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    uint64_t began_ns = flk_mono_ns();
    flk_err_t err = store->ops->put(store, items, items_len, errmsg);
    account(store, store->put_seconds, began_ns, err);
    return err;
}

flk_err_t flk_store_health(flk_store_t *store, char *errmsg) {
    return store->ops->health(store, errmsg);
}

void flk_store_tick(flk_store_t *store, uint64_t mono_ms) {
    store->ops->tick(store, mono_ms);
}
