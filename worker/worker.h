/* SPDX-License-Identifier: MIT */
/* A worker as a whole: verify threads with their stores, and the pulse. Owned by the main thread. */
#ifndef FLK_WORKER_WORKER_H
#define FLK_WORKER_WORKER_H

#include "worker/loop.h"

typedef struct flk_worker flk_worker_t; /* Opaque. */

/* Opens the store of one thread; called `threads` times from flk_worker_new's thread. */
typedef flk_err_t flk_worker_store_fn(void *arg, flk_store_t **store, char *errmsg);

typedef struct flk_worker_options {
    const char *backends;           /* "endpoint[,…]": the brokers */
    const flk_security_t *security; /* NULL: no key; borrowed until _destroy */
    const char *name;               /* READY carries it with the thread's number appended */
    unsigned threads;               /* 1..FLK_INSTANCES_MAX */
    uint32_t credit;                /* 0: 128, less where the largest deliveries could take a quarter of the memory */
    uint32_t heartbeat_ms, drain_ms, vouch_ms;
    flk_rulebook_t *book;   /* borrowed until _destroy */
    flk_metrics_t *metrics; /* borrowed until _destroy */
    flk_worker_store_fn *open_store;
    void *open_store_arg;
} flk_worker_options_t;

/* Opens stores and sockets; no thread runs yet. Options are borrowed until return. Errors: FLK_E_CONFIG,
 * FLK_E_NOMEM, and those of flk_store_open. Caller frees with flk_worker_destroy. */
FLK_MUST_CHECK flk_err_t flk_worker_new(const flk_worker_options_t *options, flk_worker_t **worker, char *errmsg);
/* Starts the threads. After an error only flk_worker_drain and _destroy are allowed. */
FLK_MUST_CHECK flk_err_t flk_worker_start(flk_worker_t *worker, char *errmsg);
/* Finishes the deliveries in hand and stops all threads; blocks up to drain_ms and the store's timeout. */
void flk_worker_drain(flk_worker_t *worker);
/* After flk_worker_drain, or before flk_worker_start. NULL content is allowed. */
void flk_worker_destroy(flk_worker_t **worker);

/* flk_admin_ready_fn over a flk_worker_t. False while no broker is linked, a store does not answer, or it drains. */
bool flk_worker_ready(void *worker, char *why);

#endif
