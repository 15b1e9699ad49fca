/* SPDX-License-Identifier: MIT */
/* The metrics of a store, the same for each backend. Any thread. */
#ifndef FLK_WORKER_STORE_METRICS_H
#define FLK_WORKER_STORE_METRICS_H

#include "common/metrics.h"

/* The reasons of a store without an answer: the label `kind` of flk_store_errors_total. */
#define FLK_STORE_FAULTS(X)                                                                                            \
    X(UNAVAILABLE, "unavailable") /* not reached, or lost on the way */                                                \
    X(TIMEOUT, "timeout")                                                                                              \
    X(NO_SPACE, "no_space")                                                                                            \
    X(NO_MEMORY, "no_memory")                                                                                          \
    X(READ_ONLY, "read_only")                                                                                          \
    X(AUTH, "auth")                                                                                                    \
    X(SCHEMA, "schema")                                                                                                \
    X(CORRUPT, "corrupt")                                                                                              \
    X(IO, "io")                                                                                                        \
    X(OTHER, "other")

typedef enum flk_store_fault {
    FLK_FAULT_NONE, /* the error's code says it all */
#define FLK_FAULT_ID(id, label) FLK_FAULT_##id,
    FLK_STORE_FAULTS(FLK_FAULT_ID)
#undef FLK_FAULT_ID
        FLK_FAULT_COUNT
} flk_store_fault_t;

typedef enum flk_store_op { FLK_STORE_OP_LOOKUP, FLK_STORE_OP_PUT, FLK_STORE_OPS } flk_store_op_t;

#define FLK_STORE_COUNTERS(X)                                                                                          \
    X(round_trips, "flk_store_round_trips_total", NULL, "Exchanges with a store's server; a pipeline is one.")         \
    X(dials_ok, "flk_store_dials_total", "result=\"ok\"", "Attempts to connect to a store's server.")                  \
    X(dials_failed, "flk_store_dials_total", "result=\"failed\"", "Attempts to connect to a store's server.")          \
    X(emptied, "flk_store_emptied_total", NULL, "Times that a store's server was found without the outcomes it had.")

#define FLK_STORE_GAUGES(X)                                                                                            \
    X(wanted, "flk_store_connections_wanted", "Connections that stores would have.")                                   \
    X(connected, "flk_store_connections", "Connections to store servers that stand.")

typedef struct flk_store_metrics {
    bool on; /* false: no registry, and everything below is NULL */
    flk_histogram_t *seconds[FLK_STORE_OPS], *batch_items[FLK_STORE_OPS];
    flk_counter_t *errors[FLK_FAULT_COUNT];
#define FLK_METRICS_COUNTER(field, name, labels, help) flk_counter_t *field;
    FLK_STORE_COUNTERS(FLK_METRICS_COUNTER)
#undef FLK_METRICS_COUNTER
#define FLK_METRICS_GAUGE(field, name, help) flk_gauge_t *field;
    FLK_STORE_GAUGES(FLK_METRICS_GAUGE)
#undef FLK_METRICS_GAUGE
} flk_store_metrics_t;

/* Without a registry everything is off. Out of memory ends the process: for start-up. */
void flk_store_metrics_register(flk_metrics_t *registry, flk_store_metrics_t *metrics);

/* One batch is over. `fault` says more than err where it is set. */
void flk_store_metrics_batch(const flk_store_metrics_t *metrics, flk_store_op_t op, size_t items_len, uint64_t began_ns,
                             flk_err_t err, flk_store_fault_t fault);

/* Add to a counter or gauge of `metrics`; nothing without a registry. */
void flk_store_metrics_add(const flk_store_metrics_t *metrics, flk_counter_t *counter, uint64_t n);
void flk_store_metrics_move(const flk_store_metrics_t *metrics, flk_gauge_t *gauge, int64_t delta);

#endif
