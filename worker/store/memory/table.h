/* SPDX-License-Identifier: MIT */
/* The hash table behind the memory store: key -> value with an expiry. Any thread may call any function; each shard has
 * a lock of its own that is held for one key, or for one shard's copy into a snapshot. */
#ifndef FLK_WORKER_STORE_MEMORY_TABLE_H
#define FLK_WORKER_STORE_MEMORY_TABLE_H

#include "worker/store/store.h"

enum { FLK_TABLE_SHARDS = 64 };

typedef struct flk_table flk_table_t; /* Opaque; fields are commented in memory/table.c. */

/* Of `bytes_max` at most. NULL: out of memory. Caller frees with flk_table_destroy. */
flk_table_t *flk_table_new(uint64_t bytes_max);
void flk_table_destroy(flk_table_t **table);

/* Fills found and, when found, the value. An entry that expired by now_ms is not there. */
void flk_table_get(flk_table_t *table, flk_store_item_t *item, int64_t now_ms);

/* Puts the item's value until expires_ms, or sets found and fills it with the one that is there. FLK_E_NO_SPACE: the
 * table is full; FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_table_put(flk_table_t *table, flk_store_item_t *item, int64_t now_ms, int64_t expires_ms);

/* Frees the expired entries in the next `buckets` buckets of the next shard. */
void flk_table_sweep(flk_table_t *table, int64_t now_ms, size_t buckets);

bool flk_table_is_full(const flk_table_t *table);
size_t flk_table_len(flk_table_t *table);       /* entries, expired ones too */
uint64_t flk_table_changes(flk_table_t *table); /* rises with each put that stored something */

/* Calls `visit` for each entry of one shard under its lock; stops early when it returns false. */
bool flk_table_visit(flk_table_t *table, size_t shard, flk_store_visit_fn *visit, void *arg);

#endif
