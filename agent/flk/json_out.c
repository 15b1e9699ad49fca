/* SPDX-License-Identifier: MIT */
#include "agent/flk/json_out.h"

#include <stdio.h>

#include "common/base.h"

void flk_json_out(json_t *value) {
    FLK_ASSERT(value != NULL && json_dumpf(value, stdout, JSON_COMPACT | JSON_REAL_PRECISION(12)) == 0);
    putchar('\n');
    fflush(stdout);
    json_decref(value);
}
