/* SPDX-License-Identifier: MIT */
/* An environment of NAME=VALUE lines: every program either loads it or refuses it with one line; no secret is printed. */
#include <stdlib.h>

#include "common/settings.h"
#include "tests/fuzz/fuzz.h"

static const char *const names[] = {
#define NAME(id, name, ...) name,
    FLK_SETTINGS(NAME)
#undef NAME
};

/* A line is an index into the names, or a name of its own, and the value. NAME_FILE is left to the unit tests: a fuzzer that picks
 * paths would read the machine. */
static void set_line(char *line) {
    char *value = strchr(line, '=');
    if (value == NULL) {
        if (line[0] != '\0') {
            setenv(names[(uint8_t)line[0] % FLK_COUNT_OF(names)], line + 1, 1);
        }
        return;
    }
    *value = '\0';
    if (strncmp(line, "FLK_", 4) == 0 && strstr(line, "_FILE") == NULL) {
        setenv(line, value + 1, 1);
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
    static FILE *sink;
    if (sink == NULL) {
        sink = fopen("/dev/null", "w");
        FLK_ASSERT(sink != NULL);
    }
    char text[4096];
    if (data_bytes >= sizeof text) {
        return -1;
    }
    memcpy(text, data, data_bytes);
    text[data_bytes] = '\0';
    FLK_ASSERT(clearenv() == 0);
    for (char *rest = text, *line; (line = strsep(&rest, "\n")) != NULL;) {
        set_line(line);
    }
    for (unsigned program = FLK_PROGRAM_GATEWAY; program <= FLK_PROGRAM_REPLAY; program *= 2) {
        load((flk_program_t)program, sink);
    }
    return 0;
}
