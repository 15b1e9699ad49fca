/* SPDX-License-Identifier: MIT */
#include "follow/sink.h"

#include <stdatomic.h>

static atomic_bool stopping;

bool flk_sink_stopping(void) {
    return atomic_load(&stopping);
}

void flk_sink_stop_all(void) {
    atomic_store(&stopping, true);
}
