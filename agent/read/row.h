/* SPDX-License-Identifier: MIT */
/* One event as the readers give it.
 *
 * Canonical row: the cells' canonical texts (cell.h) joined by ',' without spaces: first the time, when there is a time
 * column, then the chosen columns in their order; nothing between two commas for a missing cell. The Merkle root
 * and r are computed over it. Example: time 1517363399.650, columns longitude,latitude,depth_km of
 * `1517363399.650,-122.197,46.2035,3.28,0.31` give `1517363399.65,-122.197,46.2035,3.28`. */
#ifndef FLK_AGENT_READ_ROW_H
#define FLK_AGENT_READ_ROW_H

#include "agent/read/cell.h"

enum {
    FLK_DIMS_MAX = 32, /* chosen columns */
    FLK_COLUMN_NAME_MAX = 128,
    FLK_ROW_TEXT_BYTES = (FLK_DIMS_MAX + 1) * (FLK_NUMBER_BYTES + 1),
};
#define FLK_MISSING_TIME (UINT64_C(1) << FLK_DIMS_MAX) /* bit of the time cell in flk_row.missing */

typedef struct flk_columns {
    size_t len;
    char names[FLK_DIMS_MAX][FLK_COLUMN_NAME_MAX + 1];
    bool has_time;
    char time_name[FLK_COLUMN_NAME_MAX + 1];
} flk_columns_t;

typedef struct flk_row {
    uint64_t number;             /* 1 for the first row of data of its file */
    double time_s;               /* seconds since the Unix epoch; 0 when missing or without a time column */
    uint64_t missing;            /* bit i: cell of column i is missing, its value is 0; FLK_MISSING_TIME */
    double values[FLK_DIMS_MAX]; /* columns.len of them */
    size_t text_bytes;
    char text[FLK_ROW_TEXT_BYTES]; /* the canonical row; not NUL-terminated */
} flk_row_t;

#endif
