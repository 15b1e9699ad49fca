/* SPDX-License-Identifier: MIT */
/* The life of a process: each of its loops beats at every turn, and its readers (the pages, the watchdog's
 * keep-alive) learns whether one of them has not turned for too long. A process that answers requests is not alive
 * for that alone: another thread answers. */
#ifndef FLK_COMMON_BEAT_H
#define FLK_COMMON_BEAT_H

#include <stdatomic.h>

#include "common/base.h"

enum { FLK_BEAT_MS_MAX = 10000 }; /* the bound of a loop that never waits for a disk or a server */

typedef struct flk_beat {
    struct flk_beat *prev, *next; /* in the process's list, under its lock */
    const char *name;
    uint64_t ms_max;
    _Atomic uint64_t turned_ms;
} flk_beat_t;

/* Enters a loop, before its thread starts. It counts as lost when it did not turn for `ms_max`. `beat` and `name` are
 * kept until flk_beat_stop. */
void flk_beat_start(flk_beat_t *beat, const char *name, uint64_t ms_max);
/* Takes a loop out that ends or has ended. One that never was started is fine. */
void flk_beat_stop(flk_beat_t *beat);

/* A turn; only the loop itself calls it. */
static inline void flk_beat_turn(flk_beat_t *beat, uint64_t now_ms) {
    atomic_store_explicit(&beat->turned_ms, now_ms, memory_order_relaxed);
}

/* Whether every loop has turned within its bound; else `why` (NULL allowed, FLK_ERRMSG_BYTES) names one. Any thread;
 * never waits for a loop. */
FLK_MUST_CHECK bool flk_beats_alive(uint64_t now_ms, char *why);

#endif
