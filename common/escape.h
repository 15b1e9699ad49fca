/* SPDX-License-Identifier: MIT */
/* Strings of others made safe to print inside double quotes: in a JSON text or in a line of the text log. */
#ifndef FLK_COMMON_ESCAPE_H
#define FLK_COMMON_ESCAPE_H

#include "common/base.h"

typedef enum flk_escape {
    FLK_ESCAPE_JSON, /* RFC 8259; bytes that are not UTF-8 become U+FFFD */
    FLK_ESCAPE_TEXT, /* C-like: \" \\ \n \r \t, and \xNN for controls and bytes that are not UTF-8 */
} flk_escape_t;

/* Appends to out[0..out_bytes) without a NUL and returns the bytes written; the rest is left out at a whole character,
 * and *whole tells (NULL allowed). */
size_t flk_escape(const char *text, flk_escape_t style, char *out, size_t out_bytes, bool *whole);

/* A name out of somebody's file, for an error line: its beginning, escaped as text. Returns `out`. */
enum { FLK_SHOWN_BYTES = 65 }; /* with its NUL */
const char *flk_escape_name(const char *name, char out[FLK_SHOWN_BYTES]);

#endif
