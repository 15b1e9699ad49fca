/* SPDX-License-Identifier: MIT */
/* The records of one move from the recent to the index: the youngest of each key, of those that live. Owned by the one
 * thread that may move. */
#ifndef FLK_WORKER_STORE_LMDB_MOVE_LIST_H
#define FLK_WORKER_STORE_LMDB_MOVE_LIST_H

#include "worker/store/lmdb/recent.h"

typedef struct flk_lmdb_move_list {
    flk_lmdb_place_t *places;
    size_t len;
    uint64_t last_batch; /* all batches up to this one are in it */
} flk_lmdb_move_list_t;

/* Lists the records that the table has now, by expiry. The records stay in the table's memory: until the list is
 * unloaded no process may delete batches. 0 or ENOMEM. */
FLK_MUST_CHECK int flk_lmdb_move_list_load(flk_lmdb_move_list_t *list, flk_lmdb_recent_t *recent, int64_t now_ms);
void flk_lmdb_move_list_sort_by_key(flk_lmdb_move_list_t *list);
void flk_lmdb_move_list_unload(flk_lmdb_move_list_t *list);

#endif
