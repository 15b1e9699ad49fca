/* SPDX-License-Identifier: MIT */
#include "gateway/inflight.h"

#include <stdlib.h>
#include <string.h>

enum { LET_GO = 4096 }; /* power of two */

typedef struct let_go {
    uint64_t lsn; /* 0: none */
    uint8_t pcs_id[FLK_PCS_ID_BYTES];
} let_go_t;

struct flk_inflight {
    let_go_t let_go[LET_GO]; /* by the low bits of the LSN */
    flk_submission_t **buckets;
    size_t mask;       /* buckets - 1; a power of two at least as large as the limit, so chains stay short */
    atomic_size_t len; /* only its owner writes it */
};

flk_inflight_t *flk_inflight_new(size_t submissions_max) {
    flk_inflight_t *table = flk_start_alloc(sizeof *table);
    size_t buckets = 1;
    while (buckets < submissions_max) {
        buckets *= 2;
    }
    table->buckets = flk_start_alloc(buckets * sizeof *table->buckets);
    table->mask = buckets - 1;
    return table;
}

void flk_inflight_destroy(flk_inflight_t **table) {
    flk_inflight_t *mine = *table;
    *table = NULL;
    if (mine == NULL) {
        return;
    }
    FLK_ASSERT(flk_inflight_len(mine) == 0);
    free(mine->buckets);
    free(mine);
}

/* LSNs are handed out in sequence: their low bits are as good as a hash. */
static flk_submission_t **bucket(const flk_inflight_t *table, uint64_t lsn) {
    return &table->buckets[lsn & table->mask];
}

flk_submission_t *flk_inflight_find(const flk_inflight_t *table, uint64_t lsn) {
    flk_submission_t *submission = *bucket(table, lsn);
    while (submission != NULL && submission->entry.lsn != lsn) {
        submission = submission->hash_next;
    }
    return submission;
}

void flk_inflight_insert(flk_inflight_t *table, flk_submission_t *submission) {
    flk_submission_t **head = bucket(table, submission->entry.lsn);
    submission->hash_next = *head;
    *head = submission;
    atomic_fetch_add_explicit(&table->len, 1, memory_order_relaxed);
}

void flk_inflight_remove(flk_inflight_t *table, flk_submission_t *submission) {
    flk_submission_t **link = bucket(table, submission->entry.lsn);
    while (*link != submission) {
        FLK_ASSERT(*link != NULL);
        link = &(*link)->hash_next;
    }
    *link = submission->hash_next;
    submission->hash_next = NULL;
    atomic_fetch_sub_explicit(&table->len, 1, memory_order_relaxed);
}

void flk_inflight_let_go(flk_inflight_t *table, const flk_submission_t *submission) {
    let_go_t *place = &table->let_go[submission->entry.lsn % LET_GO];
    place->lsn = submission->entry.lsn;
    memcpy(place->pcs_id, submission->pcs_id, sizeof place->pcs_id);
}

const uint8_t *flk_inflight_recall(const flk_inflight_t *table, uint64_t lsn) {
    const let_go_t *place = &table->let_go[lsn % LET_GO];
    return lsn != 0 && place->lsn == lsn ? place->pcs_id : NULL;
}

size_t flk_inflight_len(const flk_inflight_t *table) {
    return atomic_load_explicit(&table->len, memory_order_relaxed);
}
