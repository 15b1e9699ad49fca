/* SPDX-License-Identifier: MIT */
/* Chained buckets in 64 shards; a shard doubles its buckets when it holds more entries than buckets.
 * The hash is seeded at random: keys are public, and a sender that could choose colliding
 * ones would own the chains. */
#include "worker/store/memory/table.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

enum { BUCKETS_MIN = 64, BESIDE_BYTES = 32 /* of the allocator and of the buckets, for each entry */ };

struct entry {
    struct entry *next;
    int64_t expires_ms;
    uint16_t value_bytes;
    uint8_t key[FLK_STORE_KEY_BYTES];
    uint8_t value[];
};

struct shard {
    pthread_mutex_t mutex; /* guards all below */
    struct entry **buckets;
    size_t buckets_len; /* a power of two */
    size_t entries;
    size_t sweep_at; /* bucket where the next sweep goes on */
    uint64_t changes;
};

struct flk_table {
    uint64_t seed;
    unsigned sweep_shard; /* atomic */
    uint64_t bytes;       /* of all entries; atomic */
    uint64_t bytes_max;
    struct shard shards[FLK_TABLE_SHARDS];
};

flk_table_t *flk_table_new(uint64_t bytes_max) {
    flk_table_t *table = calloc(1, sizeof *table);
    if (table == NULL) {
        return NULL;
    }
    table->seed = flk_random_u64();
    table->bytes_max = bytes_max;
    for (size_t i = 0; i < FLK_TABLE_SHARDS; i++) {
        struct shard *shard = &table->shards[i];
        pthread_mutex_init(&shard->mutex, NULL);
        shard->buckets_len = BUCKETS_MIN;
        shard->buckets = calloc(BUCKETS_MIN, sizeof *shard->buckets);
        if (shard->buckets == NULL) {
            flk_table_destroy(&table);
            return NULL;
        }
    }
    return table;
}

void flk_table_destroy(flk_table_t **table) {
    if (*table == NULL) {
        return;
    }
    for (size_t i = 0; i < FLK_TABLE_SHARDS; i++) {
        struct shard *shard = &(*table)->shards[i];
        for (size_t b = 0; shard->buckets != NULL && b < shard->buckets_len; b++) {
            for (struct entry *entry = shard->buckets[b], *next; entry != NULL; entry = next) {
                next = entry->next;
                free(entry);
            }
        }
        free(shard->buckets);
        pthread_mutex_destroy(&shard->mutex);
    }
    free(*table);
    *table = NULL;
}

static uint64_t hash_of(const flk_table_t *table, const uint8_t *key) {
    return XXH3_64bits_withSeed(key, FLK_STORE_KEY_BYTES, table->seed);
}

/* The shard takes the top bits, the bucket the low ones. */
static struct shard *shard_of(flk_table_t *table, uint64_t hash) {
    return &table->shards[hash >> 58];
}
_Static_assert(FLK_TABLE_SHARDS == 1 << (64 - 58), "the top 6 bits number the shards");

/* Where the key's entry hangs, or the NULL at the end of its chain. */
static struct entry **find(struct shard *shard, uint64_t hash, const uint8_t *key) {
    struct entry **at = &shard->buckets[hash & (shard->buckets_len - 1)];
    while (*at != NULL && memcmp((*at)->key, key, FLK_STORE_KEY_BYTES) != 0) {
        at = &(*at)->next;
    }
    return at;
}

static uint64_t bytes_of(uint16_t value_bytes) {
    return sizeof(struct entry) + value_bytes + BESIDE_BYTES;
}

/* Several threads at once may go over the limit, by an entry each. */
static bool has_room(const flk_table_t *table, uint16_t value_bytes) {
    return __atomic_load_n(&table->bytes, __ATOMIC_RELAXED) + bytes_of(value_bytes) <= table->bytes_max;
}

static void unhook(flk_table_t *table, struct shard *shard, struct entry **at) {
    struct entry *entry = *at;
    *at = entry->next;
    __atomic_fetch_sub(&table->bytes, bytes_of(entry->value_bytes), __ATOMIC_RELAXED);
    free(entry);
    shard->entries--;
}

/* Without memory for more buckets the chains get longer; nothing else changes. */
static void grow(flk_table_t *table, struct shard *shard) {
    size_t len = 2 * shard->buckets_len;
    struct entry **buckets = calloc(len, sizeof *buckets);
    if (buckets == NULL) {
        return;
    }
    for (size_t b = 0; b < shard->buckets_len; b++) {
        for (struct entry *entry = shard->buckets[b], *next; entry != NULL; entry = next) {
            next = entry->next;
            struct entry **head = &buckets[hash_of(table, entry->key) & (len - 1)];
            entry->next = *head;
            *head = entry;
        }
    }
    free(shard->buckets);
    shard->buckets = buckets;
    shard->buckets_len = len;
}

