/* SPDX-License-Identifier: MIT */
#include "broker/metrics.h"

/* flk_metrics_read_fn: computed at each scrape, so that the age grows even while the loop sleeps. */
static double oldest_seconds(void *arg) {
    flk_broker_metrics_t *metrics = arg;
    uint64_t oldest_ms = atomic_load_explicit(&metrics->oldest_ms, memory_order_relaxed);
    uint64_t now_ms = flk_mono_ms();
    return oldest_ms == 0 || now_ms < oldest_ms ? 0 : (double)(now_ms - oldest_ms) / 1000.0;
}

void flk_broker_metrics_register(flk_broker_metrics_t *metrics, flk_metrics_t *registry) {
#define REGISTER_COUNTER(field, name, help) metrics->field = flk_metrics_counter(registry, name, NULL, help);
    FLK_BROKER_COUNTERS(REGISTER_COUNTER)
#undef REGISTER_COUNTER
#define REGISTER_GAUGE(field, name, help) metrics->field = flk_metrics_gauge(registry, name, NULL, help);
    FLK_BROKER_GAUGES(REGISTER_GAUGE)
#undef REGISTER_GAUGE
    flk_metrics_gauge_fn(registry, "flk_broker_oldest_seconds", NULL, "Age of the delivery that waits longest",
                         oldest_seconds, metrics);
}
