/* SPDX-License-Identifier: MIT */
/* The dedup store: pcs_id -> outcome bytes, first write wins, with a time to live. Four backends, one contract
 * (tests/unit/test_store.c). A store object belongs to one thread; several objects may be open on one backend. */
#ifndef FLK_WORKER_STORE_H
#define FLK_WORKER_STORE_H

#include "common/err.h"
#include "common/metrics.h"
#include "common/settings.h"

enum { FLK_STORE_KEY_BYTES = 32, FLK_STORE_VALUE_BYTES_MAX = 1024 };

typedef struct flk_store flk_store_t; /* "Class" with a table of functions; store.c dispatches. */

/* One place of a batch. The store fills value and value_bytes; `value` points into the item. */
typedef struct flk_store_item {
    uint8_t key[FLK_STORE_KEY_BYTES];
    bool found; /* lookup: there is one; put: there was one before, and value is now that one */
    uint16_t value_bytes;
    uint8_t value[FLK_STORE_VALUE_BYTES_MAX]; /* any bytes */
} flk_store_item_t;

/* Opens the backend that DEDUP_BACKEND names. Errors: FLK_E_CONFIG, FLK_E_LOCKED, FLK_E_IO, FLK_E_UNAVAILABLE.
 * Process-wide state of a backend (LMDB environment, memory table) is opened with its first store, closed with its last.
 * Caller frees with flk_store_close. */
FLK_MUST_CHECK flk_err_t flk_store_open(const flk_settings_t *settings, uint64_t ttl_s, flk_store_t **store,
                                        char *errmsg);
void flk_store_close(flk_store_t **store);

/* Looks up each key. Items keep their order; a key may occur several times. FLK_E_UNAVAILABLE within the store
 * timeout: nothing may be concluded about any item. */
FLK_MUST_CHECK flk_err_t flk_store_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len,
                                          char *errmsg);

/* Puts each value if its key is absent (or expired); otherwise gives back the one that is there and sets found. The
 * first of equal keys in a batch wins. When it returns FLK_OK every outcome is as durable as the backend makes it. On
 * an error it is unknown which were put: ask again. */
FLK_MUST_CHECK flk_err_t flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len,
                                       char *errmsg);

/* FLK_OK when a put would work now. */
FLK_MUST_CHECK flk_err_t flk_store_health(flk_store_t *store, char *errmsg);

/* Does a bounded step of the TTL sweep and other housekeeping; called between batches. */
void flk_store_tick(flk_store_t *store, uint64_t now_ms);

/* ---- for backends ---- */
typedef struct flk_store_ops {
    const char *name;
    void (*close)(flk_store_t *store);
    flk_err_t (*lookup)(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
    flk_err_t (*put)(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
    flk_err_t (*health)(flk_store_t *store, char *errmsg);
    void (*tick)(flk_store_t *store, uint64_t now_ms);
} flk_store_ops_t;
struct flk_store {
    const flk_store_ops_t *ops; /* first member of each backend's own struct */
};
FLK_MUST_CHECK flk_err_t flk_store_memory_open(const flk_settings_t *settings, uint64_t ttl_s, flk_store_t **store,
                                               char *errmsg);
FLK_MUST_CHECK flk_err_t flk_store_lmdb_open(const flk_settings_t *settings, uint64_t ttl_s, flk_store_t **store,
                                             char *errmsg);

#endif
