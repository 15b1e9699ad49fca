/* SPDX-License-Identifier: MIT */
/* An environment of NAME=VALUE lines: the program that the first byte names either loads it or refuses it with one
 * line. */
#include <stdlib.h>

#include "common/program/settings.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {
#define NAME(id, name, ...) name,
    FLK_SETTINGS(NAME)
#undef NAME
};

/* The environment is ours: setenv keeps every value that it ever saw. */
enum { TEXT_BYTES = 4096, LINES_MAX = 256, PAIRS_BYTES = TEXT_BYTES + LINES_MAX * 64 };

static char *entries[LINES_MAX + 1], pairs[PAIRS_BYTES];
static size_t entries_len, pairs_bytes;

static void set(const char *name, const char *value) {
    if (entries_len < LINES_MAX) {
        char *pair = pairs + pairs_bytes;
        int pair_len = snprintf(pair, sizeof pairs - pairs_bytes, "%s=%s", name, value);
        FLK_ASSERT(pair_len > 0 && (size_t)pair_len < sizeof pairs - pairs_bytes);
        pairs_bytes += (size_t)pair_len + 1;
        entries[entries_len++] = pair;
    }
}

/* A line is an index into the names, or a name of its own, and the value. NAME_FILE is left to the unit tests: a fuzzer
 * that picks paths would read the machine. */
static void set_line(char *line) {
    char *value = strchr(line, '=');
    if (value == NULL) {
        if (line[0] != '\0') {
            set(names[(uint8_t)line[0] % FLK_COUNT_OF(names)], line + 1);
        }
        return;
    }
    *value = '\0';
    if (strncmp(line, "FLK_", 4) == 0 && strstr(line, "_FILE") == NULL) {
        set(line, value + 1);
    }
}

static void load(flk_program_t program, FILE *sink) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_settings_t *settings = NULL;
    flk_err_t err = flk_settings_load(program, &settings, errmsg);
    if (err == FLK_OK) {
        flk_settings_print_effective(settings, sink);
        flk_settings_destroy(&settings);
    } else {
        FLK_ASSERT(err == FLK_E_CONFIG);
        FLK_ASSERT(errmsg[0] != '\0' && strchr(errmsg, '\n') == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static const flk_program_t programs[] = {FLK_PROGRAM_GATEWAY, FLK_PROGRAM_BROKER, FLK_PROGRAM_WORKER,
                                             FLK_PROGRAM_AGENT,   FLK_PROGRAM_FLK,    FLK_PROGRAM_REPLAY};
    static FILE *sink;
    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
        FLK_ASSERT(sink != NULL);
    }
    char text[TEXT_BYTES];
    if (data_bytes == 0 || data_bytes > sizeof text) {
        return -1;
    }
    memcpy(text, data + 1, data_bytes - 1);
    text[data_bytes - 1] = '\0';
    entries_len = pairs_bytes = 0;
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        set_line(line);
    }
    entries[entries_len] = NULL;
    environ = entries;
    load(programs[data[0] % FLK_COUNT_OF(programs)], sink);
    return 0;
}
