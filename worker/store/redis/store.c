/* SPDX-License-Identifier: MIT */
/* The Redis store: outcomes on one server or on several shards, shared by the workers of a cluster.
 *
 *   "flk:" + pcs_id in lowercase hex   ->  the outcome's bytes, with a time to live
 *   "flk:generation"                   ->  the server's mark, see redis/watch.h
 *   "flk:health"                       ->  written by _health
 *
 *   lookup   GET for every key, a pipeline per shard, all shards at once
 *   put      SET key value NX PX ttl for every key, likewise; then GET for those that were there before. For a stale
 *            value: EVAL of a script that compares and sets
 *
 * Shards (redis/shards.h) change one step at a time: REDIS_ADDR gets the new list on every worker, FLK_REDIS_FORMER
 * the old one, for one time to live. A key that has moved is first put on its former shard, where workers that do not
 * know the new list yet put it too, and the winner there is then put on its shard, where workers that have forgotten
 * the old list put it: at each step of the change all of them agree on one first write. A lookup that finds a key on
 * its former shard only does the second step as well.
 *
 * Failures: any error fails the batch, within the store timeout (redis/roundtrip.h), and the connection is made anew
 * behind the batches (dialer.h). A connection that the server closed while it was idle, or before it answered
 * anything, fails no batch: the round trip is done once more on a new one. A SET that was sent may be carried out
 * although its batch failed; first write wins, so asking again is right. A key that expires between SET and GET is
 * put again. A server that was emptied is noticed at the next lookup, warned of and counted: its outcomes are then
 * verified anew. A server that crashes with appendfsync everysec forgets the outcomes of its last second or two, with
 * the same effect. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/redis/browse.h"
#include "worker/store/redis/cluster.h"
#include "worker/store/redis/watch.h"
#include "worker/store/store.h"

enum { PUT_ROUNDS = 4 }; /* a key expires under us at most once in its time to live */

#define TAG_GENERATION UINT32_MAX

/* A batch's notes on an item. */
struct place {
    flk_redis_link_t *home, *former; /* former: NULL when it has not moved */
    flk_redis_link_t *claim;         /* where it has to be put still, or its winner to be read; NULL: done */
    bool lost;                       /* somebody was first there */
    bool same;                       /* with the same value */
    bool lost_former;                /* somebody was first on the former shard */
};

struct redis_store {
    flk_store_t base;
    flk_redis_cluster_t cluster;

    /* The batch under way. */
    flk_store_item_t *const *items;
    size_t items_len;
    struct place *places;
    size_t places_cap;
    uint64_t deadline_ms;
};

/* ---- replies ---- */

static flk_err_t senseless(char *errmsg) {
    flk_errmsg(errmsg, "a reply of another kind than its command has");
    return FLK_E_CORRUPT;
}

/* A lookup sees the mark of each server it asks. */
static flk_err_t take_generation(struct redis_store *store, flk_redis_link_t *link, const redisReply *reply) {
    if (reply->type == REDIS_REPLY_NIL) {
        link->distrusted = true; /* connecting anew makes another mark, and tells */
    } else if (reply->type == REDIS_REPLY_STRING && flk_redis_watch_generation(link->shard->name, reply->str)) {
        flk_store_metrics_add(&store->base.metrics, store->base.metrics.emptied, 1);
    }
    return FLK_OK;
}

static flk_err_t on_get(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct redis_store *store = arg;
    if (tag == TAG_GENERATION) {
        return take_generation(store, link, reply);
    }
    if (reply->type == REDIS_REPLY_NIL) {
        return FLK_OK;
    }
    if (reply->type != REDIS_REPLY_STRING) {
        return senseless(errmsg);
    }
    flk_store_item_take(store->items[tag], reply->str, reply->len);
    return FLK_OK;
}

static flk_err_t on_set(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct place *place = &((struct redis_store *)arg)->places[tag];
    (void)link;
    place->lost = reply->type == REDIS_REPLY_NIL;
    if (reply->type == REDIS_REPLY_STATUS) {
        place->claim = NULL;
    }
    return place->lost || place->claim == NULL ? FLK_OK : senseless(errmsg);
}

