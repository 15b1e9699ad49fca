/* SPDX-License-Identifier: MIT */
/* Rounding and printing of doubles, the same on every machine and in every locale.
 *
 * Rounding to 9 decimals is integer arithmetic: a double is m * 2^-s with m < 2^53, so the number of billionths is
 * m * 10^9 / 2^s, and m * 10^9 fits 83 bits. From 2^23 on, neighbouring doubles are more than a billionth apart: the
 * nearest multiple of a billionth reads back as the double itself. Below it the number of billionths is below 2^53,
 * so that dividing it by 10^9 rounds once and correctly.
 *
 * Reading: a number without exponent of at most 15 digits, divided by a power of ten up to 22, is right after that one
 * operation, since both are exact doubles (Clinger 1990). All others are read by glibc.
 *
 * Printing knows two ways. A double below 10^6 that is its own rounding has at most 15 significant digits; decimals of
 * up to 15 digits are told apart by doubles, so these digits are the shortest, and the number of billionths has them.
 * All others are printed by glibc, which is exact, with 15, 16 and 17 digits until they read back. */
#include "common/number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"

enum { DIGITS_MAX = 17, BILLION = 1000000000 };

/* |value| = 0.d1d2d3... * 10^point; no zero at either end; len 0 for zero. */
typedef struct decimal {
    char digits[DIGITS_MAX + 1];
    int len, point;
} decimal_t;

/* |value| in billionths, rounded half-even. |value| < 2^23. */
static uint64_t billionths(double value) {
    int exponent; /* |value| = mantissa * 2^(exponent - 53) */
    double fraction = frexp(fabs(value), &exponent);
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53);
    int shift = 53 - exponent;
    if (shift > 84) {
        return 0; /* less than half a billionth */
    }
    unsigned __int128 scaled = (unsigned __int128)mantissa * BILLION;
    unsigned __int128 half = (unsigned __int128)1 << (shift - 1);
    unsigned __int128 rest = scaled & ((half << 1) - 1);
    uint64_t whole = (uint64_t)(scaled >> shift);
    return whole + (rest > half || (rest == half && (whole & 1) != 0));
}

double flk_round9(double value) {
    if (!(fabs(value) < 0x1p23)) {
        return value;
    }
    double rounded = (double)billionths(value) / BILLION;
    return value < 0 && rounded != 0 ? -rounded : rounded;
}

/* Takes the zeros off both ends. `text` holds `len` digits, the first one of weight 10^(point - 1). */
static void set_digits(decimal_t *decimal, const char *text, int len, int point) {
    while (len > 0 && text[len - 1] == '0') {
        len--;
    }
    while (len > 0 && *text == '0') {
        text++;
        len--;
        point--;
    }
    FLK_ASSERT(len <= DIGITS_MAX);
    memcpy(decimal->digits, text, (size_t)len);
    decimal->len = len;
    decimal->point = point;
}

/* False when the value is not its own rounding, or not below 10^6. */
static bool digits_of_rounded(double value, decimal_t *decimal) {
    if (!(fabs(value) < 1e6)) {
        return false;
    }
    uint64_t rest = billionths(value);
    if ((double)rest / BILLION != fabs(value)) {
        return false;
    }
    enum { PLACES = 15 };
    char text[PLACES];
    for (int i = PLACES; i-- > 0; rest /= 10) {
        text[i] = (char)('0' + rest % 10);
    }
    set_digits(decimal, text, PLACES, PLACES - 9);
    return true;
}

static locale_t c_locale;

static void make_c_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    FLK_ASSERT(c_locale != (locale_t)0);
}

/* strtod of another locale would want another decimal point. */
static double read_exactly(const char *text) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    return strtod_l(text, NULL, c_locale);
}

static double read_back(const decimal_t *decimal) {
    char text[DIGITS_MAX + 16];
    snprintf(text, sizeof text, "0.%.*se%d", decimal->len, decimal->digits, decimal->point);
    return read_exactly(text);
}

double flk_number_read(const char *text, size_t text_bytes) {
    enum { EXACT_DIGITS = 15, EXACT_POWER = 22 };
    static const double powers[EXACT_POWER + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                   1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                   1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *at = text + (*text == '-'), *end = text + text_bytes;
    uint64_t digits = 0;
    int digits_len = 0, places = 0;
    bool behind_point = false;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            behind_point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*at - '0');
        digits_len += digits != 0;
        places += behind_point;
        if (digits_len > EXACT_DIGITS || places > EXACT_POWER) {
            return read_exactly(text);
        }
    }
    if (at < end) {
        return read_exactly(text);
    }
    double value = (double)digits / powers[places];
    return *text == '-' ? -value : value;
}

