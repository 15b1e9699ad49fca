/* SPDX-License-Identifier: MIT */
/* The Redis servers of one store: those of REDIS_ADDR and those of FLK_REDIS_FORMER, a link to each, and which of
 * them an id is for. Owned by one thread. */
#ifndef FLK_WORKER_STORE_REDIS_CLUSTER_H
#define FLK_WORKER_STORE_REDIS_CLUSTER_H

#include "worker/store/redis/roundtrip.h"
#include "worker/store/store.h"

/* One of the two lists. */
typedef struct flk_redis_list {
    const flk_redis_shard_t *shards[FLK_REDIS_SHARDS_MAX];
    flk_redis_link_t *links[FLK_REDIS_SHARDS_MAX]; /* of each shard */
    size_t len;
} flk_redis_list_t;

typedef struct flk_redis_cluster {
    flk_redis_link_t links[2 * FLK_REDIS_SHARDS_MAX]; /* a server that is in both lists is here once */
    size_t links_len;
    flk_redis_list_t current, former; /* former.len 0: nothing has moved */
} flk_redis_cluster_t;

/* Reads the settings; connects with nobody yet. `cluster` is zeroed before, and closed also after an error. Errors:
 * FLK_E_CONFIG with setting and place of the wrong address, FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_redis_cluster_open(flk_redis_cluster_t *cluster, const flk_store_options_t *options,
                                                char *errmsg);
/* Attempts to connect that are under way are waited for up to wait_ms each. */
void flk_redis_cluster_close(flk_redis_cluster_t *cluster, uint64_t wait_ms);

/* Where the id belongs. */
flk_redis_link_t *flk_redis_cluster_home(const flk_redis_cluster_t *cluster, const uint8_t id[FLK_STORE_KEY_BYTES]);
/* Where it was before; NULL when that is `home` as well. */
flk_redis_link_t *flk_redis_cluster_former(const flk_redis_cluster_t *cluster, const uint8_t id[FLK_STORE_KEY_BYTES],
                                           const flk_redis_link_t *home);

#endif
