/* SPDX-License-Identifier: MIT */
/* Gateways: HELLO is answered by WELCOME with credit. A SUBMIT waits behind earlier ones of its gateway. Its answer
 * goes back over the route that it, or its last repetition, came from.
 *
 * Failures: a full queue is BUSY at once. A submission that is held already is not queued again: the gateway lost sight
 * of it, and only the way back changes. Under the id of a held submission another body, or the same body from a second
 * gateway while the first lives, is BUSY too, and an error in the log: two gateways run on copies of one log. A gateway
 * that is gone keeps its submissions in its log; those that are queued here still run for 60 heartbeats, and their
 * repetition finds the outcome in the store. A gateway that never introduced itself, or did so to an earlier broker, is
 * served all the same; PONG asks it to do it. */
#include "broker/frontend.h"

#include <stdlib.h>
#include <string.h>

#include "broker/dispatch.h"
#include "broker/wire.h"
#include "common/log.h"

/* The sender; entered when it is new. NULL: out of memory. */
static flk_gateway_peer_t *enter(flk_broker_t *broker) {
    flk_gateway_peer_t *gateway = (flk_gateway_peer_t *)flk_peers_by_route(&broker->gateways, &broker->message.route);
    if (gateway == NULL) {
        gateway = calloc(1, sizeof *gateway);
        if (gateway == NULL) {
            return NULL;
        }
        flk_peers_add(&broker->gateways, &gateway->peer, &broker->message.route, flk_zap_user(&broker->message),
                      broker->now_ms);
    }
    flk_wire_heard(broker, &gateway->peer);
    return gateway;
}

static void on_hello(flk_broker_t *broker) {
    const flk_frame_t *frame = &broker->message.frame;
    flk_gateway_peer_t *gateway = enter(broker);
    if (gateway == NULL) {
        return; /* it asks again */
    }
    if (!flk_id_equal(&gateway->peer.instance, &frame->id)) {
        flk_log(FLK_LOG_INFO, "gateway_hello", FLK_S("gateway", frame->name));
    }
    flk_peers_introduce(&broker->gateways, &gateway->peer, &frame->id, frame->name);
    uint64_t count_max = broker->deliveries.count_max;
    flk_frame_t welcome = {
        .kind = FLK_WELCOME,
        .credit = count_max < FLK_BROKER_GATEWAY_CREDIT ? (uint32_t)count_max : FLK_BROKER_GATEWAY_CREDIT,
        .heartbeat_ms = broker->heartbeat_ms,
    };
    flk_wire_say(broker, broker->frontend, &broker->message.route, welcome);
}

static void refuse_submission(flk_broker_t *broker, const char *reason) {
    flk_frame_t busy = {.kind = FLK_BUSY, .id = broker->message.frame.id, .retry_ms = FLK_BROKER_BUSY_RETRY_MS};
    snprintf(busy.name, sizeof busy.name, "%s", reason);
    if (flk_link_send(broker->frontend, &broker->message.route, &busy, NULL) != FLK_OK) {
        flk_counter_add(broker->metrics.dropped_answers, 1);
    }
    flk_counter_add(broker->metrics.busy, 1);
}

/* From now on its answer, and its turn, are another gateway's. */
static void move(flk_broker_t *broker, flk_delivery_t *delivery, flk_gateway_peer_t *gateway) {
    if (delivery->gateway == gateway) {
        return;
    }
    bool in_turns = flk_dispatch_in_turns(delivery);
    if (in_turns) {
        flk_turns_remove(&broker->waiting, delivery);
    }
    flk_delivery_set_gateway(delivery, gateway);
    if (in_turns) {
        flk_turns_push(&broker->waiting, delivery);
    }
}

/* Logged with both gateways: an id names one record of one log, so a log was copied, or its numbers were. */
static void refuse_id(flk_broker_t *broker, const flk_delivery_t *delivery, const flk_gateway_peer_t *gateway,
                      const char *why) {
    char id[FLK_ID_TEXT_BYTES];
    flk_id_print(&delivery->id, id);
    flk_log(FLK_LOG_ERROR, "submission_id_in_use", FLK_S("submission", id), FLK_S("why", why),
            FLK_S("held_for", delivery->gateway->peer.name), FLK_S("refused", gateway->peer.name));
    flk_counter_add(broker->metrics.ids_in_use, 1);
    refuse_submission(broker, why);
}

static bool same_body(const flk_delivery_t *delivery, zmq_msg_t *body) {
    size_t body_bytes = zmq_msg_size(body);
    return zmq_msg_size(&delivery->body) == body_bytes &&
           memcmp(zmq_msg_data((zmq_msg_t *)&delivery->body), zmq_msg_data(body), body_bytes) == 0;
}

/* Whether a delivery's gateway is another one than `gateway` and lives. A gateway that was restarted has a new
 * instance and sends the same ids again; its old connection is gone by then, or silent. */