/* The closest decimal of `precision` digits, by glibc; the decimal point of the locale is passed over. */
static void print_digits(double value, int precision, decimal_t *decimal) {
    char printed[DIGITS_MAX + 32], digits[DIGITS_MAX];
    snprintf(printed, sizeof printed, "%.*e", precision - 1, value);
    const char *exponent = strrchr(printed, 'e');
    int len = 0;
    for (const char *at = printed; at < exponent && len < DIGITS_MAX; at++) {
        if (*at >= '0' && *at <= '9') {
            digits[len++] = *at;
        }
    }
    set_digits(decimal, digits, len, atoi(exponent + 1) + 1);
}

/* Adds one to the last of `precision` digits. */
static void next_up(decimal_t *decimal, int precision) {
    char digits[DIGITS_MAX];
    memset(digits, '0', sizeof digits);
    memcpy(digits, decimal->digits, (size_t)decimal->len);
    int at = precision - 1;
    while (at > 0 && digits[at] == '9') {
        digits[at--] = '0';
    }
    if (digits[at] == '9') {
        set_digits(decimal, "1", 1, decimal->point + 1);
        return;
    }
    digits[at]++;
    set_digits(decimal, digits, precision, decimal->point);
}

static void digits_of_any(double value, decimal_t *decimal) {
    double magnitude = fabs(value);
    int exponent;
    bool power_of_two = frexp(magnitude, &exponent) == 0.5;
    /* Below the normal range doubles tell fewer than 15 digits apart. */
    int precision = isnormal(magnitude) ? 15 : 1;
    for (; precision < DIGITS_MAX; precision++) {
        print_digits(magnitude, precision, decimal);
        if (read_back(decimal) == magnitude) {
            return;
        }
        /* Above a power of two, doubles lie twice as far apart as below it: the closest decimal, below, may miss where
         * the next one, above, still hits. */
        if (power_of_two) {
            next_up(decimal, precision);
            if (read_back(decimal) == magnitude) {
                return;
            }
        }
    }
    print_digits(magnitude, DIGITS_MAX, decimal);
}

size_t flk_integer_print(uint64_t value, char out[FLK_INTEGER_BYTES]) {
    char digits[FLK_INTEGER_BYTES]; /* from the end */
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

/* ---- layout ---- */

static char *put_text(char *at, const char *text, size_t bytes) {
    memcpy(at, text, bytes);
    return at + bytes;
}

static char *put_zeros(char *at, int zeros) {
    memset(at, '0', (size_t)zeros);
    return at + zeros;
}

/* d.ddde-09; Python writes at least two digits of the exponent. */
static char *put_scientific(char *at, const decimal_t *decimal, flk_print_t print) {
    *at++ = decimal->digits[0];
    if (decimal->len > 1) {
        *at++ = '.';
        at = put_text(at, decimal->digits + 1, (size_t)decimal->len - 1);
    }
    int exponent = decimal->point - 1;
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    exponent = abs(exponent);
    if (exponent >= 100) {
        *at++ = (char)('0' + exponent / 100);
    }
    if (exponent >= 10 || print == FLK_PRINT_PYTHON) {
        *at++ = (char)('0' + exponent / 10 % 10);
    }
    *at++ = (char)('0' + exponent % 10);
    return at;
}

static char *put_plain(char *at, const decimal_t *decimal, flk_print_t print) {
    if (decimal->point <= 0) {
        at = put_text(at, "0.", 2);
        at = put_zeros(at, -decimal->point);
        return put_text(at, decimal->digits, (size_t)decimal->len);
    }
    if (decimal->len > decimal->point) {
        at = put_text(at, decimal->digits, (size_t)decimal->point);
        *at++ = '.';
        return put_text(at, decimal->digits + decimal->point, (size_t)(decimal->len - decimal->point));
    }
    at = put_text(at, decimal->digits, (size_t)decimal->len);
    at = put_zeros(at, decimal->point - decimal->len);
    return print == FLK_PRINT_PYTHON ? put_text(at, ".0", 2) : at;
}

size_t flk_number_print(double value, flk_print_t print, char out[FLK_NUMBER_BYTES]) {
    FLK_ASSERT(isfinite(value));
    char *at = out;
    if (value == 0) {
        bool negative = signbit(value) != 0 && print == FLK_PRINT_PYTHON; /* ECMAScript prints -0 as 0 */
        at = negative ? put_text(at, "-0.0", 4) : put_text(at, "0.0", print == FLK_PRINT_PYTHON ? 3 : 1);
        *at = '\0';
        return (size_t)(at - out);
    }
    decimal_t decimal;
    if (!digits_of_rounded(value, &decimal)) {
        digits_of_any(value, &decimal);
    }
    if (value < 0) {
        *at++ = '-';
    }
    int point_max = print == FLK_PRINT_PYTHON ? 16 : 21, point_min = print == FLK_PRINT_PYTHON ? -3 : -5;
    bool scientific = decimal.point > point_max || decimal.point < point_min;
    at = scientific ? put_scientific(at, &decimal, print) : put_plain(at, &decimal, print);
    *at = '\0';
    return (size_t)(at - out);
}
