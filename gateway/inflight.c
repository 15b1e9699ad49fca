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

void flk_submissions_push(flk_submissions_t *list, flk_submission_t *submission) {
    submission->next = NULL;
    submission->prev = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = submission;
    list->last = submission;
    list->len++;
}

void flk_submissions_push_front(flk_submissions_t *list, flk_submission_t *submission) {
    submission->prev = NULL;
    submission->next = list->first;
    *(list->first != NULL ? &list->first->prev : &list->last) = submission;
    list->first = submission;
    list->len++;
}

void flk_submissions_remove(flk_submissions_t *list, flk_submission_t *submission) {
    *(submission->prev != NULL ? &submission->prev->next : &list->first) = submission->next;
    *(submission->next != NULL ? &submission->next->prev : &list->last) = submission->prev;
    submission->prev = submission->next = NULL;
    list->len--;
}

void flk_ages_remove(flk_submission_t *submission) {
    flk_ages_t *ages = submission->ages;
    if (ages == NULL) {
        return;
    }
    *(submission->age_prev != NULL ? &submission->age_prev->age_next : &ages->oldest) = submission->age_next;
    *(submission->age_next != NULL ? &submission->age_next->age_prev : &ages->newest) = submission->age_prev;
    submission->age_prev = submission->age_next = NULL;
    submission->ages = NULL;
}

void flk_ages_move(flk_ages_t *ages, flk_submission_t *submission) {
    flk_ages_remove(submission);
    submission->age_prev = ages->newest;
    *(ages->newest != NULL ? &ages->newest->age_next : &ages->oldest) = submission;
    ages->newest = submission;
    submission->ages = ages;
}
