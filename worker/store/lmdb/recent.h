/* SPDX-License-Identifier: MIT */
/* The recent outcomes of all processes: the environment that has them on disk, and this process's table of them.
 *
 * A put appends one batch of records, so that a commit writes a few pages only; the index would need one page for each.
 * Later the compactor carries the records to the index, sorted, and deletes the batches. So
 *
 *   an outcome is in the index when its batch is gone:       the index is committed first
 *   a lookup reads a snapshot of the recent first, then one of the index that began after it: nothing slips through
 *   a put does both within its write transaction of the recent: batches neither come nor go meanwhile
 *
 * Any thread may call any function. */
#ifndef FLK_WORKER_STORE_LMDB_RECENT_H
#define FLK_WORKER_STORE_LMDB_RECENT_H

#include "worker/store/lmdb/table.h"

typedef struct flk_lmdb_recent {
    flk_lmdb_env_t env;
    pthread_rwlock_t lock; /* guards the two below */
    flk_lmdb_table_t *table;
    uint64_t followed; /* the table has all batches up to this transaction */
} flk_lmdb_recent_t;

/* As flk_lmdb_env_open. */
FLK_MUST_CHECK flk_err_t flk_lmdb_recent_open(flk_lmdb_recent_t *recent, const char *dir, size_t map_bytes,
                                              char *errmsg);
void flk_lmdb_recent_close(flk_lmdb_recent_t *recent);

/* Brings the table up to the transaction's state: takes in the batches of other processes and threads, forgets those
 * that are in the index. 0, LMDB's error, ENOMEM. */
FLK_MUST_CHECK int flk_lmdb_recent_follow(flk_lmdb_recent_t *recent, MDB_txn *txn, bool writing);
/* As above, up to now; `seen` (may be NULL) is the last transaction of which it has everything. */
FLK_MUST_CHECK int flk_lmdb_recent_catch_up(flk_lmdb_recent_t *recent, flk_lmdb_reader_t *reader, uint64_t timeout_ms,
                                            uint64_t *seen);
/* True when no batch that came after the transaction `seen` is gone. For a caller that follows in a write
 * transaction. */
bool flk_lmdb_recent_has_all_since(flk_lmdb_recent_t *recent, uint64_t seen);

/* Looks each item up in the table; returns how many were not found. */
size_t flk_lmdb_recent_get(flk_lmdb_recent_t *recent, flk_store_item_t *const *items, size_t items_len, int64_t now_ms);

/* As flk_lmdb_table_next. The batch stays while nobody deletes batches. */
const flk_lmdb_batch_t *flk_lmdb_recent_next(flk_lmdb_recent_t *recent, const flk_lmdb_batch_t *batch);

/* Bytes of the records in the table, and their number (may be NULL). */
size_t flk_lmdb_recent_bytes(flk_lmdb_recent_t *recent, size_t *records);

#endif
