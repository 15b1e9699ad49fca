/* SPDX-License-Identifier: MIT */
/* A table for people that fits the terminal: columns as wide as their cells, and the least important ones left out. One
 * thread. */
#ifndef FLK_AGENT_FLK_TABLE_H
#define FLK_AGENT_FLK_TABLE_H

#include "agent/flk/style.h"

enum { FLK_TABLE_COLUMNS_MAX = 12, FLK_TABLE_ROWS_MAX = 256, FLK_TABLE_CELL_BYTES = 64, FLK_TABLE_NOTE_BYTES = 256 };

typedef struct flk_table_column {
    const char *title;
    unsigned rank; /* 0 stays always; of the others the highest one goes first */
} flk_table_column_t;

typedef struct flk_table_row {
    char cells[FLK_TABLE_COLUMNS_MAX][FLK_TABLE_CELL_BYTES];
    const char *state_colour;        /* of the second cell; "" = none */
    char note[FLK_TABLE_NOTE_BYTES]; /* after the cells, or below them when it does not fit */
} flk_table_row_t;

typedef struct flk_table {
    const flk_table_column_t *columns; /* the first two are to the left, name and state; borrowed */
    size_t columns_len;
    flk_table_row_t *rows; /* FLK_TABLE_ROWS_MAX of them */
    size_t rows_len;
} flk_table_t;

void flk_table_init(flk_table_t *table, const flk_table_column_t *columns, size_t columns_len);
void flk_table_fini(flk_table_t *table);

/* An empty row, to be filled in; the last one again when there are too many. */
flk_table_row_t *flk_table_add(flk_table_t *table);

/* Prints title and rows within `width` columns; 0: all, however wide. */
void flk_table_print(const flk_table_t *table, unsigned width, const flk_style_t *style, FILE *out);

#endif