/* Of an item that lost. A winner that has expired since leaves the claim as it is. */
static flk_err_t on_get_winner(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    struct redis_store *store = arg;
    struct place *place = &store->places[tag];
    flk_store_item_t *item = store->items[tag];
    (void)link;
    if (reply->type == REDIS_REPLY_NIL) {
        return FLK_OK;
    }
    if (reply->type != REDIS_REPLY_STRING) {
        return senseless(errmsg);
    }
    place->claim = NULL;
    place->same = reply->len == item->value_bytes && memcmp(reply->str, item->value, reply->len) == 0;
    flk_store_item_take(item, reply->str, reply->len);
    return FLK_OK;
}

/* ---- round trips over the items of a batch ---- */

/* Which items a round trip is for, and on which of their shards. NULL: not this one. */
typedef flk_redis_link_t *pick_fn(const struct redis_store *store, size_t i);

typedef void add_fn(struct redis_store *store, flk_redis_roundtrip_t *trip, flk_redis_link_t *link, size_t i);

static flk_err_t try_roundtrip(struct redis_store *store, pick_fn *pick, add_fn *add, flk_redis_roundtrip_t *trip) {
    for (size_t i = 0; i < store->items_len; i++) {
        flk_redis_link_t *link = pick(store, i);
        if (link != NULL) {
            flk_redis_roundtrip_use(trip, link);
        }
    }
    for (size_t i = 0; i < store->items_len && trip->err == FLK_OK; i++) {
        flk_redis_link_t *link = pick(store, i);
        if (link != NULL) {
            add(store, trip, link, i);
        }
    }
    return flk_redis_roundtrip_end(trip);
}

/* Replies that came from other servers stay taken when it is done again: items that they settled are no longer
 * picked. */
static flk_err_t run_roundtrip(struct redis_store *store, pick_fn *pick, add_fn *add, flk_redis_reply_fn *on_reply,
                               char *errmsg) {
    flk_redis_roundtrip_t trip;
    flk_err_t err = FLK_OK;
    for (int tries = 0; tries < 2; tries++) {
        flk_redis_roundtrip_begin(&trip, store->cluster.links, store->cluster.links_len, store->deadline_ms,
                                  &store->base.metrics, on_reply, store, errmsg);
        err = try_roundtrip(store, pick, add, &trip);
        if (!flk_redis_roundtrip_may_repeat(&trip)) {
            break;
        }
    }
    store->base.fault = trip.fault;
    return err;
}

static void add_get(struct redis_store *store, flk_redis_roundtrip_t *trip, flk_redis_link_t *link, size_t i) {
    char key[FLK_REDIS_KEY_BYTES];
    flk_redis_key(store->items[i]->key, key);
    flk_redis_roundtrip_add(trip, link, (uint32_t)i, 2, (const char *[]){"GET", key},
                            (size_t[]){3, FLK_REDIS_KEY_BYTES});
}

/* The link's first GET of a lookup brings the one for the server's mark along. */
static void add_lookup(struct redis_store *store, flk_redis_roundtrip_t *trip, flk_redis_link_t *link, size_t i) {
    if (link->tags_len == 0) {
        flk_redis_roundtrip_add(trip, link, TAG_GENERATION, 2, (const char *[]){"GET", FLK_REDIS_GENERATION_KEY}, NULL);
    }
    add_get(store, trip, link, i);
}

/* As SET NX, also where the key has the stale value or one that is longer than any outcome. */
#define REPLACE_SCRIPT                                                                                                 \
    "local v = redis.call('GET', KEYS[1]); "                                                                           \
    "if v and v ~= ARGV[2] and #v <= tonumber(ARGV[4]) then return false end; "                                        \
    "return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])"

static void add_set(struct redis_store *store, flk_redis_roundtrip_t *trip, flk_redis_link_t *link, size_t i) {
    const flk_store_item_t *item = store->items[i];
    char key[FLK_REDIS_KEY_BYTES], ttl[24], value_bytes_max[24];
    flk_redis_key(item->key, key);
    int ttl_bytes = snprintf(ttl, sizeof ttl, "%llu", (unsigned long long)flk_store_ttl_ms(&store->base, item));
    if (item->stale != NULL) {
        int max_bytes = snprintf(value_bytes_max, sizeof value_bytes_max, "%d", FLK_STORE_VALUE_BYTES_MAX);
        flk_redis_roundtrip_add(trip, link, (uint32_t)i, 8,
                                (const char *[]){"EVAL", REPLACE_SCRIPT, "1", key, (const char *)item->value,
                                                 (const char *)item->stale, ttl, value_bytes_max},
                                (size_t[]){4, sizeof REPLACE_SCRIPT - 1, 1, FLK_REDIS_KEY_BYTES, item->value_bytes,
                                           item->stale_bytes, (size_t)ttl_bytes, (size_t)max_bytes});
        return;
    }
    flk_redis_roundtrip_add(trip, link, (uint32_t)i, 6,
                            (const char *[]){"SET", key, (const char *)item->value, "NX", "PX", ttl},
                            (size_t[]){3, FLK_REDIS_KEY_BYTES, item->value_bytes, 2, 2, (size_t)ttl_bytes});
}

