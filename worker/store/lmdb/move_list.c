/* SPDX-License-Identifier: MIT */
#include "worker/store/lmdb/move_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

static uint64_t key_rank(const uint8_t *record) {
    return flk_get_be64(record);
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

/* The rank is the beginning of the compared bytes, beside the record's place: reading the records takes the time. */
static void sort(flk_lmdb_move_list_t *list, uint64_t rank_of(const uint8_t *record),
                 int compare(const void *, const void *)) {
    for (size_t i = 0; i < list->len; i++) {
        list->places[i].rank = rank_of(list->places[i].at);
    }
    qsort(list->places, list->len, sizeof *list->places, compare);
}

static bool same_key(const flk_lmdb_place_t *a, const flk_lmdb_place_t *b) {
    return a->rank == b->rank && memcmp(a->at, b->at, FLK_STORE_KEY_BYTES) == 0;
}

/* Sorted by key. */
static void keep_living(flk_lmdb_move_list_t *list, int64_t now_ms) {
    size_t kept = 0;
    flk_lmdb_place_t last = {0};
    for (size_t i = 0; i < list->len; i++) {
        flk_lmdb_place_t place = list->places[i];
        bool youngest = last.at == NULL || !same_key(&place, &last);
        last = place;
        if (youngest && flk_lmdb_record_expires_ms(place.at) > now_ms) {
            list->places[kept++] = place;
        }
    }
    list->len = kept;
}

int flk_lmdb_move_list_load(flk_lmdb_move_list_t *list, flk_lmdb_recent_t *recent, int64_t now_ms) {
    *list = (flk_lmdb_move_list_t){0};
    size_t len;
    (void)flk_lmdb_recent_bytes(recent, &len);
    list->places = malloc((len + 1) * sizeof *list->places); /* malloc(0) may give NULL */
    if (list->places == NULL) {
        return ENOMEM;
    }
    for (const flk_lmdb_batch_t *batch = NULL; list->len < len;) {
        batch = flk_lmdb_recent_next(recent, batch);
        list->len += flk_lmdb_batch_list(batch, list->places + list->len);
        list->last_batch = flk_lmdb_batch_id(batch);
    }
    for (size_t i = 0; i < len; i++) {
        list->places[i].order = (uint32_t)i;
    }
    FLK_ASSERT(list->len == len); /* records that come meanwhile go to the end */
    sort(list, key_rank, by_key);
    keep_living(list, now_ms);
    sort(list, expiry_rank, by_expiry);
    return 0;
}

void flk_lmdb_move_list_sort_by_key(flk_lmdb_move_list_t *list) {
    sort(list, key_rank, by_key);
}

void flk_lmdb_move_list_unload(flk_lmdb_move_list_t *list) {
    free(list->places);
    *list = (flk_lmdb_move_list_t){0};
}
