/* SPDX-License-Identifier: MIT */
/* Start: stores and loops, then the threads, the pulse last. Stop in reverse: all loops are asked to drain at once,
 * and the pulse speaks for them until the last has ended. */
#include "worker/worker.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "common/machine.h"
#include "proto/endpoint.h"
#include "proto/link.h"
#include "proto/uplink.h"
#include "worker/pulse.h"

struct flk_worker {
    void *context;
    flk_worker_metrics_t metrics;
    unsigned threads; /* loops that exist */
    flk_loop_t **loops;
    flk_pulse_t *pulse;
    atomic_bool draining;
    flk_loop_options_t loop_options; /* endpoints only during _new and _start */
    size_t endpoints_len;
    char endpoint[FLK_BROKERS_MAX][FLK_ENDPOINT_BYTES];
    const char *endpoints[FLK_BROKERS_MAX];
};

enum { CREDIT_MOST = 128 };

static void add_endpoint(void *arg, const char *item, size_t index) {
    flk_worker_t *worker = arg;
    FLK_ASSERT(index < FLK_BROKERS_MAX && strlen(item) < FLK_ENDPOINT_BYTES); /* they were checked */
    worker->endpoints[index] = strcpy(worker->endpoint[index], item);
}

static flk_err_t open_loop(flk_worker_t *worker, const flk_worker_options_t *options, char *errmsg) {
    char name[FLK_NAME_MAX + 1];
    snprintf(name, sizeof name, "%.53s/%u", options->name, worker->threads);
    worker->loop_options.name = name;
    flk_store_t *store;
    flk_err_t err = options->open_store(options->open_store_arg, &store, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_loop_new(&worker->loop_options, store, &worker->loops[worker->threads], errmsg);
    if (err != FLK_OK) {
        flk_store_close(&store);
        return err;
    }
    worker->threads++;
    return FLK_OK;
}

static flk_err_t new_context(flk_worker_t *worker, unsigned threads, char *errmsg) {
    worker->context = zmq_ctx_new();
    if (worker->context == NULL) {
        flk_errmsg(errmsg, "cannot make a ZeroMQ context");
        return FLK_E_NOMEM;
    }
    /* Twice the number open at once: a lost socket lingers beside its successor. */
    int sockets_max = (int)(2 * (threads + 1) * worker->endpoints_len + 16);
    zmq_ctx_set(worker->context, ZMQ_MAX_SOCKETS, sockets_max);
    return FLK_OK;
}

static uint32_t credit_of(const flk_worker_options_t *options, size_t brokers) {
    uint64_t fit = flk_machine_share_bytes(4, UINT64_MAX) / FLK_LINK_MESSAGE_BYTES_MAX / (options->threads * brokers);
    uint64_t automatic = fit < 1 ? 1 : fit < CREDIT_MOST ? fit : CREDIT_MOST;
    return options->credit != 0 ? options->credit : (uint32_t)automatic;
}

flk_err_t flk_worker_new(const flk_worker_options_t *options, flk_worker_t **out, char *errmsg) {
    FLK_ASSERT(options->threads >= 1 && options->threads <= FLK_INSTANCES_MAX);
    flk_err_t err = flk_endpoints_check(options->security, "FLK_BACKENDS", options->backends, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_worker_t *worker = flk_start_alloc(sizeof *worker);
    worker->endpoints_len = flk_settings_each(options->backends, add_endpoint, worker);
    worker->loops = flk_start_alloc(options->threads * sizeof(flk_loop_t *));
    flk_worker_metrics_register(options->metrics, &worker->metrics);
    worker->loop_options = (flk_loop_options_t){
        .endpoints = worker->endpoints,
        .endpoints_len = worker->endpoints_len,
        .security = options->security,
        .credit = credit_of(options, worker->endpoints_len),
        .heartbeat_ms = options->heartbeat_ms,
        .drain_ms = options->drain_ms,
        .vouch_ms = options->vouch_ms,
        .book = options->book,
        .metrics = &worker->metrics,
    };
    err = new_context(worker, options->threads, errmsg);
    worker->loop_options.context = worker->context;
    while (err == FLK_OK && worker->threads < options->threads) {
        err = open_loop(worker, options, errmsg);
    }
    if (err != FLK_OK) {
        flk_worker_destroy(&worker);
        return err;
    }
    *out = worker;
    return FLK_OK;
}

flk_err_t flk_worker_start(flk_worker_t *worker, char *errmsg) {
    flk_err_t err = FLK_OK;
    for (unsigned i = 0; err == FLK_OK && i < worker->threads; i++) {
        err = flk_loop_start(worker->loops[i], errmsg);
    }
    if (err == FLK_OK) {
        err = flk_pulse_start(&worker->loop_options, worker->loops, worker->threads, &worker->pulse, errmsg);
    }
    return err;
}

void flk_worker_drain(flk_worker_t *worker) {
    atomic_store(&worker->draining, true);
    for (unsigned i = 0; i < worker->threads; i++) {
        flk_loop_stop(worker->loops[i]);
    }
    for (unsigned i = 0; i < worker->threads; i++) {
        flk_loop_join(worker->loops[i]);
    }
    flk_pulse_stop(&worker->pulse);
}

void flk_worker_destroy(flk_worker_t **out) {
    flk_worker_t *worker = *out;
    if (worker == NULL) {
        return;
    }
    FLK_ASSERT(worker->pulse == NULL);
    for (unsigned i = 0; i < worker->threads; i++) {
        flk_loop_destroy(&worker->loops[i]);
    }
    if (worker->context != NULL) {
        zmq_ctx_term(worker->context); /* waits for the sockets' bounded LINGER */
    }
    free(worker->loops);
    free(worker);
    *out = NULL;
}

bool flk_worker_ready(void *arg, char *why) {
    flk_worker_t *worker = arg;
    if (atomic_load(&worker->draining)) {
        flk_errmsg(why, "draining");
        return false;
    }
    bool linked = false;
    for (unsigned i = 0; i < worker->threads; i++) {
        if (!flk_loop_store_ok(worker->loops[i], why)) {
            return false;
        }
        linked = linked || flk_loop_linked(worker->loops[i]);
    }
    if (!linked) {
        flk_errmsg(why, "no broker linked");
    }
    return linked;
}
