/* SPDX-License-Identifier: MIT */
#include "gateway/throttle.h"

enum { NS_PER_MS = 1000000 };
#define NS_PER_S UINT64_C(1000000000)

void flk_throttle_init(flk_throttle_t *throttle, uint64_t rate_per_s) {
    throttle->interval_ns = rate_per_s == 0 ? 0 : NS_PER_S / rate_per_s;
    throttle->burst_ns = NS_PER_S;
    atomic_init(&throttle->arrival_ns, 0);
}

bool flk_throttle_take(flk_throttle_t *throttle, uint64_t now_ns, uint32_t *retry_ms) {
    if (throttle->interval_ns == 0) {
        return true;
    }
    uint64_t arrival = atomic_load_explicit(&throttle->arrival_ns, memory_order_relaxed);
    for (;;) {
        uint64_t from = arrival > now_ns ? arrival : now_ns;
        uint64_t then = from + throttle->interval_ns;
        if (then > now_ns + throttle->burst_ns) {
            *retry_ms = (uint32_t)((then - now_ns - throttle->burst_ns) / NS_PER_MS) + 1;
            return false;
        }
        if (atomic_compare_exchange_weak_explicit(&throttle->arrival_ns, &arrival, then, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
}
