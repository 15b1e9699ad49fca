/* SPDX-License-Identifier: MIT */
/* One verify thread: its own DEALER to each broker, its own store handle, nothing shared but rules and metrics. */
#ifndef FLK_WORKER_LOOP_H
#define FLK_WORKER_LOOP_H

#include "proto/uplink.h"
#include "worker/batch.h"

typedef struct flk_loop flk_loop_t; /* Opaque; fields are commented in loop.c. */

typedef struct flk_loop_options {
    void *context;                  /* ZeroMQ's; ended after flk_loop_stop */
    const char *const *endpoints;   /* of the brokers; borrowed until _new returns */
    size_t endpoints_len;           /* 1..FLK_BROKERS_MAX */
    const flk_security_t *security; /* NULL: no key; borrowed until _destroy */
    const char *name;               /* in READY; borrowed until _new returns */
    uint32_t credit;                /* deliveries it may hold, per broker */
    uint32_t heartbeat_ms;
    uint32_t drain_ms;    /* how long it waits for the brokers' GOODBYE when it stops */
    uint32_t vouch_ms;    /* how long the pulse speaks for a thread that begins no turn */
    flk_rulebook_t *book; /* borrowed until _destroy, as metrics */
    const flk_worker_metrics_t *metrics;
} flk_loop_options_t;

/* Takes store on FLK_OK. Caller frees with flk_loop_destroy. Errors: FLK_E_CONFIG (endpoint), FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_loop_new(const flk_loop_options_t *options, flk_store_t *store, flk_loop_t **loop,
                                      char *errmsg);
/* Starts the thread. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_loop_start(flk_loop_t *loop, char *errmsg);
/* Asks it to drain: GOODBYE to the brokers, deliveries in hand are finished. Does not wait. */
void flk_loop_stop(flk_loop_t *loop);
/* Waits for the thread, when one was started; its getters for other threads stay valid. */
void flk_loop_join(flk_loop_t *loop);
void flk_loop_destroy(flk_loop_t **loop);

/* Any thread. */
const flk_id_t *flk_loop_instance(const flk_loop_t *loop); /* never changes */
uint64_t flk_loop_turn_ms(const flk_loop_t *loop);         /* when its last turn began, monotonic */
bool flk_loop_linked(const flk_loop_t *loop);              /* some broker has welcomed it */
/* False: the store did not answer last time; `why` (FLK_ERRMSG_BYTES) has its error. */
bool flk_loop_store_ok(flk_loop_t *loop, char *why);

#endif
