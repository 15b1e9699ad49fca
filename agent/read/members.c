/* SPDX-License-Identifier: MIT */
/* A scan without recursion: strings are passed over by their quotes and backslashes, nested values by counting
 * brackets of each kind on a small stack, everything else is a word up to the next separator. */
#include "agent/read/members.h"

#include <string.h>

#include "common/number.h"

static bool fail_with(flk_members_t *members, const char *fault) {
    members->fault = fault;
    return false;
}

static void skip_blanks(flk_members_t *members) {
    while (members->at < members->end && strchr(" \t\r\n", *members->at) != NULL && *members->at != '\0') {
        members->at++;
    }
}

/* Passes over one byte that must be `c`, and blanks before it. */
static bool skip_char(flk_members_t *members, char c) {
    skip_blanks(members);
    if (members->at == members->end || *members->at != c) {
        return false;
    }
    members->at++;
    return true;
}

/* Behind an opening quote. Returns where the closing one is; NULL: there is none. */
static const char *string_end(const char *at, const char *end) {
    while (at < end && *at != '"') {
        at += *at == '\\' ? 2 : 1;
    }
    return at < end ? at : NULL;
}

static bool take_string(flk_members_t *members, const char **text, size_t *text_bytes) {
    const char *from = members->at, *to = string_end(from, members->end);
    if (to == NULL) {
        return fail_with(members, "a string is not closed");
    }
    *text = from;
    *text_bytes = (size_t)(to - from);
    members->at = to + 1;
    return true;
}

/* At an opening bracket; passes over all up to its closing one. */
static bool skip_nested(flk_members_t *members) {
    char closing[FLK_MEMBERS_DEPTH_MAX];
    size_t depth = 0;
    do {
        char c = *members->at++;
        if (c == '"') {
            const char *text;
            size_t bytes;
            if (!take_string(members, &text, &bytes)) {
                return false;
            }
        } else if (c == '{' || c == '[') {
            if (depth == FLK_MEMBERS_DEPTH_MAX) {
                return fail_with(members, "nested too deep");
            }
            closing[depth++] = c == '{' ? '}' : ']';
        } else if (c == '}' || c == ']') {
            if (c != closing[--depth]) {
                return fail_with(members, "brackets do not match");
            }
        }
    } while (depth > 0 && members->at < members->end);
    return depth == 0 || fail_with(members, "a bracket is not closed");
}

static bool take_word(flk_members_t *members) {
    static const char ends[] = " \t\r\n,:{}[]\"";
    const char *from = members->at;
    while (members->at < members->end && (*members->at == '\0' || strchr(ends, *members->at) == NULL)) {
        members->at++;
    }
    return members->at > from || fail_with(members, "a value is missing");
}

static bool take_value(flk_members_t *members, flk_member_t *member) {
    skip_blanks(members);
    if (members->at < members->end && *members->at == '"') {
        members->at++;
        member->kind = FLK_MEMBER_STRING;
        return take_string(members, &member->value, &member->value_bytes);
    }
    bool nested = members->at < members->end && (*members->at == '{' || *members->at == '[');
    member->kind = nested ? FLK_MEMBER_NESTED : FLK_MEMBER_WORD;
    member->value = members->at;
    if (!(nested ? skip_nested : take_word)(members)) {
        return false;
    }
    member->value_bytes = (size_t)(members->at - member->value);
    return true;
}

void flk_members_init(flk_members_t *members, const char *text, size_t text_bytes) {
    *members = (flk_members_t){.at = text, .end = text + text_bytes, .first = true};
    if (!skip_char(members, '{')) {
        members->fault = "not a JSON object";
    }
}

static bool end_object(flk_members_t *members) {
    skip_blanks(members);
    return members->at == members->end ? false : fail_with(members, "text behind the object");
}

bool flk_members_next(flk_members_t *members, flk_member_t *member) {
    if (members->fault != NULL) {
        return false;
    }
    bool first = members->first;
    members->first = false;
    if (skip_char(members, '}')) {
        return end_object(members);
    }
    if (!first && !skip_char(members, ',')) {
        return fail_with(members, members->at == members->end ? "the object is not closed" : "a comma is missing");
    }
    if (!skip_char(members, '"')) {
        return fail_with(members, members->at == members->end ? "the object is not closed" : "a name is missing");
    }
    if (!take_string(members, &member->name, &member->name_bytes)) {
        return false;
    }
    if (!skip_char(members, ':')) {
        return fail_with(members, "a colon is missing");
    }
    return take_value(members, member);
}

/* ---- escapes ---- */

/* Four hexadecimal digits; -1: there are fewer. */
static int32_t code_unit(const char *text, size_t text_bytes) {
    int32_t unit = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = i < text_bytes ? flk_hex_digit(text[i]) : -1;
        if (digit < 0) {
            return -1;
        }
        unit = unit * 16 + digit;
    }
    return unit;
}

static size_t put_utf8(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = bytes; i-- > 1; code >>= 6) {
        out[i] = (char)(0x80 | (code & 0x3F));
    }
    out[0] = (char)(lead[bytes] | code);
    return bytes;
}

/* Behind "\u"; gives the bytes of UTF-8 and how much was read. 0: no character of its own. */
static size_t unescape_unicode(const char *text, size_t text_bytes, char out[4], size_t *read) {
    int32_t unit = code_unit(text, text_bytes);
    *read = 4;
    if (unit >= 0xD800 && unit < 0xDC00 && text_bytes >= 10 && text[4] == '\\' && text[5] == 'u') {
        int32_t low = code_unit(text + 6, text_bytes - 6);
        *read = 10;
        unit = low >= 0xDC00 && low < 0xE000 ? 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00) : -1;
    }
    return unit <= 0 || (unit >= 0xD800 && unit < 0xE000) ? 0 : put_utf8((uint32_t)unit, out);
}

bool flk_members_unescape(const char *text, size_t text_bytes, char *out, size_t out_bytes) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    size_t used = 0;
    for (size_t i = 0; i < text_bytes;) {
        char piece[4] = {text[i++]};
        size_t piece_bytes = piece[0] != '\0';
        if (piece[0] == '\\') {
            char name = i < text_bytes ? text[i++] : '\0';
            const char *known = name == '\0' ? NULL : strchr(names, name);
            size_t read = 0;
            piece_bytes = known != NULL ? 1
                          : name == 'u' ? unescape_unicode(text + i, text_bytes - i, piece, &read)
                                        : 0;
            piece[0] = known != NULL ? values[known - names] : piece[0];
            i += read;
        }
        if (piece_bytes == 0 || used + piece_bytes >= out_bytes) {
            return false;
        }
        memcpy(out + used, piece, piece_bytes);
        used += piece_bytes;
    }
    out[used] = '\0';
    return true;
}
