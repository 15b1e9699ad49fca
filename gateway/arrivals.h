/* SPDX-License-Identifier: MIT */
/* The way into the relay's thread: a stack that any thread pushes submissions to and the relay takes whole. */
#ifndef FLK_GATEWAY_ARRIVALS_H
#define FLK_GATEWAY_ARRIVALS_H

#include "gateway/submission.h"

typedef struct flk_arrivals {
    _Atomic(flk_submission_t *) newest; /* chained by queue_next */
    int wake_fd;                        /* eventfd: the stack went from empty to not; -1 before _init */
} flk_arrivals_t;

/* Errors: FLK_E_NOMEM with the reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_arrivals_init(flk_arrivals_t *arrivals, char *errmsg);
void flk_arrivals_fini(flk_arrivals_t *arrivals); /* the stack must be empty */

/* Takes a chain linked by queue_next, newest first: from `newest` to `oldest`. Any thread; one atomic operation, and
 * one write(2) when the stack was empty. */
void flk_arrivals_push(flk_arrivals_t *arrivals, flk_submission_t *newest, flk_submission_t *oldest);
void flk_arrivals_wake(flk_arrivals_t *arrivals); /* makes wake_fd readable; any thread */

/* The relay's: all that was pushed, chained oldest first; NULL when there is nothing. */
flk_submission_t *flk_arrivals_take(flk_arrivals_t *arrivals);
void flk_arrivals_slept(flk_arrivals_t *arrivals); /* the relay's: wake_fd was readable */

#endif
