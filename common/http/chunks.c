/* SPDX-License-Identifier: MIT */
#include "common/http/chunks.h"

#include <string.h>

#include "common/http/guard.h"

enum { DIGITS_MAX = 16 };

static int hex_of(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool is_text(char c) {
    return c == '\t' || ((unsigned char)c >= ' ' && c != 0x7f);
}

/* Behind the size, or the blanks that follow it. */
static flk_http_chunk_state_t behind_size(char c, bool blank) {
    return c == ';'                ? FLK_CHUNK_EXTENSION
           : c == '\r' && !blank   ? FLK_CHUNK_SIZE_LF
           : c == ' ' || c == '\t' ? FLK_CHUNK_BLANK
                                   : FLK_CHUNK_BAD;
}

static flk_http_chunk_state_t take_size(flk_http_chunks_t *chunks, char c) {
    int digit = hex_of(c);
    if (digit < 0) {
        return chunks->digits > 0 ? behind_size(c, false) : FLK_CHUNK_BAD;
    }
    chunks->left = chunks->left * 16 + (unsigned)digit;
    return ++chunks->digits <= DIGITS_MAX ? FLK_CHUNK_SIZE_MORE : FLK_CHUNK_BAD;
}

static flk_http_chunk_state_t expect(char c, char wanted, flk_http_chunk_state_t next) {
    return c == wanted ? next : FLK_CHUNK_BAD;
}

static flk_http_chunk_state_t begin_chunk(flk_http_chunks_t *chunks) {
    chunks->left = 0;
    chunks->digits = 0;
    return FLK_CHUNK_SIZE;
}

/* Everything but DATA, DONE and BAD. */
static flk_http_chunk_state_t step(flk_http_chunks_t *chunks, char c) {
    switch (chunks->state) {
    case FLK_CHUNK_SIZE:
    case FLK_CHUNK_SIZE_MORE:
        return take_size(chunks, c);
    case FLK_CHUNK_BLANK:
        return behind_size(c, true);
    case FLK_CHUNK_EXTENSION:
        return is_text(c) ? FLK_CHUNK_EXTENSION : expect(c, '\r', FLK_CHUNK_SIZE_LF);
    case FLK_CHUNK_SIZE_LF:
        return expect(c, '\n', chunks->left > 0 ? FLK_CHUNK_DATA : FLK_CHUNK_TRAILER);
    case FLK_CHUNK_DATA_CR:
        return expect(c, '\r', FLK_CHUNK_DATA_LF);
    case FLK_CHUNK_DATA_LF:
        return c == '\n' ? begin_chunk(chunks) : FLK_CHUNK_BAD;
    case FLK_CHUNK_TRAILER:
        return flk_http_is_token_char(c) ? FLK_CHUNK_NAME : expect(c, '\r', FLK_CHUNK_END_LF);
    case FLK_CHUNK_NAME:
        return flk_http_is_token_char(c) ? FLK_CHUNK_NAME : expect(c, ':', FLK_CHUNK_VALUE);
    case FLK_CHUNK_VALUE:
        return is_text(c) ? FLK_CHUNK_VALUE : expect(c, '\r', FLK_CHUNK_TRAILER_LF);
    case FLK_CHUNK_TRAILER_LF:
        return expect(c, '\n', FLK_CHUNK_TRAILER);
    case FLK_CHUNK_END_LF:
        return expect(c, '\n', FLK_CHUNK_DONE);
    default:
        return FLK_CHUNK_BAD;
    }
}

static bool is_extra(flk_http_chunk_state_t state) {
    return state == FLK_CHUNK_BLANK || state == FLK_CHUNK_EXTENSION || state == FLK_CHUNK_NAME ||
           state == FLK_CHUNK_VALUE;
}

static size_t least(size_t a, size_t b, uint64_t c) {
    size_t less = a < b ? a : b;
    return less < c ? less : (size_t)c;
}

size_t flk_http_chunks_take(flk_http_chunks_t *chunks, const char *data, size_t bytes, char *out, size_t room,
                            size_t *got) {
    size_t taken = 0;
    *got = 0;
    while (taken < bytes && chunks->state != FLK_CHUNK_DONE && chunks->state != FLK_CHUNK_BAD) {
        if (chunks->state != FLK_CHUNK_DATA) {
            chunks->state = step(chunks, data[taken++]);
            chunks->extras += is_extra(chunks->state);
            if (chunks->extras > FLK_HTTP_CHUNK_EXTRAS_BYTES_MAX) {
                chunks->state = FLK_CHUNK_BAD;
            }
            continue;
        }
        size_t some = least(bytes - taken, room - *got, chunks->left);
        if (some == 0) {
            break;
        }
        memcpy(out + *got, data + taken, some);
        taken += some;
        *got += some;
        chunks->left -= some;
        chunks->state = chunks->left == 0 ? FLK_CHUNK_DATA_CR : FLK_CHUNK_DATA;
    }
    return taken;
}
