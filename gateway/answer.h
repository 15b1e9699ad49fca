/* SPDX-License-Identifier: MIT */
/* The answer that a client gets: an outcome or a problem. */
#ifndef FLK_GATEWAY_ANSWER_H
#define FLK_GATEWAY_ANSWER_H

#include "proto/body.h"
#include "proto/link.h"

enum { FLK_ANSWER_BYTES = 2304 };

/* Ends by flk_answer_fini. An _init never frees: it is for an answer that holds nothing. */
typedef struct flk_answer {
    uint16_t status;                /* HTTP status code; 200 and 202 carry an outcome, the others a problem */
    uint32_t flags;                 /* FLK_FLAG_* */
    uint32_t retry_ms;              /* 429 and 503: not before */
    flk_outcome_record_t outcome;   /* 200, 202 */
    zmq_msg_t encoded;              /* … as a VERDICT carries it; may be moved out; else empty */
    flk_problem_t problem;          /* the others */
    char key[FLK_KEY_NAME_MAX + 1]; /* id of the key that verified the submission; "" = not known */
} flk_answer_t;

/* Initialises a problem; nothing to free. */
void flk_answer_init_problem(flk_answer_t *answer, uint16_t status, const char *field, const char *detail,
                             uint32_t retry_ms);
/* Initialises a 200 or 202 with its outcome. Errors: FLK_E_NOMEM; `answer` holds nothing then. */
FLK_MUST_CHECK flk_err_t flk_answer_init_outcome(flk_answer_t *answer, const flk_outcome_record_t *outcome,
                                                 uint32_t flags);
/* Initialises an answer from a VERDICT, whose body is moved. NULL: done. Otherwise why the verdict cannot be taken,
 * one of a few fixed words, and `answer` holds nothing: its status is none of a verdict, its body cannot be read or
 * contradicts the status. */
FLK_MUST_CHECK const char *flk_answer_init_verdict(flk_answer_t *answer, flk_message_t *message);
void flk_answer_fini(flk_answer_t *answer);

bool flk_answer_has_outcome(const flk_answer_t *answer); /* 200 or 202 */

/* False: its outcome is about another PCS. A problem names none. */
FLK_MUST_CHECK bool flk_answer_is_about(const flk_answer_t *answer, const uint8_t pcs_id[FLK_PCS_ID_BYTES]);

/* Writes the JSON text that an HTTP client reads. Returns its bytes. */
size_t flk_answer_print(const flk_answer_t *answer, char out[FLK_ANSWER_BYTES]);
/* The same with all that a single answer tells outside its body: the member `status`, and `retry_after` of a 429 or
 * 503. */
size_t flk_answer_print_item(const flk_answer_t *answer, char out[FLK_ANSWER_BYTES]);
/* 429 and 503: whole seconds until the client may come back, never 0. Others: 0. */
unsigned flk_answer_retry_s(const flk_answer_t *answer);

#endif
