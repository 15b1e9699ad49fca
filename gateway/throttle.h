/* SPDX-License-Identifier: MIT */
/* Token bucket over both doors: `rate` submissions a second, bursts of one second's worth. Any thread; one atomic
 * compare-and-swap. The bucket is kept as GCRA's theoretical arrival time (ITU-T I.371, annex A). */
#ifndef FLK_GATEWAY_THROTTLE_H
#define FLK_GATEWAY_THROTTLE_H

#include <stdatomic.h>

#include "common/base.h"

typedef struct flk_throttle {
    uint64_t interval_ns; /* between two tokens; 0 = unlimited */
    uint64_t burst_ns;
    _Atomic uint64_t arrival_ns; /* when the bucket is full again */
} flk_throttle_t;

void flk_throttle_init(flk_throttle_t *throttle, uint64_t rate_per_s);

/* Takes one token. False: there is none; *retry_ms tells when there will be. */
FLK_MUST_CHECK bool flk_throttle_take(flk_throttle_t *throttle, uint64_t now_ns, uint32_t *retry_ms);

#endif
