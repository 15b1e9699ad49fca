/* SPDX-License-Identifier: MIT */
#include "common/escape.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the UTF-8 character at `text` (RFC 3629: no overlong form, no surrogate); 0 if it is none. C1 controls,
 * which some terminals obey, count as none. */
static size_t utf8_bytes(const unsigned char *text) {
    unsigned char lead = text[0];
    if (lead < 0x80) {
        return 1;
    }
    size_t bytes = lead >= 0xc2 && lead < 0xe0 ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < bytes; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    bool c1 = lead == 0xc2 && text[1] < 0xa0;
    bool overlong = (lead == 0xe0 && text[1] < 0xa0) || (lead == 0xf0 && text[1] < 0x90);
    bool surrogate = lead == 0xed && text[1] >= 0xa0;
    bool beyond = lead == 0xf4 && text[1] >= 0x90;
    return c1 || overlong || surrogate || beyond ? 0 : bytes;
}

/* Writes the escaped form of one character to `piece` and returns its bytes. */
static size_t escape_one(const unsigned char *text, size_t bytes, flk_escape_t style, char piece[8]) {
    static const char named[] = "\"\"\\\\\nn\rr\tt"; /* pairs: character, letter of its escape */
    for (const char *pair = named; *pair != '\0'; pair += 2) {
        if (bytes == 1 && *text == (unsigned char)pair[0]) {
            piece[0] = '\\';
            piece[1] = pair[1];
            return 2;
        }
    }
    if (bytes == 0 && style == FLK_ESCAPE_JSON) {
        return (size_t)snprintf(piece, 8, "\\ufffd");
    }
    if (bytes == 0 || *text < 0x20 || *text == 0x7f) {
        return (size_t)snprintf(piece, 8, style == FLK_ESCAPE_JSON ? "\\u%04x" : "\\x%02x", *text);
    }
    memcpy(piece, text, bytes);
    return bytes;
}

size_t flk_escape(const char *text, flk_escape_t style, char *out, size_t out_bytes, bool *whole) {
    size_t len = 0;
    const unsigned char *next = (const unsigned char *)text;
    while (*next != '\0') {
        char piece[8];
        size_t bytes = utf8_bytes(next);
        size_t piece_bytes = escape_one(next, bytes, style, piece);
        if (piece_bytes > out_bytes - len) {
            break;
        }
        memcpy(out + len, piece, piece_bytes);
        len += piece_bytes;
        next += bytes > 0 ? bytes : 1;
    }
    if (whole != NULL) {
        *whole = *next == '\0';
    }
    return len;
}

const char *flk_escape_name(const char *name, char out[FLK_SHOWN_BYTES]) {
    out[flk_escape(name, FLK_ESCAPE_TEXT, out, FLK_SHOWN_BYTES - 1, NULL)] = '\0';
    return out;
}
