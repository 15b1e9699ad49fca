/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "tests/load/histogram.h"
#include "tests/load/load.h"

enum { WAIT_MS_MAX = 10, LATE_S_MAX = 2, FIRST_S_MAX = 20 };

static const load_options_t *load;
static uint64_t begin_ns, end_ns, next_ns, failed;
static uint64_t due_in_window; /* open loop: submissions that fell due in the window */
static histogram_t latencies;

static uint64_t as_ns(double seconds) {
    return (uint64_t)(seconds * 1e9);
}

void window_open(const load_options_t *options) {
    load = options;
    next_ns = flk_mono_ns();
    begin_ns = next_ns + as_ns(options->warm_seconds);
    end_ns = begin_ns + as_ns(options->seconds);
}

bool window_running(void) {
    uint64_t now_ns = flk_mono_ns();
    if (now_ns < end_ns) {
        return true;
    }
    if (latencies.count == 0 && (load->rate <= 0 || due_in_window > 0)) {
        return now_ns < end_ns + as_ns(FIRST_S_MAX);
    }
    return load->rate > 0 && latencies.count < due_in_window && now_ns < end_ns + as_ns(LATE_S_MAX);
}

bool window_due(uint64_t *due_ns) {
    uint64_t now_ns = flk_mono_ns();
    if (load->rate <= 0) {
        *due_ns = now_ns;
        return true;
    }
    if (now_ns < next_ns || next_ns >= end_ns) {
        return false;
    }
    *due_ns = next_ns;
    due_in_window += next_ns >= begin_ns;
    next_ns += as_ns(1 / load->rate);
    return true;
}

uint64_t window_wait_ns(void) {
    uint64_t now_ns = flk_mono_ns(), max_ns = as_ns(WAIT_MS_MAX * 1e-3);
    if (load->rate <= 0 || next_ns >= end_ns || next_ns > now_ns + max_ns) {
        return max_ns;
    }
    return next_ns > now_ns ? next_ns - now_ns : 0;
}

void window_count(uint64_t due_ns, unsigned status) {
    uint64_t now_ns = flk_mono_ns(), counted_ns = load->rate > 0 ? due_ns : now_ns;
    if (counted_ns < begin_ns || (counted_ns >= end_ns && latencies.count > 0)) {
        return;
    }
    failed += status != 200 && status != 202;
    histogram_add(&latencies, now_ns - due_ns);
}

static double us(double quantile) {
    return (double)histogram_ns(&latencies, quantile) * 1e-3;
}

static void print_json(double rate) {
    static const double quantiles[] = {0.001, 0.01, 0.05, 0.1,   0.25,  0.5,    0.75,   0.9,
                                       0.95,  0.98, 0.99, 0.995, 0.999, 0.9995, 0.9999, 1};
    printf("{\"rate\":%.1f,\"answered\":%llu,\"failed\":%llu,\"missing\":%llu,\"us\":[", rate,
           (unsigned long long)latencies.count, (unsigned long long)failed,
           (unsigned long long)(load->rate > 0 ? due_in_window - latencies.count : 0));
    for (size_t i = 0; i < FLK_COUNT_OF(quantiles); i++) {
        printf("%s[%g,%.1f]", i == 0 ? "" : ",", quantiles[i], us(quantiles[i]));
    }
    printf("]}\n");
}

int window_print(void) {
    double rate = (double)latencies.count / load->seconds;
    if (load->json) {
        print_json(rate);
    } else {
        printf("%.0f %.0f %.0f %llu %llu\n", rate, us(0.5), us(0.99), (unsigned long long)latencies.count,
               (unsigned long long)failed);
    }
    return latencies.count > 0 ? 0 : 1;
}
