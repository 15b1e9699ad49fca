/* SPDX-License-Identifier: MIT */
/* A bar on a terminal's standard error, redrawn ten times a second at most; nothing in a pipe. */
#ifndef FLK_AGENT_PROGRESS_H
#define FLK_AGENT_PROGRESS_H

#include "common/base.h"

typedef struct flk_progress {
    bool shown;
    uint64_t began_ms, drawn_ms;
} flk_progress_t;

void flk_progress_init(flk_progress_t *progress, bool quiet);
/* `share` of the work that is done, 0..1; negative: unknown. */
void flk_progress_draw(flk_progress_t *progress, double share, uint64_t answered, uint64_t dead, uint64_t waiting);
void flk_progress_fini(flk_progress_t *progress); /* wipes the bar */

#endif
