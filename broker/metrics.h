/* SPDX-License-Identifier: MIT */
/* The broker's metrics. The loop updates them; a scrape reads them from another thread. */
#ifndef FLK_BROKER_METRICS_H
#define FLK_BROKER_METRICS_H

#include <stdatomic.h>

#include "common/metrics.h"

#define FLK_BROKER_COUNTERS(X)                                                                                         \
    X(submitted, "flk_broker_submitted_total", "Submissions taken into the queue")                                     \
    X(resubmitted, "flk_broker_resubmitted_total", "Submissions that were in the queue or in hand already")            \
    X(ids_in_use, "flk_broker_ids_in_use_total", "Submissions refused: their id is another body's or gateway's")       \
    X(busy, "flk_broker_busy_total", "Submissions refused because the queue was full")                                 \
    X(delivered, "flk_broker_delivered_total", "Deliveries handed to workers")                                         \
    X(verdicts, "flk_broker_verdicts_total", "Deliveries settled by a worker's verdict")                               \
    X(unavailable, "flk_broker_unavailable_total", "Deliveries that a worker gave back because its store was down")    \
    X(stale_verdicts, "flk_broker_stale_verdicts_total", "Answers of workers that came too late to count")             \
    X(dropped_answers, "flk_broker_dropped_answers_total", "Answers whose gateway was gone")                           \
    X(redeliveries, "flk_broker_redeliveries_total", "Deliveries queued again after their worker was lost")            \
    X(dead_letters, "flk_broker_dead_letters_total", "Deliveries given up after too many lost workers")                \
    X(abandoned, "flk_broker_abandoned_total", "Deliveries dropped because their gateway was gone for 60 heartbeats")  \
    X(workers_lost, "flk_broker_workers_lost_total", "Workers lost without a GOODBYE")                                 \
    X(malformed, "flk_broker_malformed_total", "Malformed messages, ignored")                                          \
    X(unknown, "flk_broker_unknown_total", "Messages of a kind not expected here, ignored")

#define FLK_BROKER_GAUGES(X)                                                                                           \
    X(queue_depth, "flk_broker_queue_depth", "Deliveries that wait for a worker, suspects among them")                 \
    X(queue_bytes, "flk_broker_queue_bytes", "Bytes of bodies held, waiting or in hand")                               \
    X(inflight, "flk_broker_inflight", "Deliveries in the hands of workers")                                           \
    X(suspects, "flk_broker_suspects", "Deliveries that wait to be handed out alone")                                  \
    X(workers, "flk_broker_workers", "Worker threads known")                                                           \
    X(gateways, "flk_broker_gateways", "Gateways known")

typedef struct flk_broker_metrics {
#define FLK_METRICS_COUNTER(field, name, help) flk_counter_t *field;
    FLK_BROKER_COUNTERS(FLK_METRICS_COUNTER)
#undef FLK_METRICS_COUNTER
#define FLK_METRICS_GAUGE(field, name, help) flk_gauge_t *field;
    FLK_BROKER_GAUGES(FLK_METRICS_GAUGE)
#undef FLK_METRICS_GAUGE
    _Atomic uint64_t oldest_ms; /* when the oldest waiting delivery came, monotonic; 0: none waits */
} flk_broker_metrics_t;

/* Registers all of them. The registry keeps `metrics` until it goes: the oldest age is read at each scrape. */
void flk_broker_metrics_register(flk_broker_metrics_t *metrics, flk_metrics_t *registry);

#endif
