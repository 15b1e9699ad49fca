/* SPDX-License-Identifier: MIT */
/* The deliveries that wait for a worker, by gateway: within one gateway first come, first served; among the gateways
 * one delivery each in turn. So a gateway that submits a flood delays itself, and another one waits for one delivery of
 * each at most. Intrusive: no allocation, nothing fails, every operation O(1) but the age. Owned by the loop's
 * thread. */
#ifndef FLK_BROKER_TURNS_H
#define FLK_BROKER_TURNS_H

#include "broker/delivery.h"

typedef struct flk_turns {
    flk_gateway_peer_t *first, *last; /* the gateways for which something waits, by turn */
    uint64_t count;                   /* deliveries that wait */
} flk_turns_t;                        /* all zero: nothing waits */

/* The delivery's gateway must not change while it waits here. */
void flk_turns_push(flk_turns_t *turns, flk_delivery_t *delivery);       /* behind the last of its gateway */
void flk_turns_push_front(flk_turns_t *turns, flk_delivery_t *delivery); /* before the first, and its gateway is next */
void flk_turns_remove(flk_turns_t *turns, flk_delivery_t *delivery);     /* must wait here */
flk_delivery_t *flk_turns_pop(flk_turns_t *turns);                       /* whose turn it is; NULL: nothing waits */
uint64_t flk_turns_oldest_ms(const flk_turns_t *turns); /* when the one came that waits longest; 0: none. O(gateways) */

#endif
