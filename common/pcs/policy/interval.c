/* SPDX-License-Identifier: MIT */
/* Claims count as rounded to 9 decimals, so all bounds are whole numbers of 1e-9, and open ones are the next one's. */
#include <math.h>

#include "common/pcs/policy/guard.h"

static int64_t units_of(double value) {
    return llround(value * (double)FLK_INTERVAL_UNIT);
}

/* [base, base + alpha + beta * … + gamma * (1 + tolCoh)], clamped: the least at r = 1, D_hat = D0, coh_star = 0. */
static flk_interval_t budget_of(const flk_terms_t *terms) {
    double low = terms->base, high = terms->base + terms->alpha + terms->gamma * (1 + terms->tol_coh);
    high = terms->beta > 0 ? 1 : high;
    return (flk_interval_t){units_of(fmin(1, fmax(0, low))), units_of(fmin(1, fmax(0, high))), 1};
}

flk_interval_t flk_interval_of(const flk_terms_t *terms, flk_signal_t signal) {
    const int64_t unit = FLK_INTERVAL_UNIT, far = unit * FLK_INTERVAL_UNIT;
    switch (signal) {
    case FLK_SIGNAL_COH_STAR:
        return (flk_interval_t){0, units_of(1 + terms->tol_coh), 1};
    case FLK_SIGNAL_R:
        return (flk_interval_t){0, unit, 1};
    case FLK_SIGNAL_BUDGET:
        return budget_of(terms);
    case FLK_SIGNAL_RESIDUAL_SPREAD:
        return (flk_interval_t){0, far, 1};
    case FLK_SIGNAL_SCALE_COUNT:
        return (flk_interval_t){unit, FLK_PCS_SCALES_MAX * unit, unit};
    case FLK_SIGNAL_DEGRADED:
        return (flk_interval_t){0, unit, unit};
    case FLK_SIGNAL_D_HAT:
    case FLK_SIGNALS_LEN:
        break;
    }
    return (flk_interval_t){-far, far, 1};
}

static int64_t floor_div(int64_t value, int64_t step) {
    return value / step - (value % step < 0);
}

flk_interval_t flk_interval_cut(flk_interval_t interval, const flk_condition_t *condition) {
    const int64_t at = units_of(condition->value), step = interval.step;
    const int64_t floor = floor_div(at, step) * step, ceil = floor_div(at + step - 1, step) * step;
    int64_t low = interval.low, high = interval.high;
    switch ((flk_compare_t)condition->compare) {
    case FLK_LESS:
        high = ceil - step;
        break;
    case FLK_AT_MOST:
        high = floor;
        break;
    case FLK_GREATER:
        low = floor + step;
        break;
    case FLK_AT_LEAST:
        low = ceil;
        break;
    case FLK_EQUAL:
        low = ceil;
        high = floor;
        break;
    case FLK_COMPARES:
        break;
    }
    return (flk_interval_t){low > interval.low ? low : interval.low, high < interval.high ? high : interval.high, step};
}
