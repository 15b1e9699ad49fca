/* SPDX-License-Identifier: MIT */
/* What an HTTP client reads: an answer as JSON text. */
#ifndef FLK_GATEWAY_ANSWER_H
#define FLK_GATEWAY_ANSWER_H

#include "gateway/submission.h"

enum { FLK_ANSWER_BYTES = 2048 };

/* Writes the outcome of a 200 or 202 answer, or the problem of another. Returns its bytes. An outcome that cannot be read turns
 * `answer` into a 503. */
size_t flk_answer_print(flk_answer_t *answer, char out[FLK_ANSWER_BYTES]);

#endif
