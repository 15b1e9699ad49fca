/* SPDX-License-Identifier: MIT */
/* The memory store: one hash table for the threads of one process, with a snapshot in data_dir/store.
 *
 *   open    the first store on a directory takes its lock, loads the snapshot and starts the snapshot thread;
 *           further ones share it
 *   put     straight into the table: an outcome survives a restart once a snapshot holds it
 *   thread  writes the snapshot each period when something changed
 *   close   the last one stops the thread, writes the snapshot and gives the lock back
 *
 * The table takes half of the memory that the process may use; then puts are refused until outcomes expire.
 *
 * A process that is killed loses its puts since its last snapshot: that is this backend's promise, and why lmdb is the
 * default. A second process on the directory is refused: it would decide first writes on its own. A snapshot that
 * cannot be written is logged at each period and tried again; puts go on. A damaged one stops the start. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/thread.h"
#include "worker/store/memory/snapshot.h"
#include "worker/store/registry.h"

enum { SWEEP_BUCKETS = 256 };

struct shared {
    flk_store_shared_t base;
    bool read_only; /* neither lock nor thread: another process owns the directory */
    int lock_fd;
    uint64_t snapshot_ms;
    uint64_t changes_written; /* flk_table_changes that the file holds */
    flk_table_t *table;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards stop */
    pthread_cond_t wake;
    bool stop;
    char path[FLK_STORE_DIR_BYTES + 32], lock_path[FLK_STORE_DIR_BYTES + 32];
};

struct memory_store {
    flk_store_t base;
    struct shared *shared;
    uint64_t swept_ms;
};

/* ---- shared ---- */

static void snapshot(struct shared *shared) {
    uint64_t changes = flk_table_changes(shared->table);
    char errmsg[FLK_ERRMSG_BYTES];
    if (changes == shared->changes_written) {
        return;
    }
    if (flk_snapshot_write(shared->table, shared->base.dir, shared->path, errmsg) == FLK_OK) {
        shared->changes_written = changes;
    } else {
        flk_log(FLK_LOG_ERROR, "store_snapshot_failed", FLK_S("store", "memory"), FLK_S("error", errmsg));
    }
}

/* Waits for the period to pass; false when it is time to stop. */
static bool wait_period(struct shared *shared) {
    uint64_t until_ms = flk_mono_ms() + shared->snapshot_ms;
    pthread_mutex_lock(&shared->mutex);
    while (!shared->stop && flk_cond_wait_until(&shared->wake, &shared->mutex, until_ms)) {
    }
    bool go_on = !shared->stop;
    pthread_mutex_unlock(&shared->mutex);
    return go_on;
}

static void *snapshot_main(void *arg) {
    struct shared *shared = arg;
    while (wait_period(shared)) {
        snapshot(shared);
    }
    return NULL;
}