static bool held_by_another(flk_broker_t *broker, const flk_delivery_t *delivery, const flk_gateway_peer_t *gateway) {
    flk_gateway_peer_t *holder = delivery->gateway;
    return holder != gateway && holder->gone_ms == 0 && flk_peer_introduced(&holder->peer) &&
           flk_peer_introduced(&gateway->peer) && !flk_id_equal(&holder->peer.instance, &gateway->peer.instance) &&
           flk_wire_lives(broker, broker->frontend, &holder->peer);
}

/* A submission that is held already. */
static void resubmit(flk_broker_t *broker, flk_delivery_t *delivery, flk_gateway_peer_t *gateway) {
    if (!same_body(delivery, &broker->message.body)) {
        refuse_id(broker, delivery, gateway, "the id is another submission's");
    } else if (held_by_another(broker, delivery, gateway)) {
        refuse_id(broker, delivery, gateway, "another gateway uses this log's ids");
    } else {
        move(broker, delivery, gateway);
        flk_counter_add(broker->metrics.resubmitted, 1);
    }
}

static void on_submit(flk_broker_t *broker) {
    const flk_id_t *id = &broker->message.frame.id;
    if (zmq_msg_size(&broker->message.body) == 0) {
        flk_counter_add(broker->metrics.malformed, 1);
        return;
    }
    flk_gateway_peer_t *gateway = enter(broker);
    if (gateway == NULL) {
        refuse_submission(broker, "out of memory");
        return;
    }
    flk_delivery_t *delivery = flk_deliveries_find(&broker->deliveries, id);
    if (delivery != NULL) {
        resubmit(broker, delivery, gateway);
        return;
    }
    switch (flk_deliveries_add(&broker->deliveries, id, gateway, &broker->message.body, broker->now_ms, &delivery)) {
    case FLK_OK:
        flk_turns_push(&broker->waiting, delivery);
        flk_counter_add(broker->metrics.submitted, 1);
        break;
    case FLK_E_FULL:
        refuse_submission(broker, "queue full by count");
        break;
    case FLK_E_TOO_LARGE:
        refuse_submission(broker, "queue full by bytes");
        break;
    default:
        refuse_submission(broker, "out of memory");
        break;
    }
}

static void on_ping(flk_broker_t *broker, const flk_peer_t *peer) {
    flk_frame_t pong = {.kind = FLK_PONG, .known = peer != NULL && flk_peer_introduced(peer)};
    flk_wire_say(broker, broker->frontend, &broker->message.route, pong);
}

static void handle(flk_broker_t *broker) {
    flk_peer_t *peer = flk_peers_by_route(&broker->gateways, &broker->message.route);
    if (peer != NULL) {
        flk_wire_heard(broker, peer);
    }
    switch (broker->message.frame.kind) {
    case FLK_HELLO:
        on_hello(broker);
        break;
    case FLK_SUBMIT:
        on_submit(broker);
        break;
    case FLK_PING:
        on_ping(broker, peer);
        break;
    case FLK_PONG:
        break;
    case FLK_GOODBYE:
        if (peer != NULL) {
            flk_wire_forget(broker, (flk_gateway_peer_t *)peer, "goodbye");
        }
        break;
    default:
        flk_counter_add(broker->metrics.unknown, 1);
        break;
    }
}

size_t flk_frontend_turn(flk_broker_t *broker) {
    size_t handled = 0;
    while (handled < FLK_BROKER_BATCH && flk_wire_next(broker, broker->frontend)) {
        handle(broker);
        handled++;
    }
    return handled;
}

/* ---- all gateways ---- */

static void check_life(void *arg, flk_peer_t *peer) {
    flk_broker_t *broker = arg;
    const char *why = flk_wire_why_lost(broker, broker->frontend, peer, false);
    if (why != NULL) {
        flk_wire_forget(broker, (flk_gateway_peer_t *)peer, why);
    }
}

void flk_frontend_tick(flk_broker_t *broker) {
    flk_peers_each(&broker->gateways, check_life, broker);
}

static void put_out(void *arg, flk_peer_t *peer) {
    flk_wire_forget(arg, (flk_gateway_peer_t *)peer, "its key was removed");
}

void flk_frontend_judge(flk_broker_t *broker) {
    flk_peers_judge(&broker->gateways, broker->zap, broker->frontend, put_out, broker);
}

static void say_goodbye(void *arg, flk_peer_t *peer) {
    flk_broker_t *broker = arg;
    flk_wire_say(broker, broker->frontend, &peer->route, (flk_frame_t){.kind = FLK_GOODBYE});
}

void flk_frontend_goodbye(flk_broker_t *broker) {
    flk_peers_each(&broker->gateways, say_goodbye, broker);
}

static void free_peer(void *arg, flk_peer_t *peer) {
    (void)arg;
    free(peer); /* a gateway: its peer is its first member */
}

void flk_frontend_close(flk_broker_t *broker) {
    flk_peers_each(&broker->gateways, free_peer, NULL);
}
