/* SPDX-License-Identifier: MIT */
/* libsodium decodes, and refuses bits that a last digit may not have. But where char is signed it takes bytes above
 * 127 for a slash, so that many texts would mean the same bytes; those are refused here. */
#include "common/base64.h"

#include <sodium.h>

bool flk_base64_decode(const char *text, size_t text_bytes, uint8_t *out, size_t out_max, size_t *out_bytes) {
    unsigned char all = 0;
    for (size_t i = 0; i < text_bytes; i++) {
        all |= (unsigned char)text[i];
    }
    return all < 128 && sodium_base642bin(out, out_max, text, text_bytes, NULL, out_bytes, NULL,
                                          sodium_base64_VARIANT_ORIGINAL) == 0;
}
