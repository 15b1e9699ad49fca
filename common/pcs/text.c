/* SPDX-License-Identifier: MIT */
#include "common/pcs/text.h"

#include "common/pcs/pcs.h"

#include <string.h>

/* Classes of characters; a byte may be in several. */
enum { DIGIT = 1, LOWER_HEX = 2, HEX = 4, NAME = 8, LABEL = 16 };

static const uint8_t classes[256] = {
    ['0' ... '9'] = DIGIT | LOWER_HEX | HEX | NAME | LABEL,
    ['a' ... 'f'] = LOWER_HEX | HEX | NAME | LABEL,
    ['g' ... 'z'] = NAME | LABEL,
    ['A' ... 'F'] = HEX | NAME | LABEL,
    ['G' ... 'Z'] = NAME | LABEL,
    ['.'] = NAME | LABEL,
    ['_'] = NAME | LABEL,
    [':'] = NAME | LABEL,
    ['-'] = NAME | LABEL,
    [' '] = LABEL,
    ['/'] = LABEL,
};

static bool is_digit(char c) {
    return (classes[(uint8_t)c] & DIGIT) != 0;
}

static bool is_made_of(const char *text, size_t text_bytes, size_t max, uint8_t class) {
    if (text_bytes == 0 || text_bytes > max) {
        return false;
    }
    uint8_t common = class;
    for (size_t i = 0; i < text_bytes; i++) {
        common &= classes[(uint8_t)text[i]];
    }
    return common != 0;
}

bool flk_text_is_name(const char *text, size_t text_bytes, size_t max) {
    return is_made_of(text, text_bytes, max, NAME);
}

bool flk_text_is_label(const char *text, size_t text_bytes, size_t max) {
    return is_made_of(text, text_bytes, max, LABEL);
}

bool flk_text_is_hex(const char *text, size_t text_bytes, size_t max, bool upper) {
    return is_made_of(text, text_bytes, max, upper ? HEX : LOWER_HEX);
}

/* Bytes of the UTF-8 sequence at `at`, 0 when it is none. The second byte's range keeps out overlong forms,
 * surrogates and values above U+10FFFF (RFC 3629, section 4). */
static size_t sequence_bytes(const uint8_t *at, size_t left) {
    uint8_t lead = at[0];
    uint8_t low = 0x80, high = 0xBF;
    size_t bytes;
    if (lead >= 0xC2 && lead <= 0xDF) {
        bytes = 2;
    } else if (lead >= 0xE0 && lead <= 0xEF) {
        bytes = 3;
        low = lead == 0xE0 ? 0xA0 : low;
        high = lead == 0xED ? 0x9F : high;
    } else if (lead >= 0xF0 && lead <= 0xF4) {
        bytes = 4;
        low = lead == 0xF0 ? 0x90 : low;
        high = lead == 0xF4 ? 0x8F : high;
    } else {
        return 0;
    }
    if (left < bytes || at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < bytes; i++) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return bytes;
}

