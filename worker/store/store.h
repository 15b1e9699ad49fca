/* SPDX-License-Identifier: MIT */
/* The dedup store: pcs_id -> outcome bytes, first write wins, with a time to live. One contract for all backends
 * (tests/unit/worker/store/test_store.c). A store object belongs to one thread; several objects may be open on one
 * backend. */
#ifndef FLK_WORKER_STORE_STORE_H
#define FLK_WORKER_STORE_STORE_H

#include <stddef.h>
#include <string.h>

#include "common/err.h"
#include "common/program/settings.h"
#include "worker/store/metrics.h"

enum { FLK_STORE_KEY_BYTES = 32, FLK_STORE_VALUE_BYTES_MAX = 1024 };

typedef struct flk_store flk_store_t; /* "Class" with a table of functions; store.c dispatches. */

/* One place of a batch. The store fills value and value_bytes; `value` points into the item. */
typedef struct flk_store_item {
    uint8_t key[FLK_STORE_KEY_BYTES];
    bool found; /* lookup: there is one; put: there was one before, and value is now that one */
    uint16_t value_bytes;
    uint64_t ttl_ms; /* put: how long it is kept; 0 = as long as the store's others */
    const uint8_t
        *stale; /* put: a stored value with these bytes counts as absent; NULL: none does. Borrowed for the call */
    uint16_t stale_bytes;
    uint8_t value[FLK_STORE_VALUE_BYTES_MAX]; /* any bytes */
} flk_store_item_t;

typedef int64_t flk_store_clock_fn(void); /* milliseconds since the Unix epoch; any thread */

typedef struct flk_store_options {
    const char *backend;        /* "memory", "lmdb", "redis", "postgres" */
    const char *data_dir;       /* files go to data_dir/store, made if missing, 0700 */
    uint64_t ttl_ms;            /* how long an outcome is kept */
    uint64_t timeout_ms;        /* a call answers FLK_E_UNAVAILABLE after that long */
    uint64_t lmdb_map_bytes;    /* first size of the map; it grows by itself */
    uint64_t lmdb_recent_bytes; /* outcomes wait for the index up to that, eight times that at most; 0: a 32nd of the
                                   memory, 16 MiB at most */
    uint64_t snapshot_ms;       /* memory: period of the snapshot */
    uint64_t memory_bytes_max;  /* memory: outcomes take no more; 0: half of the memory of this process */
    const char *redis_addr;     /* redis: the shards, as in redis/shards.h */
    const char *redis_former;   /* the shards that held outcomes before; "" = none */
    const char *redis_user;     /* this, password and db: for shards whose address has none */
    const char *redis_password;
    uint64_t redis_db;
    const char *redis_ca_file;   /* rediss: CA certificates; "" = the system's */
    const char *pg_conn;         /* postgres: libpq's connection string */
    bool pg_auto_migrate;        /* bring the schema up to date when connecting */
    uint64_t connect_timeout_ms; /* redis, postgres: how long one attempt to connect may take */
    bool read_only;              /* memory: look at the last snapshot, beside the process that owns it */
    flk_store_clock_fn *clock;   /* NULL: flk_wall_ms */
    flk_metrics_t *metrics;      /* NULL: none. Registers at open, so open stores from one thread. */
} flk_store_options_t;

/* Fills options from settings; the strings are borrowed from them. `policy_ttl_s` holds unless FLK_DEDUP_TTL_S is
 * set. */
void flk_store_options(const flk_settings_t *settings, uint64_t policy_ttl_s, flk_store_options_t *options);

/* Refuses all that opening would refuse by the settings and, on a disk, by the directory. Writes nothing and connects
 * to no server. Errors: those of flk_store_open. */
FLK_MUST_CHECK flk_err_t flk_store_check(const flk_store_options_t *options, char *errmsg);

/* Opens a backend; options are borrowed until return. A server (redis, postgres) need not be there: it is connected to
 * with the first call that needs it, and again whenever the connection is lost. Errors: FLK_E_CONFIG, FLK_E_LOCKED,
 * FLK_E_IO, FLK_E_NO_SPACE, FLK_E_CORRUPT, FLK_E_NOMEM, FLK_E_UNAVAILABLE. Process-wide state of a backend (LMDB
 * environment, memory table) is opened with its first store and closed with its last. Caller frees with
 * flk_store_close. */
FLK_MUST_CHECK flk_err_t flk_store_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
void flk_store_close(flk_store_t **store);

/* Brings the backend's schema to this program's version, within a minute; no store need be open. `told` gets a sentence
 * about the present version. Errors: FLK_E_CONFIG, FLK_E_NOMEM, FLK_E_UNAVAILABLE. */
enum { FLK_STORE_TOLD_BYTES = 512 };
FLK_MUST_CHECK flk_err_t flk_store_migrate(const flk_store_options_t *options, char told[FLK_STORE_TOLD_BYTES],
                                           char *errmsg);

/* For outcomes that are put from now on. */
void flk_store_set_ttl(flk_store_t *store, uint64_t ttl_ms);

