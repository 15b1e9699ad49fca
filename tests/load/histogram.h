/* SPDX-License-Identifier: MIT */
/* Latencies in buckets of 1.6 % relative width, from 1 ns to 2^40 ns (18 minutes). Memory does not grow with their
 * number. */
#ifndef FLK_TESTS_LOAD_HISTOGRAM_H
#define FLK_TESTS_LOAD_HISTOGRAM_H

#include "common/base.h"

enum {
    HISTOGRAM_BITS = 6,
    HISTOGRAM_OCTAVES = 40,
    HISTOGRAM_BUCKETS = (HISTOGRAM_OCTAVES - HISTOGRAM_BITS + 1) << HISTOGRAM_BITS
};

typedef struct histogram {
    uint64_t count, max_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
} histogram_t;

void histogram_add(histogram_t *histogram, uint64_t ns);
/* The least value that a share of `quantile` (0..1) does not exceed, up to the bucket's width; 0 when it is empty. */
uint64_t histogram_ns(const histogram_t *histogram, double quantile);

#endif
