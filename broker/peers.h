/* SPDX-License-Identifier: MIT */
/* The broker's records of a gateway and of a worker thread, on top of the peer of proto/peers.h. The loop's thread. */
#ifndef FLK_BROKER_PEERS_H
#define FLK_BROKER_PEERS_H

#include "broker/queue.h"
#include "proto/peers.h"

typedef struct flk_gateway_peer {
    flk_peer_t peer;
    uint64_t deliveries; /* that answer to it */
    flk_queue_t waiting; /* those of them that wait for a worker: turns.h */
    struct flk_gateway_peer *turn_prev, *turn_next;
    uint64_t gone_ms; /* 0: there. Else: since when its route leads nowhere; freed with its last delivery */
} flk_gateway_peer_t;

typedef struct flk_worker_peer {
    flk_peer_t peer;
    uint32_t credit;  /* deliveries that it may hold */
    bool leaving;     /* said GOODBYE: gets no more */
    bool reserved;    /* set aside for suspects: gets them one at a time, and nothing else */
    flk_queue_t hand; /* its deliveries, in the order handed out */
    struct flk_worker_peer *load_prev, *load_next; /* in the roster */
    uint32_t load;                                 /* the roster's list that it is in */
    bool listed;
} flk_worker_peer_t;

#endif
