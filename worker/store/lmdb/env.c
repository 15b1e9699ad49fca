/* SPDX-License-Identifier: MIT */
/* Opening: directory, environment, format check, databases. LMDB keeps its default of a full sync at each commit, and
 * publishes a commit to readers after that sync: each record that a reader sees survives a power cut.
 *
 * Failures: a process that died with a read transaction leaves its slot (mdb_reader_check frees it), one that died with
 * the write lock leaves a robust mutex that the next writer takes over. MDB_MAP_RESIZED (another process grew the map):
 * adopt. MDB_MAP_FULL: free the slots of dead readers, grow. MDB_PANIC (a meta page could not be written): open anew.
 * LMDB's write lock has no deadline: while a stopped process holds it, writers wait. Killing that process, as a
 * liveness probe does, passes the lock on. */
#include "worker/store/lmdb/env.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/bytes.h"
#include "common/io.h"
#include "common/log.h"
#include "common/thread.h"

enum {
    READERS_MAX = 4096,
    DATABASES_MAX = 4,
    ATTEMPTS_MAX = 12, /* of one write; each but the last grew, adopted or reopened */
    READER_CHECK_MS = 10000,
    FOREIGN_FORMAT = MDB_LAST_ERRCODE + 100, /* an error of ours among LMDB's */
};
#define MAP_BYTES_MAX (UINT64_C(1) << 40)

#define FORMAT_KEY ((MDB_val){.mv_data = (void *)(uintptr_t) "format", .mv_size = 6})

/* The one that is written, then those that are read as well. */
static const char *const formats[] = {[FLK_LMDB_INDEX] = "21", [FLK_LMDB_RECENT] = "1"};

void flk_lmdb_put_time(uint8_t at[FLK_LMDB_EXPIRY_BYTES], int64_t time_ms) {
    flk_put_be64(at, (uint64_t)time_ms);
}

int64_t flk_lmdb_get_time(const void *at) {
    return (int64_t)flk_get_be64(at);
}

static const char *text_of(int rc) {
    switch (rc) {
    case ENOENT:
        return "the data file was moved or removed: put it back, or restart to begin a new one";
    case EAGAIN:
        return "too much waits to be moved to the index: see store_not_compacted in the workers' logs";
    case FOREIGN_FORMAT:
        return "outcomes in a format that this version does not know: run the version that wrote them";
    case MDB_VERSION_MISMATCH:
        return "another build of liblmdb made the files or has them open: stop every worker of this directory, then "
               "start "
               "workers of one build; `flk store export` and `import` move outcomes between builds";
    default:
        return mdb_strerror(rc);
    }
}

