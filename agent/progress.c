/* SPDX-License-Identifier: MIT */
#include "agent/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { PERIOD_MS = 100, BAR_CELLS = 24 };

void flk_progress_init(flk_progress_t *progress, bool quiet) {
    *progress = (flk_progress_t){.shown = !quiet && isatty(STDERR_FILENO) == 1, .began_ms = flk_mono_ms()};
}

static void draw_bar(double share) {
    if (share < 0) {
        return;
    }
    int full = (int)(share * BAR_CELLS);
    fputs("[", stderr);
    for (int i = 0; i < BAR_CELLS; i++) {
        fputs(i < full ? "#" : "-", stderr);
    }
    fprintf(stderr, "] %3d%%  ", (int)(share * 100));
}

void flk_progress_draw(flk_progress_t *progress, double share, uint64_t answered, uint64_t dead, uint64_t waiting) {
    uint64_t now_ms = flk_mono_ms();
    if (!progress->shown || now_ms - progress->drawn_ms < PERIOD_MS) {
        return;
    }
    progress->drawn_ms = now_ms;
    double seconds = (double)(now_ms - progress->began_ms) / 1000;
    fputs("\r", stderr);
    draw_bar(share);
    fprintf(stderr, "%llu answered  %llu waiting  %llu dead  %.0f/s\033[K", (unsigned long long)answered,
            (unsigned long long)waiting, (unsigned long long)dead, seconds > 0 ? (double)answered / seconds : 0);
    fflush(stderr);
}

void flk_progress_fini(flk_progress_t *progress) {
    if (progress->shown && progress->drawn_ms != 0) {
        fputs("\r\033[K", stderr);
    }
}
