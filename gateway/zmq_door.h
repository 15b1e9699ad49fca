/* SPDX-License-Identifier: MIT */
/* The door for agents, a ROUTER. Relay thread. */
#ifndef FLK_GATEWAY_ZMQ_DOOR_H
#define FLK_GATEWAY_ZMQ_DOOR_H

#include "gateway/relay.h"

/* Binds FLK_ZMQ_LISTEN, unless that is "off". Errors: FLK_E_CONFIG with the reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_zmq_door_init(flk_relay_t *relay, char *errmsg);
void flk_zmq_door_fini(flk_relay_t *relay);                     /* says GOODBYE */
FLK_MUST_CHECK size_t flk_zmq_door_receive(flk_relay_t *relay); /* messages taken */
void flk_zmq_door_judge(flk_relay_t *relay);                    /* each tick: puts out agents whose key is gone */
void flk_zmq_door_sweep(flk_relay_t *relay);                    /* each second: forgets agents that are gone */

/* Adds the socket to poll; returns the number of items: one at most. */
FLK_MUST_CHECK int flk_zmq_door_poll(const flk_relay_t *relay, zmq_pollitem_t *items);

#endif
