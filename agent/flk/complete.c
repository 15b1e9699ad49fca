/* SPDX-License-Identifier: MIT */
/* flk complete: candidates for the last of the words of a command line, for the completion of shells. They come from
 * the help of the program that the words name, so that they never differ from it: its options, the values that a limit
 * lists, its verbs, and the alternatives of its usage. Nothing printed: a file, or nothing. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/flk/command.h"
#include "agent/flk/unit.h"

enum { HELP_BYTES = 1 << 16, NAME_BYTES = 64 };

/* Prints `name` when it begins as the word does. */
static void offer(const char *name, size_t len, const char *word) {
    if (len >= strlen(word) && strncmp(name, word, strlen(word)) == 0) {
        printf("%.*s\n", (int)len, name);
    }
}

/* The help of `flk VERB`, or of flk-NAME: all of it but the settings. */
static void read_help(const char *program, const char *verb, char help[HELP_BYTES]) {
    char self[PATH_MAX], command[PATH_MAX + 256];
    ssize_t len = readlink("/proc/self/exe", self, sizeof self - 1);
    self[len > 0 ? len : 0] = '\0';
    const char *suffix = strcmp(program, "flk") == 0 ? "" : program + strlen("flk");
    help[0] = '\0';
    if (strchr(self, '\'') != NULL || suffix[strspn(suffix, "-abcdefghijklmnopqrstuvwxyz")] != '\0' ||
        verb[strspn(verb, "abcdefghijklmnopqrstuvwxyz")] != '\0') {
        return;
    }
    snprintf(command, sizeof command, "'%.3000s%s' %s --help 2>/dev/null </dev/null", self, suffix, verb);
    FILE *output = popen(command, "re");
    size_t got = output != NULL ? fread(help, 1, HELP_BYTES - 1, output) : 0;
    help[got] = '\0';
    char *settings = strstr(help, "\nSettings, from");
    if (settings != NULL) {
        settings[1] = '\0';
    }
    if (output != NULL) {
        pclose(output);
    }
}

/* "broker, gateway or worker", of lower-case words alone: offers each. */
static void offer_list(const char *text, size_t text_len, const char *word) {
    char list[512];
    snprintf(list, sizeof list, "%.*s", (int)text_len, text);
    for (char *at = list; (at = strchr(at, '\n')) != NULL;) {
        *at = ' '; /* it was wrapped */
    }
    const char *limits = strrchr(list, ':');
    if (limits == NULL || strstr(limits, " or ") == NULL ||
        limits[1 + strspn(limits + 1, "abcdefghijklmnopqrstuvwxyz0123456789_-, ")] != '\0') {
        return;
    }
    for (limits++; *limits != '\0';) {
        limits += strspn(limits, ", ");
        size_t len = strcspn(limits, ", ");
        if (len > 0 && strncmp(limits, "or ", 3) != 0) {
            offer(limits, len, word);
        }
        limits += len;
    }
}

/* The values of `option`, which is the word before. False: it takes none. */
static bool offer_values(const char *help, const char *option, const char *word) {
    char begin[NAME_BYTES + 8];
    snprintf(begin, sizeof begin, "\n  %.60s ", option);
    const char *row = strstr(help, begin);
    if (row == NULL || row[strlen(begin)] == ' ') {
        return false;
    }
    const char *end = strstr(row + 1, "\n  -");
    const char *blank = strstr(row + 1, "\n\n");
    end = end == NULL || (blank != NULL && blank < end) ? blank : end;
    offer_list(row, end != NULL ? (size_t)(end - row) : strlen(row), word);
    return true;
}

/* "  --name" of each line. */
static void offer_options(const char *help, const char *word) {
    for (const char *at = help; (at = strstr(at, "\n  --")) != NULL; at += 3) {
        offer(at + 3, strcspn(at + 3, " \n"), word);
    }
}

/* The words of the usage between | and |, and the verbs below it: "  name  text" or "  flk store name  text". */
static void offer_words(const char *help, const char *program, const char *verb, const char *word) {
    const char *usage = strstr(help, "Usage:");
    size_t usage_len = usage != NULL ? strcspn(usage, "\n") : 0;
    for (size_t i = 0; i < usage_len;) {
        size_t len = strspn(usage + i, "abcdefghijklmnopqrstuvwxyz");
        if (len > 0 && (usage[i + len] == '|' || (i > 0 && usage[i - 1] == '|'))) {
            offer(usage + i, len, word);
        }
        i += len > 0 ? len : 1;
    }
    char by_front[NAME_BYTES], by_itself[NAME_BYTES]; /* "flk store ", "flk-agent " */
    size_t front_len = (size_t)snprintf(by_front, sizeof by_front, "%s %.40s ", program, verb);
    size_t itself_len = verb[0] != '\0' ? (size_t)snprintf(by_itself, sizeof by_itself, "flk-%.40s ", verb)
                                        : (size_t)snprintf(by_itself, sizeof by_itself, "%s ", program);
    const char *end = strstr(help, "\nOptions"), *last = "";
    size_t last_len = 0;
    for (const char *at = help; (at = strstr(at, "\n  ")) != NULL && (end == NULL || at < end); at += 3) {
        const char *name = at + 3;
        name += strncmp(name, by_front, front_len) == 0     ? front_len
                : strncmp(name, by_itself, itself_len) == 0 ? itself_len
                                                            : 0;
        size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz");
        bool again = len == last_len && strncmp(name, last, len) == 0;
        if (len > 0 && !again && (strncmp(name + len, "  ", 2) == 0 || name != at + 3)) {
            offer(name, len, word);
            last = name;
            last_len = len;
        }
    }
}

static void offer_units(const char *word) {
    char(*names)[FLK_UNIT_NAME_BYTES] = flk_start_alloc(FLK_UNITS_MAX * sizeof *names);
    size_t len = flk_unit_list(names);
    for (size_t i = 0; i < len; i++) {
        offer(names[i], strlen(names[i]), word);
    }
    free(names);
}

int flk_command_complete(int argc, char **argv) {
    static char help[HELP_BYTES];
    if (argc < 3) {
        return FLK_EXIT_USAGE;
    }
    const char *slash = strrchr(argv[1], '/'), *program = slash != NULL ? slash + 1 : argv[1];
    const char *word = argv[argc - 1], *before = argv[argc - 2];
    bool front = strcmp(program, "flk") == 0, of_command = front && argc > 3 && strcmp(argv[2], "help") != 0;
    const char *verb = of_command ? argv[2] : "";
    if (strncmp(program, "flk", 3) != 0) {
        return FLK_EXIT_USAGE;
    }
    if (front && strcmp(before, "--unit") == 0) {
        offer_units(word);
        return FLK_EXIT_OK;
    }
    read_help(program, verb, help);
    if (before[0] == '-' && offer_values(help, before, word)) {
        return FLK_EXIT_OK;
    }
    if (word[0] == '-') {
        offer_options(help, word);
        if (front) {
            offer("--unit", strlen("--unit"), word);
        }
    } else if (argc == 3 || (front && argc == 4) || strstr(help, "]...\n") != NULL) {
        offer_words(help, program, verb, word);
    }
    return FLK_EXIT_OK;
}
