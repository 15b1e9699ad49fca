/* SPDX-License-Identifier: MIT */
/* The LMDB environment of this process on data_dir/store/lmdb, and who may touch it when.
 *
 * Named databases in it (integers are big-endian):
 *   outcomes   key (32)                      ->  expiry, ms since the Unix epoch (8) · value
 *   expiry     expiry (8) · key (32)         ->  nothing; one for each record of outcomes, oldest first
 *   meta       "format"                      ->  "1"; another layout is another number, and refused
 *              "probe"                       ->  time of the last health probe (8)
 *
 * Reads go through flk_lmdb_read_begin and _end, from any thread, each with its own flk_lmdb_reader_t. Everything else
 * (write transactions, _adopt, _grow, _reopen) belongs to one thread, the writer of lmdb_writer.c. LMDB moves the map
 * only while no transaction is open in the process, so those who read hold `map` shared and those who move it hold it
 * alone. */
#ifndef FLK_WORKER_LMDB_ENV_H
#define FLK_WORKER_LMDB_ENV_H

#include <lmdb.h>
#include <pthread.h>

#include "worker/store.h"

/* One thread's read transaction, kept between batches so that its slot in the lock file is taken once. */
typedef struct flk_lmdb_reader {
    struct flk_lmdb_reader *next;
    MDB_txn *txn; /* reset, or NULL */
} flk_lmdb_reader_t;

typedef struct flk_lmdb_env {
    pthread_rwlock_t map; /* shared: a read goes on; alone: the map moves, or `readers` changes */
    MDB_env *mdb;         /* NULL after a reopen that failed */
    MDB_dbi outcomes, expiry, meta;
    flk_lmdb_reader_t *readers;
    size_t map_bytes;
    char dir[2048];
} flk_lmdb_env_t;

enum { FLK_LMDB_EXPIRY_BYTES = 8, FLK_LMDB_EXPIRY_KEY_BYTES = FLK_LMDB_EXPIRY_BYTES + FLK_STORE_KEY_BYTES };

/* Makes dir (0700) and its files (0600) where missing. Waits for the write lock only when the databases do not exist
 * yet. Errors: as flk_store_open. */
FLK_MUST_CHECK flk_err_t flk_lmdb_env_open(flk_lmdb_env_t *env, const char *dir, size_t map_bytes, char *errmsg);
void flk_lmdb_env_close(flk_lmdb_env_t *env); /* after its last reader was removed */

void flk_lmdb_reader_add(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);
void flk_lmdb_reader_remove(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);

/* Opens a snapshot of what is committed and durable; 0 or LMDB's error. After 0 the caller calls flk_lmdb_read_end. */
FLK_MUST_CHECK int flk_lmdb_read_begin(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);
void flk_lmdb_read_end(flk_lmdb_env_t *env, flk_lmdb_reader_t *reader);

/* False when the data file is no longer the one at its path: what is written now would be gone at the next start. */
bool flk_lmdb_env_in_place(const flk_lmdb_env_t *env);

/* The writer's, outside a transaction. 0 or LMDB's error. */
FLK_MUST_CHECK int flk_lmdb_env_adopt(flk_lmdb_env_t *env);  /* another process made the map larger */
FLK_MUST_CHECK int flk_lmdb_env_grow(flk_lmdb_env_t *env);   /* doubles the map; MDB_MAP_FULL at 1 TiB */
FLK_MUST_CHECK int flk_lmdb_env_reopen(flk_lmdb_env_t *env); /* LMDB gave up on the environment (MDB_PANIC) */

/* What LMDB's error means, with "lmdb: step: text" in errmsg. */
flk_err_t flk_lmdb_err(int rc, const char *step, char *errmsg);

void flk_lmdb_put_time(uint8_t at[FLK_LMDB_EXPIRY_BYTES], int64_t time_ms);
int64_t flk_lmdb_get_time(const void *at);

#endif
