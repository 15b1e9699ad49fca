/* SPDX-License-Identifier: MIT */
/* Bold, dim and coloured text for terminals; empty strings in a pipe, with NO_COLOR set or on a dumb terminal. */
#ifndef FLK_AGENT_FLK_STYLE_H
#define FLK_AGENT_FLK_STYLE_H

#include <stdbool.h>
#include <stdio.h>

typedef struct flk_style {
    const char *bold, *dim, *green, *yellow, *red, *end;
} flk_style_t;

/* The escapes for `out`; all are static. */
flk_style_t flk_style_for(FILE *out);

/* 1234567 -> "1,234,567". `out` has FLK_GROUPED_BYTES. */
enum { FLK_GROUPED_BYTES = 32 };
const char *flk_style_grouped(double whole_number, char *out);

/* 1536 -> "1.5 KiB". `out` has FLK_GROUPED_BYTES. */
const char *flk_style_bytes(double bytes, char *out);

/* 93784000 ms -> "1d 2h", 65000 -> "1m 5s". */
enum { FLK_DURATION_BYTES = 32 };
const char *flk_style_duration(long long ms, char *out);

#endif
