/* SPDX-License-Identifier: MIT */
/* The state that the parts of the broker share. The loop's thread owns all of it but `stop_fd`, `accepting` and
 * `metrics`. Each part calls only those below it:
 *
 *   broker.c                the loop: clock, tick, stop
 *   frontend.c  backend.c   frames from gateways; frames from workers
 *   dispatch.c              deliveries to workers; the deliveries of a lost worker
 *   wire.c                  receiving, liveness, answers to gateways
 *   turns roster queue delivery peers */
#ifndef FLK_BROKER_STATE_H
#define FLK_BROKER_STATE_H

#include <stdatomic.h>

#include "broker/broker.h"
#include "broker/delivery.h"
#include "broker/metrics.h"
#include "broker/roster.h"
#include "broker/turns.h"
#include "common/beat.h"
#include "proto/zap.h"

enum {
    FLK_BROKER_BATCH = 256,               /* messages read from one socket before the other gets its turn */
    FLK_BROKER_MISSES = 3,                /* heartbeat periods of silence after which a peer is lost */
    FLK_BROKER_VOUCHED_PERIODS = 30,      /* periods for which a pulse may speak for a silent worker */
    FLK_BROKER_GATEWAY_CREDIT = 32768,    /* submissions that one gateway may have outstanding here */
    FLK_BROKER_WORKER_CREDIT_MAX = 16384, /* both stay below the messages that a socket holds for one peer */
    FLK_BROKER_SUSPECT_LOSSES = 2,        /* lost workers that make a delivery a suspect */
    FLK_BROKER_DEAD_LOSSES = 5,           /* … and a dead letter: three of them while it was alone */
    FLK_BROKER_GONE_PERIODS = 60,         /* periods for which deliveries of a gone gateway are still handed out */
    FLK_BROKER_BUSY_RETRY_MS = 1000,
    FLK_BROKER_ENDPOINT_BYTES = 256,
};

struct flk_broker {
    void *context, *frontend, *backend; /* libzmq's */
    flk_zap_t *zap;                     /* judges the peers of both */
    uint64_t keys_generation;           /* of the lists by which all known peers were judged */
    int stop_fd;                        /* eventfd; readable once the loop shall end */
    atomic_bool accepting;
    flk_beat_t beat;
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

    flk_broker_metrics_t metrics;
    flk_message_t message; /* used again for each */
    char frontend_endpoint[FLK_BROKER_ENDPOINT_BYTES], backend_endpoint[FLK_BROKER_ENDPOINT_BYTES];
};

#endif
