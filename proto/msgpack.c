/* SPDX-License-Identifier: MIT */
/* One token at a time: the first byte gives type and width, then the bytes that the width asks for, if they are there.
 * Every count is held against the bytes left before anybody may loop over it. */
#include "proto/msgpack.h"

#include <endian.h>
#include <math.h>

const char flk_mp_short[] = "ends too early";

void flk_mp_open(flk_mp_cursor_t *cursor, const void *data, size_t data_bytes) {
    *cursor = (flk_mp_cursor_t){.at = data, .end = (const uint8_t *)data + data_bytes};
}

void flk_mp_fail(flk_mp_cursor_t *cursor, const char *error) {
    if (cursor->error == NULL) {
        cursor->error = error;
    }
}

static size_t bytes_left(const flk_mp_cursor_t *cursor) {
    return (size_t)(cursor->end - cursor->at);
}

/* A big-endian unsigned of 1, 2, 4 or 8 bytes. */
static inline uint64_t take_uint(flk_mp_cursor_t *cursor, unsigned width) {
    if (bytes_left(cursor) < width) {
        flk_mp_fail(cursor, flk_mp_short);
        return 0;
    }
    const uint8_t *at = cursor->at;
    cursor->at += width;
    uint16_t u16;
    uint32_t u32;
    uint64_t u64;
    switch (width) {
    case 1:
        return *at;
    case 2:
        memcpy(&u16, at, sizeof u16);
        return be16toh(u16);
    case 4:
        memcpy(&u32, at, sizeof u32);
        return be32toh(u32);
    default:
        memcpy(&u64, at, sizeof u64);
        return be64toh(u64);
    }
}

static inline void take_bytes(flk_mp_cursor_t *cursor, flk_mp_token_t *token, flk_mp_type_t type, uint64_t len) {
    token->type = type;
    if (bytes_left(cursor) < len) {
        flk_mp_fail(cursor, flk_mp_short);
        return;
    }
    token->len = (uint32_t)len;
    token->data = cursor->at;
    cursor->at += len;
}

static inline void take_count(flk_mp_cursor_t *cursor, flk_mp_token_t *token, flk_mp_type_t type, uint64_t len) {
    token->type = type;
    if (bytes_left(cursor) < len * (type == FLK_MP_MAP ? 2 : 1)) {
        flk_mp_fail(cursor, flk_mp_short);
        return;
    }
    token->len = (uint32_t)len;
}

static inline void set_unsigned(flk_mp_token_t *token, uint64_t value) {
    token->type = value > INT64_MAX ? FLK_MP_UNSIGNED : FLK_MP_INTEGER;
    token->uinteger = value;
}

static inline void set_integer(flk_mp_token_t *token, int64_t value) {
    token->type = FLK_MP_INTEGER;
    token->integer = value;
}

static double float32_of(uint64_t bits) {
    float value;
    memcpy(&value, &(uint32_t){(uint32_t)bits}, sizeof value);
    return (double)value;
}

