/* SPDX-License-Identifier: MIT */
/* A real PostgreSQL server, and statements to it from the side. One for all tests of a program: initdb takes its time.
 */
#ifndef FLK_TESTS_PG_RIG_H
#define FLK_TESTS_PG_RIG_H

#include <glob.h>
#include <libpq-fe.h>
#include <pwd.h>
#include <sys/stat.h>

#include "tests/unit/rig/daemon_rig.h"

typedef struct pg_rig {
    pid_t pid; /* 0: not running */
    unsigned port;
    char dir[64], bin[64];
    char conn[160]; /* as POSTGRES_CONN */
    uid_t uid;      /* it refuses to run as root */
    gid_t gid;
} pg_rig_t;

/* Statements that must not fail. */
void pg_rig_do(const pg_rig_t *rig, const char *sql);

/* The first value of a query, as a number. */
long long pg_rig_number(const pg_rig_t *rig, const char *sql);

void pg_rig_start(pg_rig_t *rig);

/* Makes a cluster in a directory of its own, and starts it. */
void pg_rig_make(pg_rig_t *rig);

/* SIGINT: fast shutdown; SIGQUIT: immediate, as after a crash. */
void pg_rig_stop(pg_rig_t *rig, int signo);

/* Every process of the server: the postmaster's children are where queries run. */
void pg_rig_signal_all(const pg_rig_t *rig, int signo);

/* After the last test. */
void pg_rig_remove(pg_rig_t *rig);

#endif
