/* SPDX-License-Identifier: MIT */
/* r: how well the rows of a window compress. Size of their zlib stream (level 6, default window and memory) over their
 * own size, clamped to [0, 1], rounded to 9 decimals; the rows are joined by '\n', with none behind the last. */
#ifndef FLK_AGENT_SIGNALS_COMPRESS_H
#define FLK_AGENT_SIGNALS_COMPRESS_H

#include "common/err.h"

typedef struct flk_compress flk_compress_t; /* zlib's state, reused from window to window. One thread. */

/* NULL when out of memory. Caller frees with flk_compress_destroy. */
flk_compress_t *flk_compress_new(void);
void flk_compress_destroy(flk_compress_t **compress);

/* A window's rows: begin, then add each in order; the line end between them is added here. */
void flk_compress_begin(flk_compress_t *compress);
void flk_compress_add(flk_compress_t *compress, const void *row, size_t row_bytes);
/* r of the rows since _begin; 1.0 when they have no bytes. */
double flk_compress_ratio(flk_compress_t *compress);

#endif