static double float64_of(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The types with a first byte of their own: 0xc0 to 0xdf. */
static void take_sized(flk_mp_cursor_t *cursor, flk_mp_token_t *token, uint8_t first) {
    switch (first) {
    case 0xc0:
        token->type = FLK_MP_NIL;
        break;
    case 0xc2:
    case 0xc3:
        token->type = FLK_MP_BOOL;
        token->boolean = first == 0xc3;
        break;
    case 0xc4:
    case 0xc5:
    case 0xc6:
        take_bytes(cursor, token, FLK_MP_BINARY, take_uint(cursor, 1u << (first - 0xc4)));
        break;
    case 0xca:
        token->type = FLK_MP_REAL;
        token->real = float32_of(take_uint(cursor, 4));
        break;
    case 0xcb:
        token->type = FLK_MP_REAL;
        token->real = float64_of(take_uint(cursor, 8));
        break;
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
        set_unsigned(token, take_uint(cursor, 1u << (first - 0xcc)));
        break;
    case 0xd0:
        set_integer(token, (int8_t)take_uint(cursor, 1));
        break;
    case 0xd1:
        set_integer(token, (int16_t)take_uint(cursor, 2));
        break;
    case 0xd2:
        set_integer(token, (int32_t)take_uint(cursor, 4));
        break;
    case 0xd3:
        set_integer(token, (int64_t)take_uint(cursor, 8));
        break;
    case 0xd9:
    case 0xda:
    case 0xdb:
        take_bytes(cursor, token, FLK_MP_STRING, take_uint(cursor, 1u << (first - 0xd9)));
        break;
    case 0xdc:
    case 0xdd:
        take_count(cursor, token, FLK_MP_ARRAY, take_uint(cursor, 2u << (first - 0xdc)));
        break;
    case 0xde:
    case 0xdf:
        take_count(cursor, token, FLK_MP_MAP, take_uint(cursor, 2u << (first - 0xde)));
        break;
    default:
        flk_mp_fail(cursor, "an ext type, or the byte 0xc1");
    }
}

bool flk_mp_next(flk_mp_cursor_t *cursor, flk_mp_token_t *token) {
    *token = (flk_mp_token_t){.type = FLK_MP_NIL};
    uint8_t first = (uint8_t)take_uint(cursor, 1);
    if (cursor->error != NULL) {
        return false;
    }
    if (first <= 0x7f) {
        set_integer(token, first);
    } else if (first <= 0x8f) {
        take_count(cursor, token, FLK_MP_MAP, first & 0x0f);
    } else if (first <= 0x9f) {
        take_count(cursor, token, FLK_MP_ARRAY, first & 0x0f);
    } else if (first <= 0xbf) {
        take_bytes(cursor, token, FLK_MP_STRING, first & 0x1f);
    } else if (first >= 0xe0) {
        set_integer(token, (int8_t)first);
    } else {
        take_sized(cursor, token, first);
    }
    return cursor->error == NULL;
}

/* Reads one token and insists on its type. */
static bool expect(flk_mp_cursor_t *cursor, flk_mp_token_t *token, flk_mp_type_t type, const char *error) {
    if (!flk_mp_next(cursor, token)) {
        return false;
    }
    if (token->type != type) {
        flk_mp_fail(cursor, error);
        return false;
    }
    return true;
}

uint32_t flk_mp_array(flk_mp_cursor_t *cursor) {
    flk_mp_token_t token;
    return expect(cursor, &token, FLK_MP_ARRAY, "not an array") ? token.len : 0;
}

uint32_t flk_mp_map(flk_mp_cursor_t *cursor) {
    flk_mp_token_t token;
    return expect(cursor, &token, FLK_MP_MAP, "not a map") ? token.len : 0;
}

uint64_t flk_mp_uint(flk_mp_cursor_t *cursor, uint64_t max) {
    if (cursor->error == NULL && cursor->at < cursor->end && *cursor->at <= 0x7f && *cursor->at <= max) {
        return *cursor->at++; /* most numbers in headers are small */
    }
    flk_mp_token_t token;
    if (!flk_mp_next(cursor, &token)) {
        return 0;
    }
    bool is_unsigned = token.type == FLK_MP_UNSIGNED || (token.type == FLK_MP_INTEGER && token.integer >= 0);
    if (!is_unsigned || token.uinteger > max) {
        flk_mp_fail(cursor, "not an integer in range");
        return 0;
    }
    return token.uinteger;
}

bool flk_mp_bool(flk_mp_cursor_t *cursor) {
    flk_mp_token_t token;
    return expect(cursor, &token, FLK_MP_BOOL, "not a boolean") && token.boolean;
}

double flk_mp_real(flk_mp_cursor_t *cursor) {
    flk_mp_token_t token;
    if (!flk_mp_next(cursor, &token)) {
        return 0;
    }
    if (token.type == FLK_MP_REAL && isfinite(token.real)) {
        return token.real;
    }
    if (token.type == FLK_MP_INTEGER) {
        return (double)token.integer;
    }
    if (token.type == FLK_MP_UNSIGNED) {
        return (double)token.uinteger;
    }
    flk_mp_fail(cursor, "not a finite number");
    return 0;
}

const uint8_t *flk_mp_bin(flk_mp_cursor_t *cursor, uint32_t *len) {
    flk_mp_token_t token;
    if (!expect(cursor, &token, FLK_MP_BINARY, "not binary")) {
        *len = 0;
        return NULL;
    }
    *len = token.len;
    return token.data;
}

size_t flk_mp_text(flk_mp_cursor_t *cursor, char *out, size_t out_bytes) {
    out[0] = '\0';
    flk_mp_token_t token;
    if (!expect(cursor, &token, FLK_MP_STRING, "not a string")) {
        return 0;
    }
    if (token.len >= out_bytes) {
        flk_mp_fail(cursor, "a string that is too long");
        return 0;
    }
    for (uint32_t i = 0; i < token.len; i++) {
        if (token.data[i] < 0x20 || token.data[i] > 0x7e) {
            flk_mp_fail(cursor, "a string that is not printable ASCII");
            return 0;
        }
    }
    memcpy(out, token.data, token.len);
    out[token.len] = '\0';
    return token.len;
}

void flk_mp_skip(flk_mp_cursor_t *cursor) {
    for (size_t pending = 1; pending > 0; pending--) {
        flk_mp_token_t token;
        if (!flk_mp_next(cursor, &token)) {
            return;
        }
        if (token.type == FLK_MP_ARRAY) {
            pending += token.len;
        } else if (token.type == FLK_MP_MAP) {
            pending += (size_t)token.len * 2;
        }
    }
}

bool flk_mp_done(flk_mp_cursor_t *cursor) {
    if (cursor->at != cursor->end) {
        flk_mp_fail(cursor, "bytes behind the end");
    }
    return cursor->error == NULL;
}
