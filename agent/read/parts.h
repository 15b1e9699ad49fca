/* SPDX-License-Identifier: MIT */
/* The reader's fields and the steps that both formats share; for the files of this folder only. */
#ifndef FLK_AGENT_READ_PARTS_H
#define FLK_AGENT_READ_PARTS_H

#include "agent/read/reader.h"

enum { FLK_CSV_CELLS_MAX = 4096 };

typedef struct flk_span {
    const char *text;
    size_t bytes;
} flk_span_t;

struct flk_reader {
    flk_input_t *input;
    flk_err_t (*next)(flk_reader_t *reader, flk_row_t *row, char *errmsg);
    flk_columns_t columns;
    bool choose;       /* columns are taken from the first row */
    bool time_asked;   /* the time column was named, so it must be there */
    bool columns_done; /* columns are complete */
    uint64_t row;      /* rows of data so far, bad ones included */
    uint64_t line;     /* line where the current row begins, from 1 */

    /* CSV */
    bool header_done;
    char (*header)[FLK_COLUMN_NAME_MAX + 1];
    size_t header_len;
    size_t time_at, column_at[FLK_DIMS_MAX]; /* places in a record */
    flk_span_t *cells;
    size_t cells_len;
    char *unquoted; /* cells without their quotes */
    size_t unquoted_capacity;
};

/* Puts the next cell (of `column`, or FLK_DIMS_MAX for the time) into row, in canonical order. */
void flk_row_begin(flk_row_t *row, uint64_t number);
void flk_row_add(flk_row_t *row, size_t column, const flk_cell_t *cell); /* NULL = missing */

/* Writes "FILE: row 12 (line 13), column depth: `what`" and returns FLK_E_INVALID. `column` NULL = the row as a
 * whole. */
flk_err_t flk_reader_bad_row(const flk_reader_t *reader, const char *column, const char *what, char *errmsg);

flk_err_t flk_reader_csv_next(flk_reader_t *reader, flk_row_t *row, char *errmsg);
flk_err_t flk_reader_ndjson_next(flk_reader_t *reader, flk_row_t *row, char *errmsg);

#endif
