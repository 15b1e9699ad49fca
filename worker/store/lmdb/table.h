/* SPDX-License-Identifier: MIT */
/* The outcomes of FLK_LMDB_RECENT in memory: the records of the batches there, found by key. A batch is a sequence of
 * records
 *
 *   key (32) · expiry, ms since the Unix epoch (8) · bytes of the value (2) · value        integers big-endian
 *
 * and a later batch, or a later record of one, stands above an earlier one of the same key. Needs the records'
 * bytes, 16 more for each, and 2 MiB once all of it is in use. The caller locks. */
#ifndef FLK_WORKER_STORE_LMDB_TABLE_H
#define FLK_WORKER_STORE_LMDB_TABLE_H

#include "worker/store/lmdb/env.h"

enum {
    FLK_LMDB_RECORD_HEAD = FLK_STORE_KEY_BYTES + FLK_LMDB_EXPIRY_BYTES + 2,
    FLK_LMDB_RECORD_BYTES_MAX = FLK_LMDB_RECORD_HEAD + FLK_STORE_VALUE_BYTES_MAX,
};

/* Writes one record of the item and returns its bytes. `out` has FLK_LMDB_RECORD_HEAD + item->value_bytes. */
size_t flk_lmdb_record_write(const flk_store_item_t *item, int64_t expires_ms, uint8_t *out);
/* Bytes of the record at `at`, of which there are `left`; 0 when it is damaged. */
size_t flk_lmdb_record_bytes(const uint8_t *at, size_t left);
int64_t flk_lmdb_record_expires_ms(const uint8_t *record);

/* Where a record lies. */
typedef struct flk_lmdb_place {
    uint64_t rank; /* first key of the sort */
    const uint8_t *at;
    uint32_t order; /* a later record has a higher one */
} flk_lmdb_place_t;

typedef struct flk_lmdb_table flk_lmdb_table_t; /* Opaque; fields are commented in lmdb/table.c. */
typedef struct flk_lmdb_batch flk_lmdb_batch_t; /* Opaque; nothing of it changes until it is dropped. */

flk_lmdb_table_t *flk_lmdb_table_new(void); /* NULL: out of memory. Caller frees with flk_lmdb_table_destroy. */
void flk_lmdb_table_destroy(flk_lmdb_table_t **table);

/* Adds a copy of a batch that comes after all that are there. FLK_E_NOMEM, FLK_E_CORRUPT; then nothing was added. */
FLK_MUST_CHECK flk_err_t flk_lmdb_table_add(flk_lmdb_table_t *table, uint64_t batch, const void *records, size_t bytes);
/* Forgets the batches before this one. */
void flk_lmdb_table_drop(flk_lmdb_table_t *table, uint64_t before);

/* True when the youngest record of the key has not expired by now_ms; then the item is filled and found set. */
bool flk_lmdb_table_get(const flk_lmdb_table_t *table, flk_store_item_t *item, int64_t now_ms);

/* The batch after this one, NULL: the oldest. NULL when there is none. */
const flk_lmdb_batch_t *flk_lmdb_table_next(const flk_lmdb_table_t *table, const flk_lmdb_batch_t *batch);
/* The two below need no lock. */
uint64_t flk_lmdb_batch_id(const flk_lmdb_batch_t *batch);
/* Lists where its records are, in order, and returns how many they are. Ranks and orders are the caller's. */
size_t flk_lmdb_batch_list(const flk_lmdb_batch_t *batch, flk_lmdb_place_t *places);

size_t flk_lmdb_table_records(const flk_lmdb_table_t *table);
size_t flk_lmdb_table_bytes(const flk_lmdb_table_t *table); /* of the records */

#endif
