/* SPDX-License-Identifier: MIT */
/* Gateways: HELLO is answered by WELCOME with credit; SUBMIT goes behind what its gateway submitted before; its answer goes back over
 * the route that it, or its last repetition, came from.
 *
 * What goes wrong: a full queue is BUSY at once. A submission that is held already is not queued again: the gateway lost
 * sight of it, and only the way back changes. A gateway that is gone keeps what it submitted in its log; what is queued for it
 * here still runs for 60 heartbeats, since its repetition will find the outcome in the store. One that never introduced itself, or
 * did so to an earlier broker, is served all the same and told by PONG to do it. */
#include <stdlib.h>

#include "broker/state.h"
#include "common/log.h"

/* The sender; entered when it is new. NULL: out of memory. */
static flk_gateway_t *enter(flk_broker_t *broker) {
    flk_gateway_t *gateway = (flk_gateway_t *)flk_peers_by_route(&broker->gateways, &broker->message.route);
    if (gateway == NULL) {
        gateway = calloc(1, sizeof *gateway);
        if (gateway == NULL) {
            return NULL;
        }
        gateway->peer.route = broker->message.route;
        snprintf(gateway->peer.user, sizeof gateway->peer.user, "%s", flk_zap_user(&broker->message));
        flk_peers_add(&broker->gateways, &gateway->peer, broker->now_ms);
    }
    flk_broker_heard(broker, &gateway->peer);
    return gateway;
}

/* Its route leads nowhere from now on. */
static void forget(flk_broker_t *broker, flk_gateway_t *gateway, const char *why) {
    flk_log(FLK_LOG_INFO, "gateway_gone", FLK_S("gateway", gateway->peer.name), FLK_S("why", why),
            FLK_U("deliveries", gateway->deliveries));
    flk_peers_remove(&broker->gateways, &gateway->peer);
    gateway->gone_ms = broker->now_ms;
    if (gateway->deliveries == 0) {
        free(gateway);
    }
}

static void on_hello(flk_broker_t *broker) {
    const flk_frame_t *frame = &broker->message.frame;
    flk_gateway_t *gateway = enter(broker);
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
    flk_broker_say(broker, broker->frontend, &broker->message.route, welcome);
}

static void refuse(flk_broker_t *broker, const char *reason) {
    flk_frame_t busy = {.kind = FLK_BUSY, .id = broker->message.frame.id, .retry_ms = FLK_BROKER_BUSY_RETRY_MS};
    snprintf(busy.name, sizeof busy.name, "%s", reason);
    if (flk_link_send(broker->frontend, &broker->message.route, &busy, NULL) != FLK_OK) {
        flk_counter_add(broker->stats.dropped_answers, 1);
    }
    flk_counter_add(broker->stats.busy, 1);
}

/* From now on its answer, and its turn, are another gateway's. */
static void move(flk_broker_t *broker, flk_delivery_t *delivery, flk_gateway_t *gateway) {
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

static void on_submit(flk_broker_t *broker) {
    const flk_id_t *id = &broker->message.frame.id;
    if (zmq_msg_size(&broker->message.body) == 0) {
        flk_counter_add(broker->stats.malformed, 1);
        return;
    }
    flk_gateway_t *gateway = enter(broker);
    if (gateway == NULL) {
        refuse(broker, "out of memory");
        return;
    }
    flk_delivery_t *delivery = flk_deliveries_find(&broker->deliveries, id);
    if (delivery != NULL) {
        move(broker, delivery, gateway);
        flk_counter_add(broker->stats.resubmitted, 1);
        return;
    }
    switch (flk_deliveries_add(&broker->deliveries, id, gateway, &broker->message.body, broker->now_ms, &delivery)) {
    case FLK_OK:
        flk_turns_push(&broker->waiting, delivery);
        flk_counter_add(broker->stats.submitted, 1);
        break;
    case FLK_E_FULL:
        refuse(broker, "queue full by count");
        break;
    case FLK_E_TOO_LARGE:
        refuse(broker, "queue full by bytes");
        break;
    default:
        refuse(broker, "out of memory");
        break;
    }
}

static void on_ping(flk_broker_t *broker, const flk_peer_t *peer) {
    flk_frame_t pong = {.kind = FLK_PONG, .known = peer != NULL && flk_peer_introduced(peer)};
    flk_broker_say(broker, broker->frontend, &broker->message.route, pong);
}

static void handle(flk_broker_t *broker) {
    flk_peer_t *peer = flk_peers_by_route(&broker->gateways, &broker->message.route);
    if (peer != NULL) {
        flk_broker_heard(broker, peer);
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
            forget(broker, (flk_gateway_t *)peer, "goodbye");
        }
        break;
    default:
        flk_counter_add(broker->stats.unknown, 1);
        break;
    }
}

size_t flk_frontend_turn(flk_broker_t *broker) {
    size_t handled = 0;
    while (handled < FLK_BROKER_BATCH && flk_broker_next(broker, broker->frontend)) {
        handle(broker);
        handled++;
    }
    return handled;
}

void flk_frontend_answer(flk_broker_t *broker, const flk_delivery_t *delivery, flk_frame_t frame, zmq_msg_t *body) {
    flk_gateway_t *gateway = delivery->gateway;
    frame.id = delivery->id;
    frame.delivery = 0;
    if (gateway->gone_ms != 0) {
        flk_counter_add(broker->stats.dropped_answers, 1);
    } else if (flk_link_send(broker->frontend, &gateway->peer.route, &frame, body) != FLK_OK) {
        flk_counter_add(broker->stats.dropped_answers, 1);
        forget(broker, gateway, "connection gone");
    }
}

void flk_frontend_tick(flk_broker_t *broker) {
    flk_peer_t *next;
    for (flk_peer_t *peer = broker->gateways.first; peer != NULL; peer = next) {
        next = peer->next;
        const char *why = flk_broker_why_lost(broker, broker->frontend, peer, false);
        if (why != NULL) {
            forget(broker, (flk_gateway_t *)peer, why);
        }
    }
}

void flk_frontend_judge(flk_broker_t *broker) {
    flk_peer_t *next;
    for (flk_peer_t *peer = broker->gateways.first; peer != NULL; peer = next) {
        next = peer->next;
        if (!flk_zap_keeps(broker->zap, broker->frontend, peer->user)) {
            forget(broker, (flk_gateway_t *)peer, "its key was removed");
        }
    }
}

void flk_frontend_goodbye(flk_broker_t *broker) {
    for (flk_peer_t *peer = broker->gateways.first; peer != NULL; peer = peer->next) {
        flk_broker_say(broker, broker->frontend, &peer->route, (flk_frame_t){.kind = FLK_GOODBYE});
    }
}

void flk_frontend_close(flk_broker_t *broker) {
    flk_peer_t *next;
    for (flk_peer_t *peer = broker->gateways.first; peer != NULL; peer = next) {
        next = peer->next;
        free(peer); /* a gateway: its peer is its first member */
    }
}
