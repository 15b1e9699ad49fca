/* SPDX-License-Identifier: MIT */
#include "common/pcs/signals.h"

#include "common/pcs/canonical.h"

#include <math.h>
#include <string.h>

enum { SLOPES_MAX = FLK_PCS_SCALES_MAX * (FLK_PCS_SCALES_MAX - 1) / 2 };

static void swap(double *a, double *b) {
    double kept = *a;
    *a = *b;
    *b = kept;
}

/* Shell's sort with Ciura's gaps. */
static void sort(double *values, size_t len) {
    static const size_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};
    for (size_t g = 0; g < FLK_COUNT_OF(gaps); g++) {
        size_t gap = gaps[g];
        for (size_t i = gap; i < len; i++) {
            double value = values[i];
            size_t at = i;
            for (; at >= gap && values[at - gap] > value; at -= gap) {
                values[at] = values[at - gap];
            }
            values[at] = value;
        }
    }
}

/* Puts the value of rank `rank` at its place and the values that are not greater before it. Quickselect, until the part
 * that is left is small or, with values chosen against the pivots, until a round has been spent on each halving
 * twice. */
static void select_rank(double *values, size_t len, size_t rank) {
    enum { SMALL = 24, ROUNDS = 24 };
    size_t low = 0, high = len; /* the rank lies in [low, high) */
    for (int round = 0; high - low > SMALL && round < ROUNDS; round++) {
        size_t middle = low + (high - low) / 2, last = high - 1;
        if (values[middle] < values[low]) {
            swap(&values[middle], &values[low]);
        }
        if (values[last] < values[middle]) {
            swap(&values[last], &values[middle]);
            if (values[middle] < values[low]) {
                swap(&values[middle], &values[low]);
            }
        }
        double pivot = values[middle];
        size_t left = low, right = last;
        while (left <= right) {
            while (values[left] < pivot) {
                left++;
            }
            while (values[right] > pivot) {
                right--;
            }
            if (left <= right) {
                swap(&values[left++], &values[right--]);
            }
        }
        /* [low, right] <= pivot, between them = pivot, [left, high) >= pivot */
        if (rank <= right) {
            high = right + 1;
        } else if (rank >= left) {
            low = left;
        } else {
            return;
        }
    }
    sort(values + low, high - low);
}

static double median_of(double *values, size_t len, flk_median_t median) {
    size_t upper = len / 2;
    select_rank(values, len, upper);
    if (len % 2 != 0 || median == FLK_MEDIAN_UPPER) {
        return values[upper];
    }
    double lower = values[0];
    for (size_t i = 1; i < upper; i++) {
        lower = values[i] > lower ? values[i] : lower;
    }
    return (lower + values[upper]) / 2;
}

uint64_t flk_cells_at(const flk_pcs_count_t *counts, size_t counts_len, uint64_t scale, size_t hint) {
    if (hint < counts_len && counts[hint].scale == scale) {
        return counts[hint].cells;
    }
    for (size_t i = 0; i < counts_len; i++) {
        if (counts[i].scale == scale) {
            return counts[i].cells;
        }
    }
    return 0;
}

bool flk_theil_sen(const uint64_t *scales, size_t scales_len, const flk_pcs_count_t *counts, size_t counts_len,
                   flk_median_t median, double *d_hat) {
    FLK_ASSERT(scales_len <= FLK_PCS_SCALES_MAX);
    if (scales_len < 2) {
        return false;
    }
    double x[FLK_PCS_SCALES_MAX], y[FLK_PCS_SCALES_MAX], slopes[SLOPES_MAX];
    for (size_t i = 0; i < scales_len; i++) {
        uint64_t cells = flk_cells_at(counts, counts_len, scales[i], i);
        if (cells == 0) {
            return false;
        }
        x[i] = log2((double)scales[i]);
        y[i] = log2((double)cells);
    }
    size_t slopes_len = 0;
    for (size_t i = 0; i < scales_len; i++) {
        for (size_t j = i + 1; j < scales_len; j++) {
            if (x[j] != x[i]) { /* neighbours near 2^53 have one logarithm */
                slopes[slopes_len++] = (y[j] - y[i]) / (x[j] - x[i]);
            }
        }
    }
    if (slopes_len == 0) {
        return false;
    }
    *d_hat = flk_round9(median_of(slopes, slopes_len, median));
    return true;
}

double flk_residual_spread(const uint64_t *scales, size_t scales_len, const flk_pcs_count_t *counts, size_t counts_len,
                           double d_hat) {
    double least = INFINITY, greatest = -INFINITY;
    for (size_t i = 0; i < scales_len; i++) {
        double cells = (double)flk_cells_at(counts, counts_len, scales[i], i);
        double residual = log2(cells) - d_hat * log2((double)scales[i]);
        least = fmin(least, residual);
        greatest = fmax(greatest, residual);
    }
    return flk_round9(greatest - least);
}

flk_regime_t flk_regime(const flk_terms_t *terms, double coh_star, double d_hat) {
    if (coh_star >= terms->sticky_coh && d_hat <= terms->sticky_d) {
        return FLK_REGIME_STICKY;
    }
    return d_hat >= terms->non_sticky_d ? FLK_REGIME_NON_STICKY : FLK_REGIME_MIXED;
}

double flk_budget(const flk_terms_t *terms, double d_hat, double coh_star, double r) {
    double budget =
        terms->base + terms->alpha * (1 - r) + terms->beta * fmax(0, d_hat - terms->d0) + terms->gamma * coh_star;
    return flk_round9(fmin(1, fmax(0, budget)));
}
