/* SPDX-License-Identifier: MIT */
/* Looking through the outcomes of one Redis server: SCAN in pages, each followed by its values and times to live. */
#ifndef FLK_WORKER_STORE_REDIS_BROWSE_H
#define FLK_WORKER_STORE_REDIS_BROWSE_H

#include "worker/store/redis/roundtrip.h"
#include "worker/store/store.h"

/* "flk:" and the id in lowercase hex; without a NUL. */
enum { FLK_REDIS_KEY_PREFIX = 4, FLK_REDIS_KEY_BYTES = FLK_REDIS_KEY_PREFIX + 2 * FLK_STORE_KEY_BYTES };
void flk_redis_key(const uint8_t id[FLK_STORE_KEY_BYTES], char key[FLK_REDIS_KEY_BYTES]);

/* As flk_store_visit, for one server; *go_on turns false when visit stops. An outcome may be shown twice. */
FLK_MUST_CHECK flk_err_t flk_redis_visit(flk_redis_link_t *link, const flk_store_t *store, flk_store_visit_fn *visit,
                                         void *arg, bool *go_on, char *errmsg);

/* Keys of the database, of which a few are not outcomes, and the server's memory in bytes. Errors: those of the
 * round trip. */
FLK_MUST_CHECK flk_err_t flk_redis_measure(flk_redis_link_t *link, const flk_store_t *store, uint64_t *keys,
                                           uint64_t *bytes, char *errmsg);

#endif