static flk_redis_link_t *pick_home(const struct redis_store *store, size_t i) {
    return store->places[i].home;
}

static flk_redis_link_t *pick_former(const struct redis_store *store, size_t i) {
    return store->places[i].former;
}

static flk_redis_link_t *pick_claim(const struct redis_store *store, size_t i) {
    return store->places[i].claim;
}

/* ---- batches ---- */

static flk_err_t begin_batch(struct redis_store *store, flk_store_item_t *const *items, size_t items_len,
                             char *errmsg) {
    if (items_len > store->places_cap) {
        struct place *grown = realloc(store->places, items_len * sizeof *grown);
        if (grown == NULL) {
            flk_errmsg(errmsg, "out of memory");
            return FLK_E_NOMEM;
        }
        store->places = grown;
        store->places_cap = items_len;
    }
    store->items = items;
    store->items_len = items_len;
    store->deadline_ms = flk_mono_ms() + store->base.timeout_ms;
    for (size_t i = 0; i < items_len; i++) {
        flk_redis_link_t *home = flk_redis_cluster_home(&store->cluster, items[i]->key);
        store->places[i] =
            (struct place){.home = home, .former = flk_redis_cluster_former(&store->cluster, items[i]->key, home)};
        items[i]->found = false;
    }
    return FLK_OK;
}

/* Puts the items with a claim at the place of the claim. Then `lost` tells the items that were not first, and has the
 * winner's value. */
