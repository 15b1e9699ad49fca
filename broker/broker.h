/* SPDX-License-Identifier: MIT */
/* The broker: takes submissions from gateways, hands them to workers by credit, passes verdicts back. All in memory;
 * one thread runs it and owns everything in it. It speaks PROTOCOL.md. */
#ifndef FLK_BROKER_BROKER_H
#define FLK_BROKER_BROKER_H

#include "common/metrics.h"
#include "proto/security.h"

typedef struct flk_broker flk_broker_t; /* Opaque; fields are commented in state.h. */

typedef struct flk_broker_options {
    const char *frontend, *backend; /* endpoints to bind; borrowed until return */
    const flk_security_t *security; /* NULL: no key; kept until destroy */
    uint32_t heartbeat_ms;
    uint64_t count_max, bytes_max; /* deliveries and bytes of bodies, waiting or in hand; over either: BUSY */
    flk_metrics_t *metrics;        /* kept until destroy */
} flk_broker_options_t;

/* Binds both sockets. Errors: FLK_E_CONFIG, FLK_E_LOCKED (in use), with the endpoint and the reason; FLK_E_NOMEM.
 * Freed with flk_broker_destroy. */
FLK_MUST_CHECK flk_err_t flk_broker_new(const flk_broker_options_t *options, flk_broker_t **broker, char *errmsg);
void flk_broker_destroy(flk_broker_t **broker); /* not while it runs; blocks up to the sockets' linger (0.5 s) */

/* Runs until flk_broker_stop; then says GOODBYE to every peer and returns. */
void flk_broker_run(flk_broker_t *broker);
/* Any thread, also from a signal handler. */
void flk_broker_stop(flk_broker_t *broker);

/* flk_admin_ready_fn with the broker as `arg`: it runs and accepts. Without workers it is ready too: it queues. */
bool flk_broker_ready(void *arg, char *why);

/* The endpoints as bound, port filled in. */
const char *flk_broker_frontend(const flk_broker_t *broker);
const char *flk_broker_backend(const flk_broker_t *broker);

#endif
