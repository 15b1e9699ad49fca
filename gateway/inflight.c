/* SPDX-License-Identifier: MIT */
#include "gateway/inflight.h"

#include <stdlib.h>

struct flk_inflight {
    flk_submission_t **buckets;
    size_t mask; /* buckets - 1; a power of two at least as large as the limit, so chains stay short */
    size_t len;
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
    FLK_ASSERT(mine->len == 0);
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
    table->len++;
}

void flk_inflight_remove(flk_inflight_t *table, flk_submission_t *submission) {
    flk_submission_t **link = bucket(table, submission->entry.lsn);
    while (*link != submission) {
        FLK_ASSERT(*link != NULL);
        link = &(*link)->hash_next;
    }
    *link = submission->hash_next;
    submission->hash_next = NULL;
    table->len--;
}

size_t flk_inflight_len(const flk_inflight_t *table) {
    return table->len;
}
