/* SPDX-License-Identifier: MIT */
#include "agent/flk/style.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

flk_style_t flk_style_for(FILE *out) {
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    bool plain = (no_color != NULL && no_color[0] != '\0') || term == NULL || strcmp(term, "dumb") == 0;
    if (plain || isatty(fileno(out)) == 0) {
        return (flk_style_t){"", "", "", "", "", ""};
    }
    return (flk_style_t){"\033[1m", "\033[2m", "\033[32m", "\033[33m", "\033[31m", "\033[0m"};
}

const char *flk_style_grouped(double whole_number, char *out) {
    char digits[FLK_GROUPED_BYTES];
    int len = snprintf(digits, sizeof digits, "%.0f", whole_number);
    int sign = digits[0] == '-';
    char *end = out;
    for (int i = 0; i < len && end < out + FLK_GROUPED_BYTES - 2; i++) {
        if (i > sign && (len - i) % 3 == 0) {
            *end++ = ',';
        }
        *end++ = digits[i];
    }
    *end = '\0';
    return out;
}

const char *flk_style_bytes(double bytes, char *out) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < sizeof units / sizeof units[0]) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, FLK_GROUPED_BYTES, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
    return out;
}

const char *flk_style_duration(long long ms, char *out) {
    static const struct {
        long long ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}};
    for (size_t i = 0; i + 1 < sizeof units / sizeof units[0]; i++) {
        if (ms >= units[i].ms) {
            snprintf(out, FLK_DURATION_BYTES, "%lld%s %lld%s", ms / units[i].ms, units[i].unit,
                     ms % units[i].ms / units[i + 1].ms, units[i + 1].unit);
            return out;
        }
    }
    snprintf(out, FLK_DURATION_BYTES, "%.1fs", (double)ms / 1000);
    return out;
}
