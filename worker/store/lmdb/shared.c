/* SPDX-License-Identifier: MIT */
/* Opening: index, recent, their formats, compactor, writer. The recent exist and bear their format before the index
 * is given format 2: an index of format 2 whose recent are missing has lost them. An index of format 1 is read as it
 * is, once no process of an earlier version, which would not see the recent, has it open any more. */
#include "worker/store/lmdb/shared.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/machine.h"

enum {
    KEEP_PARTS = 32, /* with LIMIT_FACTOR a quarter of the memory at most */
    KEEP_BYTES = 16 << 20,
    LIMIT_FACTOR = 8,
    RECENT_MAP_BYTES = 16 << 20, /* at first */
    UPGRADE_TRIES = 40,          /* another process may be upgrading, too */
    UPGRADE_MS = 50,             /* between them */
};

static flk_err_t open_index(flk_lmdb_env_t *index, const char *dir, size_t map_bytes, char *errmsg) {
    for (int tries = 0;; tries++) {
        flk_err_t err = flk_lmdb_env_open(index, FLK_LMDB_INDEX, dir, map_bytes, errmsg);
        if (err != FLK_OK || index->format != '1' || !index->elsewhere) {
            return err;
        }
        flk_lmdb_env_close(index);
        if (tries == UPGRADE_TRIES) {
            flk_errmsg(errmsg, "%s: a process of an earlier version has it open: stop it first", dir);
            return FLK_E_LOCKED;
        }
        poll(NULL, 0, UPGRADE_MS);
    }
}

static flk_err_t open_recent(flk_lmdb_shared_t *shared, const char *dir, size_t map_bytes, char *errmsg) {
    char recent_dir[sizeof shared->index.dir + 8];
    snprintf(recent_dir, sizeof recent_dir, "%s/recent", dir);
    flk_err_t err = flk_lmdb_recent_open(&shared->recent, recent_dir, map_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (shared->recent.env.format == '\0' && shared->index.format == '2') {
        flk_errmsg(errmsg, "%s is missing: put it back, for there are outcomes nowhere else", recent_dir);
        err = FLK_E_CORRUPT;
    }
    if (err != FLK_OK || (err = flk_lmdb_env_stamp(&shared->recent.env, errmsg)) != FLK_OK ||
        (err = flk_lmdb_env_stamp(&shared->index, errmsg)) != FLK_OK) {
        flk_lmdb_recent_close(&shared->recent);
    }
    return err;
}

static flk_err_t start_threads(flk_lmdb_shared_t *shared, const flk_store_options_t *options, char *errmsg) {
    size_t keep_bytes =
        options->lmdb_recent_bytes != 0 ? options->lmdb_recent_bytes : flk_machine_share_bytes(KEEP_PARTS, KEEP_BYTES);
    flk_store_clock_fn *clock = options->clock != NULL ? options->clock : flk_wall_ms;
    flk_err_t err =
        flk_lmdb_compactor_start(&shared->recent, &shared->index, clock, keep_bytes, &shared->compactor, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const flk_lmdb_writer_options_t writer_options = {
        .recent = &shared->recent,
        .index = &shared->index,
        .compactor = shared->compactor,
        .keep_bytes = keep_bytes,
        .limit_bytes = LIMIT_FACTOR * keep_bytes,
    };
    err = flk_lmdb_writer_start(&writer_options, &shared->writer, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(flk_lmdb_compactor_stop(&shared->compactor, UINT32_MAX)); /* it is idle */
    }
    return err;
}

static flk_err_t open_shared(const flk_store_options_t *options, const char *dir, flk_store_shared_t **out,
                             char *errmsg) {
    flk_lmdb_shared_t *shared = calloc(1, sizeof *shared);
    if (shared == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    snprintf(shared->base.dir, sizeof shared->base.dir, "%s", dir);
    flk_err_t err = open_index(&shared->index, dir, options->lmdb_map_bytes, errmsg);
    if (err == FLK_OK) {
        size_t map_bytes = options->lmdb_map_bytes < RECENT_MAP_BYTES ? options->lmdb_map_bytes : RECENT_MAP_BYTES;
        err = open_recent(shared, dir, map_bytes, errmsg);
        if (err == FLK_OK && (err = start_threads(shared, options, errmsg)) != FLK_OK) {
            flk_lmdb_recent_close(&shared->recent);
        }
        if (err != FLK_OK) {
            flk_lmdb_env_close(&shared->index);
        }
    }
    if (err != FLK_OK) {
        free(shared);
        return err;
    }
    *out = &shared->base;
    return FLK_OK;
}

static void close_shared(flk_store_shared_t *base, uint64_t timeout_ms) {
    flk_lmdb_shared_t *shared = (flk_lmdb_shared_t *)base;
    if (!flk_lmdb_writer_stop(&shared->writer, timeout_ms) ||
        !flk_lmdb_compactor_stop(&shared->compactor, timeout_ms)) {
        flk_log(FLK_LOG_WARN, "store_left_open", FLK_S("store", "lmdb"),
                FLK_S("reason", "one of its threads waits for the disk or for a lock; it ends with the process"));
        return;
    }
    flk_lmdb_recent_close(&shared->recent);
    flk_lmdb_env_close(&shared->index);
    free(shared);
}

static flk_store_registry_t registry = {.mutex = PTHREAD_MUTEX_INITIALIZER, .open = open_shared, .close = close_shared};

flk_err_t flk_lmdb_shared_acquire(const flk_store_options_t *options, flk_lmdb_shared_t **out, char *errmsg) {
    flk_store_shared_t *base;
    flk_err_t err = flk_store_registry_acquire(&registry, options, "store/lmdb", &base, errmsg);
    if (err == FLK_OK) {
        *out = (flk_lmdb_shared_t *)base;
    }
    return err;
}

void flk_lmdb_shared_release(flk_lmdb_shared_t *shared, uint64_t timeout_ms) {
    flk_store_registry_release(&registry, &shared->base, timeout_ms);
}