/* Errors of the calls below: FLK_E_UNAVAILABLE (a server, a lock or the disk did not answer in time), FLK_E_NO_SPACE,
 * FLK_E_CORRUPT, FLK_E_LOCKED (another build's files), FLK_E_NOMEM, FLK_E_IO; all with a line in errmsg. */

/* Looks up each key. Items keep their order; a key may occur several times. A value of more than
 * FLK_STORE_VALUE_BYTES_MAX, which nobody put here, is given up to there; as a stale value that stands for the
 * whole. On an error, which comes within the store timeout, nothing may be concluded about any item. */
FLK_MUST_CHECK flk_err_t flk_store_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len,
                                          char *errmsg);

/* Puts each value if its key is absent (or expired, or has the item's stale value); otherwise gives back the one
 * that is there and sets found. The first of equal keys in a batch wins. When it returns FLK_OK every outcome is as
 * durable as the backend makes it. On an error, which comes within the store timeout, it is unknown which were put:
 * ask again. */
FLK_MUST_CHECK flk_err_t flk_store_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len,
                                       char *errmsg);

/* FLK_OK when a put would work now. May write. */
FLK_MUST_CHECK flk_err_t flk_store_health(flk_store_t *store, char *errmsg);

/* Shows each outcome that is there all the while at least once, in no order. Takes its time: for tools, not between
 * batches; each exchange with a server is within the store timeout. `visit` returns false to stop. */
typedef bool flk_store_visit_fn(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value,
                                size_t value_bytes, int64_t expires_ms);
FLK_MUST_CHECK flk_err_t flk_store_visit(flk_store_t *store, flk_store_visit_fn *visit, void *arg, char *errmsg);

/* Tells how much is kept, part by part (a file, a shard, a generation); expired outcomes that were not swept yet
 * count. */
typedef void flk_store_part_fn(void *arg, const char *part, uint64_t outcomes, uint64_t bytes);
FLK_MUST_CHECK flk_err_t flk_store_measure(flk_store_t *store, flk_store_part_fn *part, void *arg, char *errmsg);

/* Does a bounded step of the TTL sweep, or asks for one; called between batches, as often as one likes. */
void flk_store_tick(flk_store_t *store, uint64_t mono_ms);

/* ---- for backends ---- */

typedef struct flk_store_ops {
    const char *name;
    void (*close)(flk_store_t *store); /* frees the store */
    flk_err_t (*lookup)(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
    flk_err_t (*put)(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *errmsg);
    flk_err_t (*health)(flk_store_t *store, char *errmsg);
    void (*tick)(flk_store_t *store, uint64_t mono_ms);
    flk_err_t (*visit)(flk_store_t *store, flk_store_visit_fn *visit, void *arg, char *errmsg);
    flk_err_t (*measure)(flk_store_t *store, flk_store_part_fn *part, void *arg, char *errmsg);
} flk_store_ops_t;

/* First member of each backend's own struct; the backend sets ops, store.c the rest. */
struct flk_store {
    const flk_store_ops_t *ops;
    uint64_t ttl_ms, timeout_ms;
    flk_store_clock_fn *clock;
    flk_store_metrics_t metrics;
    flk_store_fault_t fault; /* the call's error beyond its code, from the backend; reset before each call */
};

/* As an assignment; copies no more of the value than there is. */
static inline void flk_store_item_copy(flk_store_item_t *to, const flk_store_item_t *from) {
    memcpy(to, from, offsetof(flk_store_item_t, value) + from->value_bytes);
}

/* The length of a stored value for its readers: it is cut where it is longer than any outcome. */
static inline size_t flk_store_value_cut(size_t value_bytes) {
    return value_bytes < FLK_STORE_VALUE_BYTES_MAX ? value_bytes : FLK_STORE_VALUE_BYTES_MAX;
}

/* The store has this value for the item. */
static inline void flk_store_item_take(flk_store_item_t *item, const void *value, size_t value_bytes) {
    item->found = true;
    item->value_bytes = (uint16_t)flk_store_value_cut(value_bytes);
    memcpy(item->value, value, item->value_bytes);
}

/* Likewise, unless it is the item's stale value. Returns item->found. */
static inline bool flk_store_item_take_unless_stale(flk_store_item_t *item, const void *value, size_t value_bytes) {
    bool stale = item->stale != NULL && item->stale_bytes == flk_store_value_cut(value_bytes) &&
                 memcmp(item->stale, value, item->stale_bytes) == 0;
    item->found = false;
    if (!stale) {
        flk_store_item_take(item, value, value_bytes);
    }
    return item->found;
}

/* How long the item is to be kept. */
static inline uint64_t flk_store_ttl_ms(const flk_store_t *store, const flk_store_item_t *item) {
    return item->ttl_ms != 0 ? item->ttl_ms : store->ttl_ms;
}

/* The backends' flk_store_open, and the one migration. Errors as there. */
FLK_MUST_CHECK flk_err_t flk_store_memory_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_store_lmdb_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_store_redis_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_store_postgres_open(const flk_store_options_t *options, flk_store_t **store, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_store_postgres_migrate(const flk_store_options_t *options, char told[FLK_STORE_TOLD_BYTES],
                                                    char *errmsg);

#endif
