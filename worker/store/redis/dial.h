/* SPDX-License-Identifier: MIT */
/* Makes a connection to one shard that is ready for batches: for the dialer. */
#ifndef FLK_WORKER_STORE_REDIS_DIAL_H
#define FLK_WORKER_STORE_REDIS_DIAL_H

#include <hiredis/hiredis.h>

#include "worker/store/dialer.h"
#include "worker/store/redis/shards.h"

#define FLK_REDIS_GENERATION_KEY "flk:generation"

/* The dialer's target. */
typedef struct flk_redis_target {
    flk_redis_shard_t shard;
    char ca_file[1024];
} flk_redis_target_t;

typedef struct flk_redis_connection {
    redisContext *context; /* non-blocking */
    bool emptied;          /* while dialling, the server was found without the outcomes it had; the user clears it */
} flk_redis_connection_t;

/* True when it has bytes of a reply at hand beyond those that were taken. */
static inline bool flk_redis_is_ahead(const redisContext *context) {
    return context->reader->pos < context->reader->len;
}

extern const flk_dialer_ops_t flk_redis_dial_ops; /* arg: flk_redis_target_t, from malloc */

#endif
