/* SPDX-License-Identifier: MIT */
/* The in-flight table: every submission that the relay has and that is not settled, by LSN. One owner thread. */
#ifndef FLK_GATEWAY_INFLIGHT_H
#define FLK_GATEWAY_INFLIGHT_H

#include "gateway/submission.h"

typedef struct flk_inflight flk_inflight_t; /* Opaque; fields are commented in inflight.c. */

/* Sized for submissions_max, which it never exceeds. Start-up allocation. */
flk_inflight_t *flk_inflight_new(size_t submissions_max);
/* The table must be empty. */
void flk_inflight_destroy(flk_inflight_t **table);

/* NULL when the LSN is not there. */
flk_submission_t *flk_inflight_find(const flk_inflight_t *table, uint64_t lsn);
/* Keeps `submission` until _remove. Its LSN must not be there. */
void flk_inflight_insert(flk_inflight_t *table, flk_submission_t *submission);
void flk_inflight_remove(flk_inflight_t *table, flk_submission_t *submission);
size_t flk_inflight_len(const flk_inflight_t *table);

/* Intrusive lists over submission->prev and next: the state lists of the relay. */
typedef struct flk_submissions {
    flk_submission_t *first, *last;
    size_t len;
} flk_submissions_t;
void flk_submissions_push(flk_submissions_t *list, flk_submission_t *submission);       /* at the end */
void flk_submissions_push_front(flk_submissions_t *list, flk_submission_t *submission); /* at the front */
void flk_submissions_remove(flk_submissions_t *list, flk_submission_t *submission);

/* Intrusive lists over submission->age_prev and age_next: who waits, and who is waited for no more, oldest first. */
typedef struct flk_ages {
    flk_submission_t *oldest, *newest;
} flk_ages_t;
/* Appends to `ages` after taking it off the one that it is on. */
void flk_ages_move(flk_ages_t *ages, flk_submission_t *submission);
void flk_ages_remove(flk_submission_t *submission); /* from the one that it is on, if any */

#endif
