/* SPDX-License-Identifier: MIT */
/* A real redis-server, and commands to it from the side. */
#ifndef FLK_TESTS_REDIS_RIG_H
#define FLK_TESTS_REDIS_RIG_H

#include <hiredis/hiredis.h>

#include "tests/unit/rig/daemon_rig.h"

typedef struct redis_rig {
    pid_t pid; /* 0: not running */
    unsigned port;
    char dir[96], address[64];
    const char *extra[12]; /* further options, ended by NULL */
} redis_rig_t;

/* A connection of the test's own. Caller frees with redisFree. */
redisContext *redis_rig_connect(const redis_rig_t *rig);

/* Starts it, on the port that it had before if any. */
void redis_rig_spawn(redis_rig_t *rig, const char *parent);

void redis_rig_wait(const redis_rig_t *rig);

void redis_rig_start(redis_rig_t *rig, const char *parent);

void redis_rig_signal(redis_rig_t *rig, int signo);

void redis_rig_stop(redis_rig_t *rig);

void redis_rig_kill(redis_rig_t *rig);

/* Removes its files; while it is stopped. */
void redis_rig_wipe(const redis_rig_t *rig);

/* One command, which must not fail; its reply as a number (integers), or 0. */
long long redis_rig_do(const redis_rig_t *rig, const char *command);

#endif
