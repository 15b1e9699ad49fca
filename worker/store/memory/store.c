/* SPDX-License-Identifier: MIT */
/* The memory store: one hash table for the threads of one process, with a snapshot in data_dir/store.
 *
 *   open    the first store on a directory takes its lock, loads the snapshot and starts the snapshot thread ("home");
 *           further ones share it
 *   put     straight into the table: an outcome survives a restart once a snapshot holds it
 *   thread  writes the snapshot each period when something changed
 *   close   the last one stops the thread, writes the snapshot and gives the lock back
 *
 * A process that is killed loses what it put since its last snapshot: that is this backend's promise, and why lmdb
 * is the default. A second process on the directory is refused: it would decide first writes on its own. A snapshot that
 * cannot be written is logged at each period and tried again; puts go on. A damaged one stops the start. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "worker/store/memory/snapshot.h"

enum { SWEEP_BUCKETS = 256 };

struct home {
    struct home *next;
    unsigned stores;
    bool read_only; /* neither lock nor thread: another process owns the directory */
    int lock_fd;
    uint64_t snapshot_ms;
    uint64_t changes_written; /* flk_table_changes that the file holds */
    flk_table_t *table;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards stop */
    pthread_cond_t wake;
    bool stop;
    char dir[2048], path[2064], lock_path[2064];
};

struct memory_store {
    flk_store_t base;
    struct home *home;
    uint64_t swept_ms;
};

static pthread_mutex_t homes_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct home *homes; /* of this process */

/* ---- home ---- */

static void snapshot(struct home *home) {
    uint64_t changes = flk_table_changes(home->table);
    char errmsg[FLK_ERRMSG_BYTES];
    if (changes == home->changes_written) {
        return;
    }
    if (flk_snapshot_write(home->table, home->dir, home->path, errmsg) == FLK_OK) {
        home->changes_written = changes;
    } else {
        flk_log(FLK_LOG_ERROR, "store_snapshot_failed", FLK_S("store", "memory"), FLK_S("error", errmsg));
    }
}

/* Waits for the period to pass; false when it is time to stop. */
static bool wait_period(struct home *home) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(home->snapshot_ms % 1000) * 1000000;
    until.tv_sec += (time_t)(home->snapshot_ms / 1000) + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&home->mutex);
    while (!home->stop && pthread_cond_timedwait(&home->wake, &home->mutex, &until) != ETIMEDOUT) {
    }
    bool go_on = !home->stop;
    pthread_mutex_unlock(&home->mutex);
    return go_on;
}

static void *snapshot_main(void *arg) {
    struct home *home = arg;
    while (wait_period(home)) {
        snapshot(home);
    }
    return NULL;
}

