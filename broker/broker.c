/* SPDX-License-Identifier: MIT */
/* A turn reads a batch from the workers (that frees memory and credit), then one from the gateways, hands out, and
 * runs the tick when it is due. After a turn without work the loop waits for a message, the next tick or the stop.
 *
 * Failures: a malformed or unexpected message is counted and ignored. A peer that is silent for three heartbeats, or
 * whose route is gone, is lost. When the loop itself was held up (a stopped process, a suspended machine), silence
 * proves nothing, so every peer is credited with the gap. When the broker dies, all it knew is gone: the gateways keep
 * it and send again. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "broker/backend.h"
#include "broker/dispatch.h"
#include "broker/frontend.h"
#include "common/log.h"
#include "common/program/notify.h"

enum { IO_THREADS = 2, TICKS_PER_HEARTBEAT = 10 };

/* ---- the loop ---- */

static void forgive(flk_peers_t *peers, uint64_t gap_ms) {
    for (flk_peer_t *peer = peers->first; peer != NULL; peer = peer->next) {
        peer->heard_ms += gap_ms;
        peer->own_ms += gap_ms;
    }
}

static void read_clock(flk_broker_t *broker) {
    uint64_t now_ms = flk_mono_ms();
    uint64_t gap_ms = now_ms - broker->now_ms;
    if (gap_ms > broker->heartbeat_ms) { /* a turn takes a tick at most: this process did not run */
        flk_log(FLK_LOG_WARN, "broker_was_held_up", FLK_U("ms", gap_ms));
        forgive(&broker->gateways, gap_ms);
        forgive(&broker->workers, gap_ms);
    }
    broker->now_ms = now_ms;
}

static void publish(flk_broker_t *broker) {
    flk_broker_metrics_t *metrics = &broker->metrics;
    uint64_t waiting_ms = flk_turns_oldest_ms(&broker->waiting);
    uint64_t suspects_ms = broker->suspects.head == NULL ? 0 : broker->suspects.head->received_ms;
    uint64_t oldest_ms = waiting_ms == 0 || (suspects_ms != 0 && suspects_ms < waiting_ms) ? suspects_ms : waiting_ms;
    atomic_store_explicit(&metrics->oldest_ms, oldest_ms, memory_order_relaxed);
    flk_gauge_set(metrics->queue_depth, (int64_t)(broker->waiting.count + broker->suspects.count));
    flk_gauge_set(metrics->queue_bytes, (int64_t)broker->deliveries.bytes);
    flk_gauge_set(metrics->inflight, (int64_t)broker->inflight);
    flk_gauge_set(metrics->suspects, (int64_t)broker->suspects.count);
    flk_gauge_set(metrics->workers, (int64_t)broker->workers.count);
    flk_gauge_set(metrics->gateways, (int64_t)broker->gateways.count);
}

static void tick(flk_broker_t *broker) {
    if (broker->now_ms < broker->tick_at) {
        return;
    }
    broker->tick_at = broker->now_ms + broker->tick_ms;
    uint64_t generation = flk_zap_generation(broker->zap);
    if (generation != broker->keys_generation) {
        broker->keys_generation = generation;
        flk_backend_judge(broker);
        flk_frontend_judge(broker);
    }
    flk_backend_tick(broker);
    flk_frontend_tick(broker);
    publish(broker);
    flk_notify_alive(broker->now_ms);
}

/* Waits for a message, the next tick or the stop. False: stop. */
static bool wait_for_work(flk_broker_t *broker) {
    zmq_pollitem_t items[] = {
        {.socket = broker->backend, .events = ZMQ_POLLIN},
        {.socket = broker->frontend, .events = ZMQ_POLLIN},
        {.fd = broker->stop_fd, .events = ZMQ_POLLIN},
    };
    uint64_t now_ms = flk_mono_ms();
    long timeout_ms = now_ms < broker->tick_at ? (long)(broker->tick_at - now_ms) : 0;
    int ready = zmq_poll(items, FLK_COUNT_OF(items), timeout_ms);
    FLK_ASSERT(ready >= 0 || errno == EINTR);
    return ready <= 0 || items[2].revents == 0;
}

static bool stop_asked(const flk_broker_t *broker) {
    struct pollfd item = {.fd = broker->stop_fd, .events = POLLIN};
    return poll(&item, 1, 0) > 0;
}

/* Returns how much there was to do. */
static size_t turn(flk_broker_t *broker) {
    read_clock(broker);
    flk_beat_turn(&broker->beat, broker->now_ms);
    size_t handled = flk_backend_turn(broker);
    handled += flk_frontend_turn(broker);
    handled += flk_dispatch(broker);
    tick(broker);
    return handled;
}

