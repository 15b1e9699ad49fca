/* SPDX-License-Identifier: MIT */
/* coh★ and v★: how much of a window lies in one slab across its best direction. Exact enough to be repeated elsewhere:
 *
 * Directions. `s` is a 64-bit state, first the PCS' seed. next(): s += 0x9e3779b97f4a7c15; z = s;
 *   z = (z ^ z>>30) * 0xbf58476d1ce4e5b9; z = (z ^ z>>27) * 0x94d049bb133111eb; z ^ z>>31   (SplitMix64, modulo 2^64).
 *   A uniform number in (0, 1] is ((next() >> 11) + 1) / 2^53. Gaussians come in pairs from uniforms a, b (a drawn
 *   first): sqrt(-2 ln a) cos(2 pi b), sqrt(-2 ln a) sin(2 pi b) (Box and Muller). A direction takes the next D of them
 *   in axis order; for an odd D the last sine is dropped. The vector is divided by its length, sqrt of the sum of
 *   squares in axis order (a length of 0 draws again), and every component is rounded to 9 decimals (flk_round9): v★ as
 *   a PCS carries it is the very direction that was used.
 * Projection of a point: ((x0*v0 + x1*v1) + x2*v2) + …, IEEE double, each operation rounded (no fused multiply-add).
 * Bins. lo, hi: the least and the greatest projection. f = B / (hi - lo). When f is not finite (hi = lo, or nearly)
 *   there is one bin; else a projection p is in bin min(trunc((p - lo) * f), B - 1).
 * coh★ = the fullest bin's points / all points, rounded to 9 decimals; the greatest over all directions; v★ is the
 * first direction that reaches it. */
#ifndef FLK_AGENT_SIGNALS_COHERENCE_H
#define FLK_AGENT_SIGNALS_COHERENCE_H

#include "agent/signals/points.h"

enum { FLK_DIRECTIONS_MAX = 10000, FLK_BINS_MAX = 4096 };

typedef struct flk_coherence_options {
    uint64_t seed;
    uint32_t directions; /* M, 1..FLK_DIRECTIONS_MAX */
    uint32_t bins;       /* B, 1..FLK_BINS_MAX */
} flk_coherence_options_t;

typedef struct flk_coherence {
    double coh_star;
    double v_star[FLK_DIMS_MAX]; /* points.dims of them */
} flk_coherence_t;

/* Fills `directions` x `dims` numbers, direction by direction. Pure. */
void flk_directions(uint64_t seed, uint32_t directions, size_t dims, double *out);

/* Needs at least one point. Time: points x directions x dims, in tiles that stay in the first-level cache. Pure.
 * Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_coherence(const flk_points_t *points, const flk_coherence_options_t *options,
                                       flk_coherence_t *coherence);

#endif
