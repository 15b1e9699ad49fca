/* SPDX-License-Identifier: MIT */
#include "common/percent.h"

#include "common/number.h"

bool flk_percent_decode(const char *text, size_t text_bytes, char *out, size_t out_bytes) {
    size_t used = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        int c = (unsigned char)text[i];
        if (c == '%') {
            if (i + 2 >= text_bytes) {
                return false;
            }
            int high = flk_hex_digit(text[i + 1]), low = flk_hex_digit(text[i + 2]);
            if (high < 0 || low < 0) {
                return false;
            }
            c = high << 4 | low;
            i += 2;
        }
        if (c == 0 || used + 1 >= out_bytes) {
            return false;
        }
        out[used++] = (char)c;
    }
    out[used] = '\0';
    return true;
}
