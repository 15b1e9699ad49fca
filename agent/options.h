/* SPDX-License-Identifier: MIT */
/* The command line of flk-agent. What is the same for every run (keys, end point, directories) are settings. */
#ifndef FLK_AGENT_OPTIONS_H
#define FLK_AGENT_OPTIONS_H

#include "agent/read/reader.h"
#include "agent/signals/builder.h"
#include "common/program.h"

typedef enum flk_command {
    FLK_COMMAND_COMPUTE,
    FLK_COMMAND_SUBMIT,
    FLK_COMMAND_DRAIN,
    FLK_COMMAND_STATUS
} flk_command_t;

/* Exit statuses beyond those of every program (program.h), as --help lists them. */
enum { FLK_EXIT_UNDELIVERED = 3, FLK_EXIT_BAD_ROW = 4 };

typedef struct flk_agent_options {
    flk_command_t command;
    /* input */
    char *const *files; /* "-" = standard input; borrowed from argv */
    size_t files_len;
    bool ready; /* files hold PCS, one a line */
    bool skip_bad_rows;
    flk_reader_options_t reader;
    /* windows and signals */
    flk_window_options_t window; /* dims is not set */
    flk_builder_options_t builder;
    /* output */
    const char *out;     /* compute; NULL = standard output */
    const char *results; /* submit, drain; NULL = none */
    bool json, quiet;
    /* delivery */
    uint32_t parallel;   /* submissions under way at once */
    uint32_t tries;      /* per submission; 0 = for ever */
    uint32_t timeout_ms; /* of one try */
    const char *ca_file; /* NULL = the system's */
    bool dead_letters;   /* drain: those in the dead-letter queue */
} flk_agent_options_t;

/* Reads the command line; strings are borrowed from argv. Returns -1 to go on, or the exit status to end with after
 * --help, --version or a mistake (one line on stderr). */
FLK_MUST_CHECK int flk_agent_options_parse(int argc, char **argv, flk_agent_options_t *options);

#endif
