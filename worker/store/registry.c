/* SPDX-License-Identifier: MIT */
#include "worker/store/registry.h"

#include <stdio.h>
#include <string.h>

static flk_store_shared_t *find(const flk_store_registry_t *registry, const char *dir) {
    flk_store_shared_t *shared = registry->first;
    while (shared != NULL && strcmp(shared->dir, dir) != 0) {
        shared = shared->next;
    }
    return shared;
}

flk_err_t flk_store_registry_acquire(flk_store_registry_t *registry, const flk_store_options_t *options,
                                     const char *place, flk_store_shared_t **out, char *errmsg) {
    char dir[FLK_STORE_DIR_BYTES];
    if (snprintf(dir, sizeof dir, "%s/%s", options->data_dir, place) >= (int)sizeof dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than %zu bytes", sizeof dir - 2 - strlen(place));
        return FLK_E_CONFIG;
    }
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&registry->mutex);
    flk_store_shared_t *shared = find(registry, dir);
    if (shared == NULL && (err = registry->open(options, dir, &shared, errmsg)) == FLK_OK) {
        shared->next = registry->first;
        registry->first = shared;
    }
    if (err == FLK_OK) {
        shared->stores++;
        *out = shared;
    }
    pthread_mutex_unlock(&registry->mutex);
    return err;
}

void flk_store_registry_release(flk_store_registry_t *registry, flk_store_shared_t *shared, uint64_t timeout_ms) {
    pthread_mutex_lock(&registry->mutex);
    if (--shared->stores == 0) {
        flk_store_shared_t **at = &registry->first;
        while (*at != shared) {
            at = &(*at)->next;
        }
        *at = shared->next;
        registry->close(shared, timeout_ms);
    }
    pthread_mutex_unlock(&registry->mutex);
}
