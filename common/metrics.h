/* SPDX-License-Identifier: MIT */
/* Metrics registry with Prometheus text exposition (format 0.0.4). Registering is for start-up, from one thread.
 * Updating and rendering may be done from any thread; updates are one relaxed atomic operation (a histogram: two).
 * Names and labels must outlive the registry. Registering the same name and labels again gives the same metric. Out
 * of memory while registering ends the process: it happens at start only. */
#ifndef FLK_COMMON_METRICS_H
#define FLK_COMMON_METRICS_H

#include "common/err.h"

typedef struct flk_metrics flk_metrics_t;
typedef struct flk_counter flk_counter_t;
typedef struct flk_gauge flk_gauge_t;
typedef struct flk_histogram flk_histogram_t;

flk_metrics_t *flk_metrics_new(void); /* empty; caller frees it with flk_metrics_destroy */
void flk_metrics_destroy(flk_metrics_t **metrics);

/* `labels` as they stand between the braces, e.g. "code=\"200\""; NULL for none. */
flk_counter_t *flk_metrics_counter(flk_metrics_t *metrics, const char *name, const char *labels, const char *help);
flk_gauge_t *flk_metrics_gauge(flk_metrics_t *metrics, const char *name, const char *labels, const char *help);
/* `bounds`: upper bounds, rising, without +Inf; at most 32; kept for the registry's life. */
flk_histogram_t *flk_metrics_histogram(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                                       const double *bounds, size_t bounds_len);
/* A counter or gauge whose value is asked for at each scrape. The callback may be called from any thread. */
typedef double flk_metrics_read_fn(void *arg);
void flk_metrics_gauge_fn(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                          flk_metrics_read_fn *read, void *arg);
void flk_metrics_counter_fn(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                            flk_metrics_read_fn *read, void *arg);

/* Updates and reads of one metric; values are in the unit that the name ends in. */
void flk_counter_add(flk_counter_t *counter, uint64_t n);
uint64_t flk_counter_value(const flk_counter_t *counter);
void flk_gauge_set(flk_gauge_t *gauge, int64_t value);
void flk_gauge_add(flk_gauge_t *gauge, int64_t delta);
int64_t flk_gauge_value(const flk_gauge_t *gauge);
void flk_histogram_observe(flk_histogram_t *histogram, double value);

/* Bounds for latencies: 100 us to 10 s. 0.2 s is the objective, so that its share can be read exactly. */
extern const double flk_latency_bounds[];
extern const size_t flk_latency_bounds_len;

/* Renders all metrics, grouped by name with # HELP and # TYPE. Caller frees *text with free(). Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_metrics_render(flk_metrics_t *metrics, char **text, size_t *text_bytes);

#endif
