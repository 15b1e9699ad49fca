/* SPDX-License-Identifier: MIT */
/* Everything goes through here: a message that cannot be read, or whose sender may not speak, is counted and passed
 * over. A peer whose route is gone is noticed at the next frame to it. */
#include "broker/wire.h"

#include <stdlib.h>

#include "common/log.h"

bool flk_wire_next(flk_broker_t *broker, void *socket) {
    for (int skipped = 0; skipped < FLK_BROKER_BATCH; skipped++) {
        flk_err_t err = flk_link_recv(socket, true, &broker->message, NULL);
        if ((err == FLK_OK || err == FLK_E_INVALID || err == FLK_E_NOT_FOUND) &&
            !flk_zap_admits(broker->zap, socket, &broker->message)) {
            continue;
        }
        switch (err) {
        case FLK_OK:
            return true;
        case FLK_E_INVALID:
            flk_counter_add(broker->metrics.malformed, 1);
            break;
        case FLK_E_NOT_FOUND:
            flk_counter_add(broker->metrics.unknown, 1);
            break;
        default:
            return false;
        }
    }
    return false;
}

bool flk_wire_say(flk_broker_t *broker, void *socket, const flk_route_t *route, flk_frame_t frame) {
    frame.id = broker->instance;
    return flk_link_send(socket, route, &frame, NULL) == FLK_OK;
}

void flk_wire_heard(flk_broker_t *broker, flk_peer_t *peer) {
    peer->heard_ms = peer->own_ms = broker->now_ms;
}

bool flk_wire_lives(flk_broker_t *broker, void *socket, flk_peer_t *peer) {
    enum { PERIODS = 2 };
    return broker->now_ms - peer->heard_ms <= (uint64_t)broker->heartbeat_ms * PERIODS &&
           flk_wire_say(broker, socket, &peer->route, (flk_frame_t){.kind = FLK_PING});
}

const char *flk_wire_why_lost(flk_broker_t *broker, void *socket, flk_peer_t *peer, bool owes_answer) {
    uint64_t silent_ms = broker->now_ms - peer->heard_ms;
    if (silent_ms > (uint64_t)broker->heartbeat_ms * FLK_BROKER_MISSES) {
        return "silent";
    }
    uint64_t ping_ms = owes_answer && silent_ms >= broker->tick_ms ? broker->tick_ms : broker->heartbeat_ms;
    if (broker->now_ms - peer->pinged_ms < ping_ms) {
        return NULL;
    }
    peer->pinged_ms = broker->now_ms;
    bool there = flk_wire_say(broker, socket, &peer->route, (flk_frame_t){.kind = FLK_PING});
    return there ? NULL : "connection gone";
}

void flk_wire_forget(flk_broker_t *broker, flk_gateway_peer_t *gateway, const char *why) {
    flk_log(FLK_LOG_INFO, "gateway_gone", FLK_S("gateway", gateway->peer.name), FLK_S("why", why),
            FLK_U("deliveries", gateway->deliveries));
    flk_peers_remove(&broker->gateways, &gateway->peer);
    gateway->gone_ms = broker->now_ms;
    if (gateway->deliveries == 0) {
        free(gateway);
    }
}

void flk_wire_answer(flk_broker_t *broker, const flk_delivery_t *delivery, flk_frame_t frame, zmq_msg_t *body) {
    flk_gateway_peer_t *gateway = delivery->gateway;
    frame.id = delivery->id;
    frame.delivery = 0;
    if (gateway->gone_ms != 0) {
        flk_counter_add(broker->metrics.dropped_answers, 1);
    } else if (flk_link_send(broker->frontend, &gateway->peer.route, &frame, body) != FLK_OK) {
        flk_counter_add(broker->metrics.dropped_answers, 1);
        flk_wire_forget(broker, gateway, "connection gone");
    }
}
