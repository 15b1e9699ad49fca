/* SPDX-License-Identifier: MIT */
/* msgpack as this tree uses it: a bounds-checked cursor over borrowed bytes, and msgpack-c's packer into a fixed
 * buffer. Internal to proto. No heap. */
#ifndef FLK_PROTO_MSGPACK_H
#define FLK_PROTO_MSGPACK_H

#include <msgpack/pack.h>
#include <string.h>

#include "common/base.h"

typedef enum flk_mp_type {
    FLK_MP_NIL,
    FLK_MP_BOOL,
    FLK_MP_INTEGER,  /* fits int64_t */
    FLK_MP_UNSIGNED, /* an integer above INT64_MAX */
    FLK_MP_REAL,     /* float32 or float64 */
    FLK_MP_STRING,
    FLK_MP_BINARY,
    FLK_MP_ARRAY,
    FLK_MP_MAP,
} flk_mp_type_t;

typedef struct flk_mp_token {
    flk_mp_type_t type;
    uint32_t len;        /* STRING, BINARY: bytes; ARRAY: elements; MAP: pairs */
    const uint8_t *data; /* STRING, BINARY: borrowed from the cursor's bytes */
    union {
        bool boolean;
        int64_t integer;
        uint64_t uinteger;
        double real;
    };
} flk_mp_token_t;

enum { FLK_MP_KEY_BYTES = 33 }; /* room for a member name of our own maps, with its NUL */

/* ---- reading: the first error sticks, later reads give zeros, so a codec checks once at its end ---- */

typedef struct flk_mp_cursor {
    const uint8_t *at, *end;
    const char *error; /* NULL while all is well; else the first fault */
} flk_mp_cursor_t;

extern const char flk_mp_short[]; /* the fault of input that ends too early, known by its address */

void flk_mp_open(flk_mp_cursor_t *cursor, const void *data, size_t data_bytes);

/* Reads one token; an ARRAY or MAP is its head only. Its count is never more than the bytes that follow could hold,
 * so a loop over it is bounded by the input. Refused: ext types, the byte 0xc1, any value that runs over the end. */
bool flk_mp_next(flk_mp_cursor_t *cursor, flk_mp_token_t *token);

/* Reads one value of a given type. */
uint32_t flk_mp_array(flk_mp_cursor_t *cursor);              /* elements */
uint32_t flk_mp_map(flk_mp_cursor_t *cursor);                /* pairs */
uint64_t flk_mp_uint(flk_mp_cursor_t *cursor, uint64_t max); /* 0..max */
bool flk_mp_bool(flk_mp_cursor_t *cursor);
double flk_mp_real(flk_mp_cursor_t *cursor);                       /* finite; an integer is taken too */
const uint8_t *flk_mp_bin(flk_mp_cursor_t *cursor, uint32_t *len); /* borrowed; NULL on error */
/* Printable ASCII of less than out_bytes, copied with a NUL. Returns its length. */
size_t flk_mp_text(flk_mp_cursor_t *cursor, char *out, size_t out_bytes);
/* Passes over one whole value of any depth, without recursion. */
void flk_mp_skip(flk_mp_cursor_t *cursor);
/* Notes that a value is wrong, unless something was wrong before. */
void flk_mp_fail(flk_mp_cursor_t *cursor, const char *error);
/* Nothing is left and nothing was wrong. */
bool flk_mp_done(flk_mp_cursor_t *cursor);

/* ---- writing: integers in their shortest form, reals as float64. Running over the buffer is a bug. ---- */

typedef struct flk_mp_buffer {
    uint8_t *at, *end;
} flk_mp_buffer_t;

static inline int flk_mp_write(void *arg, const char *data, size_t data_bytes) {
    flk_mp_buffer_t *buffer = arg;
    FLK_ASSERT(data_bytes <= (size_t)(buffer->end - buffer->at));
    if (data_bytes > 0) { /* then data may be NULL, which memcpy must not see */
        memcpy(buffer->at, data, data_bytes);
    }
    buffer->at += data_bytes;
    return 0;
}

static inline void flk_mp_put_text(msgpack_packer *packer, const char *text) {
    msgpack_pack_str_with_body(packer, text, strlen(text));
}

#endif
