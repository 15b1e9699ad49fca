/* SPDX-License-Identifier: MIT */
/* Opening: directory, environment, format check, databases. LMDB keeps its default of a full sync at each commit, and
 * publishes a commit to readers after that sync: what a reader sees survives a power cut.
 *
 * Failures: a process that died with a read transaction leaves its slot (mdb_reader_check frees it), one that died with
 * the write lock leaves a robust mutex that the next writer takes over. A meta page that could not be written makes
 * LMDB refuse everything with MDB_PANIC until the environment is opened anew: flk_lmdb_env_reopen. */
#include "worker/lmdb_env.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/io.h"

enum { READERS_MAX = 4096, DATABASES_MAX = 4 };
#define MAP_BYTES_MAX (UINT64_C(1) << 40)
#define FORMAT        "1"

void flk_lmdb_put_time(uint8_t at[FLK_LMDB_EXPIRY_BYTES], int64_t time_ms) {
    uint64_t value = htobe64((uint64_t)time_ms);
    memcpy(at, &value, sizeof value);
}

int64_t flk_lmdb_get_time(const void *at) {
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return (int64_t)be64toh(value);
}

flk_err_t flk_lmdb_err(int rc, const char *step, char *errmsg) {
    if (rc == MDB_SUCCESS) {
        return FLK_OK;
    }
    flk_errmsg(errmsg, "lmdb: %s: %s", step,
               rc == ENOENT ? "the data file was moved or removed: put it back, or restart to begin a new one"
                            : mdb_strerror(rc));
    switch (rc) {
    case ENOMEM:
        return FLK_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
        return FLK_E_NO_SPACE;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
        return FLK_E_CORRUPT;
    case MDB_MAP_RESIZED:
    case MDB_READERS_FULL:
        return FLK_E_UNAVAILABLE;
    default:
        return FLK_E_IO;
    }
}

/* `create` is MDB_CREATE in a write transaction, 0 in a read transaction: then MDB_NOTFOUND asks for the other. */
static int open_databases(flk_lmdb_env_t *env, unsigned create) {
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, create != 0 ? 0 : MDB_RDONLY, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    MDB_val key = {.mv_data = (void *)"format", .mv_size = 6}, format = {.mv_data = (void *)FORMAT, .mv_size = 1};
    if ((rc = mdb_dbi_open(txn, "meta", create, &env->meta)) != MDB_SUCCESS ||
        (rc = mdb_dbi_open(txn, "outcomes", create, &env->outcomes)) != MDB_SUCCESS ||
        (rc = mdb_dbi_open(txn, "expiry", create, &env->expiry)) != MDB_SUCCESS) {
        goto out;
    }
    rc = create != 0 ? mdb_put(txn, env->meta, &key, &format, MDB_NOOVERWRITE) : mdb_get(txn, env->meta, &key, &format);
    if (rc == MDB_KEYEXIST) {
        rc = MDB_SUCCESS;
    }
    if (rc == MDB_SUCCESS && (format.mv_size != 1 || memcmp(format.mv_data, FORMAT, 1) != 0)) {
        rc = MDB_VERSION_MISMATCH;
    }
out:
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn); /* also what keeps handles that a read transaction opened */
}

static int open_mdb(flk_lmdb_env_t *env, char *errmsg) {
    const char *step = "open";
    int rc = mdb_env_create(&env->mdb);
    if (rc != MDB_SUCCESS) {
        env->mdb = NULL;
        (void)flk_lmdb_err(rc, step, errmsg);
        return rc;
    }
    if ((rc = mdb_env_set_mapsize(env->mdb, env->map_bytes)) == MDB_SUCCESS &&
        (rc = mdb_env_set_maxreaders(env->mdb, READERS_MAX)) == MDB_SUCCESS &&
        (rc = mdb_env_set_maxdbs(env->mdb, DATABASES_MAX)) == MDB_SUCCESS &&
        (rc = mdb_env_open(env->mdb, env->dir, MDB_NOTLS, 0600)) == MDB_SUCCESS) {
        step = "open databases";
        int dead;
        (void)mdb_reader_check(env->mdb, &dead); /* slots of killed processes; a failure is met again at their use */
        rc = open_databases(env, 0);
        if (rc == MDB_NOTFOUND) {
            rc = open_databases(env, MDB_CREATE);
        }
    }
    MDB_envinfo info;
    if (rc == MDB_SUCCESS && (rc = mdb_env_info(env->mdb, &info)) == MDB_SUCCESS) {
        env->map_bytes = info.me_mapsize;
        return MDB_SUCCESS;
    }
    (void)flk_lmdb_err(rc, step, errmsg);
    mdb_env_close(env->mdb);
    env->mdb = NULL;
    return rc;
}

