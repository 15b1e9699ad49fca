/* SPDX-License-Identifier: MIT */
#include "worker/store/lmdb/move_list.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t key_rank(const uint8_t *record) {
    uint64_t head;
    memcpy(&head, record, sizeof head);
    return be64toh(head);
}

static int by_key(const void *a, const void *b) {
    const flk_lmdb_place_t *left = a, *right = b;
    if (left->rank != right->rank) {
        return left->rank < right->rank ? -1 : 1;
    }
    int order = memcmp(left->at, right->at, FLK_STORE_KEY_BYTES);
    return order != 0 ? order : left->order < right->order ? 1 : -1; /* of one key, the youngest first */
}

static uint64_t expiry_rank(const uint8_t *record) {
    return (uint64_t)flk_lmdb_record_expires_ms(record);
}

/* Near enough to the order in the index: those of one millisecond are neighbours there. */
static int by_expiry(const void *a, const void *b) {
    const flk_lmdb_place_t *left = a, *right = b;
    return left->rank != right->rank ? left->rank < right->rank ? -1 : 1 : left->order < right->order ? -1 : 1;
}

/* The rank is the beginning of what is compared, beside its place: looking at the records is what takes the time. */
static void sort(flk_lmdb_cargo_t *cargo, uint64_t rank_of(const uint8_t *record),
                 int compare(const void *, const void *)) {
    for (size_t i = 0; i < cargo->len; i++) {
        cargo->places[i].rank = rank_of(cargo->places[i].at);
    }
    qsort(cargo->places, cargo->len, sizeof *cargo->places, compare);
}

static bool same_key(const flk_lmdb_place_t *a, const flk_lmdb_place_t *b) {
    return a->rank == b->rank && memcmp(a->at, b->at, FLK_STORE_KEY_BYTES) == 0;
}

/* Sorted by key. */
static void keep_living(flk_lmdb_cargo_t *cargo, int64_t now_ms) {
    size_t kept = 0;
    flk_lmdb_place_t last = {0};
    for (size_t i = 0; i < cargo->len; i++) {
        flk_lmdb_place_t place = cargo->places[i];
        bool youngest = last.at == NULL || !same_key(&place, &last);
        last = place;
        if (youngest && flk_lmdb_record_expires_ms(place.at) > now_ms) {
            cargo->places[kept++] = place;
        }
    }
    cargo->len = kept;
}

int flk_lmdb_cargo_load(flk_lmdb_cargo_t *cargo, flk_lmdb_recent_t *recent, int64_t now_ms) {
    *cargo = (flk_lmdb_cargo_t){0};
    size_t len;
    (void)flk_lmdb_recent_bytes(recent, &len);
    cargo->places = malloc((len + 1) * sizeof *cargo->places); /* malloc(0) may give NULL */
    if (cargo->places == NULL) {
        return ENOMEM;
    }
    for (const flk_lmdb_batch_t *batch = NULL; cargo->len < len;) {
        batch = flk_lmdb_recent_next(recent, batch);
        cargo->len += flk_lmdb_batch_list(batch, cargo->places + cargo->len);
        cargo->last_batch = flk_lmdb_batch_id(batch);
    }
    for (size_t i = 0; i < len; i++) {
        cargo->places[i].order = (uint32_t)i;
    }
    FLK_ASSERT(cargo->len == len); /* what comes meanwhile comes behind */
    sort(cargo, key_rank, by_key);
    keep_living(cargo, now_ms);
    sort(cargo, expiry_rank, by_expiry);
    return 0;
}

void flk_lmdb_cargo_sort_by_key(flk_lmdb_cargo_t *cargo) {
    sort(cargo, key_rank, by_key);
}

void flk_lmdb_cargo_unload(flk_lmdb_cargo_t *cargo) {
    free(cargo->places);
    *cargo = (flk_lmdb_cargo_t){0};
}
