/* SPDX-License-Identifier: MIT */
/* A real broker in a thread of its own on TCP loopback, and peers that a test plays by hand. For tests only. */
#ifndef FLK_TESTS_UNIT_BROKER_RIG_H
#define FLK_TESTS_UNIT_BROKER_RIG_H

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/broker.h"
#include "proto/body.h"
#include "proto/link.h"

enum { RIG_DEADLINE_MS = 10000, RIG_HEARTBEAT_MS = 1000, RIG_SOCKETS_MAX = 64 };

typedef struct rig {
    flk_metrics_t *metrics;
    flk_broker_t *broker;
    pthread_t thread;
    void *context;                  /* the peers' */
    void *sockets[RIG_SOCKETS_MAX]; /* of the peers; a socket left open by a failed test would block the end of the
                                       context */
    bool running;
} rig_t;

extern rig_t rig;

void rig_start(uint32_t heartbeat_ms, uint64_t count_max, uint64_t bytes_max);

void rig_join(void);

/* Closes the open sockets, and the peers' context. */
void rig_end_context(void);

void rig_stop(void);

uint64_t rig_counter(const char *name);

int64_t rig_gauge(const char *name);

/* ---- peers ---- */

typedef struct peer {
    void *socket;
    flk_id_t instance;
    flk_message_t message; /* the last frame that peer_next gave */
} peer_t;

void rig_close(void *socket);

void peer_connect(peer_t *peer, const char *endpoint);

peer_t peer_open(const char *endpoint);

/* Closes the connection without a word, as a killed process does. */
void peer_kill(peer_t *peer);

/* Sends; waits for the connection if need be. */
void peer_send(peer_t *peer, const flk_frame_t *frame, const char *body);

void peer_say(peer_t *peer, flk_frame_t frame);

/* The next frame of any kind. False: none within wait_ms. */
bool peer_next(peer_t *peer, uint64_t wait_ms);

/* The next frame but PING, which is answered, and PONG. False: none within wait_ms. */
bool peer_next_of_work(peer_t *peer, uint64_t wait_ms);

/* Waits for a frame of a kind; any other but heartbeats fails the test. */
const flk_frame_t *peer_expect(peer_t *peer, flk_kind_t kind);

bool peer_body_is(const peer_t *peer, const char *text);

/* Asks the broker a PING and returns `known` of the PONG. Work that came before it is counted into *work when not NULL:
 * after a PONG, all earlier frames of the broker are here. */
bool peer_ping(peer_t *peer, size_t *work);

peer_t gateway_open(void);

/* The same gateway over another connection. */
peer_t gateway_open_again(const peer_t *gateway);

/* A SUBMIT with any body. */
void submit_body(peer_t *gateway, uint64_t number, const char *body);

void worker_ready(peer_t *peer, uint32_t credit);

peer_t worker_open(uint32_t credit);

flk_id_t submission(uint64_t number);

void submit(peer_t *gateway, uint64_t number);

/* Waits for the WORK of one submission. */
flk_frame_t expect_work(peer_t *worker, uint64_t number, uint32_t attempt);

void answer(peer_t *worker, const flk_frame_t *work);

/* Waits for the VERDICT of one submission. */
void expect_verdict(peer_t *gateway, uint64_t number);

#endif
