/* SPDX-License-Identifier: MIT */
/* The operations within a transaction of FLK_LMDB_INDEX. All return 0 or LMDB's error. */
#ifndef FLK_WORKER_STORE_LMDB_INDEX_H
#define FLK_WORKER_STORE_LMDB_INDEX_H

#include "worker/store/lmdb/table.h"

/* Fills found and, when found, the value. An outcome that expired by now_ms is not there. */
FLK_MUST_CHECK int flk_lmdb_index_get(const flk_lmdb_env_t *index, MDB_txn *txn, flk_store_item_t *item,
                                      int64_t now_ms);
/* The two halves of putting records: first the expiries of all of them, then the outcomes. An expiry without its
 * outcome is swept away like any other, an outcome without its expiry never. Neighbours share pages: so pass them
 * sorted by the key that is put. */
FLK_MUST_CHECK int flk_lmdb_index_put_expiries(const flk_lmdb_env_t *index, MDB_txn *txn,
                                               const flk_lmdb_place_t *records, size_t records_len);
/* An earlier outcome of the key gives way, its expiry too. */
FLK_MUST_CHECK int flk_lmdb_index_put_outcomes(const flk_lmdb_env_t *index, MDB_txn *txn,
                                               const flk_lmdb_place_t *records, size_t records_len);
/* Deletes up to `records` outcomes that expired by now_ms, oldest first. */
FLK_MUST_CHECK int flk_lmdb_index_sweep(const flk_lmdb_env_t *index, MDB_txn *txn, int64_t now_ms, size_t records);

#endif
