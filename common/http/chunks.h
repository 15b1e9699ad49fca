/* SPDX-License-Identifier: MIT */
/* Takes a chunked body apart (RFC 9112, section 7.1), in one way or not at all. Extensions and trailers are checked
 * and dropped. One owner; no allocation. */
#ifndef FLK_COMMON_HTTP_CHUNKS_H
#define FLK_COMMON_HTTP_CHUNKS_H

#include "common/base.h"

enum { FLK_HTTP_CHUNK_EXTRAS_BYTES_MAX = 8192 }; /* of extensions and trailers, in one body */

/* Named by the next part of the body. */
typedef enum flk_http_chunk_state {
    FLK_CHUNK_SIZE,      /* the first digit */
    FLK_CHUNK_SIZE_MORE, /* a digit, blanks, an extension or the end of the line */
    FLK_CHUNK_BLANK,     /* blanks, then an extension */
    FLK_CHUNK_EXTENSION, /* the rest of an extension */
    FLK_CHUNK_SIZE_LF,   /* the LF of the size's line */
    FLK_CHUNK_DATA,      /* `left` bytes of the body */
    FLK_CHUNK_DATA_CR,   /* the line end behind them */
    FLK_CHUNK_DATA_LF,
    FLK_CHUNK_TRAILER, /* a trailer, or the empty line */
    FLK_CHUNK_NAME,    /* the rest of its name, then a colon */
    FLK_CHUNK_VALUE,   /* the rest of its value */
    FLK_CHUNK_TRAILER_LF,
    FLK_CHUNK_END_LF, /* the LF of the empty line */
    FLK_CHUNK_DONE,
    FLK_CHUNK_BAD
} flk_http_chunk_state_t;

typedef struct flk_http_chunks {
    flk_http_chunk_state_t state;
    uint64_t left;
    unsigned digits;
    size_t extras;
} flk_http_chunks_t; /* all zero: at the beginning of a body */

/* Takes bytes from `data` until it is empty, `out` is full, or the state is DONE or BAD; puts those of the body into
 * `out`. Returns how many it took; *got: how many it put. */
size_t flk_http_chunks_take(flk_http_chunks_t *chunks, const char *data, size_t bytes, char *out, size_t room,
                            size_t *got);

#endif
