/* SPDX-License-Identifier: MIT */
/* Box counting: N_j, the number of non-empty cells of a grid at one scale. Exact in any number of dimensions. */
#ifndef FLK_AGENT_SIGNALS_BOXCOUNT_H
#define FLK_AGENT_SIGNALS_BOXCOUNT_H

#include "agent/signals/points.h"

/* UNIT: the bounding box of the points becomes the unit cube, each axis by itself: along an axis with least value lo
 * and greatest hi, cell = min(floor((x - lo) / (hi - lo) * scale), scale - 1), and 0 when hi = lo. ABSOLUTE: cell =
 * floor(x * scale). All in IEEE double, in this order of operations. */
typedef enum flk_grid { FLK_GRID_UNIT, FLK_GRID_ABSOLUTE } flk_grid_t;

typedef struct flk_boxcount flk_boxcount_t; /* Scratch memory, reused from window to window. One thread. */
flk_boxcount_t *flk_boxcount_new(void);     /* Caller frees with flk_boxcount_destroy. */
void flk_boxcount_destroy(flk_boxcount_t **boxcount);

/* Counts the cells that hold at least one point; 0 without points. `scale` >= 1, up to 2^53 - 1. Time grows with
 * points x dims, memory with points. Errors: FLK_E_NOMEM; FLK_E_INVALID: the grid is too fine for a double to tell its
 * cells apart (ABSOLUTE, a coordinate beyond 2^53 cells). */
FLK_MUST_CHECK flk_err_t flk_box_count(flk_boxcount_t *boxcount, const flk_points_t *points, flk_grid_t grid,
                                       uint64_t scale, uint64_t *cells);

#endif
