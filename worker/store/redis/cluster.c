/* SPDX-License-Identifier: MIT */
#include "worker/store/redis/cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/redis/tls.h"

struct opening {
    flk_redis_cluster_t *cluster;
    const flk_store_options_t *options;
    flk_redis_list_t *list; /* that is filled */
    const char *setting;    /* that it comes from */
    flk_err_t err;          /* the first */
    char *errmsg;
};

/* The address, ready for the dialer. Caller frees with flk_redis_dial_ops.free_arg. */
static flk_err_t make_target(struct opening *o, const char *address, flk_redis_target_t **out) {
    const flk_store_options_t *options = o->options;
    flk_redis_defaults_t defaults = {
        .user = options->redis_user, .password = options->redis_password, .database = (uint32_t)options->redis_db};
    flk_redis_target_t *target = calloc(1, sizeof *target);
    if (target == NULL) {
        flk_errmsg(o->errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_redis_shard_parse(address, &defaults, &target->shard, o->errmsg);
    if (err == FLK_OK && target->shard.tls) {
        err = flk_redis_tls_check(o->errmsg);
    }
    if (err != FLK_OK) {
        flk_redis_dial_ops.free_arg(target);
        return err;
    }
    snprintf(target->ca_file, sizeof target->ca_file, "%s", options->redis_ca_file);
    *out = target;
    return FLK_OK;
}

static flk_redis_link_t *find_link(flk_redis_cluster_t *cluster, const char *name) {
    for (size_t i = 0; i < cluster->links_len; i++) {
        if (strcmp(cluster->links[i].shard->name, name) == 0) {
            return &cluster->links[i];
        }
    }
    return NULL;
}

/* The link to target's server, a new one where there is none. Takes target. */
static flk_err_t get_link(struct opening *o, flk_redis_target_t *target, flk_redis_link_t **out) {
    *out = find_link(o->cluster, target->shard.name);
    if (*out != NULL) {
        flk_redis_dial_ops.free_arg(target);
        return FLK_OK;
    }
    flk_redis_link_t *link = &o->cluster->links[o->cluster->links_len];
    flk_dialer_options_t dialer = {.ops = &flk_redis_dial_ops,
                                   .arg = target,
                                   .store = "redis",
                                   .server = target->shard.name,
                                   .timeout_ms = o->options->connect_timeout_ms};
    flk_err_t err = flk_dialer_new(&dialer, &link->dialer, o->errmsg);
    if (err == FLK_OK) {
        link->shard = &target->shard;
        o->cluster->links_len++;
        *out = link;
    }
    return err;
}

static flk_err_t add_shard(struct opening *o, const char *address) {
    flk_redis_target_t *target;
    flk_redis_link_t *link;
    if (o->list->len == FLK_REDIS_SHARDS_MAX) {
        flk_errmsg(o->errmsg, "more than %d shards", FLK_REDIS_SHARDS_MAX);
        return FLK_E_CONFIG;
    }
    flk_err_t err = make_target(o, address, &target);
    err = err != FLK_OK ? err : get_link(o, target, &link);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < o->list->len; i++) {
        if (o->list->links[i] == link) {
            flk_errmsg(o->errmsg, "%s is there twice", link->shard->name);
            return FLK_E_CONFIG;
        }
    }
    o->list->links[o->list->len] = link;
    o->list->shards[o->list->len++] = link->shard;
    return FLK_OK;
}

static void add_item(void *arg, const char *address, size_t index) {
    struct opening *o = arg;
    if (o->err != FLK_OK) {
        return;
    }
    o->err = add_shard(o, address);
    if (o->err != FLK_OK) {
        char step[64];
        snprintf(step, sizeof step, "%s: address %zu", o->setting, index + 1);
        flk_errmsg_prefix(o->errmsg, step);
    }
}

flk_err_t flk_redis_cluster_open(flk_redis_cluster_t *cluster, const flk_store_options_t *options, char *errmsg) {
    struct opening o = {
        .cluster = cluster, .options = options, .list = &cluster->current, .setting = "REDIS_ADDR", .errmsg = errmsg};
    if (flk_settings_each(options->redis_addr, add_item, &o) == 0) {
        flk_errmsg(errmsg, "REDIS_ADDR is empty");
        return FLK_E_CONFIG;
    }
    o.list = &cluster->former;
    o.setting = "FLK_REDIS_FORMER";
    (void)flk_settings_each(options->redis_former, add_item, &o);
    return o.err;
}

void flk_redis_cluster_close(flk_redis_cluster_t *cluster, uint64_t wait_ms) {
    for (size_t i = 0; i < cluster->links_len; i++) {
        flk_dialer_destroy(&cluster->links[i].dialer, wait_ms);
        free(cluster->links[i].tags);
    }
}

static flk_redis_link_t *link_for(const flk_redis_list_t *list, const uint8_t *id) {
    return list->links[flk_redis_shard_pick(list->shards, list->len, id, FLK_STORE_KEY_BYTES)];
}

flk_redis_link_t *flk_redis_cluster_home(const flk_redis_cluster_t *cluster, const uint8_t id[FLK_STORE_KEY_BYTES]) {
    return link_for(&cluster->current, id);
}

flk_redis_link_t *flk_redis_cluster_former(const flk_redis_cluster_t *cluster, const uint8_t id[FLK_STORE_KEY_BYTES],
                                           const flk_redis_link_t *home) {
    flk_redis_link_t *former = cluster->former.len > 0 ? link_for(&cluster->former, id) : NULL;
    return former != home ? former : NULL;
}
