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
#include "proto/security.h"

/* Each submission that a door observes is counted in `ingest`, and ends in exactly one of
 *   throttled, refused            it never had a record, or lost it with the log
 *   accepted, escalated, dedup_hits, rejected_*   by the verdict that settled its record
 *   (none yet)                    its record is un-acked: it waits, or is driven again until it has a verdict
 * so in one life of the process, between requests,
 *   ingest + recovered = throttled + refused + accepted + escalated + dedup_hits + rejected_* + flk_wal_unacked
 * with the un-acked records that the life before left as `recovered`. The other counters are events, and one
 * submission may have many: a timeout, then unavailable at each re-drive. Requests that are no submission (405, 413 by its length, a body
 * that did not come in full) are in flk_http_refused_total only. */
typedef struct flk_gateway_metrics {
    flk_counter_t *ingest;     /* submissions observed at both doors */
    flk_counter_t *accepted;   /* first verdicts 200 */
    flk_counter_t *escalated;  /* first verdicts 202 */
    flk_counter_t *dedup_hits; /* answered with a stored outcome */
    flk_counter_t *conflicts;  /* … that was given for other signed content */
    flk_counter_t *rejected_400, *rejected_401, *rejected_413;
    flk_counter_t *throttled;
    flk_counter_t *refused; /* 503 before the log had the record */

    flk_counter_t *unavailable; /* 503-class answers from behind the log; the record is driven again */
    flk_counter_t *timeouts;    /* 503 by the deadline; the record goes on */
    flk_counter_t *redriven;    /* records taken from the log and submitted again */
    flk_counter_t *dead_letters;
    flk_counter_t *stale_verdicts; /* for records that were settled before, or that are not ours */
    flk_counter_t *http_refused;
    flk_counter_t *malformed, *unknown, *unroutable; /* ZeroMQ messages */
    flk_gauge_t *unreadable;                         /* records that the last pass of the re-drive could not read */
    flk_histogram_t *request_seconds_http, *request_seconds_zmq;
    flk_histogram_t *wal_sync_seconds;
    flk_histogram_t *wal_group_size;
} flk_gateway_metrics_t;

typedef struct flk_gateway {
    const flk_settings_t *settings;
    flk_security_t *security; /* of the ZeroMQ links */
    flk_metrics_t *registry;
    flk_gateway_metrics_t metrics;
    flk_wal_t *inbox;
    flk_dlq_t *dlq;
    flk_relay_t *relay;
    flk_throttle_t throttle;
    uint64_t request_timeout_ms;
    size_t inflight_max, inflight_bytes_max;
    atomic_size_t admitted;         /* submissions in memory that came through a door */
    atomic_size_t admitted_bytes;   /* … and their bodies as they came */
    atomic_size_t awaited;          /* … whose client still waits */
    atomic_bool draining;           /* from the first SIGTERM on */
    _Atomic uint64_t committed_lsn; /* last one that the log made durable */
} flk_gateway_t;

/* Opens the logs and starts the relay with its ZeroMQ door; all that is behind the HTTP door. `settings` is kept until
 * flk_gateway_stop, which is to be called after a failure too. Errors: FLK_E_CONFIG, FLK_E_NOMEM and those of
 * flk_wal_open, with setting and reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_gateway_start(flk_gateway_t *gateway, const flk_settings_t *settings, char *errmsg);
/* From now on nothing is let in; waits until nobody waits for an answer, or as long as a request may take. */
void flk_gateway_drain(flk_gateway_t *gateway);
/* When the HTTP door is closed. Whoever still waits at the ZeroMQ door gets a 503. */
void flk_gateway_stop(flk_gateway_t *gateway);

void flk_gateway_metrics_init(flk_gateway_t *gateway);
/* Counts a ZeroMQ message that flk_link_recv could not make sense of, by its error. */
void flk_gateway_count_unread(flk_gateway_t *gateway, flk_err_t err);

/* Whether it would take a submission now; for /readyz. Fills `why` (FLK_ERRMSG_BYTES) when not. Any thread. */
bool flk_gateway_ready(void *gateway, char *why);

#endif
