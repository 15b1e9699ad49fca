/* SPDX-License-Identifier: MIT */
/* A delivery: one submission on its way through the broker, kept until a verdict settles it. And the table of all of
 * them, by submission id. Owned by the loop's thread.
 *
 *              dispatch                verdict
 *   WAITING ──────────────▶ IN HAND ──────────────▶ gone
 *      ▲  ▲                  │   │
 *      │  └── worker lost ───┘   │ verdict of an earlier holder
 *      │      (losses + 1)       ▼
 *      │                      SETTLED ── the holder answers, or is lost ──▶ gone
 *      └── from losses = 2 on it waits among the suspects; at 5 it is a dead letter: gone
 *
 * WAITING: in the turns of its gateway or among the suspects, worker == NULL. IN HAND: in worker->hand. SETTLED: the
 * gateway has its answer; it only takes up the holder's credit until the holder lets go of it. */
#ifndef FLK_BROKER_DELIVERY_H
#define FLK_BROKER_DELIVERY_H

#include <zmq.h>

#include "broker/peers.h"
#include "proto/frame.h"

typedef struct flk_delivery {
    struct flk_delivery *prev, *next; /* in the one queue that it is in */
    struct flk_delivery *bucket_next; /* in the table */
    flk_id_t id;                      /* the submission's */
    uint64_t number;                  /* this delivery's, unique in the broker's life; 0 is never used */
    uint64_t received_ms;             /* monotonic */
    flk_gateway_peer_t *gateway;      /* gets the answer */
    flk_worker_peer_t *worker;        /* holds it; NULL while it waits */
    uint32_t attempt;                 /* times it was handed out */
    uint8_t losses;                   /* workers that were lost while they held it */
    bool settled;
    zmq_msg_t body; /* its own allocation, or shared with a message that libzmq still sends */
} flk_delivery_t;

typedef struct flk_deliveries {
    flk_delivery_t **buckets;
    uint64_t mask; /* buckets - 1 */
    uint64_t seed; /* of the hash */
    uint64_t last_number;
    uint64_t count, count_max; /* of deliveries, waiting or in hand */
    uint64_t bytes, bytes_max; /* of their bodies */
} flk_deliveries_t;

/* Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_deliveries_init(flk_deliveries_t *table, uint64_t count_max, uint64_t bytes_max);
void flk_deliveries_fini(flk_deliveries_t *table); /* frees every delivery in it */

/* Takes the content of `body` on FLK_OK only. Errors: FLK_E_FULL (count), FLK_E_TOO_LARGE (bytes), FLK_E_NOMEM: all
 * of them passing. The gateway's count of deliveries goes up. */
FLK_MUST_CHECK flk_err_t flk_deliveries_add(flk_deliveries_t *table, const flk_id_t *id, flk_gateway_peer_t *gateway,
                                            zmq_msg_t *body, uint64_t now_ms, flk_delivery_t **delivery);

/* The unsettled delivery of a submission; NULL: none. */
flk_delivery_t *flk_deliveries_find(const flk_deliveries_t *table, const flk_id_t *id);
/* The very delivery that a worker answers; may be settled. NULL: gone. */
flk_delivery_t *flk_deliveries_find_number(const flk_deliveries_t *table, const flk_id_t *id, uint64_t number);

/* Sends its answer to another gateway from now on: it was submitted again. It must not wait in the turns. */
void flk_delivery_set_gateway(flk_delivery_t *delivery, flk_gateway_peer_t *gateway);
/* Marks it as answered and frees its body. */
void flk_deliveries_settle(flk_deliveries_t *table, flk_delivery_t *delivery);
/* Frees it; it must be in no queue. */
void flk_deliveries_remove(flk_deliveries_t *table, flk_delivery_t *delivery);

#endif
