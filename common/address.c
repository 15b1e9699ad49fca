/* SPDX-License-Identifier: MIT */
/* Too much is taken rather than too little: a password may hold any character, and an address that has one is often
 * wrong. */
#include "common/address.h"

#include <stdio.h>
#include <string.h>

static const char word_ends[] = " \t\r\n\"'<>()[]{}";

/* Where the authority of an address begins: behind "://", or at its first byte. */
static char *authority_of(char *address, const char *end) {
    for (char *at = address; end - at >= 3; at++) {
        if (memcmp(at, "://", 3) == 0) {
            return at + 3;
        }
    }
    return address;
}

static char *last_at_sign(char *begin, char *end) {
    while (end > begin) {
        if (*--end == '@') {
            return end;
        }
    }
    return NULL;
}

/* Moves the text behind the user part of one word over it. Returns the word's new end. */
static char *hide_in_word(char *word, char *end) {
    char *authority = authority_of(word, end), *at_sign = last_at_sign(authority, end);
    if (at_sign == NULL || (authority == word && memchr(word, ':', (size_t)(at_sign - word)) == NULL)) {
        return end; /* no user part; or a mail address */
    }
    memmove(authority, at_sign + 1, (size_t)(end - at_sign - 1));
    return authority + (end - at_sign - 1);
}

void flk_address_hide_users(char *text) {
    if (strchr(text, '@') == NULL) {
        return;
    }
    char *to = text;
    while (*text != '\0') {
        size_t gap = strspn(text, word_ends), len = strcspn(text + gap, word_ends);
        memmove(to, text, gap + len);
        char *word = to + gap;
        text += gap + len;
        to = hide_in_word(word, word + len);
    }
    *to = '\0';
}

/* The bytes of "http://", 0 when no name of a scheme stands at the beginning. */
static size_t scheme_bytes(const char *address) {
    size_t len = strspn(address, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+.-");
    return len > 0 && strncmp(address + len, "://", 3) == 0 ? len + 3 : 0;
}

void flk_address_show(const char *address, char *out, size_t out_bytes) {
    const char *at_sign = strrchr(address, '@');
    if (at_sign == NULL) {
        snprintf(out, out_bytes, "%s", address);
    } else {
        snprintf(out, out_bytes, "%.*s%s", (int)scheme_bytes(address), address, at_sign + 1);
    }
}
