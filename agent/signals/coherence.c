/* SPDX-License-Identifier: MIT */
/* Two passes over the points, tile by tile, all directions for each tile: the first finds every direction's least and
 * greatest projection, the second counts its bins. A projection is computed twice rather than kept: memory would be
 * points x directions. The loops over a tile are written so that the compiler vectorises them; built once for the base
 * machine and once for AVX2, chosen at run time. Both round alike, because every lane does the same IEEE operations in
 * the same order (CMakeLists.txt forbids contraction into fused multiply-adds for this file). */
#include "agent/signals/coherence.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    TILE = 1024, /* points: 3 axes and the projections are 32 KiB */
    LANES = 16,  /* independent minima and maxima */
    BANKS = 4,   /* counters a bin: increments of neighbours in one bin do not wait for each other */
};

#if defined(__x86_64__)
#define WITH_AVX2 1
#endif

typedef struct range {
    double lo, hi;
} range_t;

/* ---- directions ---- */

static uint64_t splitmix_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static double uniform_next(uint64_t *state) {
    return (double)((splitmix_next(state) >> 11) + 1) * 0x1p-53;
}

/* One vector of Gaussians; returns its length. */
static double gaussians_next(uint64_t *state, size_t dims, double *out) {
    double squares = 0;
    for (size_t i = 0; i < dims; i += 2) {
        double radius = sqrt(-2 * log(uniform_next(state)));
        double angle = 2 * M_PI * uniform_next(state);
        out[i] = radius * cos(angle);
        squares += out[i] * out[i];
        if (i + 1 < dims) {
            out[i + 1] = radius * sin(angle);
            squares += out[i + 1] * out[i + 1];
        }
    }
    return sqrt(squares);
}

void flk_directions(uint64_t seed, uint32_t directions, size_t dims, double *out) {
    uint64_t state = seed;
    for (uint32_t k = 0; k < directions; k++, out += dims) {
        double length;
        do {
            length = gaussians_next(&state, dims, out);
        } while (length == 0);
        for (size_t i = 0; i < dims; i++) {
            out[i] = flk_round9(out[i] / length);
        }
    }
}

/* ---- inner loops; always inlined, so that they are compiled for each machine ---- */

#define INNER static inline __attribute__((always_inline))

/* Projections of the `len` points from `first` on. The result may have a tail up to the next multiple of LANES. */
INNER void project(const flk_points_t *points, size_t first, size_t len, const double *v, double *restrict p) {
    const double *restrict x = points->axis[0] + first;
    if (points->dims == 3) {
        const double *restrict y = points->axis[1] + first, *restrict z = points->axis[2] + first;
        double v0 = v[0], v1 = v[1], v2 = v[2];
        for (size_t i = 0; i < len; i++) {
            p[i] = x[i] * v0 + y[i] * v1 + z[i] * v2;
        }
        return;
    }
    for (size_t i = 0; i < len; i++) {
        p[i] = x[i] * v[0];
    }
    for (size_t axis = 1; axis < points->dims; axis++) {
        const double *restrict y = points->axis[axis] + first;
        double component = v[axis];
        for (size_t i = 0; i < len; i++) {
            p[i] += y[i] * component;
        }
    }
}

/* Widens `range` by the projections; p[len..] is overwritten up to a multiple of LANES. */
INNER void widen(range_t *range, double *p, size_t len) {
    double lo[LANES], hi[LANES];
    size_t padded = (len + LANES - 1) / LANES * LANES;
    for (size_t i = len; i < padded; i++) {
        p[i] = p[0];
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        lo[lane] = range->lo;
        hi[lane] = range->hi;
    }
    for (size_t i = 0; i < padded; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            double value = p[i + lane];
            lo[lane] = value < lo[lane] ? value : lo[lane];
            hi[lane] = value > hi[lane] ? value : hi[lane];
        }
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        range->lo = lo[lane] < range->lo ? lo[lane] : range->lo;
        range->hi = hi[lane] > range->hi ? hi[lane] : range->hi;
    }
}

INNER void count_bins(const double *p, size_t len, double lo, double factor, int32_t bins, uint32_t *counts) {
    int32_t bin[TILE];
    int32_t last = bins - 1;
    for (size_t i = 0; i < len; i++) {
        int32_t b = (int32_t)((p[i] - lo) * factor);
        bin[i] = b < last ? b : last;
    }
    uint32_t bank[BANKS][FLK_BINS_MAX];
    for (size_t k = 0; k < BANKS; k++) {
        memset(bank[k], 0, (size_t)bins * sizeof bank[k][0]);
    }
    size_t i = 0;
    for (; i + BANKS <= len; i += BANKS) {
        bank[0][bin[i]]++;
        bank[1][bin[i + 1]]++;
        bank[2][bin[i + 2]]++;
        bank[3][bin[i + 3]]++;
    }
    for (; i < len; i++) {
        bank[0][bin[i]]++;
    }
    for (int32_t b = 0; b < bins; b++) {
        counts[b] += bank[0][b] + bank[1][b] + bank[2][b] + bank[3][b];
    }
}