void flk_table_get(flk_table_t *table, flk_store_item_t *item, int64_t now_ms) {
    uint64_t hash = hash_of(table, item->key);
    struct shard *shard = shard_of(table, hash);
    item->found = false;
    pthread_mutex_lock(&shard->mutex);
    const struct entry *entry = *find(shard, hash, item->key);
    if (entry != NULL && entry->expires_ms > now_ms) {
        (void)flk_store_item_take_unless_stale(item, entry->value, entry->value_bytes);
    }
    pthread_mutex_unlock(&shard->mutex);
}

static flk_err_t put_locked(flk_table_t *table, struct shard *shard, uint64_t hash, flk_store_item_t *item,
                            int64_t now_ms, int64_t expires_ms) {
    struct entry **at = find(shard, hash, item->key);
    if (*at != NULL && (*at)->expires_ms > now_ms &&
        flk_store_item_take_unless_stale(item, (*at)->value, (*at)->value_bytes)) {
        return FLK_OK;
    }
    if (*at != NULL) {
        unhook(table, shard, at);
    }
    if (!has_room(table, item->value_bytes)) {
        return FLK_E_NO_SPACE;
    }
    struct entry *entry = malloc(sizeof *entry + item->value_bytes);
    if (entry == NULL) {
        return FLK_E_NOMEM;
    }
    __atomic_fetch_add(&table->bytes, bytes_of(item->value_bytes), __ATOMIC_RELAXED);
    entry->expires_ms = expires_ms;
    entry->value_bytes = item->value_bytes;
    memcpy(entry->key, item->key, sizeof entry->key);
    memcpy(entry->value, item->value, item->value_bytes);
    entry->next = *at;
    *at = entry;
    shard->changes++;
    if (++shard->entries > shard->buckets_len) {
        grow(table, shard);
    }
    return FLK_OK;
}

flk_err_t flk_table_put(flk_table_t *table, flk_store_item_t *item, int64_t now_ms, int64_t expires_ms) {
    uint64_t hash = hash_of(table, item->key);
    struct shard *shard = shard_of(table, hash);
    item->found = false;
    pthread_mutex_lock(&shard->mutex);
    flk_err_t err = put_locked(table, shard, hash, item, now_ms, expires_ms);
    pthread_mutex_unlock(&shard->mutex);
    return err;
}

void flk_table_sweep(flk_table_t *table, int64_t now_ms, size_t buckets) {
    unsigned turn = __atomic_fetch_add(&table->sweep_shard, 1, __ATOMIC_RELAXED);
    struct shard *shard = &table->shards[turn % FLK_TABLE_SHARDS];
    pthread_mutex_lock(&shard->mutex);
    for (size_t i = 0; i < buckets && i < shard->buckets_len; i++) {
        struct entry **at = &shard->buckets[shard->sweep_at++ & (shard->buckets_len - 1)];
        while (*at != NULL) {
            if ((*at)->expires_ms <= now_ms) {
                unhook(table, shard, at);
            } else {
                at = &(*at)->next;
            }
        }
    }
    pthread_mutex_unlock(&shard->mutex);
}

bool flk_table_is_full(const flk_table_t *table) {
    return !has_room(table, FLK_STORE_VALUE_BYTES_MAX);
}

size_t flk_table_len(flk_table_t *table) {
    size_t len = 0;
    for (size_t i = 0; i < FLK_TABLE_SHARDS; i++) {
        pthread_mutex_lock(&table->shards[i].mutex);
        len += table->shards[i].entries;
        pthread_mutex_unlock(&table->shards[i].mutex);
    }
    return len;
}

uint64_t flk_table_changes(flk_table_t *table) {
    uint64_t changes = 0;
    for (size_t i = 0; i < FLK_TABLE_SHARDS; i++) {
        pthread_mutex_lock(&table->shards[i].mutex);
        changes += table->shards[i].changes;
        pthread_mutex_unlock(&table->shards[i].mutex);
    }
    return changes;
}

bool flk_table_visit(flk_table_t *table, size_t index, flk_store_visit_fn *visit, void *arg) {
    struct shard *shard = &table->shards[index];
    bool go_on = true;
    pthread_mutex_lock(&shard->mutex);
    for (size_t b = 0; go_on && b < shard->buckets_len; b++) {
        for (const struct entry *entry = shard->buckets[b]; go_on && entry != NULL; entry = entry->next) {
            go_on = visit(arg, entry->key, entry->value, entry->value_bytes, entry->expires_ms);
        }
    }
    pthread_mutex_unlock(&shard->mutex);
    return go_on;
}
