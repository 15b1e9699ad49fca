/* SPDX-License-Identifier: MIT */
#include "proto/peers.h"

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

static size_t bucket_of(const flk_peers_t *peers, const uint8_t *bytes, size_t len) {
    return XXH3_64bits_withSeed(bytes, len, peers->seed) % FLK_PEER_BUCKETS;
}

static flk_peer_t **route_bucket(const flk_peers_t *peers, const flk_route_t *route) {
    return (flk_peer_t **)&peers->by_route[bucket_of(peers, route->id, route->bytes)];
}

static flk_peer_t **instance_bucket(const flk_peers_t *peers, const flk_id_t *instance) {
    return (flk_peer_t **)&peers->by_instance[bucket_of(peers, instance->bytes, FLK_ID_BYTES)];
}

bool flk_peer_introduced(const flk_peer_t *peer) {
    static const flk_id_t nobody;
    return !flk_id_equal(&peer->instance, &nobody);
}

flk_peer_t *flk_peers_by_route(const flk_peers_t *peers, const flk_route_t *route) {
    flk_peer_t *peer = *route_bucket(peers, route);
    while (peer != NULL && !flk_route_equal(&peer->route, route)) {
        peer = peer->route_next;
    }
    return peer;
}

flk_peer_t *flk_peers_by_instance(const flk_peers_t *peers, const flk_id_t *instance) {
    flk_peer_t *peer = *instance_bucket(peers, instance);
    while (peer != NULL && !flk_id_equal(&peer->instance, instance)) {
        peer = peer->instance_next;
    }
    return peer;
}

void flk_peers_add(flk_peers_t *peers, flk_peer_t *peer, const flk_route_t *route, const char *user, uint64_t now_ms) {
    peers->seed = peers->seed == 0 ? flk_random_u64() : peers->seed;
    peer->route = *route;
    snprintf(peer->user, sizeof peer->user, "%s", user);
    peer->heard_ms = peer->own_ms = peer->pinged_ms = now_ms;
    peer->next = NULL;
    peer->prev = peers->last;
    *(peers->last == NULL ? &peers->first : &peers->last->next) = peer;
    peers->last = peer;
    peers->count++;
    flk_peer_t **bucket = route_bucket(peers, &peer->route);
    peer->route_next = *bucket;
    *bucket = peer;
}

static void forget_instance(flk_peers_t *peers, flk_peer_t *peer) {
    flk_peer_t **link = instance_bucket(peers, &peer->instance);
    while (*link != peer) {
        link = &(*link)->instance_next;
    }
    *link = peer->instance_next;
    memset(&peer->instance, 0, sizeof peer->instance);
}

void flk_peers_remove(flk_peers_t *peers, flk_peer_t *peer) {
    flk_peer_t **link = route_bucket(peers, &peer->route);
    while (*link != peer) {
        link = &(*link)->route_next;
    }
    *link = peer->route_next;
    if (flk_peer_introduced(peer)) {
        forget_instance(peers, peer);
    }
    *(peer->prev == NULL ? &peers->first : &peer->prev->next) = peer->next;
    *(peer->next == NULL ? &peers->last : &peer->next->prev) = peer->prev;
    peers->count--;
}

void flk_peers_introduce(flk_peers_t *peers, flk_peer_t *peer, const flk_id_t *instance, const char *name) {
    if (flk_peer_introduced(peer)) {
        forget_instance(peers, peer);
    }
    peer->instance = *instance;
    memcpy(peer->name, name, strlen(name) + 1);
    if (flk_peer_introduced(peer)) { /* an instance of all zeros stays unknown */
        flk_peer_t **bucket = instance_bucket(peers, instance);
        peer->instance_next = *bucket;
        *bucket = peer;
    }
}

void flk_peers_each(const flk_peers_t *peers, flk_peers_visit_fn *visit, void *arg) {
    flk_peer_t *next;
    for (flk_peer_t *peer = peers->first; peer != NULL; peer = next) {
        next = peer->next;
        visit(arg, peer);
    }
}

void flk_peers_judge(const flk_peers_t *peers, flk_zap_t *zap, const void *socket, flk_peers_visit_fn *leave,
                     void *arg) {
    flk_peer_t *next;
    for (flk_peer_t *peer = peers->first; peer != NULL; peer = next) {
        next = peer->next;
        if (!flk_zap_keeps(zap, socket, peer->user)) {
            leave(arg, peer);
        }
    }
}
