/* SPDX-License-Identifier: MIT */
/* The in-flight table: every submission that the relay has and that is not settled, by LSN; and which ones it had to
 * let go of. One owner thread. */
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

/* Remembers the pcs_id of a submission that is let go of before its verdict; some thousand are remembered, later
 * ones first. */
void flk_inflight_let_go(flk_inflight_t *table, const flk_submission_t *submission);
/* The pcs_id of such a submission; NULL: not known. Borrowed until the next _let_go. */
const uint8_t *flk_inflight_recall(const flk_inflight_t *table, uint64_t lsn);

size_t flk_inflight_len(const flk_inflight_t *table); /* any thread */

#endif
