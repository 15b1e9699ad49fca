/* SPDX-License-Identifier: MIT */
/* The worker's metrics; all its threads share them. */
#ifndef FLK_WORKER_METRICS_H
#define FLK_WORKER_METRICS_H

#include "worker/key_metrics.h"

#define FLK_WORKER_STATUSES(X) X(200) X(202) X(400) X(401) X(413)

#define FLK_WORKER_COUNTERS(X)                                                                                         \
    X(duplicates, "flk_worker_duplicates_total", "Verdicts that another submission was the origin of.")                \
    X(conflicts, "flk_worker_conflicts_total", "Duplicates whose content differs from the first.")                     \
    X(replaced, "flk_worker_outcomes_replaced_total", "Stored outcomes that could not be read, verified anew.")        \
    X(unavailable, "flk_worker_unavailable_total", "Deliveries given back because a needed part was down.")            \
    X(malformed, "flk_worker_malformed_total", "Messages that were no frame, or not one for a worker.")                \
    X(unsent, "flk_worker_unsent_total", "Answers whose broker was gone; it delivers those again.")

#define FLK_WORKER_GAUGES(X) X(threads, "flk_worker_threads", "Verify threads that run.")

typedef struct flk_worker_metrics {
#define FLK_METRICS_COUNTER(field, name, help) flk_counter_t *field;
    FLK_WORKER_COUNTERS(FLK_METRICS_COUNTER)
#undef FLK_METRICS_COUNTER
#define FLK_METRICS_GAUGE(field, name, help) flk_gauge_t *field;
    FLK_WORKER_GAUGES(FLK_METRICS_GAUGE)
#undef FLK_METRICS_GAUGE
#define FLK_METRICS_STATUS(status) flk_counter_t *verdicts_##status;
    FLK_WORKER_STATUSES(FLK_METRICS_STATUS)
#undef FLK_METRICS_STATUS
    flk_histogram_t *batch_size, *verify_seconds;
    flk_signature_metrics_t keys;
} flk_worker_metrics_t;

/* Registers all of them and fills `out`; at start. */
void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out);

/* Counts a verdict with that status; one of FLK_WORKER_STATUSES. */
void flk_worker_metrics_verdict(const flk_worker_metrics_t *metrics, uint32_t status);

#endif
