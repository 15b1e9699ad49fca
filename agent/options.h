/* SPDX-License-Identifier: MIT */
/* The command line of flk-agent. Keys, end point and directories, the same for every run, are settings. */
#ifndef FLK_AGENT_OPTIONS_H
#define FLK_AGENT_OPTIONS_H

#include "agent/read/reader.h"
#include "agent/signals/builder.h"
#include "common/program/program.h"

typedef enum flk_command {
    FLK_COMMAND_COMPUTE,
    FLK_COMMAND_SUBMIT,
    FLK_COMMAND_DRAIN,
    FLK_COMMAND_STATUS,
    FLK_COMMAND_DEAD,
    FLK_COMMAND_CHECK,
} flk_command_t;

typedef enum flk_dead_verb { FLK_DEAD_LIST, FLK_DEAD_SHOW, FLK_DEAD_PURGE, FLK_DEAD_RESIGN } flk_dead_verb_t;

/* Exit statuses beyond those of every program (program.h), as --help lists them. */
enum { FLK_EXIT_UNDELIVERED = 3, FLK_EXIT_BAD_ROW = 4, FLK_EXIT_BAD_KEY = 5 };

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
    uint32_t tries;      /* of a submission in this run; 0 = for ever */
    uint32_t timeout_ms; /* of one try */
    const char *ca_file; /* NULL = the system's */
    bool dead_letters;   /* drain: those in the dead-letter queue */
    bool resign;         /* drain: signed anew before they are sent */
    /* dead letters */
    flk_dead_verb_t verb;
    char *const *ids; /* the first 8 to 64 characters of pcs_ids; borrowed from argv */
    size_t ids_len;   /* 0 = all */
} flk_agent_options_t;

/* Reads the command line; strings are borrowed from argv. Returns -1 to go on, or the exit status to end with after
 * --help, --version or a mistake (one line on stderr). */
FLK_MUST_CHECK int flk_agent_options_parse(int argc, char **argv, flk_agent_options_t *options);

#endif
