/* SPDX-License-Identifier: MIT */
#include "worker/store/metrics.h"

static const char *const fault_labels[FLK_FAULT_COUNT] = {
#define FLK_FAULT_LABEL(id, label) [FLK_FAULT_##id] = "kind=\"" label "\"",
    FLK_STORE_FAULTS(FLK_FAULT_LABEL)
#undef FLK_FAULT_LABEL
};

static const char *const op_labels[FLK_STORE_OPS] = {
    [FLK_STORE_OP_LOOKUP] = "op=\"lookup\"",
    [FLK_STORE_OP_PUT] = "op=\"put\"",
};

void flk_store_metrics_register(flk_metrics_t *registry, flk_store_metrics_t *metrics) {
    static const double item_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256};
    *metrics = (flk_store_metrics_t){.on = registry != NULL};
    if (registry == NULL) {
        return;
    }
    for (int op = 0; op < FLK_STORE_OPS; op++) {
        metrics->seconds[op] =
            flk_metrics_histogram(registry, "flk_store_seconds", op_labels[op], "Time of one batch at the store.",
                                  flk_latency_bounds, flk_latency_bounds_len);
        metrics->batch_items[op] =
            flk_metrics_histogram(registry, "flk_store_batch_items", op_labels[op], "Keys of one batch at the store.",
                                  item_bounds, FLK_COUNT_OF(item_bounds));
    }
    for (int fault = FLK_FAULT_NONE + 1; fault < FLK_FAULT_COUNT; fault++) {
        metrics->errors[fault] = flk_metrics_counter(registry, "flk_store_errors_total", fault_labels[fault],
                                                     "Batches that the store could not answer.");
    }
#define REGISTER_COUNTER(field, name, labels, help) metrics->field = flk_metrics_counter(registry, name, labels, help);
    FLK_STORE_COUNTERS(REGISTER_COUNTER)
#undef REGISTER_COUNTER
#define REGISTER_GAUGE(field, name, help) metrics->field = flk_metrics_gauge(registry, name, NULL, help);
    FLK_STORE_GAUGES(REGISTER_GAUGE)
#undef REGISTER_GAUGE
}

static flk_store_fault_t fault_of(flk_err_t err) {
    switch (err) {
    case FLK_E_UNAVAILABLE:
        return FLK_FAULT_UNAVAILABLE;
    case FLK_E_TIMEOUT:
        return FLK_FAULT_TIMEOUT;
    case FLK_E_NO_SPACE:
        return FLK_FAULT_NO_SPACE;
    case FLK_E_NOMEM:
        return FLK_FAULT_NO_MEMORY;
    case FLK_E_CORRUPT:
        return FLK_FAULT_CORRUPT;
    case FLK_E_IO:
        return FLK_FAULT_IO;
    default:
        return FLK_FAULT_OTHER;
    }
}

void flk_store_metrics_batch(const flk_store_metrics_t *metrics, flk_store_op_t op, size_t items_len, uint64_t began_ns,
                             flk_err_t err, flk_store_fault_t fault) {
    if (!metrics->on) {
        return;
    }
    flk_histogram_observe(metrics->seconds[op], (double)(flk_mono_ns() - began_ns) * 1e-9);
    flk_histogram_observe(metrics->batch_items[op], (double)items_len);
    if (err != FLK_OK) {
        flk_counter_add(metrics->errors[fault != FLK_FAULT_NONE ? fault : fault_of(err)], 1);
    }
}

void flk_store_metrics_add(const flk_store_metrics_t *metrics, flk_counter_t *counter, uint64_t n) {
    if (metrics->on) {
        flk_counter_add(counter, n);
    }
}

void flk_store_metrics_move(const flk_store_metrics_t *metrics, flk_gauge_t *gauge, int64_t delta) {
    if (metrics->on) {
        flk_gauge_add(gauge, delta);
    }
}