static flk_err_t take_lock(struct shared *shared, const char *data_dir, char *errmsg) {
    flk_err_t err = flk_io_open(shared->lock_path, O_RDWR | O_CREAT, &shared->lock_fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (flock(shared->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return FLK_OK;
    }
    if (errno == EWOULDBLOCK) {
        flk_errmsg(errmsg,
                   "DEDUP_BACKEND=memory serves one process, and another one uses %s: set DEDUP_BACKEND=lmdb, or "
                   "FLK_DATA_DIR to a directory of its own",
                   data_dir);
        return FLK_E_LOCKED;
    }
    flk_errmsg(errmsg, "%s: %s", shared->lock_path, strerror(errno));
    return FLK_E_IO;
}

static flk_err_t load(struct shared *shared, int64_t now_ms, char *errmsg) {
    flk_err_t err = flk_snapshot_load(shared->table, shared->path, now_ms, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        return FLK_OK;
    }
    if (err == FLK_E_CORRUPT) {
        size_t len = strlen(errmsg);
        snprintf(errmsg + len, FLK_ERRMSG_BYTES - len, ": restore it, or move it away to start without its outcomes");
    }
    shared->changes_written = flk_table_changes(shared->table);
    return err;
}

static void shared_free(struct shared *shared) {
    if (shared->lock_fd >= 0) {
        close(shared->lock_fd); /* gives the lock back */
    }
    flk_table_destroy(&shared->table);
    free(shared);
}

static flk_err_t start_thread(struct shared *shared, char *errmsg) {
    flk_cond_init(&shared->wake);
    pthread_mutex_init(&shared->mutex, NULL);
    return flk_thread_start(&shared->thread, "flk-snapshot", snapshot_main, shared, errmsg);
}

static flk_err_t open_shared(const flk_store_options_t *options, const char *dir, flk_store_shared_t **out,
                             char *errmsg) {
    struct shared *shared = calloc(1, sizeof *shared);
    flk_table_t *table = flk_table_new(options->memory_bytes_max != 0 ? options->memory_bytes_max
                                                                      : flk_machine_share_bytes(2, UINT64_MAX));
    if (shared == NULL || table == NULL) {
        flk_table_destroy(&table);
        free(shared);
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    shared->table = table;
    shared->lock_fd = -1;
    shared->snapshot_ms = options->snapshot_ms;
    snprintf(shared->base.dir, sizeof shared->base.dir, "%s", dir);
    shared->read_only = options->read_only;
    snprintf(shared->path, sizeof shared->path, "%s/memory.snapshot", dir);
    snprintf(shared->lock_path, sizeof shared->lock_path, "%s/memory.lock", dir);
    flk_err_t err = shared->read_only ? FLK_OK : flk_io_mkdirs(dir, errmsg);
    if (err == FLK_OK && !shared->read_only) {
        err = take_lock(shared, options->data_dir, errmsg);
    }
    if (err == FLK_OK) {
        err = load(shared, options->clock != NULL ? options->clock() : flk_wall_ms(), errmsg);
    }
    if (err == FLK_OK && !shared->read_only) {
        err = start_thread(shared, errmsg);
    }
    if (err != FLK_OK) {
        shared_free(shared);
        return err;
    }
    *out = &shared->base;
    return FLK_OK;
}

static void stop_thread(struct shared *shared) {
    pthread_mutex_lock(&shared->mutex);
    shared->stop = true;
    pthread_cond_signal(&shared->wake);
    pthread_mutex_unlock(&shared->mutex);
    pthread_join(shared->thread, NULL);
    pthread_cond_destroy(&shared->wake);
    pthread_mutex_destroy(&shared->mutex);
}

static void close_shared(flk_store_shared_t *base, uint64_t timeout_ms) {
    struct shared *shared = (struct shared *)base;
    (void)timeout_ms;
    if (!shared->read_only) {
        stop_thread(shared);
        snapshot(shared);
    }
    shared_free(shared);
}

static flk_store_registry_t registry = {.mutex = PTHREAD_MUTEX_INITIALIZER, .open = open_shared, .close = close_shared};

/* ---- store ---- */

static const char full[] =
    "outcomes fill half of this process's memory: set DEDUP_BACKEND=lmdb, or FLK_DEDUP_TTL_S lower";

static flk_err_t memory_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    (void)errmsg;
    struct memory_store *store = (struct memory_store *)base;
    int64_t now_ms = base->clock();
    for (size_t i = 0; i < items_len; i++) {
        flk_table_get(store->shared->table, items[i], now_ms);
    }
    return FLK_OK;
}

static flk_err_t memory_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct memory_store *store = (struct memory_store *)base;
    int64_t now_ms = base->clock();
    if (store->shared->read_only) {
        flk_errmsg(errmsg, "memory: this is a look at another process's snapshot");
        return FLK_E_UNAVAILABLE;
    }
    for (size_t i = 0; i < items_len; i++) {
        flk_err_t err =
            flk_table_put(store->shared->table, items[i], now_ms, now_ms + (int64_t)flk_store_ttl_ms(base, items[i]));
        if (err != FLK_OK) {
            flk_errmsg(errmsg, "%s", err == FLK_E_NO_SPACE ? full : "out of memory");
            return err;
        }
    }
    return FLK_OK;
}

static flk_err_t memory_health(flk_store_t *base, char *errmsg) {
    if (flk_table_is_full(((struct memory_store *)base)->shared->table)) {
        flk_errmsg(errmsg, "%s", full);
        return FLK_E_NO_SPACE;
    }
    return FLK_OK;
}

/* One thread goes through the buckets of a million entries within a quarter of an hour. */
static void memory_tick(flk_store_t *base, uint64_t mono_ms) {
    struct memory_store *store = (struct memory_store *)base;
    if (mono_ms - store->swept_ms >= 100) {
        store->swept_ms = mono_ms;
        flk_table_sweep(store->shared->table, base->clock(), SWEEP_BUCKETS);
    }
}

struct view {
    flk_store_visit_fn *visit;
    void *arg;
    int64_t now_ms;
};

static bool visit_entry(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                        int64_t expires_ms) {
    const struct view *view = arg;
    return expires_ms <= view->now_ms || view->visit(view->arg, key, value, value_bytes, expires_ms);
}

static flk_err_t memory_visit(flk_store_t *base, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    struct view view = {.visit = visit, .arg = arg, .now_ms = base->clock()};
    flk_table_t *table = ((struct memory_store *)base)->shared->table;
    (void)errmsg;
    for (size_t shard = 0; shard < FLK_TABLE_SHARDS && flk_table_visit(table, shard, visit_entry, &view); shard++) {
    }
    return FLK_OK;
}

static bool add_bytes(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                      int64_t expires_ms) {
    (void)key;
    (void)value;
    (void)expires_ms;
    *(uint64_t *)arg += FLK_STORE_KEY_BYTES + value_bytes;
    return true;
}

static flk_err_t memory_measure(flk_store_t *base, flk_store_part_fn *part, void *arg, char *errmsg) {
    flk_table_t *table = ((struct memory_store *)base)->shared->table;
    uint64_t bytes = 0;
    (void)errmsg;
    for (size_t shard = 0; shard < FLK_TABLE_SHARDS; shard++) {
        (void)flk_table_visit(table, shard, add_bytes, &bytes);
    }
    part(arg, "table", flk_table_len(table), bytes);
    return FLK_OK;
}

static void memory_close(flk_store_t *base) {
    struct memory_store *store = (struct memory_store *)base;
    flk_store_registry_release(&registry, &store->shared->base, base->timeout_ms);
    free(store);
}

static const flk_store_ops_t memory_ops = {
    .name = "memory",
    .close = memory_close,
    .lookup = memory_lookup,
    .put = memory_put,
    .health = memory_health,
    .tick = memory_tick,
    .visit = memory_visit,
    .measure = memory_measure,
};

flk_err_t flk_store_memory_open(const flk_store_options_t *options, flk_store_t **out, char *errmsg) {
    struct memory_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_store_shared_t *shared;
    flk_err_t err = flk_store_registry_acquire(&registry, options, "store", &shared, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store memory");
        free(store);
        return err;
    }
    store->base.ops = &memory_ops;
    store->shared = (struct shared *)shared;
    *out = &store->base;
    return FLK_OK;
}
