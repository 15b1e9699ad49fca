/* SPDX-License-Identifier: MIT */
/* Opening: index, recent, their formats, compactor, writer. The recent exist and bear their format before the index is given
 * format 2: an index of format 2 whose recent are missing has lost them. An index of format 1 is read as it is, once no
 * process of an earlier version, which would not see the recent, has it open any more. */
#include "worker/store/lmdb/shared.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

enum {
    KEEP_BYTES = 16 << 20,
    LIMIT_FACTOR = 8,
    RECENT_MAP_BYTES = 16 << 20, /* at first */
    UPGRADE_TRIES = 40,          /* another process may be upgrading, too */
    UPGRADE_MS = 50,             /* between them */
};

static pthread_mutex_t homes_mutex = PTHREAD_MUTEX_INITIALIZER;
static flk_lmdb_home_t *homes;

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

static flk_err_t open_recent(flk_lmdb_home_t *home, const char *dir, size_t map_bytes, char *errmsg) {
    char recent_dir[sizeof home->index.dir + 8];
    snprintf(recent_dir, sizeof recent_dir, "%s/recent", dir);
    flk_err_t err = flk_lmdb_recent_open(&home->recent, recent_dir, map_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (home->recent.env.format == '\0' && home->index.format == '2') {
        flk_errmsg(errmsg, "%s is missing: put it back, for there are outcomes nowhere else", recent_dir);
        err = FLK_E_CORRUPT;
    }
    if (err != FLK_OK || (err = flk_lmdb_env_stamp(&home->recent.env, errmsg)) != FLK_OK ||
        (err = flk_lmdb_env_stamp(&home->index, errmsg)) != FLK_OK) {
        flk_lmdb_recent_close(&home->recent);
    }
    return err;
}

static flk_err_t start_threads(flk_lmdb_home_t *home, const flk_store_options_t *options, char *errmsg) {
    size_t keep_bytes = options->lmdb_keep_bytes != 0 ? options->lmdb_keep_bytes : KEEP_BYTES;
    flk_store_clock_fn *clock = options->clock != NULL ? options->clock : flk_wall_ms;
    flk_err_t err = flk_lmdb_compactor_start(&home->recent, &home->index, clock, keep_bytes, &home->compactor, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const flk_lmdb_writer_options_t writer_options = {
        .recent = &home->recent,
        .index = &home->index,
        .compactor = home->compactor,
        .keep_bytes = keep_bytes,
        .limit_bytes = LIMIT_FACTOR * keep_bytes,
    };
    err = flk_lmdb_writer_start(&writer_options, &home->writer, errmsg);
    if (err != FLK_OK) {
        FLK_ASSERT(flk_lmdb_compactor_stop(&home->compactor, UINT32_MAX)); /* it is idle */
    }
    return err;
}

static flk_err_t home_open(const flk_store_options_t *options, const char *dir, flk_lmdb_home_t **out, char *errmsg) {
    flk_lmdb_home_t *home = calloc(1, sizeof *home);
    if (home == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = open_index(&home->index, dir, options->lmdb_map_bytes, errmsg);
    if (err == FLK_OK) {
        size_t map_bytes = options->lmdb_map_bytes < RECENT_MAP_BYTES ? options->lmdb_map_bytes : RECENT_MAP_BYTES;
        err = open_recent(home, dir, map_bytes, errmsg);
        if (err == FLK_OK && (err = start_threads(home, options, errmsg)) != FLK_OK) {
            flk_lmdb_recent_close(&home->recent);
        }
        if (err != FLK_OK) {
            flk_lmdb_env_close(&home->index);
        }
    }
    if (err != FLK_OK) {
        free(home);
        return err;
    }
    *out = home;
    return FLK_OK;
}

flk_err_t flk_lmdb_home_acquire(const flk_store_options_t *options, flk_lmdb_home_t **out, char *errmsg) {
    char dir[sizeof homes->index.dir - 16];
    if (snprintf(dir, sizeof dir, "%s/store/lmdb", options->data_dir) >= (int)sizeof dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than %zu bytes", sizeof dir - 16);
        return FLK_E_CONFIG;
    }
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&homes_mutex);
    flk_lmdb_home_t *home = homes;
    while (home != NULL && strcmp(home->index.dir, dir) != 0) {
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

static void home_close(flk_lmdb_home_t *home, uint64_t timeout_ms) {
    if (!flk_lmdb_writer_stop(&home->writer, timeout_ms) || !flk_lmdb_compactor_stop(&home->compactor, timeout_ms)) {
        flk_log(FLK_LOG_WARN, "store_left_open", FLK_S("store", "lmdb"),
                FLK_S("reason", "a thread of its waits for the disk or for a lock; it ends with the process"));
        return;
    }
    flk_lmdb_recent_close(&home->recent);
    flk_lmdb_env_close(&home->index);
    free(home);
}

void flk_lmdb_home_release(flk_lmdb_home_t *home, uint64_t timeout_ms) {
    pthread_mutex_lock(&homes_mutex);
    if (--home->stores == 0) {
        flk_lmdb_home_t **at = &homes;
        while (*at != home) {
            at = &(*at)->next;
        }
        *at = home->next;
        home_close(home, timeout_ms);
    }
    pthread_mutex_unlock(&homes_mutex);
}
