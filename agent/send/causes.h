/* SPDX-License-Identifier: MIT */
/* Causes: the texts with which PCS were refused or given up, counted by kind. Constant memory. */
#ifndef FLK_AGENT_SEND_CAUSES_H
#define FLK_AGENT_SEND_CAUSES_H

#include <stdio.h>

#include "common/base.h"

enum { FLK_CAUSES_MAX = 8, FLK_CAUSE_BYTES = 160 };

typedef struct flk_causes {
    char text[FLK_CAUSES_MAX][FLK_CAUSE_BYTES];
    uint64_t count[FLK_CAUSES_MAX + 1]; /* the last one: all other kinds */
} flk_causes_t;

/* Counts one. The kind is the text up to its line end, its first ';' or " (try", printable ASCII only. */
void flk_causes_add(flk_causes_t *causes, const char *text, size_t text_bytes);

void flk_causes_print_json(const flk_causes_t *causes, FILE *out); /* {"kind":count,...} */

/* One after the other: `before`, the count, `between`, the kind. The first one gets `first` instead of `before`. */
void flk_causes_print(const flk_causes_t *causes, const char *first, const char *before, const char *between,
                      FILE *out);

/* A JSON string of text that is printable ASCII already. */
void flk_quoted_print(const char *text, FILE *out);

#endif
