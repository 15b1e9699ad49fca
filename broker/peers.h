/* SPDX-License-Identifier: MIT */
/* The peers of one ROUTER: who is behind which route, when each was last heard. Gateways and workers are peers with more
 * to them. Owned by the loop's thread. */
#ifndef FLK_BROKER_PEERS_H
#define FLK_BROKER_PEERS_H

#include "broker/queue.h"
#include "proto/link.h"

typedef struct flk_peer {
    struct flk_peer *prev, *next; /* all peers, in the order in which they came */
    struct flk_peer *route_next, *instance_next;
    flk_route_t route;  /* fixed for the peer's life: another route is another peer */
    flk_id_t instance;  /* all zero: did not introduce itself yet */
    uint64_t heard_ms;  /* last sign of life, its own or by a pulse that vouches for it */
    uint64_t own_ms;    /* last frame of its own */
    uint64_t pinged_ms; /* when it was last sent a PING */
    char name[FLK_NAME_MAX + 1];
    char user[FLK_CURVE_TEXT_BYTES]; /* its key; "" over a plain link */
} flk_peer_t;

typedef struct flk_gateway {
    flk_peer_t peer;
    uint64_t deliveries; /* that answer to it */
    flk_queue_t waiting; /* of them, what waits for a worker: turns.h */
    struct flk_gateway *turn_prev, *turn_next;
    uint64_t gone_ms; /* 0: there. Else: since when its route leads nowhere; freed with its last delivery */
} flk_gateway_t;

typedef struct flk_worker {
    flk_peer_t peer;
    uint32_t credit;                          /* deliveries that it may hold */
    bool leaving;                             /* said GOODBYE: gets no more */
    bool reserved;                            /* set aside for suspects: gets them one at a time, and nothing else */
    flk_queue_t hand;                         /* what it holds, in the order handed out */
    struct flk_worker *load_prev, *load_next; /* in the roster */
    uint32_t load;                            /* the roster's list that it is in */
    bool listed;
} flk_worker_t;

enum { FLK_PEER_BUCKETS = 1024 };

typedef struct flk_peers {
    flk_peer_t *first, *last;
    uint64_t count;
    flk_peer_t *by_route[FLK_PEER_BUCKETS];
    flk_peer_t *by_instance[FLK_PEER_BUCKETS];
} flk_peers_t; /* all zero: none */

/* Enters a peer whose route is filled in; it stays the caller's to free. The route must not be known yet. */
void flk_peers_add(flk_peers_t *peers, flk_peer_t *peer, uint64_t now_ms);
void flk_peers_remove(flk_peers_t *peers, flk_peer_t *peer);
/* Gives a peer that is in `peers` its instance and name. The instance must not be another peer's. */
void flk_peers_introduce(flk_peers_t *peers, flk_peer_t *peer, const flk_id_t *instance, const char *name);
bool flk_peer_introduced(const flk_peer_t *peer);

flk_peer_t *flk_peers_by_route(const flk_peers_t *peers, const flk_route_t *route);    /* NULL: none */
flk_peer_t *flk_peers_by_instance(const flk_peers_t *peers, const flk_id_t *instance); /* NULL: none */

#endif
