/* SPDX-License-Identifier: MIT */
/* Frames in and out of the broker's two sockets, liveness of the peers behind them, answers to gateways. The loop's
 * thread. */
#ifndef FLK_BROKER_WIRE_H
#define FLK_BROKER_WIRE_H

#include "broker/state.h"

/* Receives into broker->message until a message is fit to be handled, by its form and its sender; counts the others.
 * False: none is there. */
bool flk_wire_next(flk_broker_t *broker, void *socket);
/* Sends PING, PONG, WELCOME or GOODBYE and fills in the broker's instance. False: the route leads nowhere. */
bool flk_wire_say(flk_broker_t *broker, void *socket, const flk_route_t *route, flk_frame_t frame);

/* Notes a frame of the peer's own. */
void flk_wire_heard(flk_broker_t *broker, flk_peer_t *peer);
/* Sends the PING that is due, and returns the reason when the peer is lost: silent for too long, or its route is
 * gone. NULL: it is there. A peer that owes an answer is asked ten times as often, so that a killed process is found
 * before its heartbeats are missed. */
const char *flk_wire_why_lost(flk_broker_t *broker, void *socket, flk_peer_t *peer, bool owes_answer);

/* Whether the peer was heard within the last two heartbeats and its route still leads somewhere: it is sent a PING. */
bool flk_wire_lives(flk_broker_t *broker, void *socket, flk_peer_t *peer);

/* Sends a delivery's answer to its gateway and fills in the submission's id. `body` may be NULL; it is moved when
 * sent. */
void flk_wire_answer(flk_broker_t *broker, const flk_delivery_t *delivery, flk_frame_t frame, zmq_msg_t *body);
/* Takes a gateway, whose route leads nowhere any more, off the table. Frees it with its last delivery. */
void flk_wire_forget(flk_broker_t *broker, flk_gateway_peer_t *gateway, const char *why);

#endif
