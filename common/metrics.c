/* SPDX-License-Identifier: MIT */
/* How a metric lives: registered at start into its family (one name, one type, one help) -> updated by any thread
 * with relaxed atomics on a cache line of its own -> rendered at each scrape, families and their series in order.
 *
 * A registry's mutex guards the lists only: an update never takes it, so a scrape never slows the hot path.
 * Failures: out of memory while rendering -> FLK_E_NOMEM, the scrape fails, nothing else does. A name that
 * is registered twice with different types is a bug and ends the process. */
#include "common/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BOUNDS_MAX = 32, CACHE_LINE_BYTES = 64 };

typedef enum series_type { SERIES_COUNTER, SERIES_GAUGE, SERIES_HISTOGRAM } series_type_t;
static const char *const type_names[] = {"counter", "gauge", "histogram"};

struct flk_counter {
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t value;
};

struct flk_gauge {
    alignas(CACHE_LINE_BYTES) _Atomic int64_t value;
};

struct flk_histogram {
    const double *bounds;
    size_t bounds_len;
    alignas(CACHE_LINE_BYTES) _Atomic uint64_t sum_bits; /* a double's bits: there is no portable atomic double add */
    _Atomic uint64_t buckets[BOUNDS_MAX + 1];            /* not cumulative; the last one is +Inf */
};

typedef struct series {
    struct series *next; /* by labels */
    const char *labels;  /* "" for none */
    flk_metrics_read_fn *read;
    void *read_arg;
    union { /* without `read` */
        flk_counter_t *counter;
        flk_gauge_t *gauge;
        flk_histogram_t *histogram;
        void *memory;
    };
} series_t;

typedef struct family {
    struct family *next; /* by name */
    const char *name, *help;
    series_type_t type;
    series_t *series;
} family_t;

struct flk_metrics {
    pthread_mutex_t lists; /* guards every `next`, `series` and `families` */
    family_t *families;
};

const double flk_latency_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                     0.1,    0.2,     0.25,   0.5,   1,      2.5,   5,    10};
const size_t flk_latency_bounds_len = FLK_COUNT_OF(flk_latency_bounds);

static void *line_alloc(size_t size) {
    size_t rounded = (size + CACHE_LINE_BYTES - 1) / CACHE_LINE_BYTES * CACHE_LINE_BYTES;
    void *memory = aligned_alloc(CACHE_LINE_BYTES, rounded);
    if (memory == NULL) {
        flk_start_out_of_memory(rounded);
    }
    return memset(memory, 0, rounded);
}

flk_metrics_t *flk_metrics_new(void) {
    flk_metrics_t *metrics = flk_start_alloc(sizeof *metrics);
    FLK_ASSERT(pthread_mutex_init(&metrics->lists, NULL) == 0);
    return metrics;
}

static void family_destroy(family_t *family) {
    for (series_t *series = family->series, *next; series != NULL; series = next) {
        next = series->next;
        free(series->memory);
        free(series);
    }
    free(family);
}

void flk_metrics_destroy(flk_metrics_t **metrics) {
    if (*metrics == NULL) {
        return;
    }
    for (family_t *family = (*metrics)->families, *next; family != NULL; family = next) {
        next = family->next;
        family_destroy(family);
    }
    pthread_mutex_destroy(&(*metrics)->lists);
    free(*metrics);
    *metrics = NULL;
}

/* ---- registering ---- */

static family_t *family_find_or_add(flk_metrics_t *metrics, const char *name, const char *help, series_type_t type) {
    family_t **link = &metrics->families;
    while (*link != NULL && strcmp((*link)->name, name) < 0) {
        link = &(*link)->next;
    }
    if (*link != NULL && strcmp((*link)->name, name) == 0) {
        FLK_ASSERT((*link)->type == type);
        return *link;
    }
    family_t *family = flk_start_alloc(sizeof *family);
    *family = (family_t){.next = *link, .name = name, .help = help, .type = type};
    *link = family;
    return family;
}