static flk_err_t take_lock(struct home *home, const char *data_dir, char *errmsg) {
    flk_err_t err = flk_io_open(home->lock_path, O_RDWR | O_CREAT, &home->lock_fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (flock(home->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        return FLK_OK;
    }
    if (errno == EWOULDBLOCK) {
        flk_errmsg(errmsg,
                   "DEDUP_BACKEND=memory serves one process, and another one uses %s: set DEDUP_BACKEND=lmdb, or "
                   "FLK_DATA_DIR to a directory of its own",
                   data_dir);
        return FLK_E_LOCKED;
    }
    flk_errmsg(errmsg, "%s: %s", home->lock_path, strerror(errno));
    return FLK_E_IO;
}

static flk_err_t load(struct home *home, int64_t now_ms, char *errmsg) {
    flk_err_t err = flk_snapshot_load(home->table, home->path, now_ms, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        return FLK_OK;
    }
    if (err == FLK_E_CORRUPT) {
        size_t len = strlen(errmsg);
        snprintf(errmsg + len, FLK_ERRMSG_BYTES - len, ": restore it, or move it away to start without its outcomes");
    }
    home->changes_written = flk_table_changes(home->table);
    return err;
}

static void home_free(struct home *home) {
    if (home->lock_fd >= 0) {
        close(home->lock_fd); /* gives the lock back */
    }
    flk_table_destroy(&home->table);
    free(home);
}

static flk_err_t start_thread(struct home *home, char *errmsg) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&home->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_mutex_init(&home->mutex, NULL);
    int rc = pthread_create(&home->thread, NULL, snapshot_main, home);
    if (rc != 0) {
        flk_errmsg(errmsg, "cannot start the snapshot thread: %s", strerror(rc));
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}

static flk_err_t home_open(const flk_store_options_t *options, const char *dir, struct home **out, char *errmsg) {
    struct home *home = calloc(1, sizeof *home);
    flk_table_t *table = flk_table_new();
    if (home == NULL || table == NULL) {
        flk_table_destroy(&table);
        free(home);
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    home->table = table;
    home->lock_fd = -1;
    home->snapshot_ms = options->snapshot_ms;
    home->read_only = options->read_only;
    snprintf(home->dir, sizeof home->dir, "%s", dir);
    snprintf(home->path, sizeof home->path, "%s/memory.snapshot", dir);
    snprintf(home->lock_path, sizeof home->lock_path, "%s/memory.lock", dir);
    flk_err_t err = home->read_only ? FLK_OK : flk_io_mkdirs(dir, errmsg);
    if (err == FLK_OK && !home->read_only) {
        err = take_lock(home, options->data_dir, errmsg);
    }
    if (err == FLK_OK) {
        err = load(home, options->clock != NULL ? options->clock() : flk_wall_ms(), errmsg);
    }
    if (err == FLK_OK && !home->read_only) {
        err = start_thread(home, errmsg);
    }
    if (err != FLK_OK) {
        home_free(home);
        return err;
    }
    *out = home;
    return FLK_OK;
}

static flk_err_t home_acquire(const flk_store_options_t *options, struct home **out, char *errmsg) {
    char dir[sizeof homes->dir];
    if (snprintf(dir, sizeof dir, "%s/store", options->data_dir) >= (int)sizeof dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than %zu bytes", sizeof dir - 8);
        return FLK_E_CONFIG;
    }
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&homes_mutex);
    struct home *home = homes;
    while (home != NULL && strcmp(home->dir, dir) != 0) {
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

static void stop_thread(struct home *home) {
    pthread_mutex_lock(&home->mutex);
    home->stop = true;
    pthread_cond_signal(&home->wake);
    pthread_mutex_unlock(&home->mutex);
    pthread_join(home->thread, NULL);
    pthread_cond_destroy(&home->wake);
    pthread_mutex_destroy(&home->mutex);
}

static void home_release(struct home *home) {
    pthread_mutex_lock(&homes_mutex);
    if (--home->stores == 0) {
        struct home **at = &homes;
        while (*at != home) {
            at = &(*at)->next;
        }
        *at = home->next;
        if (!home->read_only) {
            stop_thread(home);
            snapshot(home);
        }
        home_free(home);
    }
    pthread_mutex_unlock(&homes_mutex);
}

/* ---- store ---- */

static flk_err_t memory_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    (void)errmsg;
    struct memory_store *store = (struct memory_store *)base;
    int64_t now_ms = base->clock();
    for (size_t i = 0; i < items_len; i++) {
        flk_table_get(store->home->table, items[i], now_ms);
    }
    return FLK_OK;
}

static flk_err_t memory_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct memory_store *store = (struct memory_store *)base;
    int64_t now_ms = base->clock();
    if (store->home->read_only) {
        flk_errmsg(errmsg, "memory: this is a look at another process's snapshot");
        return FLK_E_UNAVAILABLE;
    }
    for (size_t i = 0; i < items_len; i++) {
        flk_err_t err =
            flk_table_put(store->home->table, items[i], now_ms, now_ms + (int64_t)flk_store_ttl_ms(base, items[i]));
        if (err != FLK_OK) {
            flk_errmsg(errmsg, "out of memory");
            return err;
        }
    }
    return FLK_OK;
}

static flk_err_t memory_health(flk_store_t *base, char *errmsg) {
    (void)base;
    (void)errmsg;
    return FLK_OK;
}

/* One thread goes through the buckets of a million entries within a quarter of an hour. */
static void memory_tick(flk_store_t *base, uint64_t mono_ms) {
    struct memory_store *store = (struct memory_store *)base;
    if (mono_ms - store->swept_ms >= 100) {
        store->swept_ms = mono_ms;
        flk_table_sweep(store->home->table, base->clock(), SWEEP_BUCKETS);
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
    flk_table_t *table = ((struct memory_store *)base)->home->table;
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
    flk_table_t *table = ((struct memory_store *)base)->home->table;
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
    home_release(store->home);
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
    flk_err_t err = home_acquire(options, &store->home, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store memory");
        free(store);
        return err;
    }
    store->base.ops = &memory_ops;
    *out = &store->base;
    return FLK_OK;
}