INNER void tile_ranges_inner(const flk_points_t *points, size_t first, size_t len, const double *v, uint32_t directions,
                             range_t *ranges) {
    double p[TILE + LANES];
    for (uint32_t k = 0; k < directions; k++) {
        project(points, first, len, v + k * points->dims, p);
        widen(&ranges[k], p, len);
    }
}

INNER void tile_counts_inner(const flk_points_t *points, size_t first, size_t len, const double *v,
                             const flk_coherence_options_t *options, const range_t *ranges, uint32_t *counts) {
    double p[TILE + LANES];
    for (uint32_t k = 0; k < options->directions; k++) {
        double factor = options->bins / (ranges[k].hi - ranges[k].lo);
        if (!isfinite(factor)) {
            counts[k * options->bins] += (uint32_t)len;
            continue;
        }
        project(points, first, len, v + k * points->dims, p);
        count_bins(p, len, ranges[k].lo, factor, (int32_t)options->bins, counts + k * options->bins);
    }
}

typedef void tile_ranges_fn(const flk_points_t *points, size_t first, size_t len, const double *v, uint32_t directions,
                            range_t *ranges);
typedef void tile_counts_fn(const flk_points_t *points, size_t first, size_t len, const double *v,
                            const flk_coherence_options_t *options, const range_t *ranges, uint32_t *counts);

static void tile_ranges_base(const flk_points_t *points, size_t first, size_t len, const double *v, uint32_t directions,
                             range_t *ranges) {
    tile_ranges_inner(points, first, len, v, directions, ranges);
}

static void tile_counts_base(const flk_points_t *points, size_t first, size_t len, const double *v,
                             const flk_coherence_options_t *options, const range_t *ranges, uint32_t *counts) {
    tile_counts_inner(points, first, len, v, options, ranges, counts);
}

#ifdef WITH_AVX2
__attribute__((target("avx2"))) static void tile_ranges_avx2(const flk_points_t *points, size_t first, size_t len,
                                                             const double *v, uint32_t directions, range_t *ranges) {
    tile_ranges_inner(points, first, len, v, directions, ranges);
}

__attribute__((target("avx2"))) static void tile_counts_avx2(const flk_points_t *points, size_t first, size_t len,
                                                             const double *v, const flk_coherence_options_t *options,
                                                             const range_t *ranges, uint32_t *counts) {
    tile_counts_inner(points, first, len, v, options, ranges, counts);
}
#endif

static void pick(tile_ranges_fn **ranges, tile_counts_fn **counts) {
    *ranges = tile_ranges_base;
    *counts = tile_counts_base;
#ifdef WITH_AVX2
    if (__builtin_cpu_supports("avx2")) {
        *ranges = tile_ranges_avx2;
        *counts = tile_counts_avx2;
    }
#endif
}

/* ---- the whole ---- */

static uint32_t fullest(const uint32_t *counts, uint32_t bins) {
    uint32_t most = 0;
    for (uint32_t b = 0; b < bins; b++) {
        most = counts[b] > most ? counts[b] : most;
    }
    return most;
}

flk_err_t flk_coherence(const flk_points_t *points, const flk_coherence_options_t *options,
                        flk_coherence_t *coherence) {
    FLK_ASSERT(points->len > 0 && points->len < UINT32_MAX && options->directions > 0 && options->bins > 0);
    FLK_ASSERT(options->directions <= FLK_DIRECTIONS_MAX && options->bins <= FLK_BINS_MAX);
    uint32_t directions = options->directions, bins = options->bins;
    double *v = calloc(directions, points->dims * sizeof *v);
    range_t *ranges = calloc(directions, sizeof *ranges);
    uint32_t *counts = calloc(directions, bins * sizeof *counts);
    flk_err_t err = FLK_E_NOMEM;
    if (v == NULL || ranges == NULL || counts == NULL) {
        goto done;
    }
    tile_ranges_fn *tile_ranges;
    tile_counts_fn *tile_counts;
    pick(&tile_ranges, &tile_counts);
    flk_directions(options->seed, directions, points->dims, v);
    for (uint32_t k = 0; k < directions; k++) {
        ranges[k] = (range_t){.lo = HUGE_VAL, .hi = -HUGE_VAL};
    }
    for (size_t first = 0; first < points->len; first += TILE) {
        tile_ranges(points, first, points->len - first < TILE ? points->len - first : TILE, v, directions, ranges);
    }
    for (size_t first = 0; first < points->len; first += TILE) {
        tile_counts(points, first, points->len - first < TILE ? points->len - first : TILE, v, options, ranges, counts);
    }
    uint32_t best = 0, most = 0;
    for (uint32_t k = 0; k < directions; k++) {
        uint32_t count = fullest(counts + (size_t)k * bins, bins);
        best = count > most ? k : best;
        most = count > most ? count : most;
    }
    coherence->coh_star = flk_round9((double)most / (double)points->len);
    memcpy(coherence->v_star, v + best * points->dims, points->dims * sizeof *v);
    err = FLK_OK;
done:
    free(v);
    free(ranges);
    free(counts);
    return err;
}