flk_err_t flk_lmdb_env_open(flk_lmdb_env_t *env, const char *dir, size_t map_bytes, char *errmsg) {
    *env = (flk_lmdb_env_t){.map_bytes = map_bytes};
    if (snprintf(env->dir, sizeof env->dir, "%s", dir) >= (int)sizeof env->dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is too long");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_mkdirs(dir, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    int rc = open_mdb(env, errmsg);
    if (rc != MDB_SUCCESS) {
        flk_errmsg_prefix(errmsg, dir);
        return flk_lmdb_err(rc, "", NULL);
    }
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    /* Readers follow each other without a gap under load; the map must be able to move nevertheless. */
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&env->map, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    return FLK_OK;
}

void flk_lmdb_env_close(flk_lmdb_env_t *env) {
    FLK_ASSERT(env->readers == NULL);
    if (env->mdb != NULL) {
        mdb_env_close(env->mdb);
    }
    pthread_rwlock_destroy(&env->map);
}

/* ---- reading ---- */

void flk_lmdb_reader_add(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
    pthread_rwlock_wrlock(&env->map);
    reader->txn = NULL;
    reader->next = env->readers;
    env->readers = reader;
    pthread_rwlock_unlock(&env->map);
}

void flk_lmdb_reader_remove(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
    pthread_rwlock_wrlock(&env->map);
    flk_lmdb_reader_t **at = &env->readers;
    while (*at != reader) {
        at = &(*at)->next;
    }
    *at = reader->next;
    if (reader->txn != NULL) {
        mdb_txn_abort(reader->txn);
    }
    pthread_rwlock_unlock(&env->map);
}

int flk_lmdb_read_begin(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
    pthread_rwlock_rdlock(&env->map);
    int rc = MDB_PANIC;
    if (env->mdb != NULL) {
        rc = reader->txn != NULL ? mdb_txn_renew(reader->txn) : mdb_txn_begin(env->mdb, NULL, MDB_RDONLY, &reader->txn);
    }
    if (rc != MDB_SUCCESS) {
        pthread_rwlock_unlock(&env->map);
    }
    return rc;
}

void flk_lmdb_read_end(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
    mdb_txn_reset(reader->txn);
    pthread_rwlock_unlock(&env->map);
}

bool flk_lmdb_env_in_place(const flk_lmdb_env_t *env) {
    char path[sizeof env->dir + 16];
    snprintf(path, sizeof path, "%s/data.mdb", env->dir);
    struct stat ours, there;
    int fd;
    return mdb_env_get_fd(env->mdb, &fd) == MDB_SUCCESS && fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

/* ---- moving the map ---- */

static int set_map(flk_lmdb_env_t *env, size_t map_bytes) {
    pthread_rwlock_wrlock(&env->map);
    int rc = mdb_env_set_mapsize(env->mdb, map_bytes);
    MDB_envinfo info;
    if (rc == MDB_SUCCESS && (rc = mdb_env_info(env->mdb, &info)) == MDB_SUCCESS) {
        env->map_bytes = info.me_mapsize;
    }
    pthread_rwlock_unlock(&env->map);
    return rc;
}

int flk_lmdb_env_adopt(flk_lmdb_env_t *env) {
    return set_map(env, 0);
}

int flk_lmdb_env_grow(flk_lmdb_env_t *env) {
    return env->map_bytes >= MAP_BYTES_MAX ? MDB_MAP_FULL : set_map(env, 2 * env->map_bytes);
}

int flk_lmdb_env_reopen(flk_lmdb_env_t *env) {
    if (env->mdb != NULL && !flk_lmdb_env_in_place(env)) {
        return ENOENT; /* opening would begin an empty one */
    }
    pthread_rwlock_wrlock(&env->map);
    for (flk_lmdb_reader_t *reader = env->readers; reader != NULL; reader = reader->next) {
        if (reader->txn != NULL) {
            mdb_txn_abort(reader->txn);
            reader->txn = NULL;
        }
    }
    if (env->mdb != NULL) {
        mdb_env_close(env->mdb);
    }
    int rc = open_mdb(env, NULL);
    pthread_rwlock_unlock(&env->map);
    return rc;
}
