/* SPDX-License-Identifier: MIT */
/* What is done in a transaction of FLK_LMDB_INDEX. All return 0 or LMDB's error. */
#ifndef FLK_WORKER_LMDB_INDEX_H
#define FLK_WORKER_LMDB_INDEX_H

#include "worker/lmdb_table.h"

/* Where a record (lmdb_table.h) lies, and its number among those of its key. */
typedef struct flk_lmdb_place {
    const uint8_t *at;
    uint32_t order;
} flk_lmdb_place_t;

/* Fills found and, when found, the value. What expired by now_ms is not there. */
FLK_MUST_CHECK int flk_lmdb_index_get(const flk_lmdb_env_t *index, MDB_txn *txn, flk_store_item_t *item,
                                      int64_t now_ms);
/* Puts records, sorted by key, each key once, whatever was there before; then they are sorted by expiry. */
FLK_MUST_CHECK int flk_lmdb_index_put(const flk_lmdb_env_t *index, MDB_txn *txn, flk_lmdb_place_t *records,
                                      size_t records_len);
/* Deletes up to `records` outcomes that expired by now_ms, oldest first. */
FLK_MUST_CHECK int flk_lmdb_index_sweep(const flk_lmdb_env_t *index, MDB_txn *txn, int64_t now_ms, size_t records);

#endif
