/* SPDX-License-Identifier: MIT */
#include "agent/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/terminal.h"

enum { PERIOD_MS = 100, BAR_CELLS_MIN = 8, BAR_CELLS_MAX = 24, ETA_S_MAX = 99 * 3600 };

void flk_progress_init(flk_progress_t *progress, bool quiet) {
    *progress = (flk_progress_t){.shown = !quiet && isatty(STDERR_FILENO) == 1, .began_ms = flk_mono_ms()};
}

/* Appends as much as fits. */
static FLK_PRINTF(2, 3) void append(char line[FLK_PROGRESS_BYTES], const char *format, ...) {
    size_t used = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, FLK_PROGRESS_BYTES - used, format, args);
    va_end(args);
}

static void append_eta(char line[FLK_PROGRESS_BYTES], double share, double elapsed_s) {
    double left_s = share > 0 ? elapsed_s * (1 - share) / share : -1;
    if (left_s < 0 || left_s > ETA_S_MAX) {
        return;
    }
    unsigned left = (unsigned)left_s;
    if (left >= 3600) {
        append(line, "  ETA %u:%02u:%02u", left / 3600, left / 60 % 60, left % 60);
    } else {
        append(line, "  ETA %u:%02u", left / 60, left % 60);
    }
}

static void append_bar(char line[FLK_PROGRESS_BYTES], double share, size_t cells) {
    char bar[BAR_CELLS_MAX + 1] = "";
    size_t full = (size_t)(share * (double)cells);
    memset(bar, '-', cells);
    memset(bar, '#', full < cells ? full : cells);
    append(line, "[%.*s] ", (int)cells, bar);
}

void flk_progress_print(const flk_progress_state_t *state, double elapsed_s, unsigned columns,
                        char line[FLK_PROGRESS_BYTES]) {
    char words[FLK_PROGRESS_BYTES] = "";
    if (state->share >= 0) {
        append(words, "%3d%%", (int)(state->share * 100));
        append_eta(words, state->share, elapsed_s);
        append(words, "  ");
    }
    append(words, "%llu answered", (unsigned long long)state->answered);
    if (elapsed_s > 0) {
        append(words, "  %.0f/s", (double)state->answered / elapsed_s);
    }
    if (state->dead > 0) {
        append(words, "  %llu dead", (unsigned long long)state->dead);
    }
    append(words, "  %llu waiting", (unsigned long long)state->waiting);
    if (state->waiting > 0 && state->why[0] != '\0') {
        append(words, ": %s", state->why);
    }
    size_t room = columns > 1 ? columns - 1 : 1; /* the last column would wrap on some terminals */
    size_t words_len = strlen(words), spare = room > words_len + 3 ? room - words_len - 3 : 0;
    line[0] = '\0';
    if (state->share >= 0 && spare >= BAR_CELLS_MIN) {
        append_bar(line, state->share, spare < BAR_CELLS_MAX ? spare : BAR_CELLS_MAX);
    }
    append(line, "%s", words);
    line[room < FLK_PROGRESS_BYTES ? room : FLK_PROGRESS_BYTES - 1] = '\0';
}

void flk_progress_draw(flk_progress_t *progress, const flk_progress_state_t *state) {
    uint64_t now_ms = flk_mono_ms();
    if (!progress->shown || now_ms - progress->drawn_ms < PERIOD_MS) {
        return;
    }
    char line[FLK_PROGRESS_BYTES];
    progress->drawn_ms = now_ms;
    flk_progress_print(state, (double)(now_ms - progress->began_ms) / 1000, flk_terminal_columns(STDERR_FILENO), line);
    fprintf(stderr, "\r%s\033[K", line);
    fflush(stderr);
}

void flk_progress_fini(flk_progress_t *progress) {
    if (progress->shown && progress->drawn_ms != 0) {
        fputs("\r\033[K", stderr);
    }
}
