/* SPDX-License-Identifier: MIT */
/* The keys of a batch as PostgreSQL gets them: sorted, each once, in arrays of its binary format. The first of equal
 * keys stands for the others. Owned by one thread. */
#ifndef FLK_WORKER_STORE_POSTGRES_BATCH_H
#define FLK_WORKER_STORE_POSTGRES_BATCH_H

#include "worker/store/store.h"

/* A key of the batch. */
typedef struct flk_pg_entry {
    flk_store_item_t *item; /* the first that has it */
    size_t index;           /* of that item in the batch: keeps equal keys in their order while sorting */
    bool open;              /* nothing is known of it yet */
} flk_pg_entry_t;

typedef struct flk_pg_batch {
    flk_pg_entry_t *entries; /* sorted by key */
    size_t len, cap;
    uint8_t *ids, *values, *ttls; /* bytea[], bytea[], bigint[] */
    int ids_bytes, values_bytes, ttls_bytes;
    size_t stales_len;
    uint8_t *stale_ids, *stales; /* bytea[] of the items that have a stale value */
    int stale_ids_bytes, stales_bytes;
} flk_pg_batch_t;

/* Takes the items in, all of them open and not found. They are borrowed until the next begin. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_pg_batch_begin(flk_pg_batch_t *batch, flk_store_item_t *const *items, size_t items_len,
                                            char *errmsg);
void flk_pg_batch_fini(flk_pg_batch_t *batch);

/* Writes the arrays, of the open entries. */
void flk_pg_batch_encode(flk_pg_batch_t *batch, const flk_store_t *store);

/* Writes the arrays of stale values, of the open entries that have one; stales_len 0: there are none. */
void flk_pg_batch_encode_stales(flk_pg_batch_t *batch);

/* NULL when no item has that key. */
flk_pg_entry_t *flk_pg_batch_find(const flk_pg_batch_t *batch, const void *key);

bool flk_pg_batch_any_open(const flk_pg_batch_t *batch);

/* Gives the further items with equal keys the result of the first of them; after a put they are told that it was
 * there. */
void flk_pg_batch_share(const flk_pg_batch_t *batch, flk_store_item_t *const *items, size_t items_len, bool put);

#endif
