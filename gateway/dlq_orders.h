/* SPDX-License-Identifier: MIT */
/* Orders from flk-replay dlq to a running gateway: a file in DATA_DIR/dlq (inbox_format.h). Relay thread. */
#ifndef FLK_GATEWAY_DLQ_ORDERS_H
#define FLK_GATEWAY_DLQ_ORDERS_H

#include "gateway/relay.h"

FLK_MUST_CHECK flk_err_t flk_dlq_orders_init(flk_relay_t *relay, char *errmsg); /* FLK_E_CONFIG */
void flk_dlq_orders_fini(flk_relay_t *relay);
void flk_dlq_orders_look(flk_relay_t *relay); /* each second: is there one? */
void flk_dlq_orders_tick(flk_relay_t *relay); /* some dead letters of the one that is being carried out */
/* A dead letter that was replayed is in the inbox, or could not be made durable there (entry.err). */
void flk_dlq_orders_arrived(flk_relay_t *relay, flk_submission_t *submission);

#endif
