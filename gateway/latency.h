/* SPDX-License-Identifier: MIT */
/* flk_request_seconds: from a submission to its answer, by door and by the status of the answer. Any thread. */
#ifndef FLK_GATEWAY_LATENCY_H
#define FLK_GATEWAY_LATENCY_H

#include "common/metrics.h"
#include "gateway/submission.h"

/* The label `code`: the statuses of answers to submissions, and one for any other. */
#define FLK_LATENCY_CODES(X)                                                                                           \
    X(200, "200") X(202, "202") X(400, "400") X(401, "401") X(413, "413") X(429, "429") X(503, "503") X(0, "other")
enum { FLK_LATENCY_DOORS = 2, FLK_LATENCY_CODES_LEN = 8 };

typedef struct flk_latency {
    flk_histogram_t *seconds[FLK_LATENCY_DOORS][FLK_LATENCY_CODES_LEN]; /* FLK_DOOR_HTTP, FLK_DOOR_ZMQ */
} flk_latency_t;

void flk_latency_register(flk_latency_t *latency, flk_metrics_t *metrics);
/* A submission that came through `door`, at `began_ns` by the monotonic clock, is answered with `status`. */
void flk_latency_answered(const flk_latency_t *latency, flk_door_t door, uint16_t status, uint64_t began_ns);

#endif
