/* SPDX-License-Identifier: MIT */
/* The points of one window as structure of arrays: the signals' inner loops run along one axis. */
#ifndef FLK_AGENT_SIGNALS_POINTS_H
#define FLK_AGENT_SIGNALS_POINTS_H

#include "agent/read/row.h"

typedef struct flk_points {
    size_t len, dims;                 /* dims 1..FLK_DIMS_MAX */
    const double *axis[FLK_DIMS_MAX]; /* dims arrays of len finite numbers, magnitude <= FLK_CELL_ABS_MAX; borrowed */
} flk_points_t;

#endif
