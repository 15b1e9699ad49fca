/* SPDX-License-Identifier: MIT */
/* Cuts the stream of rows into windows, by count or by time, tumbling or sliding. One thread.
 *
 * By count: window k holds the rows k*slide … k*slide + length - 1 of the stream in input order; its number is k. By
 * time: a window holds the rows with start <= time < start + length, in time order, equal times in input order. Starts
 * are multiples of the slide (since the Unix epoch), and only those with a row in [start, start + slide): a window
 * without one would hold nothing that the next does not hold. The number is the start in seconds. A window is complete
 * when a row at or behind its end has come. A row that is older than the end of a complete window is late. At the end
 * of the input one more, shorter window holds the rest, if any row of it is in no complete window yet.
 *
 * Memory: the rows of one window (FLK_WINDOW_ROWS_MAX at most) and those that came before it was taken. */
#ifndef FLK_AGENT_SIGNALS_WINDOW_H
#define FLK_AGENT_SIGNALS_WINDOW_H

#include "agent/read/row.h"
#include "agent/signals/merkle.h"

enum { FLK_WINDOW_ROWS_MAX = 1 << 24 };

typedef struct flk_window_options {
    bool by_time;
    uint64_t length, slide; /* rows, or seconds; 1 <= slide <= length; by count length <= FLK_WINDOW_ROWS_MAX */
    size_t dims;
} flk_window_options_t;

typedef struct flk_window_row {
    double time_s;
    uint64_t missing; /* as flk_row.missing */
    uint64_t order;   /* place in the stream, from 0 */
    flk_hash_t leaf;
    const char *text; /* the canonical row */
    size_t text_bytes;
    double values[]; /* dims of them, then the text */
} flk_window_row_t;

/* A complete window; valid until the next call. */
typedef struct flk_window {
    uint64_t number;
    size_t rows_len;
    flk_window_row_t *const *rows;
} flk_window_t;

typedef struct flk_windows flk_windows_t; /* Opaque; fields are commented in window.c. */
/* Start-up allocation. Copies options. Caller frees with flk_windows_destroy. */
flk_windows_t *flk_windows_new(const flk_window_options_t *options);
void flk_windows_destroy(flk_windows_t **windows);

/* Takes one row; ask flk_windows_next afterwards. Errors: FLK_E_INVALID: late, by *late_s seconds, and not taken.
 * FLK_E_TOO_LARGE: FLK_WINDOW_ROWS_MAX rows are held. FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_windows_push(flk_windows_t *windows, const flk_row_t *row, double *late_s);

/* Says that no more rows come. */
void flk_windows_end(flk_windows_t *windows);

/* The next complete window, oldest first; false: none. */
FLK_MUST_CHECK bool flk_windows_next(flk_windows_t *windows, flk_window_t *window);

#endif
