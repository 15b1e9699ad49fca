/* SPDX-License-Identifier: MIT */
#include "gateway/dlq_set.h"

#include <stdlib.h>
#include <string.h>

static bool is_empty(const flk_dlq_key_t *key) {
    static const uint8_t no_id[FLK_PCS_ID_BYTES];
    return memcmp(key->pcs_id, no_id, sizeof no_id) == 0;
}

/* The ids are SHA-256: their first bytes are a hash already. */
static size_t home_of(const flk_dlq_set_t *set, const uint8_t *pcs_id) {
    uint64_t hash;
    memcpy(&hash, pcs_id, sizeof hash);
    return hash & (set->places - 1);
}

/* Where the key is, or where it would go. */
static flk_dlq_key_t *find(const flk_dlq_set_t *set, const flk_dlq_key_t *key) {
    size_t at = home_of(set, key->pcs_id);
    while (!is_empty(&set->keys[at]) && memcmp(&set->keys[at], key, sizeof *key) != 0) {
        at = (at + 1) & (set->places - 1);
    }
    return &set->keys[at];
}

bool flk_dlq_set_has_id(const flk_dlq_set_t *set, const uint8_t pcs_id[FLK_PCS_ID_BYTES]) {
    if (set->places == 0) {
        return false;
    }
    size_t at = home_of(set, pcs_id);
    while (!is_empty(&set->keys[at]) && memcmp(set->keys[at].pcs_id, pcs_id, FLK_PCS_ID_BYTES) != 0) {
        at = (at + 1) & (set->places - 1);
    }
    return !is_empty(&set->keys[at]);
}

bool flk_dlq_set_contains(const flk_dlq_set_t *set, const flk_dlq_key_t *key) {
    return set->places > 0 && !is_empty(find(set, key));
}

static bool grow(flk_dlq_set_t *set) {
    flk_dlq_set_t larger = {.places = set->places == 0 ? 64 : set->places * 2};
    larger.keys = calloc(larger.places, sizeof *larger.keys);
    if (larger.keys == NULL) {
        return false;
    }
    for (size_t i = 0; i < set->places; i++) {
        if (!is_empty(&set->keys[i])) {
            *find(&larger, &set->keys[i]) = set->keys[i];
        }
    }
    free(set->keys);
    set->keys = larger.keys;
    set->places = larger.places;
    return true;
}

flk_err_t flk_dlq_set_add(flk_dlq_set_t *set, const flk_dlq_key_t *key) {
    if ((atomic_load_explicit(&set->len, memory_order_relaxed) + 1) * 2 > set->places && !grow(set)) {
        return FLK_E_NOMEM;
    }
    flk_dlq_key_t *at = find(set, key);
    if (is_empty(at)) {
        *at = *key;
        atomic_fetch_add_explicit(&set->len, 1, memory_order_relaxed);
    }
    return FLK_OK;
}

/* The keys behind it that had to give way to it move up, so that no search ends too early. */
void flk_dlq_set_remove(flk_dlq_set_t *set, const flk_dlq_key_t *key) {
    if (!flk_dlq_set_contains(set, key)) {
        return;
    }
    const size_t mask = set->places - 1;
    size_t at = (size_t)(find(set, key) - set->keys);
    memset(&set->keys[at], 0, sizeof set->keys[at]);
    for (at = (at + 1) & mask; !is_empty(&set->keys[at]); at = (at + 1) & mask) {
        const flk_dlq_key_t moved = set->keys[at];
        memset(&set->keys[at], 0, sizeof set->keys[at]);
        *find(set, &moved) = moved;
    }
    atomic_fetch_sub_explicit(&set->len, 1, memory_order_relaxed);
}

void flk_dlq_set_fini(flk_dlq_set_t *set) {
    free(set->keys);
    set->keys = NULL;
    set->places = 0;
    atomic_store_explicit(&set->len, 0, memory_order_relaxed);
}