static flk_err_t settle_claims(struct redis_store *store, char *errmsg) {
    for (int round = 0; round < PUT_ROUNDS; round++) {
        flk_err_t err = run_roundtrip(store, pick_claim, add_set, on_set, errmsg);
        err = err != FLK_OK ? err : run_roundtrip(store, pick_claim, add_get, on_get_winner, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        size_t open = 0;
        for (size_t i = 0; i < store->items_len; i++) {
            open += store->places[i].claim != NULL;
        }
        if (open == 0) {
            return FLK_OK;
        }
    }
    flk_errmsg(errmsg, "redis: outcomes vanish as soon as they are put; does the server evict?");
    return FLK_E_UNAVAILABLE;
}

/* Looks for the absent ones on their former shards, and brings those found to their present ones. */
static flk_err_t honour_former(struct redis_store *store, char *errmsg) {
    for (size_t i = 0; i < store->items_len; i++) {
        if (store->items[i]->found) {
            store->places[i].former = NULL;
        }
    }
    flk_err_t err = run_roundtrip(store, pick_former, add_lookup, on_get, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < store->items_len; i++) {
        struct place *place = &store->places[i];
        place->claim = place->former != NULL && store->items[i]->found ? place->home : NULL;
    }
    return settle_claims(store, errmsg);
}

static flk_err_t redis_lookup(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct redis_store *store = (struct redis_store *)base;
    flk_err_t err = begin_batch(store, items, items_len, errmsg);
    err = err != FLK_OK ? err : run_roundtrip(store, pick_home, add_lookup, on_get, errmsg);
    return err != FLK_OK || store->cluster.former.len == 0 ? err : honour_former(store, errmsg);
}

static flk_err_t redis_put(flk_store_t *base, flk_store_item_t *const *items, size_t items_len, char *errmsg) {
    struct redis_store *store = (struct redis_store *)base;
    flk_err_t err = begin_batch(store, items, items_len, errmsg);
    for (size_t i = 0; err == FLK_OK && i < items_len; i++) {
        store->places[i].claim = store->places[i].former;
    }
    if (err == FLK_OK && store->cluster.former.len > 0) {
        err = settle_claims(store, errmsg);
    }
    for (size_t i = 0; err == FLK_OK && i < items_len; i++) {
        struct place *place = &store->places[i];
        place->lost_former = place->lost;
        place->lost = place->same = false;
        place->claim = place->home;
    }
    err = err != FLK_OK ? err : settle_claims(store, errmsg);
    for (size_t i = 0; err == FLK_OK && i < items_len; i++) {
        const struct place *place = &store->places[i];
        bool copied = place->former != NULL && place->same; /* somebody brought the same here, from the former shard */
        items[i]->found = place->lost_former || (place->lost && !copied);
    }
    return err;
}

/* ---- health, life ---- */

static flk_err_t on_health(void *arg, flk_redis_link_t *link, uint32_t tag, const redisReply *reply, char *errmsg) {
    (void)arg;
    (void)link;
    (void)tag;
    return reply->type == REDIS_REPLY_STATUS ? FLK_OK : senseless(errmsg);
}

static flk_err_t try_health(struct redis_store *store, flk_redis_roundtrip_t *trip) {
    for (size_t i = 0; i < store->cluster.links_len; i++) {
        flk_redis_roundtrip_use(trip, &store->cluster.links[i]);
    }
    for (size_t i = 0; i < store->cluster.links_len; i++) {
        flk_redis_roundtrip_add(trip, &store->cluster.links[i], 0, 5,
                                (const char *[]){"SET", "flk:health", "1", "PX", "10000"}, NULL);
    }
    return flk_redis_roundtrip_end(trip);
}

static flk_err_t redis_health(flk_store_t *base, char *errmsg) {
    struct redis_store *store = (struct redis_store *)base;
    flk_redis_roundtrip_t trip;
    flk_err_t err = FLK_OK;
    uint64_t deadline_ms = flk_mono_ms() + base->timeout_ms;
    for (int tries = 0; tries < 2; tries++) {
        flk_redis_roundtrip_begin(&trip, store->cluster.links, store->cluster.links_len, deadline_ms, &base->metrics,
                                  on_health, NULL, errmsg);
        err = try_health(store, &trip);
        if (!flk_redis_roundtrip_may_repeat(&trip)) {
            break;
        }
    }
    return err;
}

static flk_err_t redis_visit(flk_store_t *base, flk_store_visit_fn *visit, void *arg, char *errmsg) {
    struct redis_store *store = (struct redis_store *)base;
    flk_err_t err = FLK_OK;
    bool go_on = true;
    for (size_t i = 0; err == FLK_OK && go_on && i < store->cluster.links_len; i++) {
        err = flk_redis_visit(&store->cluster.links[i], base, visit, arg, &go_on, errmsg);
    }
    return err;
}

static flk_err_t redis_measure(flk_store_t *base, flk_store_part_fn *part, void *arg, char *errmsg) {
    struct redis_store *store = (struct redis_store *)base;
    for (size_t i = 0; i < store->cluster.links_len; i++) {
        uint64_t keys, bytes;
        flk_err_t err = flk_redis_measure(&store->cluster.links[i], base, &keys, &bytes, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        part(arg, store->cluster.links[i].shard->name, keys, bytes);
    }
    return FLK_OK;
}

/* Redis expires by itself. */
static void redis_tick(flk_store_t *base, uint64_t mono_ms) {
    (void)base;
    (void)mono_ms;
}

static void redis_close(flk_store_t *base) {
    struct redis_store *store = (struct redis_store *)base;
    flk_redis_cluster_close(&store->cluster, base->timeout_ms);
    free(store->places);
    free(store);
}

static const flk_store_ops_t redis_ops = {
    .name = "redis",
    .close = redis_close,
    .lookup = redis_lookup,
    .put = redis_put,
    .health = redis_health,
    .tick = redis_tick,
    .visit = redis_visit,
    .measure = redis_measure,
};

flk_err_t flk_store_redis_open(const flk_store_options_t *options, flk_store_t **out, char *errmsg) {
    struct redis_store *store = calloc(1, sizeof *store);
    if (store == NULL) {
        flk_errmsg(errmsg, "store redis: out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_redis_cluster_open(&store->cluster, options, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "store redis");
        redis_close(&store->base);
        return err;
    }
    store->base.ops = &redis_ops;
    *out = &store->base;
    return FLK_OK;
}
