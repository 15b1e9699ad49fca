/* SPDX-License-Identifier: MIT */
/* Each row is one block with its numbers and its text.
 *   1. push: a row goes to the end. Rows up to `sorted_len` are sorted by (place or time, input order).
 *   2. next: once a window is complete the rows behind `sorted_len` are sorted in, so rows in any order cost n log n.
 *      Rows before the window's start are freed, then its rows are a slice of the array.
 * A row's leaf hash is computed once, however many sliding windows it is in. */
#include "agent/signals/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct flk_windows {
    flk_window_options_t options;
    flk_window_row_t **rows;
    size_t rows_len, rows_max, sorted_len;
    uint64_t pushed; /* rows so far */
    bool started;    /* next_start is known */
    bool at_end;
    bool advance_due;  /* a window was handed out: next_start moves on with the next row */
    double next_start; /* first place or second of the next window */
    double closed;     /* end of the last window that was handed out, in the same unit */
    double newest;     /* greatest place or time so far */
};

flk_windows_t *flk_windows_new(const flk_window_options_t *options) {
    FLK_ASSERT(options->slide >= 1 && options->slide <= options->length && options->dims <= FLK_DIMS_MAX);
    flk_windows_t *windows = flk_start_alloc(sizeof *windows);
    windows->options = *options;
    windows->started = !options->by_time;
    return windows;
}

/* Frees the first `count` rows. */
static void drop_front(flk_windows_t *windows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(windows->rows[i]);
    }
    windows->rows_len -= count;
    windows->sorted_len -= count;
    if (count > 0) {
        memmove(windows->rows, windows->rows + count, windows->rows_len * sizeof(flk_window_row_t *));
    }
}

void flk_windows_destroy(flk_windows_t **windows) {
    if (*windows == NULL) {
        return;
    }
    (*windows)->sorted_len = (*windows)->rows_len; /* their order no longer matters */
    drop_front(*windows, (*windows)->rows_len);
    free((*windows)->rows);
    free(*windows);
    *windows = NULL;
}

/* The sort key of rows. */
static double place_of(const flk_windows_t *windows, const flk_window_row_t *row) {
    return windows->options.by_time ? row->time_s : (double)row->order;
}

/* The number of sorted rows that lie before `place`. */
static size_t rows_before(const flk_windows_t *windows, double place) {
    size_t low = 0, high = windows->sorted_len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_of(windows, windows->rows[middle]) < place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static flk_err_t make_room(flk_windows_t *windows) {
    if (windows->rows_len == FLK_WINDOW_ROWS_MAX) {
        return FLK_E_TOO_LARGE;
    }
    if (windows->rows_len < windows->rows_max) {
        return FLK_OK;
    }
    size_t max = windows->rows_max == 0 ? 1024 : windows->rows_max * 2;
    flk_window_row_t **rows = realloc(windows->rows, max * sizeof(flk_window_row_t *));
    if (rows == NULL) {
        return FLK_E_NOMEM;
    }
    windows->rows = rows;
    windows->rows_max = max;
    return FLK_OK;
}

static flk_window_row_t *copy_row(const flk_windows_t *windows, const flk_row_t *row) {
    size_t values_bytes = windows->options.dims * sizeof(double);
    flk_window_row_t *copy = malloc(sizeof *copy + values_bytes + row->text_bytes);
    if (copy == NULL) {
        return NULL;
    }
    char *text = (char *)copy->values + values_bytes;
    memcpy(copy->values, row->values, values_bytes);
    memcpy(text, row->text, row->text_bytes);
    copy->time_s = row->time_s;
    copy->missing = row->missing;
    copy->order = windows->pushed;
    copy->text = text;
    copy->text_bytes = row->text_bytes;
    flk_merkle_leaf(text, row->text_bytes, &copy->leaf);
    return copy;
}

static void append_row(flk_windows_t *windows, flk_window_row_t *row) {
    double place = place_of(windows, row);
    size_t last = windows->sorted_len;
    bool in_order = last == windows->rows_len && (last == 0 || place_of(windows, windows->rows[last - 1]) <= place);
    windows->rows[windows->rows_len++] = row;
    windows->sorted_len += in_order;
    windows->newest = place > windows->newest ? place : windows->newest;
}

/* By time, equal times in input order. By count rows come in order. */
static int compare_rows(const void *left, const void *right) {
    const flk_window_row_t *a = *(flk_window_row_t *const *)left, *b = *(flk_window_row_t *const *)right;
    if (a->time_s != b->time_s) {
        return a->time_s < b->time_s ? -1 : 1;
    }
    return a->order < b->order ? -1 : a->order > b->order;
}

static void sort_rows(flk_windows_t *windows) {
    if (windows->sorted_len == windows->rows_len) {
        return;
    }
    double least = place_of(windows, windows->rows[windows->sorted_len]);
    for (size_t i = windows->sorted_len + 1; i < windows->rows_len; i++) {
        least = fmin(least, place_of(windows, windows->rows[i]));
    }
    size_t first = rows_before(windows, least); /* rows up to there stay where they are */
    qsort(windows->rows + first, windows->rows_len - first, sizeof(flk_window_row_t *), compare_rows);
    windows->sorted_len = windows->rows_len;
}

/* The greatest start of a window that is not behind `time_s`. */
static double aligned(const flk_windows_t *windows, double time_s) {
    double slide = (double)windows->options.slide;
    return floor(time_s / slide) * slide;
}

flk_err_t flk_windows_push(flk_windows_t *windows, const flk_row_t *row, double *late_s) {
    double open = fmax(windows->closed, windows->next_start);
    if (windows->options.by_time && windows->started && row->time_s < open) {
        *late_s = open - row->time_s;
        return FLK_E_INVALID;
    }
    flk_err_t err = make_room(windows);
    flk_window_row_t *copy = err == FLK_OK ? copy_row(windows, row) : NULL;
    if (copy == NULL) {
        return err == FLK_OK ? FLK_E_NOMEM : err;
    }
    windows->pushed++;
    append_row(windows, copy);
    if (!windows->started) {
        windows->started = true;
        windows->next_start = aligned(windows, row->time_s);
    }
    return FLK_OK;
}

void flk_windows_end(flk_windows_t *windows) {
    windows->at_end = true;
}

/* Frees rows that no further window holds. After a gap by time the next window starts near the next row. */
static void advance(flk_windows_t *windows) {
    if (!windows->advance_due) {
        return;
    }
    sort_rows(windows);
    drop_front(windows, rows_before(windows, windows->next_start));
    if (windows->options.by_time && windows->rows_len > 0) {
        windows->next_start = fmax(windows->next_start, aligned(windows, windows->rows[0]->time_s));
    }
    windows->advance_due = windows->rows_len == 0;
}

bool flk_windows_next(flk_windows_t *windows, flk_window_t *window) {
    advance(windows);
    if (windows->rows_len == 0) {
        return false;
    }
    double length = (double)windows->options.length, end = windows->next_start + length;
    /* By count the last row of a window completes it; by time only a row behind its end does. */
    bool complete = windows->options.by_time ? windows->newest >= end : windows->newest >= end - 1;
    bool rest = windows->at_end && windows->newest >= windows->closed;
    if (!complete && !rest) {
        return false;
    }
    sort_rows(windows);
    *window = (flk_window_t){.number = (uint64_t)(windows->options.by_time
                                                      ? windows->next_start
                                                      : windows->next_start / (double)windows->options.slide),
                             .rows_len = rows_before(windows, end),
                             .rows = windows->rows};
    windows->next_start += (double)windows->options.slide;
    windows->closed = end;
    windows->advance_due = true;
    return true;
}
