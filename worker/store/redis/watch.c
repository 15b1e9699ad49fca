/* SPDX-License-Identifier: MIT */
#include "worker/store/redis/watch.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"

struct watched {
    struct watched *next;
    bool checked, evicts, forgets; /* warnings given */
    char generation[FLK_REDIS_GENERATION_HEX + 1];
    char former[FLK_REDIS_GENERATION_HEX + 1]; /* one that was read before, and is told late, is no news */
    char name[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct watched *all; /* one for each server ever met; lives as long as the process */

/* With the mutex held. NULL: out of memory, and then nothing is remembered. */
static struct watched *find(const char *name) {
    struct watched *watched = all;
    while (watched != NULL && strcmp(watched->name, name) != 0) {
        watched = watched->next;
    }
    if (watched == NULL && (watched = calloc(1, sizeof *watched + strlen(name) + 1)) != NULL) {
        strcpy(watched->name, name);
        watched->next = all;
        all = watched;
    }
    return watched;
}

bool flk_redis_watch_generation(const char *name, const char *generation) {
    bool lost = false;
    pthread_mutex_lock(&mutex);
    struct watched *watched = find(name);
    if (watched != NULL && strcmp(watched->generation, generation) != 0 && strcmp(watched->former, generation) != 0) {
        lost = watched->generation[0] != '\0';
        memcpy(watched->former, watched->generation, sizeof watched->former);
        snprintf(watched->generation, sizeof watched->generation, "%s", generation);
    }
    pthread_mutex_unlock(&mutex);
    if (lost) {
        flk_log(
            FLK_LOG_WARN, "store_emptied", FLK_S("store", "redis"), FLK_S("server", name),
            FLK_S("meaning", "it was flushed, or restarted without its data: outcomes that it kept are verified anew"));
    }
    return lost;
}

void flk_redis_watch_config(const char *name, const char *maxmemory_policy, const char *appendonly, const char *save) {
    bool known = maxmemory_policy != NULL && appendonly != NULL && save != NULL;
    bool evicts = known && strcmp(maxmemory_policy, "noeviction") != 0;
    bool forgets = known && strcmp(appendonly, "yes") != 0 && save[0] == '\0';
    pthread_mutex_lock(&mutex);
    struct watched *watched = find(name);
    bool first = watched == NULL || !watched->checked;
    bool warn_evicts = evicts && (first || !watched->evicts), warn_forgets = forgets && (first || !watched->forgets);
    if (watched != NULL) {
        watched->checked = true;
        watched->evicts = evicts;
        watched->forgets = forgets;
    }
    pthread_mutex_unlock(&mutex);
    if (!known && first) {
        flk_log(FLK_LOG_INFO, "store_unchecked", FLK_S("store", "redis"), FLK_S("server", name),
                FLK_S("reason", "it does not let us read maxmemory-policy, appendonly and save"));
    }
    if (warn_evicts) {
        flk_log(FLK_LOG_WARN, "store_may_evict", FLK_S("store", "redis"), FLK_S("server", name),
                FLK_S("maxmemory_policy", maxmemory_policy),
                FLK_S("advice", "set maxmemory-policy to noeviction: an evicted outcome is verified anew"));
    }
    if (warn_forgets) {
        flk_log(FLK_LOG_WARN, "store_not_persistent", FLK_S("store", "redis"), FLK_S("server", name),
                FLK_S("advice", "set appendonly to yes: without it or save a restart loses every outcome"));
    }
}
