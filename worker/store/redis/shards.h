/* SPDX-License-Identifier: MIT */
/* The Redis servers of a setting, and which of them keeps an id.
 *
 * A shard is written host, host:port, [v6]:port, redis://[user:password@]host[:port][/database] or the same with
 * rediss:// (TLS); user, password are percent-decoded. Its name is "host:port/database", e.g. "127.0.0.1:6379/0":
 * neither credentials nor TLS are part of it.
 *
 * Rendezvous hashing (Thaler and Ravishankar, 1998), so that an id can be found by other means: a shard's weight for
 * an id is XXH64 over the 32 bytes of pcs_id, seeded with XXH64 (seed 0) over the shard's name; the id lives on the
 * shard with the greatest weight, on equal weights on the one whose name is less by strcmp. So the order of the list
 * does not matter, and another shard takes 1/n of the ids over, from all shards alike, while no id moves between the
 * old ones. */
#ifndef FLK_WORKER_STORE_REDIS_SHARDS_H
#define FLK_WORKER_STORE_REDIS_SHARDS_H

#include "common/err.h"

enum { FLK_REDIS_SHARDS_MAX = 64 };

typedef struct flk_redis_shard {
    char host[256];
    uint16_t port;
    bool tls;
    uint32_t database;
    char user[128], password[512]; /* "" = none */
    char name[288];
    uint64_t seed; /* of weights: XXH64 of name */
} flk_redis_shard_t;

/* The defaults where an address has nothing of its own. */
typedef struct flk_redis_defaults {
    const char *user, *password;
    uint32_t database;
} flk_redis_defaults_t;

/* Reads one address. Errors: FLK_E_CONFIG; errmsg does not quote it, for the password. */
FLK_MUST_CHECK flk_err_t flk_redis_shard_parse(const char *address, const flk_redis_defaults_t *defaults,
                                               flk_redis_shard_t *shard, char *errmsg);

/* Index of the id's shard. shards_len >= 1. */
size_t flk_redis_shard_pick(const flk_redis_shard_t *const *shards, size_t shards_len, const uint8_t *id,
                            size_t id_bytes);

#endif
