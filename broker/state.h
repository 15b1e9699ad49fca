/* SPDX-License-Identifier: MIT */
/* What the parts of the broker share. One thread owns all of it but `stop_fd`, `accepting` and what is in `stats`.
 *
 *   frontend.c   what gateways say, and the answers to them
 *   backend.c    what workers say
 *   dispatch.c   waiting and suspect deliveries -> workers; what becomes of a lost worker's
 *   broker.c     the loop around them, timers, liveness */
#ifndef FLK_BROKER_STATE_H
#define FLK_BROKER_STATE_H

#include <stdatomic.h>

#include "broker/broker.h"
#include "broker/delivery.h"
#include "broker/roster.h"
#include "broker/stats.h"
#include "broker/turns.h"
#include "proto/zap.h"

enum {
    FLK_BROKER_BATCH = 256,               /* messages read from one socket before the other gets its turn */
    FLK_BROKER_MISSES = 3,                /* heartbeat periods of silence after which a peer is lost */
    FLK_BROKER_VOUCHED_PERIODS = 30,      /* for how many a pulse may speak for a worker that is silent itself */
    FLK_BROKER_GATEWAY_CREDIT = 32768,    /* submissions that one gateway may have outstanding here */
    FLK_BROKER_WORKER_CREDIT_MAX = 16384, /* both stay below what a socket holds for one peer */
    FLK_BROKER_SUSPECT_LOSSES = 2,        /* lost workers that make a delivery a suspect */
    FLK_BROKER_DEAD_LOSSES = 5,           /* … and a dead letter: three of them while it was alone */
    FLK_BROKER_GONE_PERIODS = 60,         /* for how many what a gateway that is gone left here is still handed out */
    FLK_BROKER_BUSY_RETRY_MS = 1000,
    FLK_BROKER_ENDPOINT_BYTES = 256,
};

struct flk_broker {
    void *context, *frontend, *backend; /* libzmq's */
    flk_zap_t *zap;                     /* judges who may speak on both */
    uint64_t keys_generation;           /* of the lists by which all known peers were judged */
    int stop_fd;                        /* eventfd; readable once the loop shall end */
    atomic_bool accepting;
    flk_id_t instance;
    uint32_t heartbeat_ms, tick_ms;
    uint64_t now_ms;  /* at the start of this turn, monotonic */
    uint64_t tick_at; /* next tick */

    flk_deliveries_t deliveries;
    flk_turns_t waiting;  /* by gateway */
    flk_queue_t suspects; /* handed out one at a time, alone */
    flk_peers_t gateways, workers;
    flk_roster_t roster;
    uint64_t reserved; /* workers set aside for suspects */
    uint64_t inflight; /* deliveries in the hands of workers, settled ones included */

    flk_broker_stats_t stats;
    flk_message_t message; /* used again for each */
    char frontend_endpoint[FLK_BROKER_ENDPOINT_BYTES], backend_endpoint[FLK_BROKER_ENDPOINT_BYTES];
};

/* ---- broker.c ---- */

/* Receives into broker->message until one is fit to be handled, by its form and its sender. False: none is there. Counts the
 * others. */
bool flk_broker_next(flk_broker_t *broker, void *socket);
/* PING, PONG, WELCOME or GOODBYE to a peer: our instance is filled in. False: its route leads nowhere. */
bool flk_broker_say(flk_broker_t *broker, void *socket, const flk_route_t *route, flk_frame_t frame);
/* Notes that a peer gave a sign of life itself. */
void flk_broker_heard(flk_broker_t *broker, flk_peer_t *peer);
/* Why the peer is lost: it was silent for too long, or the PING that was due showed that its route is gone. NULL: it is there.
 * A peer that owes an answer is asked soon: that is how a killed process is found before its heartbeats are missed. */
const char *flk_broker_why_lost(flk_broker_t *broker, void *socket, flk_peer_t *peer, bool owes_answer);

/* ---- frontend.c ---- */

size_t flk_frontend_turn(flk_broker_t *broker); /* handles a batch; returns its size */
void flk_frontend_tick(flk_broker_t *broker);
void flk_frontend_judge(flk_broker_t *broker); /* forgets those whose key is gone */
void flk_frontend_goodbye(flk_broker_t *broker);
void flk_frontend_close(flk_broker_t *broker); /* frees the gateways; no delivery is left */
/* Answers a delivery's gateway: the submission's id is filled in; `body` may be NULL and is moved when sent. */
void flk_frontend_answer(flk_broker_t *broker, const flk_delivery_t *delivery, flk_frame_t frame, zmq_msg_t *body);

/* ---- backend.c ---- */

size_t flk_backend_turn(flk_broker_t *broker);
void flk_backend_tick(flk_broker_t *broker);
void flk_backend_judge(flk_broker_t *broker);
void flk_backend_goodbye(flk_broker_t *broker);
void flk_backend_close(flk_broker_t *broker);
/* Forgets and frees a worker; what it holds waits again, in order, before all else. With `blame` it counts as lost by
 * a delivery's fault, perhaps. */
void flk_backend_lose(flk_broker_t *broker, flk_worker_t *worker, bool blame, const char *why);

/* ---- dispatch.c ---- */

/* Hands out what waits while workers have credit left; returns how many, 0 when there is no more to do. */
size_t flk_dispatch(flk_broker_t *broker);
/* Puts what a lost worker holds back to the front. */
void flk_dispatch_return(flk_broker_t *broker, flk_worker_t *worker, bool blame);
/* Takes a delivery that waits off wherever it waits. */
void flk_dispatch_unqueue(flk_broker_t *broker, flk_delivery_t *delivery);
/* Whether a delivery waits in the turns of its gateway, and not among the suspects or in a worker's hand. */
bool flk_dispatch_in_turns(const flk_delivery_t *delivery);
/* Takes a delivery out of its worker's hand. */
void flk_dispatch_release(flk_broker_t *broker, flk_delivery_t *delivery);
/* Ends what a worker was set aside for; it may be listed again. */
void flk_dispatch_unreserve(flk_broker_t *broker, flk_worker_t *worker);

#endif
