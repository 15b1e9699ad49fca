/* SPDX-License-Identifier: MIT */
/* The worker's metrics; all its threads share them. */
#ifndef FLK_WORKER_METRICS_H
#define FLK_WORKER_METRICS_H

#include "worker/key_metrics.h"

enum { FLK_WORKER_STATUSES = 5 };
extern const uint32_t flk_worker_statuses[FLK_WORKER_STATUSES]; /* 200, 202, 400, 401, 413 */

typedef struct flk_worker_metrics {
    flk_counter_t *verdicts[FLK_WORKER_STATUSES]; /* in the order of flk_worker_statuses */
    flk_counter_t *duplicates, *conflicts, *unavailable, *malformed, *unsent;
    flk_gauge_t *threads;
    flk_histogram_t *batch_size, *verify_seconds;
    flk_signature_metrics_t keys;
} flk_worker_metrics_t;

void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out);

#endif
