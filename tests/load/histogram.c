/* SPDX-License-Identifier: MIT */
#include "tests/load/histogram.h"

/* Values below 2^HISTOGRAM_BITS have a bucket each; above, each octave has as many buckets as the leading bits tell
 * apart. */
static unsigned bucket_of(uint64_t ns) {
    if (ns < 1u << HISTOGRAM_BITS) {
        return (unsigned)ns;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns) - HISTOGRAM_BITS;
    return ((octave + 1) << HISTOGRAM_BITS) + (unsigned)(ns >> octave) - (1u << HISTOGRAM_BITS);
}

/* The largest value that falls into a bucket. */
static uint64_t upper_ns(unsigned bucket) {
    unsigned octave = bucket >> HISTOGRAM_BITS;
    uint64_t low = bucket & ((1u << HISTOGRAM_BITS) - 1);
    return octave == 0 ? low : ((low + (1u << HISTOGRAM_BITS) + 1) << (octave - 1)) - 1;
}

void histogram_add(histogram_t *histogram, uint64_t ns) {
    unsigned bucket = bucket_of(ns);
    histogram->buckets[bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1]++;
    histogram->count++;
    histogram->max_ns = ns > histogram->max_ns ? ns : histogram->max_ns;
}

uint64_t histogram_ns(const histogram_t *histogram, double quantile) {
    uint64_t wanted = (uint64_t)(quantile * (double)histogram->count + 0.5), seen = 0;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += histogram->buckets[i];
        if (seen > 0 && seen >= wanted) {
            uint64_t ns = upper_ns(i);
            return ns < histogram->max_ns ? ns : histogram->max_ns;
        }
    }
    return histogram->max_ns;
}
