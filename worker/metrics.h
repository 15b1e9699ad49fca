/* SPDX-License-Identifier: MIT */
/* The worker's metrics; all its threads share them. */
#ifndef FLK_WORKER_METRICS_H
#define FLK_WORKER_METRICS_H

#include "common/metrics.h"

typedef struct flk_worker_metrics {
    flk_counter_t *verdict_200, *verdict_202, *verdict_400, *verdict_401;
    flk_counter_t *duplicates, *conflicts, *unavailable, *malformed, *unsent;
    flk_gauge_t *threads;
    flk_histogram_t *batch_size, *verify_seconds;
} flk_worker_metrics_t;

void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out);

#endif