/* The series of these labels; *fresh tells whether the caller has to fill it. */
static series_t *series_find_or_add(family_t *family, const char *labels, bool *fresh) {
    labels = labels != NULL ? labels : "";
    series_t **link = &family->series;
    while (*link != NULL && strcmp((*link)->labels, labels) < 0) {
        link = &(*link)->next;
    }
    *fresh = *link == NULL || strcmp((*link)->labels, labels) != 0;
    if (!*fresh) {
        return *link;
    }
    series_t *series = flk_start_alloc(sizeof *series);
    *series = (series_t){.next = *link, .labels = labels};
    *link = series;
    return series;
}

static series_t *add_stored(flk_metrics_t *metrics, series_type_t type, const char *name, const char *labels,
                            const char *help, size_t memory_bytes, bool *fresh) {
    pthread_mutex_lock(&metrics->lists);
    series_t *series = series_find_or_add(family_find_or_add(metrics, name, help, type), labels, fresh);
    if (*fresh) {
        series->memory = line_alloc(memory_bytes);
    }
    FLK_ASSERT(series->read == NULL);
    pthread_mutex_unlock(&metrics->lists);
    return series;
}

static void add_read(flk_metrics_t *metrics, series_type_t type, const char *name, const char *labels, const char *help,
                     flk_metrics_read_fn *read, void *arg) {
    bool fresh;
    pthread_mutex_lock(&metrics->lists);
    series_t *series = series_find_or_add(family_find_or_add(metrics, name, help, type), labels, &fresh);
    FLK_ASSERT(fresh || series->read != NULL);
    series->read = read;
    series->read_arg = arg;
    pthread_mutex_unlock(&metrics->lists);
}

flk_counter_t *flk_metrics_counter(flk_metrics_t *metrics, const char *name, const char *labels, const char *help) {
    bool fresh;
    return add_stored(metrics, SERIES_COUNTER, name, labels, help, sizeof(flk_counter_t), &fresh)->counter;
}

flk_gauge_t *flk_metrics_gauge(flk_metrics_t *metrics, const char *name, const char *labels, const char *help) {
    bool fresh;
    return add_stored(metrics, SERIES_GAUGE, name, labels, help, sizeof(flk_gauge_t), &fresh)->gauge;
}

flk_histogram_t *flk_metrics_histogram(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                                       const double *bounds, size_t bounds_len) {
    FLK_ASSERT(bounds_len <= BOUNDS_MAX);
    for (size_t i = 1; i < bounds_len; i++) {
        FLK_ASSERT(bounds[i - 1] < bounds[i]);
    }
    bool fresh;
    series_t *series = add_stored(metrics, SERIES_HISTOGRAM, name, labels, help, sizeof(flk_histogram_t), &fresh);
    if (fresh) {
        series->histogram->bounds = bounds;
        series->histogram->bounds_len = bounds_len;
    }
    return series->histogram;
}

void flk_metrics_gauge_fn(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                          flk_metrics_read_fn *read, void *arg) {
    add_read(metrics, SERIES_GAUGE, name, labels, help, read, arg);
}

void flk_metrics_counter_fn(flk_metrics_t *metrics, const char *name, const char *labels, const char *help,
                            flk_metrics_read_fn *read, void *arg) {
    add_read(metrics, SERIES_COUNTER, name, labels, help, read, arg);
}

/* ---- updating ---- */

void flk_counter_add(flk_counter_t *counter, uint64_t n) {
    atomic_fetch_add_explicit(&counter->value, n, memory_order_relaxed);
}

uint64_t flk_counter_value(const flk_counter_t *counter) {
    return atomic_load_explicit(&counter->value, memory_order_relaxed);
}

void flk_gauge_set(flk_gauge_t *gauge, int64_t value) {
    atomic_store_explicit(&gauge->value, value, memory_order_relaxed);
}

void flk_gauge_add(flk_gauge_t *gauge, int64_t delta) {
    atomic_fetch_add_explicit(&gauge->value, delta, memory_order_relaxed);
}

int64_t flk_gauge_value(const flk_gauge_t *gauge) {
    return atomic_load_explicit(&gauge->value, memory_order_relaxed);
}

static double double_from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t double_to_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

