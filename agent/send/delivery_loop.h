/* SPDX-License-Identifier: MIT */
/* Brings parcels to their end: tries, waits, tries again. One thread.
 *
 *            room at the sender            VERDICT, REFUSED, last try
 *   WAITING ───────────────────▶ UNDER WAY ───────────────────────────▶ done
 *      ▲      and due                │
 *      └─────────────────────────────┘ LATER: due after what the door asked for plus a random part of the back-off
 *
 * Back-off after the n-th try: uniform in [0, min(30 s, 200 ms * 2^(n-1))] ("full jitter"), so that many agents that lost one
 * gateway do not come back together. */
#ifndef FLK_AGENT_SEND_DELIVERY_LOOP_H
#define FLK_AGENT_SEND_DELIVERY_LOOP_H

#include "agent/send/transport.h"

enum { FLK_BACKOFF_MS_FIRST = 200, FLK_BACKOFF_MS_MAX = 30000 };

typedef struct flk_courier flk_courier_t; /* Opaque; fields are commented in courier.c. */

/* A parcel's end; the callee owns it now. LATER: its last try failed. */
typedef void flk_courier_done_fn(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply);

/* Opens the sender; its options' on_reply is set here. `tries` 0 = for ever. Errors: FLK_E_CONFIG. Caller frees with
 * flk_courier_destroy, which destroys the parcels it holds. */
FLK_MUST_CHECK flk_err_t flk_courier_new(const flk_sender_options_t *sender, uint32_t tries,
                                         flk_courier_done_fn *on_done, void *on_done_arg, flk_courier_t **courier,
                                         char *errmsg);
void flk_courier_destroy(flk_courier_t **courier);

/* True while another parcel may be given: some wait for their time, but not too many. */
bool flk_courier_wants(const flk_courier_t *courier);
void flk_courier_take(flk_courier_t *courier, flk_parcel_t *parcel); /* takes */
size_t flk_courier_held(const flk_courier_t *courier);
uint64_t flk_courier_retries(const flk_courier_t *courier); /* tries beyond each parcel's first */

/* Starts what is due, then waits as flk_sender_turn does, but not beyond the next due time. Calls on_done. */
void flk_courier_turn(flk_courier_t *courier, uint32_t timeout_ms, const int *fds, size_t fds_len);

/* Milliseconds to wait after try number `tries` (from 1): retry_ms, and the random part. */
uint64_t flk_backoff_ms(uint32_t tries, uint32_t retry_ms, uint64_t random);

#endif
