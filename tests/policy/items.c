/* SPDX-License-Identifier: MIT */
/* Policies from standard input, each with its length (4 bytes, big-endian) before it; a line each on standard output:
 * the items of its text, or "refused". */
#include <stdio.h>

#include "common/bytes.h"
#include "common/pcs/policy/source.h"

int main(void) {
    static char text[FLK_POLICY_TEXT_BYTES_MAX];
    static flk_policy_source_t source;
    char errmsg[FLK_ERRMSG_BYTES];
    uint8_t length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        const size_t bytes = flk_get_be32(length);
        if (bytes > sizeof text || fread(text, 1, bytes, stdin) != bytes) {
            return 1;
        }
        if (flk_policy_parse(text, bytes, &source, errmsg) == FLK_OK) {
            flk_policy_print_source(&source, stdout);
        } else {
            puts("refused");
        }
    }
    return 0;
}
