/* SPDX-License-Identifier: MIT */
/* The relay: one thread that owns the links to the brokers, the ZeroMQ door and the in-flight table. */
#ifndef FLK_GATEWAY_RELAY_H
#define FLK_GATEWAY_RELAY_H

#include "gateway/submission.h"

typedef struct flk_relay flk_relay_t; /* Opaque; fields are commented in relay_internal.h. */
struct flk_gateway;

/* Binds the ZeroMQ door, makes the links and starts the thread. `gateway` is borrowed until flk_relay_stop. Errors:
 * FLK_E_CONFIG with setting and reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_relay_start(struct flk_gateway *gateway, flk_relay_t **relay, char *errmsg);

/* Ends the thread; after the HTTP door is closed, before the logs are: their last groups go to the arrivals. NULL is
 * allowed. */
void flk_relay_stop(flk_relay_t *relay);
/* After the logs are closed: says GOODBYE, answers 503 to agents that still wait, frees. NULL is allowed. */
void flk_relay_destroy(flk_relay_t **relay);

/* True when a broker is linked, or was within the last `ms`. Any thread. */
bool flk_relay_was_linked(const flk_relay_t *relay, uint64_t ms);
size_t flk_relay_inflight(const flk_relay_t *relay); /* submissions in the table; any thread */

#endif
