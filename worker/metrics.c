/* SPDX-License-Identifier: MIT */
#include "worker/metrics.h"

void flk_worker_metrics_register(flk_metrics_t *metrics, flk_worker_metrics_t *out) {
    static const double batch_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
#define REGISTER_COUNTER(field, name, help) out->field = flk_metrics_counter(metrics, name, NULL, help);
    FLK_WORKER_COUNTERS(REGISTER_COUNTER)
#undef REGISTER_COUNTER
#define REGISTER_GAUGE(field, name, help) out->field = flk_metrics_gauge(metrics, name, NULL, help);
    FLK_WORKER_GAUGES(REGISTER_GAUGE)
#undef REGISTER_GAUGE
#define REGISTER_STATUS(status)                                                                                        \
    out->verdicts_##status = flk_metrics_counter(metrics, "flk_worker_verdicts_total", "status=\"" #status "\"",       \
                                                 "Deliveries answered with a verdict.");
    FLK_WORKER_STATUSES(REGISTER_STATUS)
#undef REGISTER_STATUS
    out->batch_size = flk_metrics_histogram(metrics, "flk_worker_batch_size", NULL, "Deliveries taken at once.",
                                            batch_bounds, FLK_COUNT_OF(batch_bounds));
    out->verify_seconds = flk_metrics_histogram(metrics, "flk_worker_verify_seconds", NULL,
                                                "Decoding, signatures and verdicts of one batch, without the store.",
                                                flk_latency_bounds, flk_latency_bounds_len);
    flk_signature_metrics_register(metrics, &out->keys);
}

void flk_worker_metrics_verdict(const flk_worker_metrics_t *metrics, uint32_t status) {
    switch (status) {
#define COUNT_STATUS(status)                                                                                           \
    case status:                                                                                                       \
        flk_counter_add(metrics->verdicts_##status, 1);                                                                \
        return;
        FLK_WORKER_STATUSES(COUNT_STATUS)
#undef COUNT_STATUS
    default:
        FLK_ASSERT(false && "a worker gives no other status");
    }
}
