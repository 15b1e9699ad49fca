/* SPDX-License-Identifier: MIT */
/* Rows from CSV with a header (RFC 4180) or NDJSON (one object a line), read once, in order, in bounded memory.
 * One thread owns a reader. */
#ifndef FLK_AGENT_READ_READER_H
#define FLK_AGENT_READ_READER_H

#include "agent/read/input.h"
#include "agent/read/row.h"

typedef enum flk_format { FLK_FORMAT_AUTO, FLK_FORMAT_CSV, FLK_FORMAT_NDJSON } flk_format_t;

typedef struct flk_reader_options {
    flk_format_t format; /* AUTO: NDJSON for *.ndjson, *.jsonl and *.json, else CSV */
    const char *columns; /* comma-separated names; NULL: every column whose cell in the first row is a number, but not
                            the time column */
    const char *time_column; /* NULL: "time", when there is such a column */
} flk_reader_options_t;

typedef struct flk_reader flk_reader_t; /* Opaque; fields are commented in read/parts.h. */

/* Opens `path` ("-" = standard input). Borrows the options until return. Errors: FLK_E_NOT_FOUND, FLK_E_IO;
 * FLK_E_CONFIG: a list of columns that cannot be. Caller frees with flk_reader_close. */
FLK_MUST_CHECK flk_err_t flk_reader_open(const char *path, const flk_reader_options_t *options, flk_reader_t **reader,
                                         char *errmsg);
void flk_reader_close(flk_reader_t **reader);

/* Reads the next row. Never blocks on a pipe. An empty cell (NDJSON: an absent member or null) is missing, no error.
 * FLK_E_AGAIN: wait for input (flk_reader_input). FLK_E_NOT_FOUND: the end. FLK_E_INVALID: a bad row; errmsg names
 * file, row, line and column; the next call goes on behind it. FLK_E_CONFIG: the header lacks a column. FLK_E_IO,
 * FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_reader_next(flk_reader_t *reader, flk_row_t *row, char *errmsg);

/* The chosen columns; complete after the first FLK_OK of flk_reader_next. */
const flk_columns_t *flk_reader_columns(const flk_reader_t *reader);
const flk_input_t *flk_reader_input(const flk_reader_t *reader);

#endif