void flk_histogram_observe(flk_histogram_t *histogram, double value) {
    size_t bucket = 0;
    while (bucket < histogram->bounds_len && !(value <= histogram->bounds[bucket])) {
        bucket++; /* NaN ends in +Inf */
    }
    atomic_fetch_add_explicit(&histogram->buckets[bucket], 1, memory_order_relaxed);

    uint64_t old = atomic_load_explicit(&histogram->sum_bits, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&histogram->sum_bits, &old,
                                                  double_to_bits(double_from_bits(old) + value), memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

/* ---- rendering ---- */

/* The shortest of two prints that reads back the same: 0.0001 stays 0.0001. */
static void print_number(FILE *out, double value) {
    if (isnan(value)) {
        fputs("NaN", out);
    } else if (isinf(value)) {
        fputs(value > 0 ? "+Inf" : "-Inf", out);
    } else {
        char text[40];
        snprintf(text, sizeof text, "%.15g", value);
        if (strtod(text, NULL) != value) {
            snprintf(text, sizeof text, "%.17g", value);
        }
        fputs(text, out);
    }
}

static void print_help(FILE *out, const char *help) {
    for (; *help != '\0'; help++) {
        if (*help == '\n') {
            fputs("\\n", out);
        } else if (*help == '\\') {
            fputs("\\\\", out);
        } else {
            fputc(*help, out);
        }
    }
}

static void print_name(FILE *out, const char *name, const char *suffix, const char *labels) {
    fprintf(out, "%s%s", name, suffix);
    if (labels[0] != '\0') {
        fprintf(out, "{%s}", labels);
    }
    fputc(' ', out);
}

/* _count is the sum of the buckets that were printed, so that the two agree although others count meanwhile. */
static void print_histogram(FILE *out, const char *name, const char *labels, const flk_histogram_t *histogram) {
    const char *comma = labels[0] != '\0' ? "," : "";
    uint64_t cumulative = 0;
    for (size_t i = 0; i <= histogram->bounds_len; i++) {
        cumulative += atomic_load_explicit(&histogram->buckets[i], memory_order_relaxed);
        fprintf(out, "%s_bucket{%s%sle=\"", name, labels, comma);
        print_number(out, i < histogram->bounds_len ? histogram->bounds[i] : (double)INFINITY);
        fprintf(out, "\"} %llu\n", (unsigned long long)cumulative);
    }
    print_name(out, name, "_sum", labels);
    print_number(out, double_from_bits(atomic_load_explicit(&histogram->sum_bits, memory_order_relaxed)));
    fputc('\n', out);
    print_name(out, name, "_count", labels);
    fprintf(out, "%llu\n", (unsigned long long)cumulative);
}

static void print_series(FILE *out, const family_t *family, const series_t *series) {
    if (family->type == SERIES_HISTOGRAM) {
        print_histogram(out, family->name, series->labels, series->histogram);
        return;
    }
    print_name(out, family->name, "", series->labels);
    if (series->read != NULL) {
        print_number(out, series->read(series->read_arg));
    } else if (family->type == SERIES_COUNTER) {
        fprintf(out, "%llu", (unsigned long long)flk_counter_value(series->counter));
    } else {
        fprintf(out, "%lld", (long long)flk_gauge_value(series->gauge));
    }
    fputc('\n', out);
}

flk_err_t flk_metrics_render(flk_metrics_t *metrics, char **text, size_t *text_bytes) {
    *text = NULL;
    FILE *out = open_memstream(text, text_bytes);
    if (out == NULL) {
        return FLK_E_NOMEM;
    }
    pthread_mutex_lock(&metrics->lists);
    for (const family_t *family = metrics->families; family != NULL; family = family->next) {
        fprintf(out, "# HELP %s ", family->name);
        print_help(out, family->help);
        fprintf(out, "\n# TYPE %s %s\n", family->name, type_names[family->type]);
        for (const series_t *series = family->series; series != NULL; series = series->next) {
            print_series(out, family, series);
        }
    }
    pthread_mutex_unlock(&metrics->lists);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(*text);
        *text = NULL;
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}
