/* SPDX-License-Identifier: MIT */
/* Handing out: suspects first, each to a worker that holds nothing else; then the rest, gateway by gateway in turn,
 * to the worker with the least in hand.
 *
 * A worker that is lost takes nothing with it: its deliveries go back to the front in their order. Any of them may have
 * killed it, so each counts a loss. After two losses a delivery is a suspect and travels alone: an innocent one is
 * cleared by its verdict, the guilty one is found out and, after three more workers, becomes a dead letter. Half of the
 * workers at most are set aside for that, so that one poisoned record cannot stop the rest. */
#include "broker/dispatch.h"

#include <stdlib.h>
#include <string.h>

#include "broker/wire.h"
#include "common/log.h"
#include "proto/body.h"

enum { DISPATCH_MAX = 1024 }; /* in one turn, so that reading is never kept waiting for long */

static void list(flk_broker_t *broker, flk_worker_peer_t *worker) {
    flk_roster_update(&broker->roster, worker);
}

void flk_dispatch_unreserve(flk_broker_t *broker, flk_worker_peer_t *worker) {
    if (worker->reserved) {
        worker->reserved = false;
        broker->reserved--;
        list(broker, worker);
    }
}

void flk_dispatch_release(flk_broker_t *broker, flk_delivery_t *delivery) {
    flk_worker_peer_t *worker = delivery->worker;
    flk_queue_remove(&worker->hand, delivery);
    delivery->worker = NULL;
    broker->inflight--;
    list(broker, worker);
}

bool flk_dispatch_in_turns(const flk_delivery_t *delivery) {
    return delivery->worker == NULL && delivery->losses < FLK_BROKER_SUSPECT_LOSSES;
}

