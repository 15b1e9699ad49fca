/* SPDX-License-Identifier: MIT */
/* An LMDB environment of this process, and the locks around it. The store has two, in data_dir/store/lmdb:
 *
 * FLK_LMDB_INDEX in the directory itself, outcomes for good (integers are big-endian):
 *   outcomes   key (32)                      ->  expiry, ms since the Unix epoch (8) · value
 *   expiry     expiry (8) · key (32)         ->  nothing; one for each record of outcomes, oldest first
 *   meta       "format"                      ->  "2"; "1" had no FLK_LMDB_RECENT beside it; others are refused
 *
 * FLK_LMDB_RECENT in recent/, outcomes on their way there:
 *   batches    id of the transaction (8, native) -> the records that it put (lmdb/table.h); ids rise, never repeat
 *   meta       "format"                      ->  "1"
 *              "probe"                       ->  time of the last health probe (8)
 *
 * LMDB moves the map only while no transaction of the process is open. So a reader holds `map` shared, and a thread
 * that moves the map holds it alone; a writer, and a thread that moves the map, holds `writing`. Any thread may call
 * any function. */
#ifndef FLK_WORKER_STORE_LMDB_ENV_H
#define FLK_WORKER_STORE_LMDB_ENV_H

#include <lmdb.h>
#include <pthread.h>
#include <time.h>

#include "worker/store/store.h"

/* One thread's read transaction, kept between batches so that its slot in the lock file is taken once. */
typedef struct flk_lmdb_reader {
    struct flk_lmdb_reader *next;
    MDB_txn *txn; /* reset, or NULL */
} flk_lmdb_reader_t;

typedef enum flk_lmdb_kind { FLK_LMDB_INDEX, FLK_LMDB_RECENT } flk_lmdb_kind_t;

typedef struct flk_lmdb_env {
    flk_lmdb_kind_t kind;
    pthread_mutex_t writing;
    pthread_rwlock_t map; /* shared: a read goes on; alone: the map moves, or `readers` changes */
    MDB_env *mdb;         /* NULL after a reopen that failed */
    MDB_dbi meta;
    MDB_dbi outcomes, expiry; /* of the index */
    MDB_dbi batches;          /* of the recent */
    flk_lmdb_reader_t *readers;
    size_t map_bytes;
    uint64_t readers_checked_ms;
    bool elsewhere; /* another process had it open when this one opened it */
    char format;    /* as it was then; '\0': none was stamped yet */
    char dir[2048];
} flk_lmdb_env_t;

enum { FLK_LMDB_EXPIRY_BYTES = 8, FLK_LMDB_EXPIRY_KEY_BYTES = FLK_LMDB_EXPIRY_BYTES + FLK_STORE_KEY_BYTES };

/* Makes dir (0700) and its files (0600) where missing. Waits for the write lock only when the databases do not exist
 * yet. Errors: as flk_store_open. */
FLK_MUST_CHECK flk_err_t flk_lmdb_env_open(flk_lmdb_env_t *env, flk_lmdb_kind_t kind, const char *dir, size_t map_bytes,
                                           char *errmsg);
/* Writes today's format, when it has another one or none. */
FLK_MUST_CHECK flk_err_t flk_lmdb_env_stamp(flk_lmdb_env_t *env, char *errmsg);
void flk_lmdb_env_close(flk_lmdb_env_t *env); /* after its last reader was removed */

/* One for each thread that reads; removed before the environment is closed. */
void flk_lmdb_reader_add(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);
void flk_lmdb_reader_remove(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);

/* Opens a snapshot of all committed and durable records; 0 or LMDB's error. After 0 the caller calls flk_lmdb_read_end.
 * Adopts a map that another process made larger, and opens an environment anew that LMDB gave up on; should a writer of
 * this process be held up meanwhile, it waits up to timeout_ms for it. */
FLK_MUST_CHECK int flk_lmdb_read_begin(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader, uint64_t timeout_ms);
void flk_lmdb_read_end(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);

/* Takes one write transaction from begin to commit, `step` between them; 0 when it is durable. When step, begin or
 * commit fail with an error that can be mended (a map too small, an environment that LMDB gave up on), all is done
 * again: so step must be repeatable. Blocks as long as another process holds the write lock. Else LMDB's error, or the
 * step's; ENOENT when the data file is no longer the one at its path: a write now would be gone at the next start. */
typedef int flk_lmdb_step_fn(void *arg, MDB_txn *txn);
FLK_MUST_CHECK int flk_lmdb_write(flk_lmdb_env_t *env, flk_lmdb_step_fn *step, void *arg);

/* The code for LMDB's error, with "lmdb: step: text" in errmsg: FLK_E_LOCKED (another build has the files open),
 * FLK_E_NOMEM, FLK_E_NO_SPACE, FLK_E_CORRUPT, FLK_E_UNAVAILABLE, FLK_E_IO. FLK_OK for 0. */
flk_err_t flk_lmdb_err(int rc, const char *step, char *errmsg);

/* Milliseconds since the Unix epoch as 8 bytes, big-endian. */
void flk_lmdb_put_time(uint8_t at[FLK_LMDB_EXPIRY_BYTES], int64_t time_ms);
int64_t flk_lmdb_get_time(const void *at);

#endif
