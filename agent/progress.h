/* SPDX-License-Identifier: MIT */
/* One line on a terminal's standard error, redrawn ten times a second at most and never wider than the terminal;
 * nothing in a pipe. One thread. */
#ifndef FLK_AGENT_PROGRESS_H
#define FLK_AGENT_PROGRESS_H

#include "common/base.h"

typedef struct flk_progress {
    bool shown;
    uint64_t began_ms, drawn_ms;
} flk_progress_t;

/* The state of the work. */
typedef struct flk_progress_state {
    double share; /* 0..1 of the work that is done; negative: unknown, without bar and ETA */
    uint64_t answered, waiting, dead;
    const char *why; /* why some wait; "" = no reason */
} flk_progress_state_t;

enum { FLK_PROGRESS_BYTES = 512 };

void flk_progress_init(flk_progress_t *progress, bool quiet);
/* Draws the state, unless it drew within the last 100 ms. */
void flk_progress_draw(flk_progress_t *progress, const flk_progress_state_t *state);
void flk_progress_fini(flk_progress_t *progress); /* wipes the line */

/* The line for a terminal of `columns`, after `elapsed_s`: the bar takes the room that the words leave, and the
 * end is cut if need be. */
void flk_progress_print(const flk_progress_state_t *state, double elapsed_s, unsigned columns,
                        char line[FLK_PROGRESS_BYTES]);

#endif
