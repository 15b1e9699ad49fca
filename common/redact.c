/* SPDX-License-Identifier: MIT */
/* Redaction of texts that a person may have typed: a scan from left to right that copies everything but e-mail
 * addresses and phone numbers. Logs are full of numbers that are neither, so the phone rules ask for a shape, not
 * for digits:
 *   +49 170 1234567   '+' and 7 to 15 digits in groups
 *   (555) 123-4567    a group in parentheses, 7 to 15 digits in all
 *   555-123-4567      groups of 3, 3 and 4
 *   0170 1234567      a leading 0, at least two groups, 9 to 15 digits in all
 * Dates, times, IP addresses, ports, hex ids, UUIDs, floats and plain numbers have none of these shapes. */
#include <string.h>

#include "common/log.h"

enum { PHONE_DIGITS_MIN = 7, PHONE_DIGITS_MAX = 15, NATIONAL_DIGITS_MIN = 9, GROUPS_MAX = 8 };

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (unsigned char)c >= 0x80; /* UTF-8 beyond ASCII too */
}

static bool is_word(char c) {
    return is_digit(c) || is_letter(c) || c == '_';
}

/* ---- e-mail ---- */

static bool is_local_part(char c) {
    return is_word(c) || (c != '\0' && strchr(".%+-'!#$&*?^`{|}~", c) != NULL); /* not / and =: URLs, key=value */
}

/* Bytes of a domain with at least one dot and a last label that starts with a letter; 0 if there is none. */
static size_t domain_bytes(const char *text) {
    size_t end = 0;
    size_t i = 0;
    while (is_digit(text[i]) || is_letter(text[i])) {
        size_t label = i;
        while (is_digit(text[i]) || is_letter(text[i]) || text[i] == '-') {
            i++;
        }
        if (label > 0 && is_letter(text[label]) && i - label >= 2) {
            end = i;
        }
        if (text[i] != '.') {
            break;
        }
        i++;
    }
    return end;
}

/* Bytes of the e-mail address that starts at `text`; 0 if none does. */
static size_t email_bytes(const char *text) {
    size_t local = 0;
    while (is_local_part(text[local])) {
        local++;
    }
    if (local == 0 || text[local] != '@') {
        return 0;
    }
    size_t domain = domain_bytes(text + local + 1);
    return domain > 0 ? local + 1 + domain : 0;
}

/* Only there, so that the scan stays linear: each local part is looked at once. */
static bool email_may_start_after(char before) {
    return !is_local_part(before);
}

/* ---- phone ---- */

typedef struct digit_groups {
    size_t lens[GROUPS_MAX];
    size_t count, digits, bytes;
} digit_groups_t;

static bool is_separator(char c) {
    return c == ' ' || c == '-' || c == '.' || c == '/';
}

/* Reads groups of digits; between two of them one separator, or parentheses with or without spaces. */
static digit_groups_t read_groups(const char *text) {
    digit_groups_t groups = {0};
    size_t i = 0;
    while (groups.count < GROUPS_MAX) {
        i += groups.count > 0 && is_separator(text[i]);
        bool parenthesis = text[i] == '(';
        i += parenthesis;
        size_t digits = 0;
        while (is_digit(text[i + digits])) {
            digits++;
        }
        if (digits == 0 || (parenthesis && text[i + digits] != ')')) {
            break;
        }
        i += digits + parenthesis;
        groups.lens[groups.count++] = digits;
        groups.digits += digits;
        groups.bytes = i;
    }
    return groups;
}

static bool is_north_american(const digit_groups_t *groups) {
    return groups->count == 3 && groups->lens[0] == 3 && groups->lens[1] == 3 && groups->lens[2] == 4;
}

static bool is_national(const char *text, const digit_groups_t *groups) {
    bool numbered = strncmp(text, "000", 3) == 0; /* 000042-000043: no country code starts with 0 */
    bool shape = text[0] == '0' && !numbered && groups->count >= 2 && groups->digits >= NATIONAL_DIGITS_MIN;
    for (size_t i = 0; i < groups->count; i++) {
        shape &= groups->lens[i] >= 2; /* 0.123456789 */
    }
    return shape;
}

/* Bytes of the phone number that starts at `text`; 0 if none does. */
static size_t phone_bytes(const char *text) {
    bool plus = text[0] == '+';
    if (!plus && text[0] != '(' && !is_digit(text[0])) {
        return 0;
    }
    digit_groups_t groups = read_groups(text + plus);
    if (groups.digits < PHONE_DIGITS_MIN || groups.digits > PHONE_DIGITS_MAX) {
        return 0;
    }
    char after = text[plus + groups.bytes];
    if (is_word(after) || after == ':') {
        return 0;
    }
    bool shape =
        plus || (text[0] == '(' && groups.count > 1) || is_north_american(&groups) || is_national(text, &groups);
    return shape ? plus + groups.bytes : 0;
}

/* A number without '+' that follows one of these is the rest of something longer: 10.0170…, host:0170… */
static bool phone_may_start_after(char before, char first) {
    return !is_word(before) && (first == '+' || before == '\0' || strchr(".-+:(", before) == NULL);
}

/* ---- the scan ---- */

typedef struct sink {
    char *out;
    size_t len, max; /* max: without the NUL */
} sink_t;

static void put(sink_t *sink, const char *text, size_t bytes) {
    size_t room = sink->max - sink->len;
    size_t take = bytes < room ? bytes : room;
    memcpy(sink->out + sink->len, text, take);
    sink->len += take;
}

void flk_redact(const char *text, char *out, size_t out_bytes) {
    FLK_ASSERT(out_bytes > 0);
    sink_t sink = {.out = out, .max = out_bytes - 1};
    char before = '\0';
    for (size_t i = 0, bytes; text[i] != '\0' && sink.len < sink.max; i += bytes) {
        if (email_may_start_after(before) && (bytes = email_bytes(text + i)) > 0) {
            put(&sink, "[email]", strlen("[email]"));
        } else if (phone_may_start_after(before, text[i]) && (bytes = phone_bytes(text + i)) > 0) {
            put(&sink, "[phone]", strlen("[phone]"));
        } else {
            put(&sink, text + i, bytes = 1);
        }
        before = text[i + bytes - 1];
    }
    out[sink.len] = '\0';
}
