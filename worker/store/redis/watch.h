/* SPDX-License-Identifier: MIT */
/* This process' memory of each Redis server, beyond its connections: its mark, and the warnings that were given. Any
 * thread. */
#ifndef FLK_WORKER_STORE_REDIS_WATCH_H
#define FLK_WORKER_STORE_REDIS_WATCH_H

#include "common/err.h"

/* A server carries a mark without time to live, made by the first worker that finds none: "flk:generation", random. */
enum { FLK_REDIS_GENERATION_HEX = 16 };

/* A server shows this generation. True when it differs from the one seen before: the server has lost its outcomes. Told
 * once a process for each loss, also when a connection tells late of the generation before; logs a warning. `name` is a
 * shard's. */
bool flk_redis_watch_generation(const char *name, const char *generation);

/* Warns when the server may drop outcomes by itself, or loses them when it stops; again only after a change. NULL: the
 * server does not say. */
void flk_redis_watch_config(const char *name, const char *maxmemory_policy, const char *appendonly, const char *save);

#endif
