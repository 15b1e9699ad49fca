/* SPDX-License-Identifier: MIT */
#include "proto/link.h"

#include <string.h>

bool flk_route_equal(const flk_route_t *a, const flk_route_t *b) {
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
}
