/* SPDX-License-Identifier: MIT */
/* The parts that the store handles of one process share, by directory: opened with the first handle and closed with the
 * last. Any thread may call any function. */
#ifndef FLK_WORKER_STORE_REGISTRY_H
#define FLK_WORKER_STORE_REGISTRY_H

#include <pthread.h>

#include "worker/store/store.h"

enum { FLK_STORE_DIR_BYTES = 2016 };

/* First member of a backend's own struct. */
typedef struct flk_store_shared {
    struct flk_store_shared *next;
    unsigned stores; /* handles that hold it */
    char dir[FLK_STORE_DIR_BYTES];
} flk_store_shared_t;

/* One for each backend. */
typedef struct flk_store_registry {
    pthread_mutex_t mutex; /* guards the list and the counts in it; held while something opens or closes */
    flk_store_shared_t *first;
    /* Copies dir into the struct before it starts a thread. */
    flk_err_t (*open)(const flk_store_options_t *options, const char *dir, flk_store_shared_t **shared, char *errmsg);
    void (*close)(flk_store_shared_t *shared, uint64_t timeout_ms); /* frees it, or leaves it to a thread of its own */
} flk_store_registry_t;

/* Gives the part that is open on data_dir/place, or opens it. Errors: FLK_E_CONFIG (the path is too long), those of
 * open. Caller gives it back with _release. */
FLK_MUST_CHECK flk_err_t flk_store_registry_acquire(flk_store_registry_t *registry, const flk_store_options_t *options,
                                                    const char *place, flk_store_shared_t **shared, char *errmsg);
void flk_store_registry_release(flk_store_registry_t *registry, flk_store_shared_t *shared, uint64_t timeout_ms);

#endif
