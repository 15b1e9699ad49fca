/* SPDX-License-Identifier: MIT */
/* A client of a gateway's ZeroMQ door that submits many PCS and waits until each has an answer. One thread. */
#ifndef FLK_GATEWAY_REPLAY_RESEND_H
#define FLK_GATEWAY_REPLAY_RESEND_H

#include "common/pcs/pcs.h"
#include "proto/frame.h"
#include "proto/security.h"

typedef struct flk_resend flk_resend_t; /* Opaque; fields are commented in resend.c. */

typedef struct flk_resend_counts {
    uint64_t sent, answered, accepted, escalated, refused, duplicates, conflicts, put_off;
} flk_resend_counts_t;

/* A verdict came for the record that was put as `lsn`. */
typedef void flk_resend_answered_fn(void *arg, uint64_t lsn, const flk_frame_t *verdict);

/* Connects to `endpoint`. A signal to stop (program.h) ends every wait. Errors: FLK_E_CONFIG, FLK_E_NOMEM. Caller
 * frees with flk_resend_close. */
FLK_MUST_CHECK flk_err_t flk_resend_open(const char *endpoint, const flk_security_t *security, flk_resend_t **resend,
                                         char *errmsg);
void flk_resend_close(flk_resend_t **resend);
/* Has each verdict told. */
void flk_resend_on_answer(flk_resend_t *resend, flk_resend_answered_fn *answered, void *arg);

/* Gives one record to the door; waits while too many are under way. LSNs must rise. Errors: FLK_E_TIMEOUT (no answer
 * for half a minute), FLK_E_CLOSED (stop), FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_resend_put(flk_resend_t *resend, uint64_t lsn, const flk_pcs_t *pcs, char *errmsg);
/* Waits up to wait_ms for answers, or until there are none to wait for. */
FLK_MUST_CHECK flk_err_t flk_resend_turn(flk_resend_t *resend, uint32_t wait_ms, char *errmsg);
/* Waits until everything has an answer. */
FLK_MUST_CHECK flk_err_t flk_resend_drain(flk_resend_t *resend, char *errmsg);

/* The lowest LSN that waits for an answer; UINT64_MAX without one. */
uint64_t flk_resend_oldest(const flk_resend_t *resend);
flk_resend_counts_t flk_resend_counts(const flk_resend_t *resend);

#endif
