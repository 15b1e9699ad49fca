/* SPDX-License-Identifier: MIT */
/* Batches hang in a list, oldest first; each brings its records and their entries in one piece of memory. An entry
 * hangs in the chain of its bucket, in front of older ones. The number of buckets is fixed, since the store's limit
 * bounds the records of the table. The hash is seeded at random: keys are public, and a sender that could choose
 * colliding ones would own the chains. */
#include "worker/store/lmdb/table.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "common/bytes.h"

enum { BUCKETS = 1 << 18 };

struct entry {
    struct entry *next;
    const uint8_t *record; /* in the batch's memory */
};

struct flk_lmdb_batch {
    struct flk_lmdb_batch *next;
    uint64_t id;
    size_t bytes, records;
    struct entry entries[]; /* behind them, the records */
};

struct flk_lmdb_table {
    uint64_t seed;
    size_t records, bytes;
    struct flk_lmdb_batch *first, **last;
    struct entry *buckets[BUCKETS];
};

/* ---- records ---- */

size_t flk_lmdb_record_write(const flk_store_item_t *item, int64_t expires_ms, uint8_t *out) {
    memcpy(out, item->key, FLK_STORE_KEY_BYTES);
    flk_lmdb_put_time(out + FLK_STORE_KEY_BYTES, expires_ms);
    flk_put_be16(out + FLK_STORE_KEY_BYTES + FLK_LMDB_EXPIRY_BYTES, item->value_bytes);
    memcpy(out + FLK_LMDB_RECORD_HEAD, item->value, item->value_bytes);
    return FLK_LMDB_RECORD_HEAD + (size_t)item->value_bytes;
}

static size_t value_bytes_of(const uint8_t *record) {
    return flk_get_be16(record + FLK_STORE_KEY_BYTES + FLK_LMDB_EXPIRY_BYTES);
}

size_t flk_lmdb_record_bytes(const uint8_t *at, size_t left) {
    if (left < FLK_LMDB_RECORD_HEAD) {
        return 0;
    }
    size_t value_bytes = value_bytes_of(at), bytes = FLK_LMDB_RECORD_HEAD + value_bytes;
    return value_bytes <= FLK_STORE_VALUE_BYTES_MAX && bytes <= left ? bytes : 0;
}

int64_t flk_lmdb_record_expires_ms(const uint8_t *record) {
    return flk_lmdb_get_time(record + FLK_STORE_KEY_BYTES);
}

/* ---- table ---- */

flk_lmdb_table_t *flk_lmdb_table_new(void) {
    flk_lmdb_table_t *table = calloc(1, sizeof *table);
    if (table != NULL) {
        table->seed = flk_random_u64();
        table->last = &table->first;
    }
    return table;
}

void flk_lmdb_table_destroy(flk_lmdb_table_t **table) {
    if (*table != NULL) {
        flk_lmdb_table_drop(*table, UINT64_MAX);
        free(*table);
        *table = NULL;
    }
}

static size_t bucket_of(const flk_lmdb_table_t *table, const uint8_t *key) {
    return XXH3_64bits_withSeed(key, FLK_STORE_KEY_BYTES, table->seed) & (BUCKETS - 1);
}

/* The number of records; false when they are damaged. */
static bool count_records(const uint8_t *records, size_t bytes, size_t *len) {
    *len = 0;
    for (size_t at = 0, record_bytes; at < bytes; at += record_bytes) {
        record_bytes = flk_lmdb_record_bytes(records + at, bytes - at);
        if (record_bytes == 0) {
            return false;
        }
        ++*len;
    }
    return true;
}

flk_err_t flk_lmdb_table_add(flk_lmdb_table_t *table, uint64_t id, const void *records, size_t bytes) {
    size_t len;
    if (!count_records(records, bytes, &len)) {
        return FLK_E_CORRUPT;
    }
    struct flk_lmdb_batch *batch = malloc(sizeof *batch + len * sizeof *batch->entries + bytes);
    if (batch == NULL) {
        return FLK_E_NOMEM;
    }
    uint8_t *at = (uint8_t *)(batch->entries + len);
    memcpy(at, records, bytes);
    *batch = (struct flk_lmdb_batch){.id = id, .bytes = bytes, .records = len};
    for (size_t i = 0; i < len; i++) {
        struct entry **bucket = &table->buckets[bucket_of(table, at)];
        batch->entries[i] = (struct entry){.next = *bucket, .record = at};
        *bucket = &batch->entries[i];
        at += FLK_LMDB_RECORD_HEAD + value_bytes_of(at);
    }
    *table->last = batch;
    table->last = &batch->next;
    table->records += len;
    table->bytes += bytes;
    return FLK_OK;
}

/* The oldest entries are at the ends of their chains. */
static void unhook(flk_lmdb_table_t *table, const struct entry *entry) {
    struct entry **at = &table->buckets[bucket_of(table, entry->record)];
    while (*at != entry) {
        at = &(*at)->next;
    }
    *at = entry->next;
}

void flk_lmdb_table_drop(flk_lmdb_table_t *table, uint64_t before) {
    while (table->first != NULL && table->first->id < before) {
        struct flk_lmdb_batch *batch = table->first;
        for (size_t i = 0; i < batch->records; i++) {
            unhook(table, &batch->entries[i]);
        }
        table->records -= batch->records;
        table->bytes -= batch->bytes;
        table->first = batch->next;
        if (table->first == NULL) {
            table->last = &table->first;
        }
        free(batch);
    }
}

bool flk_lmdb_table_get(const flk_lmdb_table_t *table, flk_store_item_t *item, int64_t now_ms) {
    const struct entry *entry = table->buckets[bucket_of(table, item->key)];
    while (entry != NULL && memcmp(entry->record, item->key, FLK_STORE_KEY_BYTES) != 0) {
        entry = entry->next;
    }
    if (entry == NULL || flk_lmdb_record_expires_ms(entry->record) <= now_ms) {
        return false;
    }
    return flk_store_item_take_unless_stale(item, entry->record + FLK_LMDB_RECORD_HEAD, value_bytes_of(entry->record));
}

const flk_lmdb_batch_t *flk_lmdb_table_next(const flk_lmdb_table_t *table, const flk_lmdb_batch_t *batch) {
    return batch == NULL ? table->first : batch->next;
}

uint64_t flk_lmdb_batch_id(const flk_lmdb_batch_t *batch) {
    return batch->id;
}

size_t flk_lmdb_batch_list(const flk_lmdb_batch_t *batch, flk_lmdb_place_t *places) {
    for (size_t i = 0; i < batch->records; i++) {
        places[i] = (flk_lmdb_place_t){.at = batch->entries[i].record};
    }
    return batch->records;
}

size_t flk_lmdb_table_records(const flk_lmdb_table_t *table) {
    return table->records;
}

size_t flk_lmdb_table_bytes(const flk_lmdb_table_t *table) {
    return table->bytes;
}
