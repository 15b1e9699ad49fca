/* SPDX-License-Identifier: MIT */
/* The peers of one ROUTER: by route and, once introduced, by instance; with key and last sign of life. Its owner embeds
 * a peer in its own record of one. One owner thread. */
#ifndef FLK_PROTO_PEERS_H
#define FLK_PROTO_PEERS_H

#include "proto/zap.h"

typedef struct flk_peer {
    struct flk_peer *prev, *next; /* all peers, in the order in which they came */
    struct flk_peer *route_next, *instance_next;
    flk_route_t route;  /* fixed for the peer's life: another route is another peer */
    flk_id_t instance;  /* all zero: not introduced yet */
    uint64_t heard_ms;  /* last sign of life, its own or by a pulse that vouches for it */
    uint64_t own_ms;    /* last frame of its own */
    uint64_t pinged_ms; /* when it was last sent a PING */
    char name[FLK_NAME_MAX + 1];
    char user[FLK_CURVE_TEXT_BYTES]; /* its key; "" over a plain link */
} flk_peer_t;

enum { FLK_PEER_BUCKETS = 4096 };

typedef struct flk_peers {
    flk_peer_t *first, *last;
    uint64_t count;
    uint64_t seed; /* of the hash, drawn at the first peer: routes and instances are the peers' choice */
    flk_peer_t *by_route[FLK_PEER_BUCKETS];
    flk_peer_t *by_instance[FLK_PEER_BUCKETS];
} flk_peers_t; /* all zero: none */

/* Enters a zeroed peer behind `route`; it stays the caller's to free. The route must not be known yet. `user` as
 * flk_zap_user gives it. */
void flk_peers_add(flk_peers_t *peers, flk_peer_t *peer, const flk_route_t *route, const char *user, uint64_t now_ms);
void flk_peers_remove(flk_peers_t *peers, flk_peer_t *peer);
/* Gives a peer that is in `peers` its instance and name. The instance must not be another peer's. */
void flk_peers_introduce(flk_peers_t *peers, flk_peer_t *peer, const flk_id_t *instance, const char *name);
bool flk_peer_introduced(const flk_peer_t *peer);

flk_peer_t *flk_peers_by_route(const flk_peers_t *peers, const flk_route_t *route);    /* NULL: none */
flk_peer_t *flk_peers_by_instance(const flk_peers_t *peers, const flk_id_t *instance); /* NULL: none */

/* Calls `visit` for each peer in the order of their coming; it may remove and free that one. */
typedef void flk_peers_visit_fn(void *arg, flk_peer_t *peer);
void flk_peers_each(const flk_peers_t *peers, flk_peers_visit_fn *visit, void *arg);
/* The same for those peers only whose key is no longer allowed on `socket`. */
void flk_peers_judge(const flk_peers_t *peers, flk_zap_t *zap, const void *socket, flk_peers_visit_fn *leave,
                     void *arg);

#endif
