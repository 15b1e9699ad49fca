/* SPDX-License-Identifier: MIT */
/* Drives parcels to their end: tries, waits, tries again. One thread.
 *
 *            room at the transport         VERDICT, REFUSED, MISPLACED, EXPIRED, last try
 *   WAITING -------------------> UNDER WAY ----------------------------------------------> done
 *      ^      and due                |
 *      +-----------------------------+ LATER: due after the door's Retry-After plus a random part of the back-off
 *
 * Back-off after the n-th try: uniform in [0, min(30 s, 200 ms * 2^(n-1))] ("full jitter"), so that many agents of one
 * gateway do not return together after an outage.
 *
 * Without a limit a parcel is tried for ever. Parcels that were tried FLK_STUBBORN_TRIES times no longer count as
 * held when more are asked for, up to FLK_STUBBORN_MAX of them: a few without answers must not hold up all behind
 * them. */
#ifndef FLK_AGENT_SEND_DELIVERY_LOOP_H
#define FLK_AGENT_SEND_DELIVERY_LOOP_H

#include "agent/send/transport.h"

enum { FLK_BACKOFF_MS_FIRST = 200, FLK_BACKOFF_MS_MAX = 30000, FLK_STUBBORN_TRIES = 8, FLK_STUBBORN_MAX = 1024 };

typedef struct flk_delivery_loop flk_delivery_loop_t; /* Opaque; fields are commented in delivery_loop.c. */

/* A parcel's end; the callee owns it now. LATER: its last try of this run failed. */
typedef void flk_delivery_done_fn(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply);

typedef struct flk_delivery_limits {
    uint32_t tries;  /* of a parcel in this run; 0 = for ever */
    uint64_t age_ms; /* a parcel as old as that is EXPIRED after a failed try; 0 = never */
} flk_delivery_limits_t;

/* Opens the transport; its options' on_reply is set here. Errors: FLK_E_CONFIG. Caller frees with
 * flk_delivery_loop_destroy, which destroys the parcels it holds. */
FLK_MUST_CHECK flk_err_t flk_delivery_loop_new(const flk_transport_options_t *transport, flk_delivery_limits_t limits,
                                               flk_delivery_done_fn *on_done, void *on_done_arg,
                                               flk_delivery_loop_t **loop, char *errmsg);
void flk_delivery_loop_destroy(flk_delivery_loop_t **loop);

/* True while another parcel may be given: some wait for their time, but not too many. */
bool flk_delivery_loop_wants(const flk_delivery_loop_t *loop);
void flk_delivery_loop_take(flk_delivery_loop_t *loop, flk_parcel_t *parcel); /* takes */
size_t flk_delivery_loop_held(const flk_delivery_loop_t *loop);
uint64_t flk_delivery_loop_retries(const flk_delivery_loop_t *loop); /* tries beyond each parcel's first */

/* Why parcels wait: the text of the last reply when that was LATER, else "". */
const char *flk_delivery_loop_why(const flk_delivery_loop_t *loop);

/* Starts parcels that are due, then waits as flk_transport_turn does, but not beyond the next due time. Calls
 * on_done. */
void flk_delivery_loop_turn(flk_delivery_loop_t *loop, uint32_t timeout_ms, const int *fds, size_t fds_len);

/* Milliseconds to wait after try number `tries` (from 1): retry_ms, but at most FLK_REPLY_RETRY_MS_MAX, and the random
 * part. */
uint64_t flk_backoff_ms(uint32_t tries, uint32_t retry_ms, uint64_t random);

#endif