/* Eight bytes of ASCII without a zero byte: no high bit is set, and taking one from each byte borrows from none. */
static bool is_ascii_word(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return ((word | (word - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) == 0;
}

bool flk_text_is_utf8(const char *text, size_t text_bytes) {
    const uint8_t *bytes = (const uint8_t *)text;
    size_t i = 0;
    while (i < text_bytes) {
        if (text_bytes - i >= sizeof(uint64_t) && is_ascii_word(bytes + i)) {
            i += sizeof(uint64_t);
            continue;
        }
        if (bytes[i] - 1u < 0x7Fu) {
            i++;
            continue;
        }
        size_t step = sequence_bytes(bytes + i, text_bytes - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

/* Digits of the decimal number at the start of the text, 0 when there is none or it has leading zeros. */
static size_t number_bytes(const char *text, size_t text_bytes) {
    size_t digits = 0;
    while (digits < text_bytes && is_digit(text[digits])) {
        digits++;
    }
    return digits > 1 && text[0] == '0' ? 0 : digits;
}

static uint32_t number_value(const char *text, size_t digits) {
    uint64_t value = 0;
    for (size_t i = 0; i < digits && value <= UINT32_MAX; i++) {
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    return value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

bool flk_text_is_version(const char *text, size_t text_bytes, uint32_t *major) {
    if (text_bytes > FLK_PCS_VERSION_MAX) {
        return false;
    }
    size_t at = 0;
    for (unsigned parts = 1; parts <= 3; parts++) {
        size_t digits = number_bytes(text + at, text_bytes - at);
        if (digits == 0) {
            return false;
        }
        if (parts == 1) {
            *major = number_value(text, digits);
        }
        at += digits;
        if (at == text_bytes) {
            return parts >= 2;
        }
        if (text[at++] != '.') {
            return false;
        }
    }
    return false;
}

/* Matches a pattern in which 'd' stands for a digit. */
static bool looks_like(const char *text, const char *pattern) {
    for (; *pattern != '\0'; text++, pattern++) {
        if (*pattern == 'd' ? !is_digit(*text) : *text != *pattern) {
            return false;
        }
    }
    return true;
}

static unsigned two_digits(const char *text) {
    return (unsigned)(text[0] - '0') * 10u + (unsigned)(text[1] - '0');
}

static unsigned days_in_month(unsigned year, unsigned month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool is_zone(const char *text, size_t text_bytes) {
    if (text_bytes == 1) {
        return *text == 'Z' || *text == 'z';
    }
    return text_bytes == 6 && (looks_like(text, "+dd:dd") || looks_like(text, "-dd:dd")) && two_digits(text + 1) < 24 &&
           two_digits(text + 4) < 60;
}

bool flk_text_is_rfc3339(const char *text, size_t text_bytes) {
    enum { DATE_TIME_BYTES = 19 }; /* up to the seconds */
    if (text_bytes <= DATE_TIME_BYTES || text_bytes > FLK_PCS_SENT_AT_MAX || !looks_like(text, "dddd-dd-dd") ||
        (text[10] != 'T' && text[10] != 't') || !looks_like(text + 11, "dd:dd:dd")) {
        return false;
    }
    unsigned year = two_digits(text) * 100 + two_digits(text + 2);
    unsigned month = two_digits(text + 5), day = two_digits(text + 8);
    if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || two_digits(text + 11) > 23 ||
        two_digits(text + 14) > 59 || two_digits(text + 17) > 60) {
        return false;
    }
    size_t at = DATE_TIME_BYTES;
    if (text[at] == '.') {
        size_t first = ++at;
        while (at < text_bytes && is_digit(text[at])) {
            at++;
        }
        if (at == first) {
            return false;
        }
    }
    return is_zone(text + at, text_bytes - at);
}

bool flk_text_is_integer(const char *text, size_t text_bytes, uint64_t *value) {
    enum { DIGITS_MAX = 16 };
    if (text_bytes > DIGITS_MAX || text_bytes == 0 || number_bytes(text, text_bytes) != text_bytes) {
        return false;
    }
    *value = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        *value = *value * 10 + (uint64_t)(text[i] - '0');
    }
    return *value <= FLK_PCS_INTEGER_MAX;
}

/* At least one digit; NULL when there is none. */
static const char *skip_digits(const char *at, const char *end) {
    const char *first = at;
    while (at < end && *at >= '0' && *at <= '9') {
        at++;
    }
    return at == first ? NULL : at;
}

bool flk_text_is_number(const char *text, size_t text_bytes) {
    const char *end = text + text_bytes, *at = text + (text_bytes > 0 && *text == '-'), *whole = at;
    at = skip_digits(at, end);
    if (at == NULL || (*whole == '0' && at > whole + 1)) {
        return false;
    }
    if (at < end && *at == '.') {
        at = skip_digits(at + 1, end);
    }
    if (at != NULL && at < end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < end && (*at == '+' || *at == '-');
        at = skip_digits(at, end);
    }
    return at == end;
}
