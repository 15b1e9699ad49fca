/* SPDX-License-Identifier: MIT */
/* One round trip: commands for several servers are collected, sent as a pipeline each, and their replies awaited
 * together under one deadline. Owned by one thread. */
#ifndef FLK_WORKER_STORE_REDIS_ROUNDTRIP_H
#define FLK_WORKER_STORE_REDIS_ROUNDTRIP_H

#include "worker/store/redis/dial.h"

/* A server as one store sees it. */
typedef struct flk_redis_link {
    const flk_redis_shard_t *shard;
    flk_dialer_t *dialer;
    flk_redis_connection_t *connection; /* during a round trip that uses it; else NULL */
    uint32_t *tags;                     /* of the commands, in their order, which is that of the replies */
    size_t tags_len, tags_cap, tags_answered;
    bool distrusted; /* by the caller: the connection is made anew after the round trip */
} flk_redis_link_t;

/* Takes one reply; error replies do not come here. `tag` is the one that the command was added with. Errors:
 * FLK_E_CORRUPT when the reply makes no sense, with errmsg. */
typedef flk_err_t flk_redis_reply_fn(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply,
                                     char *errmsg);

typedef struct flk_redis_roundtrip {
    flk_redis_link_t *links;
    size_t links_len;
    uint64_t deadline_ms;
    const flk_store_metrics_t *metrics;
    flk_redis_reply_fn *on_reply;
    void *arg;
    flk_err_t err;             /* first error; later ones are not kept */
    unsigned failures, closes; /* closes: those of a server that had hung up before it answered anything */
    flk_store_fault_t fault;
    char *errmsg;
} flk_redis_roundtrip_t;

void flk_redis_roundtrip_begin(flk_redis_roundtrip_t *trip, flk_redis_link_t *links, size_t links_len,
                               uint64_t deadline_ms, const flk_store_metrics_t *metrics, flk_redis_reply_fn *on_reply,
                               void *arg, char *errmsg);

/* Gets the link's connection, for which it may wait. An error is kept in the round trip: end it then, nothing is
 * sent. Call it for all links before the first _add: a round trip is not to be half sent because one server is away. */
void flk_redis_roundtrip_use(flk_redis_roundtrip_t *trip, flk_redis_link_t *link);

/* Adds a command for a link that is in use. An error is kept in the round trip. */
void flk_redis_roundtrip_add(flk_redis_roundtrip_t *trip, flk_redis_link_t *link, uint32_t tag, int argc,
                             const char **argv, const size_t *argv_bytes);

/* After an error: nothing but closes went wrong, so the commands may be sent again, on new connections. */
bool flk_redis_roundtrip_may_repeat(const flk_redis_roundtrip_t *trip);

/* Sends, and waits for every reply. On an error some replies may have come and some not; connections that owe replies
 * are given up. Errors: FLK_E_UNAVAILABLE, FLK_E_NOMEM, FLK_E_CORRUPT, with trip->fault. */
FLK_MUST_CHECK flk_err_t flk_redis_roundtrip_end(flk_redis_roundtrip_t *trip);

#endif
