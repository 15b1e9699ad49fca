/* SPDX-License-Identifier: MIT */
/* The contents of the agent's --results files: the answer to each PCS, and the comparison of two rounds of answers. */
#ifndef FLK_AGENT_FLK_ANSWERS_H
#define FLK_AGENT_FLK_ANSWERS_H

#include "common/err.h"

enum { FLK_ANSWER_ID_BYTES = 65, FLK_ANSWER_REASONS_BYTES = 128 };

typedef struct flk_reply_line {
    char pcs_id[FLK_ANSWER_ID_BYTES];
    char reasons[FLK_ANSWER_REASONS_BYTES]; /* separated by ", " */
    int status;                             /* 200, 202; anything else is no verdict */
    bool duplicate;
} flk_reply_line_t;

typedef struct flk_answers {
    flk_reply_line_t *items; /* by pcs_id after flk_answers_sort */
    size_t len, max;
} flk_answers_t;

/* Adds the lines of one file. Errors: FLK_E_NOT_FOUND, FLK_E_IO, FLK_E_CORRUPT with file and line in errmsg. Out of
 * memory ends the process: this is for the demo. Caller frees with flk_answers_fini. */
FLK_MUST_CHECK flk_err_t flk_answers_load(flk_answers_t *answers, const char *path, char *errmsg);
void flk_answers_sort(flk_answers_t *answers);
void flk_answers_fini(flk_answers_t *answers);

typedef struct flk_answers_count {
    size_t accepted, escalated, duplicates;
    char reasons[256]; /* "budget_mismatch 29, degraded 1" */
} flk_answers_count_t;
void flk_answers_count(const flk_answers_t *answers, flk_answers_count_t *count);

typedef struct flk_answers_diff {
    size_t lost;    /* had a verdict in `first` and has none in `again`, or is answered as new there */
    size_t changed; /* has another status or other reasons in `again` */
} flk_answers_diff_t;
/* Both sorted. */
void flk_answers_compare(const flk_answers_t *first, const flk_answers_t *again, flk_answers_diff_t *diff);

#endif
