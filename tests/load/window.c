/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "tests/load/load.h"

enum { LATENCIES_MAX = 4000000 };

static uint64_t begin_ns, end_ns, answered, failed;
static uint32_t *latencies_us;

void window_open(const load_options_t *options) {
    begin_ns = flk_mono_ns() + (uint64_t)(options->warm_seconds * 1e9);
    end_ns = begin_ns + (uint64_t)(options->seconds * 1e9);
    latencies_us = flk_start_alloc(LATENCIES_MAX * sizeof *latencies_us);
}

bool window_running(void) {
    return flk_mono_ns() < end_ns;
}

void window_count(uint64_t sent_ns, unsigned status) {
    uint64_t now_ns = flk_mono_ns();
    if (now_ns < begin_ns || now_ns >= end_ns) {
        return;
    }
    if (status != 200 && status != 202) {
        failed++;
    }
    if (answered < LATENCIES_MAX) {
        latencies_us[answered] = (uint32_t)((now_ns - sent_ns) / 1000);
    }
    answered++;
}

static int by_value(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

void window_print(void) {
    size_t len = answered < LATENCIES_MAX ? answered : LATENCIES_MAX;
    double seconds = (double)(end_ns - begin_ns) * 1e-9;
    qsort(latencies_us, len, sizeof *latencies_us, by_value);
    printf("%.0f %u %u %llu %llu\n", (double)answered / seconds, len ? latencies_us[len / 2] : 0,
           len ? latencies_us[len * 99 / 100] : 0, (unsigned long long)answered, (unsigned long long)failed);
    free(latencies_us);
}
