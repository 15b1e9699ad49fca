/* SPDX-License-Identifier: MIT */
/* Hands deliveries to workers, and takes them back from workers that are lost. The loop's thread. */
#ifndef FLK_BROKER_DISPATCH_H
#define FLK_BROKER_DISPATCH_H

#include "broker/state.h"

/* Hands out waiting deliveries while workers have credit. Returns how many; 0 when no more can be handed out. */
size_t flk_dispatch(flk_broker_t *broker);

/* Takes a waiting delivery off its queue. */
void flk_dispatch_unqueue(flk_broker_t *broker, flk_delivery_t *delivery);
/* Whether a delivery waits in the turns of its gateway: not among the suspects, not in a worker's hand. */
bool flk_dispatch_in_turns(const flk_delivery_t *delivery);
/* Takes a delivery out of its worker's hand. */
void flk_dispatch_release(flk_broker_t *broker, flk_delivery_t *delivery);

/* Gives a worker that was set aside for suspects back to the roster. */
void flk_dispatch_unreserve(flk_broker_t *broker, flk_worker_peer_t *worker);
/* Frees a worker that holds nothing. */
void flk_dispatch_drop(flk_broker_t *broker, flk_worker_peer_t *worker);
/* Frees a worker; its deliveries wait again, in order, before all others. With `blame` each of them counts a loss:
 * one may have been the cause. */
void flk_dispatch_lose(flk_broker_t *broker, flk_worker_peer_t *worker, bool blame, const char *why);

#endif
