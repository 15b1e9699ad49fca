/* SPDX-License-Identifier: MIT */
/* Workers: READY gives credit and is answered by WELCOME; each WORK that dispatch.c hands out is answered by VERDICT or
 * UNAVAILABLE, which gives its credit back and goes on to the gateway.
 *
 * Failures: an answer that comes after its worker was counted as lost still settles the delivery; the first verdict
 * wins and the others are stale. A worker that holds a delivery settled by another keeps its credit in use until it
 * answers or is lost, so that no worker ever holds more than its credit. A worker that comes back over another route
 * lost its first connection, with all messages on the way: all it held is handed out again, without blame, since it
 * lives. */
#include "broker/backend.h"

#include <stdlib.h>

#include "broker/dispatch.h"
#include "broker/wire.h"
#include "common/log.h"

static flk_worker_peer_t *sender(const flk_broker_t *broker) {
    return (flk_worker_peer_t *)flk_peers_by_route(&broker->workers, &broker->message.route);
}

/* ---- READY, GOODBYE ---- */

static flk_worker_peer_t *enter(flk_broker_t *broker) {
    const flk_frame_t *frame = &broker->message.frame;
    flk_worker_peer_t *before = (flk_worker_peer_t *)flk_peers_by_instance(&broker->workers, &frame->id);
    flk_worker_peer_t *worker = sender(broker);
    if (before != NULL && before != worker) {
        flk_dispatch_lose(broker, before, false, "came back over another connection");
    }
    if (worker != NULL && !flk_id_equal(&worker->peer.instance, &frame->id)) {
        flk_dispatch_lose(broker, worker, true, "another took its route");
        worker = NULL;
    }
    if (worker == NULL) {
        worker = calloc(1, sizeof *worker);
        if (worker == NULL) {
            return NULL;
        }
        flk_peers_add(&broker->workers, &worker->peer, &broker->message.route, flk_zap_user(&broker->message),
                      broker->now_ms);
        flk_peers_introduce(&broker->workers, &worker->peer, &frame->id, frame->name);
        flk_log(FLK_LOG_INFO, "worker_ready", FLK_S("worker", frame->name), FLK_U("credit", frame->credit));
    }
    return worker;
}

static void on_ready(flk_broker_t *broker) {
    flk_worker_peer_t *worker = enter(broker);
    if (worker == NULL) {
        return; /* out of memory: it asks again */
    }
    uint32_t credit = broker->message.frame.credit;
    worker->credit = credit < FLK_BROKER_WORKER_CREDIT_MAX ? credit : FLK_BROKER_WORKER_CREDIT_MAX;
    worker->leaving = false;
    flk_roster_update(&broker->roster, worker);
    flk_frame_t welcome = {.kind = FLK_WELCOME, .credit = worker->credit, .heartbeat_ms = broker->heartbeat_ms};
    flk_wire_say(broker, broker->backend, &broker->message.route, welcome);
}

/* A worker that leaves gets its GOODBYE back once it holds nothing. */
static void let_go(flk_broker_t *broker, flk_worker_peer_t *worker) {
    if (worker->leaving && worker->hand.count == 0) {
        flk_log(FLK_LOG_INFO, "worker_goodbye", FLK_S("worker", worker->peer.name));
        flk_wire_say(broker, broker->backend, &worker->peer.route, (flk_frame_t){.kind = FLK_GOODBYE});
        flk_dispatch_drop(broker, worker);
    }
}

static void on_goodbye(flk_broker_t *broker, flk_worker_peer_t *worker) {
    if (worker == NULL) { /* holds nothing of ours */
        flk_wire_say(broker, broker->backend, &broker->message.route, (flk_frame_t){.kind = FLK_GOODBYE});
        return;
    }
    worker->leaving = true;
    flk_dispatch_unreserve(broker, worker);
    flk_roster_update(&broker->roster, worker);
    let_go(broker, worker);
}

/* ---- VERDICT, UNAVAILABLE ---- */

/* Ends a delivery that has its answer. `worker` gave it; NULL: unknown. */
static void settle(flk_broker_t *broker, flk_delivery_t *delivery, const flk_worker_peer_t *worker) {
    if (delivery->worker != NULL && delivery->worker != worker) {
        flk_deliveries_settle(&broker->deliveries, delivery); /* its holder has yet to answer */
        return;
    }
    if (delivery->worker != NULL) {
        flk_dispatch_release(broker, delivery);
    } else {
        flk_dispatch_unqueue(broker, delivery);
    }
    flk_deliveries_remove(&broker->deliveries, delivery);
}

