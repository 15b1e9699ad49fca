/* SPDX-License-Identifier: MIT */
/* The state that the doors and the relay of one gateway process share. Made by main before the threads, ended after
 * them. */
#ifndef FLK_GATEWAY_GATEWAY_H
#define FLK_GATEWAY_GATEWAY_H

#include "common/program/settings.h"
#include "gateway/arrivals.h"
#include "gateway/dlq.h"
#include "gateway/metrics.h"
#include "gateway/relay.h"
#include "gateway/throttle.h"
#include "proto/security.h"

typedef struct flk_gateway {
    const flk_settings_t *settings;
    flk_security_t *security; /* of the ZeroMQ links */
    flk_metrics_t *registry;
    flk_gateway_metrics_t metrics;
    flk_wal_t *inbox;
    flk_dlq_t *dlq;
    flk_relay_t *relay;
    flk_arrivals_t arrivals; /* submissions for the relay, from the logs' writers */
    flk_throttle_t throttle;
    uint64_t request_timeout_ms;
    uint64_t unlinked_ms_max; /* how long it stays ready once no broker is linked */
    size_t inflight_max, inflight_bytes_max;
    atomic_size_t admitted;         /* submissions in memory that came through a door */
    atomic_size_t admitted_bytes;   /* … and their bodies as they came */
    atomic_size_t awaited;          /* … whose client still waits */
    atomic_bool draining;           /* from the first SIGTERM on */
    _Atomic uint64_t committed_lsn; /* last one that the log made durable */
} flk_gateway_t;

/* Checks all that flk_gateway_start and the HTTP door's start would refuse: keys, addresses, brokers, directory. Opens
 * and writes nothing. Errors: the same. */
FLK_MUST_CHECK flk_err_t flk_gateway_check(const flk_settings_t *settings, char *errmsg);

/* Opens the logs and starts the relay with its ZeroMQ door; all that is behind the HTTP door. `settings` is kept until
 * flk_gateway_stop, which is to be called after a failure too. Errors: FLK_E_CONFIG, FLK_E_NOMEM and those of
 * flk_wal_open, with setting and reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_gateway_start(flk_gateway_t *gateway, const flk_settings_t *settings, char *errmsg);
/* From now on no submission is let in. Waits until no client waits for an answer, or as long as a request may take. */
void flk_gateway_drain(flk_gateway_t *gateway);
/* When the HTTP door is closed. An agent that still waits at the ZeroMQ door gets a 503. */
void flk_gateway_stop(flk_gateway_t *gateway);

/* Whether it would take a submission now; for /readyz. Fills `why` (FLK_ERRMSG_BYTES) when not. Any thread.
 *
 * All gateways lose the brokers at the same moment. If all were unready at once, a balancer would be left without an
 * address, and clients would be refused instead of answered. So a lost broker is no reason for unlinked_ms_max:
 * meanwhile records are kept and clients get their verdict late, or a 503. */
bool flk_gateway_ready(void *gateway, char *why);

#endif
