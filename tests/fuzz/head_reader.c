/* SPDX-License-Identifier: MIT */
/* The guard's reading, for comparison with another parser: each input on stdin is its length (32 bits, big-endian) and
 * its bytes; each line on stdout is "more", "refused STATUS", or "METHOD PATH OLD CHUNKED LENGTH BYTES" separated by
 * tabs. */
#include <inttypes.h>
#include <stdio.h>

#include "common/http/guard.h"

int main(void) {
    static char data[1 << 16];
    uint8_t length[4];
    while (fread(length, 1, sizeof length, stdin) == sizeof length) {
        flk_http_head_t head;
        size_t bytes = (size_t)length[0] << 24 | (size_t)length[1] << 16 | (size_t)length[2] << 8 | length[3],
               scanned = 0;
        if (bytes > sizeof data || fread(data, 1, bytes, stdin) != bytes) {
            return 1;
        }
        if (!flk_http_guard_read(data, bytes, &scanned, &head)) {
            puts("more");
        } else if (head.status != 0) {
            printf("refused\t%d\n", head.status);
        } else {
            printf("%s\t%s\t%d\t%d\t%" PRIu64 "\t%zu\n", head.method, head.path, head.old, head.chunked, head.length,
                   head.bytes);
        }
    }
    return 0;
}
