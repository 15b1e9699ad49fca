/* SPDX-License-Identifier: MIT */
/* One supervised process: its environment, its log file, and when it is started again. One thread owns it. */
#ifndef FLK_AGENT_FLK_CLUSTER_CHILD_H
#define FLK_AGENT_FLK_CLUSTER_CHILD_H

#include <limits.h>
#include <sys/types.h>

#include "common/err.h"

enum { FLK_CHILD_NAME_BYTES = 24, FLK_CHILD_ADDRESS_BYTES = 64, FLK_CHILD_SETTINGS_MAX = 8, FLK_CHILD_ARGS_MAX = 24 };

typedef struct flk_child_setting {
    const char *name;
    char value[PATH_MAX];
} flk_child_setting_t;

/*            start                 exit                    restart_at_ms passes
 *  (waiting) -----> running (pid) -----> waiting (pid 0) ---------------------> start ...     */
typedef struct flk_child {
    char name[FLK_CHILD_NAME_BYTES];       /* "worker-1" */
    const char *program;                   /* "worker" */
    char path[PATH_MAX];                   /* of the executable */
    const char *const *args;               /* after the program's name, ended by NULL; NULL = none; borrowed */
    char log_path[PATH_MAX];               /* appended to */
    char address[FLK_CHILD_ADDRESS_BYTES]; /* host:port of its /readyz and /metrics, connectable */
    flk_child_setting_t settings[FLK_CHILD_SETTINGS_MAX]; /* over the inherited environment */
    size_t settings_len;

    pid_t pid;         /* 0 = not running */
    int exit_status;   /* of the last run that has ended; -1: a signal ended it */
    int64_t log_bytes; /* of its log when it was started */
    int64_t started_wall_ms;
    uint64_t started_ms, restart_at_ms;
    unsigned backoff_ms, restarts;
} flk_child_t;

/* Adds NAME=value to the child's environment, in place of NAME and NAME_FILE. */
void flk_child_set(flk_child_t *child, const char *name, const char *value);

/* Starts it in a process group of its own, so that Ctrl-C reaches it only through us; it gets SIGTERM when we die.
 * Errors: FLK_E_IO with name and reason. */
FLK_MUST_CHECK flk_err_t flk_child_start(flk_child_t *child, char *errmsg);

/* Reaps it when it has ended: true, with "signal 9" or "status 1" in how. Does not block. */
bool flk_child_reap(flk_child_t *child, char how[32]);

/* The last line of its log since its start, "" for none, without the program's name before it. */
void flk_child_last_line(const flk_child_t *child, char *line, size_t line_bytes);

/* After an exit that nobody asked for: sets restart_at_ms, 100 ms from now, doubling up to 10 s while it keeps
 * ending within 10 s of its start. */
void flk_child_back_off(flk_child_t *child, uint64_t now_ms);

void flk_child_signal(const flk_child_t *child, int signal_number);

#endif
