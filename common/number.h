/* SPDX-License-Identifier: MIT */
/* Numbers as text, the same on every machine and in every locale: rounding to 9 decimals, reading, printing. Any
 * thread. */
#ifndef FLK_COMMON_NUMBER_H
#define FLK_COMMON_NUMBER_H

#include <stddef.h>
#include <stdint.h>

typedef enum flk_print {
    FLK_PRINT_PYTHON, /* json.dumps: 1.0, 1e-09, 1e+16 */
    FLK_PRINT_ES,     /* ECMAScript, RFC 8785: 1, 1e-9, 10000000000000000 */
} flk_print_t;

enum {
    FLK_NUMBER_BYTES = 32,  /* one printed number with its NUL */
    FLK_INTEGER_BYTES = 20, /* one printed integer, which has none */
};

/* Rounds to 9 decimals: correctly, half-even on the exact binary value; -0.0 becomes 0.0. */
double flk_round9(double value);

/* The double nearest to a JSON number of so many bytes, infinite when there is none. Behind it must stand a byte
 * that does not go on with it. */
double flk_number_read(const char *text, size_t text_bytes);

/* Prints a finite double, shortest digits that read back the same. Returns the length. */
size_t flk_number_print(double value, flk_print_t print, char out[FLK_NUMBER_BYTES]);

/* Prints an integer in decimal, without NUL. Returns the length. */
size_t flk_integer_print(uint64_t value, char out[FLK_INTEGER_BYTES]);

/* The value of a hexadecimal digit of either case; -1: it is none. */
static inline int flk_hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

#endif
