/* SPDX-License-Identifier: MIT */
/* How every program starts, takes signals and ends. The main thread calls all of this. */
#ifndef FLK_COMMON_PROGRAM_PROGRAM_H
#define FLK_COMMON_PROGRAM_PROGRAM_H

#include "common/metrics.h"
#include "common/program/settings.h"

/* Exit statuses of every program; units and scripts go by them. A program may have more, above these. */
typedef enum flk_exit {
    FLK_EXIT_OK = 0,
    FLK_EXIT_FAILED = 1, /* it may pass: a port in use, a full disk, a server that is away; units start it again */
    FLK_EXIT_USAGE = 2,  /* a setting or an argument is wrong: the same start fails again; units leave it */
} flk_exit_t;

/* The exit status for an error: FLK_E_CONFIG is FLK_EXIT_USAGE, any other one FLK_EXIT_FAILED. */
int flk_exit_status(flk_err_t err);

/* First call of every main: takes nothing as it was inherited (inherited.h), starts libsodium, and has an exit with
 * success fail when standard output could not be written. */
void flk_program_begin(void);

/* For tools that serve: turns the log to the program, level and format of the settings, and starts its thread. */
void flk_program_start_log(const flk_settings_t *settings);

/* ---- daemons ---- */

typedef struct flk_start {
    flk_program_t program;
    const char *summary; /* after the name in --help */
    /* Does all that its start does before it listens, and undoes it: for --check. Errors: the start's, with its
     * line. */
    flk_err_t (*check)(const flk_settings_t *settings, char *errmsg);
    /* Starts the daemon's parts, waits for a stop (flk_program_wait), stops the parts in reverse. */
    flk_err_t (*serve)(const flk_settings_t *settings, char *errmsg);
} flk_start_t;

/* Handles --help, --version and --check [--json], which loads and checks the settings and prints those in effect
 * with secrets masked; refuses other arguments. Otherwise loads the settings, starts the log, takes the signals,
 * hardens the process (harden.h), raises its limit of descriptors, starts the thread that writes the log, and serves.
 * Logs that it stopped, or complains on stderr. After flk_program_begin, before any thread. Returns the exit status. */
FLK_MUST_CHECK int flk_program_run(const flk_start_t *start, int argc, char **argv);

/* A registry with the metrics that every daemon has: process_* and flk_build_info. Caller frees it with
 * flk_metrics_destroy. */
flk_metrics_t *flk_program_metrics(void);

typedef enum flk_wake {
    FLK_WAKE_PERIOD, /* the time is over */
    FLK_WAKE_RELOAD, /* SIGHUP */
    FLK_WAKE_STOP,   /* SIGTERM, SIGINT, SIGQUIT, SIGXCPU; logged as "draining" */
} flk_wake_t;

/* Waits for a signal or for `period_ms`; 0: for a signal only. */
flk_wake_t flk_program_wait(uint64_t period_ms);

/* ---- tools ---- */

/* From now on SIGINT and SIGTERM only ask for a stop, and end calls that block with EINTR; a second SIGINT ends the
 * process. SIGPIPE is ignored. Before any thread. */
void flk_program_catch_stop(void);

/* ---- both; any thread ---- */

/* A signal to stop came: to a tool since flk_program_catch_stop, to a daemon since its start (while flk_program_wait
 * has not taken it). */
bool flk_program_stop_asked(void);

#endif
