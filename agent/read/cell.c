/* SPDX-License-Identifier: MIT */
/* A cell is read in one of two ways with one result:
 *   1. Plain decimals of up to 15 digits, nearly all there are: the digits as an integer over a power of ten is
 *      correctly rounded (both are exact in a double), and the digits without trailing zeros are the shortest print,
 *      because no two decimals of 15 digits are the same double.
 *   2. All others: strtod and flk_number_print.
 * Neither depends on a locale: programs of this tree never call setlocale. */
#include "agent/read/cell.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIGITS_EXACT = 15 };

static const double power_of_ten[DIGITS_EXACT + 1] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                      1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

void flk_text_trim(const char **text, size_t *text_bytes) {
    while (*text_bytes > 0 && (**text == ' ' || **text == '\t')) {
        (*text)++;
        (*text_bytes)--;
    }
    while (*text_bytes > 0 && ((*text)[*text_bytes - 1] == ' ' || (*text)[*text_bytes - 1] == '\t')) {
        (*text_bytes)--;
    }
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Between date and time. */
static bool is_joint(char c) {
    return c == 'T' || c == 't' || c == ' ';
}

/* -?(0|[1-9]digits)[.digits] with at most 15 digits, and at least 0.1 in magnitude: prints without an exponent. */
static bool parse_plain(const char *text, size_t bytes, flk_cell_t *cell) {
    if (bytes == 0 || bytes > DIGITS_EXACT + 2) {
        return false;
    }
    bool negative = text[0] == '-';
    size_t i = negative, digits = 0, fraction = 0;
    uint64_t all = 0;
    for (; i < bytes && is_digit(text[i]); i++, digits++) {
        all = all * 10 + (uint64_t)(text[i] - '0');
    }
    if (digits == 0 || (digits > 1 && text[negative] == '0')) {
        return false;
    }
    size_t kept = i;
    if (i < bytes && text[i] == '.') {
        if (all == 0 && (i + 1 >= bytes || text[i + 1] == '0')) {
            return false;
        }
        for (i++; i < bytes && is_digit(text[i]); i++, fraction++) {
            all = all * 10 + (uint64_t)(text[i] - '0');
            kept = text[i] != '0' ? i + 1 : kept;
        }
        if (fraction == 0) {
            return false;
        }
    }
    if (i < bytes || all == 0 || digits + fraction > DIGITS_EXACT) {
        return false;
    }
    double magnitude = (double)all / power_of_ten[fraction];
    cell->value = negative ? -magnitude : magnitude;
    memcpy(cell->text, text, kept);
    if (kept == digits + negative) { /* a whole number */
        cell->text[kept++] = '.';
        cell->text[kept++] = '0';
    }
    cell->text_bytes = (uint8_t)kept;
    return true;
}

/* True for [+-]digits[.digits][e[+-]digits] with a digit on at least one side of the point. */
static bool is_decimal(const char *text, size_t bytes) {
    size_t i = bytes > 0 && (text[0] == '+' || text[0] == '-') ? 1 : 0, digits = 0;
    for (; i < bytes && is_digit(text[i]); i++) {
        digits++;
    }
    if (i < bytes && text[i] == '.') {
        for (i++; i < bytes && is_digit(text[i]); i++) {
            digits++;
        }
    }
    if (digits == 0) {
        return false;
    }
    if (i < bytes && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        i += i < bytes && (text[i] == '+' || text[i] == '-') ? 1 : 0;
        if (i == bytes) {
            return false;
        }
        for (; i < bytes && is_digit(text[i]); i++) {
        }
    }
    return i == bytes;
}

bool flk_cell_from_double(double value, flk_cell_t *cell) {
    if (!isfinite(value) || fabs(value) > FLK_CELL_ABS_MAX) {
        return false;
    }
    cell->value = value == 0 ? 0 : value;
    char text[FLK_NUMBER_BYTES];
    size_t bytes = flk_number_print(cell->value, FLK_PRINT_PYTHON, text);
    FLK_ASSERT(bytes < sizeof cell->text);
    memcpy(cell->text, text, bytes);
    cell->text_bytes = (uint8_t)bytes;
    return true;
}

bool flk_cell_parse(const char *text, size_t text_bytes, flk_cell_t *cell) {
    flk_text_trim(&text, &text_bytes);
    if (parse_plain(text, text_bytes, cell)) {
        return true;
    }
    char copy[512];
    if (text_bytes >= sizeof copy || !is_decimal(text, text_bytes)) {
        return false;
    }
    memcpy(copy, text, text_bytes);
    copy[text_bytes] = '\0';
    return flk_cell_from_double(strtod(copy, NULL), cell);
}

bool flk_cell_is_time(const flk_cell_t *cell) {
    return cell->value >= 0 && cell->value < 253402300800.0;
}

/* `count` digits as a number; -1 when there is something else. */
static int digits_at(const char *text, size_t at, size_t count) {
    int value = 0;
    for (size_t i = at; i < at + count; i++) {
        if (!is_digit(text[i])) {
            return -1;
        }
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar; years run from March so that a leap day comes last. */
static int64_t days_from_civil(int year, int month, int day) {
    int64_t y = year - (month <= 2);
    int64_t m = (month + 9) % 12;
    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + (day - 1) - 719468;
}

static int days_in_month(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "Z", "z" or "+hh:mm": seconds east of Greenwich. */
static bool parse_offset(const char *text, size_t bytes, int *offset_s) {
    if (bytes == 1 && (text[0] == 'Z' || text[0] == 'z')) {
        *offset_s = 0;
        return true;
    }
    if (bytes != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return false;
    }
    int hours = digits_at(text, 1, 2), minutes = digits_at(text, 4, 2);
    if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) {
        return false;
    }
    *offset_s = (text[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
    return true;
}

static bool parse_rfc3339(const char *text, size_t bytes, double *seconds) {
    if (bytes < 20 || text[4] != '-' || text[7] != '-' || !is_joint(text[10]) || text[13] != ':' || text[16] != ':') {
        return false;
    }
    int year = digits_at(text, 0, 4), month = digits_at(text, 5, 2), day = digits_at(text, 8, 2);
    int hour = digits_at(text, 11, 2), minute = digits_at(text, 14, 2), second = digits_at(text, 17, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > days_in_month(year, month) || hour < 0 || hour > 23 ||
        minute < 0 || minute > 59 || second < 0 || second > 60) {
        return false;
    }
    size_t at = 19;
    double fraction = 0;
    if (text[at] == '.') {
        size_t first = ++at;
        uint64_t all = 0;
        for (; at < bytes && is_digit(text[at]); at++) {
            all = at - first < 9 ? all * 10 + (uint64_t)(text[at] - '0') : all; /* below a nanosecond is cut */
        }
        size_t digits = at - first;
        if (digits == 0) {
            return false;
        }
        fraction = (double)all / power_of_ten[digits < 9 ? digits : 9];
    }
    int offset_s;
    if (!parse_offset(text + at, bytes - at, &offset_s)) {
        return false;
    }
    int64_t whole = days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    *seconds = (double)whole + fraction;
    return true;
}

bool flk_cell_parse_time(const char *text, size_t text_bytes, flk_cell_t *cell) {
    flk_text_trim(&text, &text_bytes);
    double seconds;
    bool read = parse_rfc3339(text, text_bytes, &seconds) ? flk_cell_from_double(seconds, cell)
                                                          : flk_cell_parse(text, text_bytes, cell);
    return read && flk_cell_is_time(cell);
}
