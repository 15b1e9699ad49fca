/* SPDX-License-Identifier: MIT */
/* How often one event may be logged. A peer can cause most events as often as it likes: a worker that says READY with
 * a new instance each time, a stranger that knocks. So each event has a bucket of its own, and none can fill the disk
 * or push the others out of sight. The log tells how many lines were left out. Any thread; never blocks for long. */
#ifndef FLK_COMMON_LOG_LIMIT_H
#define FLK_COMMON_LOG_LIMIT_H

#include "common/base.h"

enum {
    FLK_LOG_BURST = 64,      /* lines of one event at once, then one a second */
    FLK_LOG_EVENTS_MAX = 256 /* further events share one bucket */
};

typedef struct flk_log_left_out {
    const char *event; /* NULL: nothing to tell */
    uint64_t lines;
} flk_log_left_out_t;

/* Whether a line of `event` may be written at `now_ms` (monotonic). Fills `left_out` with the lines of this event
 * that were not written since the last one that was. `event` is kept: a literal. */
FLK_MUST_CHECK bool flk_log_limit_take(const char *event, uint64_t now_ms, flk_log_left_out_t *left_out);

#endif