static void on_answer(flk_broker_t *broker, const flk_worker_peer_t *worker) {
    const flk_frame_t *frame = &broker->message.frame;
    flk_delivery_t *delivery = flk_deliveries_find_number(&broker->deliveries, &frame->id, frame->delivery);
    if (delivery == NULL) {
        flk_counter_add(broker->metrics.stale_verdicts, 1);
        return;
    }
    bool holds = worker != NULL && delivery->worker == worker;
    if (delivery->settled) {
        flk_counter_add(broker->metrics.stale_verdicts, 1);
        if (holds) {
            flk_dispatch_release(broker, delivery);
            flk_deliveries_remove(&broker->deliveries, delivery);
        }
        return;
    }
    if (frame->kind == FLK_UNAVAILABLE && !holds) { /* another worker may yet do better */
        flk_counter_add(broker->metrics.stale_verdicts, 1);
        return;
    }
    flk_wire_answer(broker, delivery, *frame, &broker->message.body);
    flk_counter_add(frame->kind == FLK_VERDICT ? broker->metrics.verdicts : broker->metrics.unavailable, 1);
    settle(broker, delivery, worker);
}

/* ---- PING ---- */

/* A pulse speaks for threads that a slow store keeps from speaking themselves, but not for ever. */
static void vouch(flk_broker_t *broker) {
    const flk_frame_t *frame = &broker->message.frame;
    uint64_t vouched_ms_max = (uint64_t)broker->heartbeat_ms * FLK_BROKER_VOUCHED_PERIODS;
    for (uint32_t i = 0; i < frame->instances_len; i++) {
        const flk_id_t *instance = (const flk_id_t *)(frame->instances + (size_t)i * FLK_ID_BYTES);
        flk_peer_t *peer = flk_peers_by_instance(&broker->workers, instance);
        if (peer != NULL && broker->now_ms - peer->own_ms < vouched_ms_max) {
            peer->heard_ms = broker->now_ms;
        }
    }
}

static void on_ping(flk_broker_t *broker, const flk_worker_peer_t *worker) {
    bool pulse = broker->message.frame.instances_len > 0;
    vouch(broker);
    flk_frame_t pong = {.kind = FLK_PONG, .known = worker != NULL || pulse};
    flk_wire_say(broker, broker->backend, &broker->message.route, pong);
}

static void handle(flk_broker_t *broker) {
    flk_worker_peer_t *worker = sender(broker);
    if (worker != NULL) {
        flk_wire_heard(broker, &worker->peer);
    }
    switch (broker->message.frame.kind) {
    case FLK_VERDICT:
    case FLK_UNAVAILABLE:
        on_answer(broker, worker);
        if (worker != NULL) {
            let_go(broker, worker);
        }
        break;
    case FLK_READY:
        on_ready(broker);
        break;
    case FLK_PING:
        on_ping(broker, worker);
        break;
    case FLK_PONG:
        break;
    case FLK_GOODBYE:
        on_goodbye(broker, worker);
        break;
    default:
        flk_counter_add(broker->metrics.unknown, 1);
        break;
    }
}

size_t flk_backend_turn(flk_broker_t *broker) {
    size_t handled = 0;
    while (handled < FLK_BROKER_BATCH && flk_wire_next(broker, broker->backend)) {
        handle(broker);
        handled++;
    }
    return handled;
}

/* ---- all workers ---- */

static void check_life(void *arg, flk_peer_t *peer) {
    flk_broker_t *broker = arg;
    flk_worker_peer_t *worker = (flk_worker_peer_t *)peer;
    const char *why = flk_wire_why_lost(broker, broker->backend, peer, worker->hand.count > 0);
    if (why != NULL) {
        flk_dispatch_lose(broker, worker, true, why);
    }
}

void flk_backend_tick(flk_broker_t *broker) {
    flk_peers_each(&broker->workers, check_life, broker);
}

static void put_out(void *arg, flk_peer_t *peer) {
    flk_dispatch_lose(arg, (flk_worker_peer_t *)peer, false, "its key was removed");
}

void flk_backend_judge(flk_broker_t *broker) {
    flk_peers_judge(&broker->workers, broker->zap, broker->backend, put_out, broker);
}

static void say_goodbye(void *arg, flk_peer_t *peer) {
    flk_broker_t *broker = arg;
    flk_wire_say(broker, broker->backend, &peer->route, (flk_frame_t){.kind = FLK_GOODBYE});
}

void flk_backend_goodbye(flk_broker_t *broker) {
    flk_peers_each(&broker->workers, say_goodbye, broker);
}

static void free_peer(void *arg, flk_peer_t *peer) {
    (void)arg;
    free(peer); /* a worker: its peer is its first member */
}

void flk_backend_close(flk_broker_t *broker) {
    flk_peers_each(&broker->workers, free_peer, NULL);
}