void flk_broker_run(flk_broker_t *broker) {
    broker->now_ms = flk_mono_ms();
    flk_beat_start(&broker->beat, "broker's loop", FLK_BEAT_MS_MAX);
    atomic_store(&broker->accepting, true);
    uint64_t turns = 0;
    bool running = true;
    while (running) {
        if (turn(broker) == 0) {
            publish(broker);
            running = wait_for_work(broker);
        } else if (++turns % 64 == 0) { /* busy: nobody asks the poll */
            running = !stop_asked(broker);
        }
    }
    atomic_store(&broker->accepting, false);
    flk_beat_stop(&broker->beat);
    flk_log(FLK_LOG_INFO, "broker_stops", FLK_U("waiting", broker->waiting.count + broker->suspects.count),
            FLK_U("in_hand", broker->inflight));
    flk_frontend_goodbye(broker);
    flk_backend_goodbye(broker);
}

void flk_broker_stop(flk_broker_t *broker) {
    ssize_t written = write(broker->stop_fd, &(uint64_t){1}, sizeof(uint64_t));
    (void)written; /* fails only when the counter is full, that is, when it was asked often already */
}

bool flk_broker_ready(void *arg, char *why) {
    flk_broker_t *broker = arg;
    bool ready = atomic_load(&broker->accepting);
    if (!ready) {
        flk_errmsg(why, "starting or stopping");
    }
    return ready;
}

/* ---- life ---- */

static flk_err_t bind_one(flk_broker_t *broker, const char *endpoint, flk_role_t role, void **socket,
                          char bound[FLK_BROKER_ENDPOINT_BYTES], char *errmsg) {
    flk_err_t err = flk_link_bind(broker->context, endpoint, broker->zap, role, socket, errmsg);
    if (err == FLK_OK) {
        size_t len = FLK_BROKER_ENDPOINT_BYTES;
        FLK_ASSERT(zmq_getsockopt(*socket, ZMQ_LAST_ENDPOINT, bound, &len) == 0);
    } else {
        flk_errmsg_prefix(errmsg, role == FLK_ROLE_GATEWAY ? "FLK_FRONTENDS" : "FLK_BACKENDS");
    }
    return err;
}

static flk_err_t init(flk_broker_t *broker, const flk_broker_options_t *options, char *errmsg) {
    flk_message_init(&broker->message);
    flk_id_random(&broker->instance);
    broker->heartbeat_ms = options->heartbeat_ms;
    broker->tick_ms = options->heartbeat_ms / TICKS_PER_HEARTBEAT;
    broker->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    broker->context = zmq_ctx_new();
    if (broker->stop_fd < 0 || broker->context == NULL ||
        flk_deliveries_init(&broker->deliveries, options->count_max, options->bytes_max) != FLK_OK) {
        flk_errmsg(errmsg, "out of memory or file descriptors");
        return FLK_E_NOMEM;
    }
    FLK_ASSERT(zmq_ctx_set(broker->context, ZMQ_IO_THREADS, IO_THREADS) == 0);
    flk_err_t err = flk_zap_start(broker->context, options->security, options->metrics, &broker->zap, errmsg);
    if (err == FLK_OK) {
        err =
            bind_one(broker, options->frontend, FLK_ROLE_GATEWAY, &broker->frontend, broker->frontend_endpoint, errmsg);
    }
    if (err == FLK_OK) {
        err = bind_one(broker, options->backend, FLK_ROLE_WORKER, &broker->backend, broker->backend_endpoint, errmsg);
    }
    if (err == FLK_OK) {
        flk_broker_metrics_register(&broker->metrics, options->metrics);
    }
    return err;
}

flk_err_t flk_broker_new(const flk_broker_options_t *options, flk_broker_t **broker, char *errmsg) {
    *broker = flk_start_alloc(sizeof **broker);
    flk_err_t err = init(*broker, options, errmsg);
    if (err != FLK_OK) {
        flk_broker_destroy(broker);
    }
    return err;
}

void flk_broker_destroy(flk_broker_t **broker) {
    flk_broker_t *gone = *broker;
    if (gone == NULL) {
        return;
    }
    flk_deliveries_fini(&gone->deliveries);
    flk_backend_close(gone);
    flk_frontend_close(gone);
    flk_message_fini(&gone->message);
    flk_link_close(&gone->backend);
    flk_link_close(&gone->frontend);
    flk_zap_stop(&gone->zap);
    if (gone->context != NULL) {
        zmq_ctx_term(gone->context);
    }
    if (gone->stop_fd >= 0) {
        close(gone->stop_fd);
    }
    free(gone);
    *broker = NULL;
}

const char *flk_broker_frontend(const flk_broker_t *broker) {
    return broker->frontend_endpoint;
}

const char *flk_broker_backend(const flk_broker_t *broker) {
    return broker->backend_endpoint;
}
