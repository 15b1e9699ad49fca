/* SPDX-License-Identifier: MIT */
/* The links to the brokers: pending submissions go out, verdicts come in. Relay thread, but for _linked. */
#ifndef FLK_GATEWAY_BROKERS_H
#define FLK_GATEWAY_BROKERS_H

#include "gateway/relay.h"
#include "proto/uplink.h"

typedef struct flk_brokers flk_brokers_t; /* Opaque; fields are commented in brokers.c. */

/* Makes the links that FLK_FRONTENDS names. Errors: FLK_E_CONFIG with the reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_brokers_init(flk_relay_t *relay, char *errmsg);
void flk_brokers_fini(flk_relay_t *relay);
FLK_MUST_CHECK size_t flk_brokers_receive(flk_relay_t *relay); /* messages taken */
void flk_brokers_tick(flk_relay_t *relay);
void flk_brokers_dispatch(flk_relay_t *relay); /* sends pending submissions, as credit allows */

/* Adds the sockets to poll; returns the number of items: FLK_BROKERS_MAX at most. */
FLK_MUST_CHECK int flk_brokers_poll(const flk_brokers_t *brokers, zmq_pollitem_t *items);
bool flk_brokers_linked(const flk_brokers_t *brokers); /* one is up; any thread */
/* … or was within the last `ms`; any thread. */
bool flk_brokers_were_linked(const flk_brokers_t *brokers, uint64_t ms);

#endif
