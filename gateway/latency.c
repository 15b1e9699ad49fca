/* SPDX-License-Identifier: MIT */
#include "gateway/latency.h"

static const uint16_t codes[FLK_LATENCY_CODES_LEN] = {
#define CODE_STATUS(status, text) status,
    FLK_LATENCY_CODES(CODE_STATUS)
#undef CODE_STATUS
};

void flk_latency_register(flk_latency_t *latency, flk_metrics_t *metrics) {
    static const char *const labels[FLK_LATENCY_DOORS][FLK_LATENCY_CODES_LEN] = {
#define HTTP_LABELS(status, text) "door=\"http\",code=\"" text "\"",
#define ZMQ_LABELS(status, text)  "door=\"zmq\",code=\"" text "\"",
        [FLK_DOOR_HTTP] = {FLK_LATENCY_CODES(HTTP_LABELS)},
        [FLK_DOOR_ZMQ] = {FLK_LATENCY_CODES(ZMQ_LABELS)},
#undef HTTP_LABELS
#undef ZMQ_LABELS
    };
    for (size_t door = 0; door < FLK_LATENCY_DOORS; door++) {
        for (size_t code = 0; code < FLK_LATENCY_CODES_LEN; code++) {
            latency->seconds[door][code] =
                flk_metrics_histogram(metrics, "flk_request_seconds", labels[door][code],
                                      "From the request to its answer.", flk_latency_bounds, flk_latency_bounds_len);
        }
    }
}

void flk_latency_answered(const flk_latency_t *latency, flk_door_t door, uint16_t status, uint64_t began_ns) {
    size_t code = 0;
    while (code < FLK_LATENCY_CODES_LEN - 1 && codes[code] != status) {
        code++;
    }
    double seconds = (double)(flk_mono_ns() - began_ns) * 1e-9;
    flk_histogram_observe(latency->seconds[door][code], seconds);
}
