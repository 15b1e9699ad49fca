/* SPDX-License-Identifier: MIT */
/* Bytes of a file, a pipe or standard input through one buffer that grows up to the longest row allowed. A byte-order
 * mark of UTF-8 is passed over. One thread. */
#ifndef FLK_AGENT_READ_INPUT_H
#define FLK_AGENT_READ_INPUT_H

#include "common/err.h"

enum { FLK_ROW_BYTES_MAX = 1 << 20 };

typedef struct flk_input flk_input_t; /* Opaque; fields are commented in input.c. */

/* Opens `path`, or standard input for "-". Errors: FLK_E_NOT_FOUND, FLK_E_IO, with path and reason. Caller frees with
 * flk_input_close, which leaves standard input open. */
FLK_MUST_CHECK flk_err_t flk_input_open(const char *path, flk_input_t **input, char *errmsg);
void flk_input_close(flk_input_t **input);

const char *flk_input_name(const flk_input_t *input); /* "standard input" for "-" */

/* The bytes at hand; valid until the next call of _more or _consume. */
const char *flk_input_data(const flk_input_t *input, size_t *data_bytes);

/* Reads more behind the bytes at hand. Never blocks on a pipe. FLK_E_AGAIN: none there now, wait for flk_input_fd.
 * FLK_E_NOT_FOUND: the end. FLK_E_TOO_LARGE: FLK_ROW_BYTES_MAX are at hand. FLK_E_CONFIG: the file is
 * no UTF-8 text, by its first bytes (UTF-16, compressed). FLK_E_IO, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_input_more(flk_input_t *input, char *errmsg);
void flk_input_consume(flk_input_t *input, size_t bytes);

/* Passes over the rest of the line, line end included, as it comes in. */
void flk_input_drop_line(flk_input_t *input);

/* The next line without its line end (LF or CRLF; the last may have none), consumed; `line` is valid until the next
 * call. Errors as flk_input_more; after FLK_E_TOO_LARGE the line is dropped. */
FLK_MUST_CHECK flk_err_t flk_input_line(flk_input_t *input, const char **line, size_t *line_bytes, char *errmsg);

int flk_input_fd(const flk_input_t *input);
uint64_t flk_input_offset(const flk_input_t *input); /* bytes consumed */
uint64_t flk_input_lines(const flk_input_t *input);  /* line ends consumed */

#endif