flk_err_t flk_lmdb_err(int rc, const char *step, char *errmsg) {
    if (rc == MDB_SUCCESS) {
        return FLK_OK;
    }
    flk_errmsg(errmsg, "lmdb: %s: %s", step, text_of(rc));
    switch (rc) {
    case MDB_VERSION_MISMATCH:
        return FLK_E_LOCKED;
    case ENOMEM:
        return FLK_E_NOMEM;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case MDB_MAP_FULL:
        return FLK_E_NO_SPACE;
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case FOREIGN_FORMAT:
        return FLK_E_CORRUPT;
    case MDB_MAP_RESIZED:
    case MDB_READERS_FULL:
    case ETIMEDOUT:
    case EAGAIN:
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
    rc = mdb_dbi_open(txn, "meta", create, &env->meta);
    if (rc == MDB_SUCCESS && env->kind == FLK_LMDB_RECENT) {
        rc = mdb_dbi_open(txn, "batches", create | MDB_INTEGERKEY, &env->batches);
    } else if (rc == MDB_SUCCESS && (rc = mdb_dbi_open(txn, "outcomes", create, &env->outcomes)) == MDB_SUCCESS) {
        rc = mdb_dbi_open(txn, "expiry", create, &env->expiry);
    }
    MDB_val key = FORMAT_KEY, format;
    if (rc == MDB_SUCCESS && (rc = mdb_get(txn, env->meta, &key, &format)) == MDB_SUCCESS) {
        env->format = format.mv_size == 1 ? *(const char *)format.mv_data : '?';
        rc = strchr(formats[env->kind], env->format) != NULL ? MDB_SUCCESS : FOREIGN_FORMAT;
    } else if (rc == MDB_NOTFOUND && create != 0) {
        env->format = '\0';
        rc = MDB_SUCCESS;
    }
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn); /* a commit also keeps handles that a read transaction opened */
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

/* LMDB holds a lock on the first byte of its lock file as long as it is open. To be asked before this process opens it:
 * closing a descriptor of that file gives its locks up. */
static bool is_open_elsewhere(const char *dir) {
    char path[sizeof((flk_lmdb_env_t *)0)->dir + 16];
    snprintf(path, sizeof path, "%s/lock.mdb", dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
    bool held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return held;
}

flk_err_t flk_lmdb_env_open(flk_lmdb_env_t *env, flk_lmdb_kind_t kind, const char *dir, size_t map_bytes,
                            char *errmsg) {
    *env = (flk_lmdb_env_t){.kind = kind, .map_bytes = map_bytes, .readers_checked_ms = flk_mono_ms()};
    if (snprintf(env->dir, sizeof env->dir, "%s", dir) >= (int)sizeof env->dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is too long");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_mkdirs(dir, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    env->elsewhere = is_open_elsewhere(dir);
    int rc = open_mdb(env, errmsg);
    if (rc != MDB_SUCCESS) {
        flk_errmsg_prefix(errmsg, dir);
        return flk_lmdb_err(rc, "", NULL);
    }
    pthread_mutex_init(&env->writing, NULL);
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
    pthread_mutex_destroy(&env->writing);
}

static int put_format(void *arg, MDB_txn *txn) {
    const flk_lmdb_env_t *env = arg;
    MDB_val key = FORMAT_KEY, format = {.mv_data = (void *)(uintptr_t)formats[env->kind], .mv_size = 1};
    return mdb_put(txn, env->meta, &key, &format, 0);
}

flk_err_t flk_lmdb_env_stamp(flk_lmdb_env_t *env, char *errmsg) {
    return env->format == *formats[env->kind]
               ? FLK_OK
               : flk_lmdb_err(flk_lmdb_write(env, put_format, env), "write the format", errmsg);
}

/* ---- moving the map; `writing` is held, and no transaction of this thread is open ---- */

static bool in_place(const flk_lmdb_env_t *env) {
    char path[sizeof env->dir + 16];
    snprintf(path, sizeof path, "%s/data.mdb", env->dir);
    struct stat ours, there;
    int fd;
    return mdb_env_get_fd(env->mdb, &fd) == MDB_SUCCESS && fstat(fd, &ours) == 0 && stat(path, &there) == 0 &&
           ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

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

static int reopen(flk_lmdb_env_t *env) {
    if (env->mdb != NULL && !in_place(env)) {
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

static void check_readers(flk_lmdb_env_t *env) {
    int dead = 0;
    if (env->mdb != NULL && mdb_reader_check(env->mdb, &dead) == MDB_SUCCESS && dead > 0) {
        flk_log(FLK_LOG_INFO, "store_readers_freed", FLK_S("store", "lmdb"), FLK_I("readers", dead));
    }
    env->readers_checked_ms = flk_mono_ms();
}

/* Makes another attempt worth while, or gives the error back. */
static int mend(flk_lmdb_env_t *env, int rc) {
    switch (rc) {
    case MDB_MAP_RESIZED:
        return set_map(env, 0);
    case MDB_MAP_FULL:
        check_readers(env);
        if (env->map_bytes >= MAP_BYTES_MAX) {
            return rc;
        }
        rc = set_map(env, 2 * env->map_bytes);
        flk_log(FLK_LOG_INFO, "store_map_grown", FLK_S("store", "lmdb"), FLK_U("map_bytes", env->map_bytes));
        return rc;
    case MDB_PANIC:
        rc = reopen(env);
        flk_log(FLK_LOG_WARN, "store_reopened", FLK_S("store", "lmdb"), FLK_S("result", mdb_strerror(rc)));
        return rc;
    default:
        return rc;
    }
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

static int begin_read(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
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

int flk_lmdb_read_begin(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t timeout_ms) {
    int rc = begin_read(env, reader);
    if (rc != MDB_MAP_RESIZED && rc != MDB_PANIC) {
        return rc;
    }
    struct timespec until = flk_time_in_ms(CLOCK_REALTIME, timeout_ms);
    int locked = pthread_mutex_timedlock(&env->writing, &until);
    if (locked != 0) {
        return locked;
    }
    rc = mend(env, rc);
    pthread_mutex_unlock(&env->writing);
    return rc == MDB_SUCCESS ? begin_read(env, reader) : rc;
}

void flk_lmdb_read_end(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader) {
    mdb_txn_reset(reader->txn);
    pthread_rwlock_unlock(&env->map);
}

/* ---- writing ---- */

static int write_once(flk_lmdb_env_t *env, flk_lmdb_step_fn *step, void *arg) {
    if (env->mdb == NULL) {
        return MDB_PANIC;
    }
    if (!in_place(env)) {
        return ENOENT;
    }
    MDB_txn *txn;
    int rc = mdb_txn_begin(env->mdb, NULL, 0, &txn);
    if (rc != MDB_SUCCESS) {
        return rc;
    }
    rc = step(arg, txn);
    if (rc != MDB_SUCCESS) {
        mdb_txn_abort(txn);
        return rc;
    }
    return mdb_txn_commit(txn);
}

int flk_lmdb_write(flk_lmdb_env_t *env, flk_lmdb_step_fn *step, void *arg) {
    pthread_mutex_lock(&env->writing);
    int rc = write_once(env, step, arg);
    for (int attempt = 1; rc != MDB_SUCCESS && attempt < ATTEMPTS_MAX; attempt++) {
        if ((rc = mend(env, rc)) != MDB_SUCCESS) {
            break;
        }
        rc = write_once(env, step, arg);
    }
    if (flk_mono_ms() - env->readers_checked_ms >= READER_CHECK_MS) {
        check_readers(env);
    }
    pthread_mutex_unlock(&env->writing);
    return rc;
}
