/* SPDX-License-Identifier: MIT */
/* A command line as one table: parsing, messages about mistakes, and the part of --help that lists options. Values
 * and rows are borrowed from argv and the program's tables. The main thread only. */
#ifndef FLK_COMMON_PROGRAM_OPTIONS_H
#define FLK_COMMON_PROGRAM_OPTIONS_H

#include <stdio.h>

#include "common/base.h"

enum { FLK_OPTIONS_MAX = 64 };

typedef struct flk_option {
    const char *name;     /* without its dashes */
    const char *argument; /* as --help shows it, "N"; NULL: it takes none */
    const char *limits;   /* "1 to 1024"; "": every value but an empty one is taken */
    const char *preset;   /* the value without the option, for --help; "" when that is nothing to tell */
    unsigned verbs;       /* a bit for each verb that it belongs to; 0 in programs without verbs */
    const char *help;
} flk_option_t;

typedef struct flk_options {
    const char *title; /* "flk-agent", "flk up": begins each message, and "TITLE --help" ends it */
    const flk_option_t *rows;
    size_t rows_len;          /* at most FLK_OPTIONS_MAX */
    const char *const *verbs; /* the name of each bit; NULL: none */
    size_t verbs_len;
    void (*print_help)(void); /* all of --help, on standard output */
    /* Takes the value of an option into `arg`; false: it is outside the row's limits. Without an argument `value` is
     * NULL. */
    bool (*take)(void *arg, size_t row, char *value);
} flk_options_t;

/* The three parts of a program's command line, from its list OPTIONS(X) of X(id, name, argument, limits, preset, help):
 *
 *     enum option_id { OPTIONS(FLK_OPTION_ID) };                          OPTION_id is the number of its row
 *     static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
 *     FLK_COMMAND_LINE("flk up");                                         command_line, with the functions below
 *
 * A program with verbs names them before the help of each row and writes its flk_options_t out. */
#define FLK_OPTION_ID(id, ...)                                   OPTION_##id,
#define FLK_OPTION_ROW(id, name, argument, limits, preset, help) {name, argument, limits, preset, 0, help},
#define FLK_OPTION_VERBS_ROW(id, name, argument, limits, preset, verbs, help)                                          \
    {name, argument, limits, preset, verbs, help},
#define FLK_COMMAND_LINE(program_title)                                                                                \
    static void print_help(void);                                                                                      \
    static bool take_option(void *arg, size_t row, char *value);                                                       \
    static const flk_options_t command_line = {.title = program_title,                                                 \
                                               .rows = rows,                                                           \
                                               .rows_len = FLK_COUNT_OF(rows),                                         \
                                               .print_help = print_help,                                               \
                                               .take = take_option}

/* Takes all options of argv, wherever they stand, and moves the other words to the end: from `*rest` on, ended
 * by NULL. `given` has a bit for each row that came. --help, -h and --version are answered, and a mistake is told on
 * stderr, with the nearest name where there is one. Returns -1 to go on, or the exit status to end with. */
FLK_MUST_CHECK int flk_options_parse(const flk_options_t *options, int argc, char **argv, void *arg, uint64_t *given,
                                     char ***rest);

/* Whether all that was given belongs to verb number `verb`: -1, or the exit status after a line on stderr. */
FLK_MUST_CHECK int flk_options_belong(const flk_options_t *options, uint64_t given, unsigned verb);

/* Tells "TITLE: ...; see TITLE --help" on stderr. Returns the exit status, FLK_EXIT_USAGE. */
int flk_options_wrong(const flk_options_t *options, const char *format, ...) FLK_PRINTF(2, 3);

/* The options of the verbs in `verbs` (a bit each; 0 in programs without), under a heading for each set of verbs
 * that has the same ones, in 80 columns. */
void flk_options_print(const flk_options_t *options, unsigned verbs, FILE *out);

/* Digits and nothing else, from `min` to `max`. */
FLK_MUST_CHECK bool flk_option_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

#endif
