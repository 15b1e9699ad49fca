/* SPDX-License-Identifier: MIT */
/* The formulas that agent and worker must compute alike. Pure functions. */
#ifndef FLK_COMMON_PCS_SIGNALS_H
#define FLK_COMMON_PCS_SIGNALS_H

#include "common/pcs/pcs.h"
#include "common/pcs/policy.h"

/* Cells at a scale; 0 when N_j lacks it. Agents send N_j in the order of scales: `hint` is the place to look first. */
uint64_t flk_cells_at(const flk_pcs_count_t *counts, size_t counts_len, uint64_t scale, size_t hint);

/* D-hat: Theil-Sen, the median of all pairwise slopes of log2(scale) -> log2(cells), rounded to 9 decimals; an even
 * number of slopes takes the mean of the two middle ones, or the upper one. `scales` are scales_len distinct integers
 * >= 2; each needs a positive entry in `counts`; entries without a scale are ignored. Two scales whose log2 is the same
 * double make no pair. Returns false (unverifiable) when a scale lacks its entry, or no pair is left; else *d_hat is
 * finite. */
FLK_MUST_CHECK bool flk_theil_sen(const uint64_t *scales, size_t scales_len, const flk_pcs_count_t *counts,
                                  size_t counts_len, flk_median_t median, double *d_hat);

/* Greatest less least of log2(cells) - d_hat * log2(scale), rounded to 9 decimals: how far the scales are from the line
 * of that slope. `d_hat` comes from flk_theil_sen for the same scales. */
double flk_residual_spread(const uint64_t *scales, size_t scales_len, const flk_pcs_count_t *counts, size_t counts_len,
                           double d_hat);

/* sticky when coh_star >= sticky_coh and d_hat <= sticky_d; non_sticky when d_hat >= non_sticky_d; else mixed. */
flk_regime_t flk_regime(const flk_terms_t *terms, double coh_star, double d_hat);

/* clamp01(base + alpha(1-r) + beta*max(0, d_hat-d0) + gamma*coh_star), rounded to 9 decimals. The arguments are
 * those of the PCS: the verdict passes the claimed D-hat. Finite for all finite arguments. */
double flk_budget(const flk_terms_t *terms, double d_hat, double coh_star, double r);

#endif
