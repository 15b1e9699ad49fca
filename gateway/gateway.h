/* SPDX-License-Identifier: MIT */
/* What the doors and the relay of one gateway process share. Made by main before the threads, ended after them. */
#ifndef FLK_GATEWAY_GATEWAY_H
#define FLK_GATEWAY_GATEWAY_H

#include "common/metrics.h"
#include "common/settings.h"
#include "gateway/dlq.h"
#include "gateway/relay.h"
#include "gateway/submission.h"
#include "gateway/throttle.h"

/* flk_ingest_total = accepted + escalated + dedup_hits + rejected + throttled + refused, once nothing is un-acked. */
typedef struct flk_gateway_metrics {
    flk_counter_t *ingest;     /* submissions observed at both doors */
    flk_counter_t *accepted;   /* first verdicts 200 */
    flk_counter_t *escalated;  /* first verdicts 202 */
    flk_counter_t *dedup_hits; /* answered with a stored outcome */
    flk_counter_t *conflicts;  /* … that was given for other signed content */
    flk_counter_t *rejected_400, *rejected_401, *rejected_413;
    flk_counter_t *throttled;
    flk_counter_t *refused;     /* 503 before the log had the record */
    flk_counter_t *unavailable; /* 503-class answers from behind the log; the record is driven again */
    flk_counter_t *timeouts;    /* 503 by the deadline; the record goes on */
    flk_counter_t *redriven;    /* records taken from the log and submitted again */
    flk_counter_t *dead_letters;
    flk_counter_t *stale_verdicts; /* for submissions that this gateway no longer waits for */
    flk_counter_t *door_malformed, *door_unknown, *door_unroutable; /* ZeroMQ door */
    flk_histogram_t *request_seconds_http, *request_seconds_zmq;
    flk_histogram_t *wal_sync_seconds;
    flk_histogram_t *wal_group_size;
} flk_gateway_metrics_t;

typedef struct flk_gateway {
    const flk_settings_t *settings;
    flk_metrics_t *registry;
    flk_gateway_metrics_t metrics;
    flk_wal_t *inbox;
    flk_dlq_t *dlq;
    flk_relay_t *relay;
    flk_throttle_t throttle;
    uint64_t request_timeout_ms;
    size_t inflight_max;
    atomic_size_t admitted;         /* submissions in memory that came through a door */
    atomic_size_t awaited;          /* … whose client still waits */
    atomic_bool draining;           /* from the first SIGTERM on */
    _Atomic uint64_t committed_lsn; /* last one that the log made durable */
} flk_gateway_t;

void flk_gateway_metrics_init(flk_gateway_t *gateway);

/* Whether it would take a submission now; for /readyz. Fills `why` (FLK_ERRMSG_BYTES) when not. Any thread. */
bool flk_gateway_ready(void *gateway, char *why);

#endif