/* Hands over one delivery that is in no queue. FLK_E_UNAVAILABLE: the worker is gone; the delivery is untouched. */
static flk_err_t hand_over(flk_broker_t *broker, flk_worker_peer_t *worker, flk_delivery_t *delivery) {
    flk_frame_t frame = {
        .kind = FLK_WORK, .id = delivery->id, .delivery = delivery->number, .attempt = delivery->attempt + 1};
    zmq_msg_t body;
    zmq_msg_init(&body);
    if (zmq_msg_copy(&body, &delivery->body) != 0) { /* shares the bytes */
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_link_send(broker->backend, &worker->peer.route, &frame, &body);
    zmq_msg_close(&body);
    if (err != FLK_OK) {
        return err;
    }
    delivery->attempt++;
    delivery->worker = worker;
    flk_queue_push(&worker->hand, delivery);
    broker->inflight++;
    list(broker, worker);
    flk_counter_add(broker->metrics.delivered, 1);
    return FLK_OK;
}

/* Puts a delivery that is in no queue to the front of where it waits. */
static void wait_first(flk_broker_t *broker, flk_delivery_t *delivery) {
    if (flk_dispatch_in_turns(delivery)) {
        flk_turns_push_front(&broker->waiting, delivery);
    } else {
        flk_queue_push_front(&broker->suspects, delivery);
    }
}

/* Hands `delivery`, just taken off its queue, to `worker`. False: nothing more can be handed out in this turn. */
static bool hand_over_or_wait(flk_broker_t *broker, flk_worker_peer_t *worker, flk_delivery_t *delivery) {
    flk_err_t err = hand_over(broker, worker, delivery);
    if (err == FLK_OK) {
        return true;
    }
    wait_first(broker, delivery);
    if (err == FLK_E_UNAVAILABLE) {
        flk_dispatch_lose(broker, worker, true, "connection gone");
        return true;
    }
    return false;
}

static bool is_abandoned(const flk_broker_t *broker, const flk_delivery_t *delivery) {
    const flk_gateway_peer_t *gateway = delivery->gateway;
    uint64_t kept_ms = (uint64_t)broker->heartbeat_ms * FLK_BROKER_GONE_PERIODS;
    return gateway->gone_ms != 0 && broker->now_ms - gateway->gone_ms > kept_ms;
}

static void set_aside_for_suspects(flk_broker_t *broker) {
    uint64_t limit = broker->workers.count < 2 ? 1 : broker->workers.count / 2;
    while (broker->reserved < limit && broker->reserved < broker->suspects.count) {
        flk_worker_peer_t *worker = flk_roster_least(&broker->roster);
        if (worker == NULL) {
            return;
        }
        worker->reserved = true;
        broker->reserved++;
        list(broker, worker);
    }
}

static void dispatch_suspects(flk_broker_t *broker) {
    if (broker->suspects.count == 0 && broker->reserved == 0) {
        return;
    }
    set_aside_for_suspects(broker);
    flk_peer_t *next;
    for (flk_peer_t *peer = broker->workers.first; peer != NULL; peer = next) {
        next = peer->next;
        flk_worker_peer_t *worker = (flk_worker_peer_t *)peer;
        if (!worker->reserved || worker->hand.count > 0) {
            continue;
        }
        if (broker->suspects.count == 0) {
            flk_dispatch_unreserve(broker, worker);
        } else if (!hand_over_or_wait(broker, worker, flk_queue_pop(&broker->suspects))) {
            return;
        }
    }
}

size_t flk_dispatch(flk_broker_t *broker) {
    dispatch_suspects(broker);
    size_t done = 0;
    while (done < DISPATCH_MAX && broker->waiting.count > 0) {
        flk_worker_peer_t *worker = flk_roster_least(&broker->roster);
        if (worker == NULL) {
            break;
        }
        flk_delivery_t *delivery = flk_turns_pop(&broker->waiting);
        if (is_abandoned(broker, delivery)) {
            flk_deliveries_remove(&broker->deliveries, delivery);
            flk_counter_add(broker->metrics.abandoned, 1);
        } else if (!hand_over_or_wait(broker, worker, delivery)) {
            break;
        }
        done++;
    }
    return done;
}

/* ---- losses ---- */

void flk_dispatch_unqueue(flk_broker_t *broker, flk_delivery_t *delivery) {
    if (flk_dispatch_in_turns(delivery)) {
        flk_turns_remove(&broker->waiting, delivery);
    } else {
        flk_queue_remove(&broker->suspects, delivery);
    }
}

static void log_dead_letter(const flk_delivery_t *delivery) {
    char id[FLK_ID_TEXT_BYTES];
    flk_id_print(&delivery->id, id);
    flk_log(FLK_LOG_WARN, "dead_letter", FLK_S("submission", id), FLK_U("attempts", delivery->attempt),
            FLK_U("workers_lost", delivery->losses));
}

/* Gives up a delivery that is in no queue: the gateway gets an escalated outcome that says so. */
static void bury(flk_broker_t *broker, flk_delivery_t *delivery) {
    flk_outcome_record_t record = {
        .outcome = {.status = FLK_STATUS_ESCALATED,
                    .reasons = 1u << FLK_REASON_DEAD_LETTER,
                    .regime = FLK_REGIME_MIXED},
        .origin = delivery->id,
    };
    uint8_t bytes[FLK_OUTCOME_BYTES];
    size_t len = flk_outcome_encode(&record, bytes);
    zmq_msg_t body;
    if (zmq_msg_init_size(&body, len) != 0) { /* then the gateway's deadline answers, and it sends again */
        zmq_msg_init(&body);
    } else {
        memcpy(zmq_msg_data(&body), bytes, len);
    }
    flk_frame_t frame = {.kind = FLK_VERDICT, .status = FLK_STATUS_ESCALATED, .flags = FLK_FLAG_DEAD_LETTER};
    flk_wire_answer(broker, delivery, frame, &body);
    zmq_msg_close(&body);
    log_dead_letter(delivery);
    flk_counter_add(broker->metrics.dead_letters, 1);
    flk_deliveries_remove(&broker->deliveries, delivery);
}

/* Puts the deliveries of a lost worker back to the front. */
static void return_hand(flk_broker_t *broker, flk_worker_peer_t *worker, bool blame) {
    flk_delivery_t *delivery;
    while ((delivery = flk_queue_pop_last(&worker->hand)) != NULL) {
        broker->inflight--;
        delivery->worker = NULL;
        delivery->losses = (uint8_t)(delivery->losses + blame);
        if (delivery->settled) {
            flk_deliveries_remove(&broker->deliveries, delivery);
        } else if (delivery->losses >= FLK_BROKER_DEAD_LOSSES) {
            bury(broker, delivery);
        } else {
            wait_first(broker, delivery);
            flk_counter_add(broker->metrics.redeliveries, 1);
        }
    }
}

void flk_dispatch_drop(flk_broker_t *broker, flk_worker_peer_t *worker) {
    flk_dispatch_unreserve(broker, worker);
    flk_roster_remove(&broker->roster, worker);
    flk_peers_remove(&broker->workers, &worker->peer);
    free(worker);
}

void flk_dispatch_lose(flk_broker_t *broker, flk_worker_peer_t *worker, bool blame, const char *why) {
    flk_log(blame ? FLK_LOG_WARN : FLK_LOG_INFO, "worker_lost", FLK_S("worker", worker->peer.name), FLK_S("why", why),
            FLK_U("deliveries", worker->hand.count), FLK_U("silent_ms", broker->now_ms - worker->peer.heard_ms));
    flk_counter_add(broker->metrics.workers_lost, 1);
    return_hand(broker, worker, blame);
    flk_dispatch_drop(broker, worker);
}
