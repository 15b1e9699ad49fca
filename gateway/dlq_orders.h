/* SPDX-License-Identifier: MIT */
/* Orders from flk-replay dlq to a running gateway: a file in DATA_DIR/dlq that the relay picks up. Relay thread only.
 *
 * The file: a line "replay" or "purge", the LSNs of dead letters in rising order, a line each, and a line "end". It is made whole
 * under another name and linked into place, so that two orders do not meet; it is gone when it was carried out. */
#ifndef FLK_GATEWAY_DLQ_ORDERS_H
#define FLK_GATEWAY_DLQ_ORDERS_H

#include "gateway/submission.h"

#define FLK_ORDER_NAME "order"

typedef struct flk_orders flk_orders_t; /* Opaque; fields are commented in orders.c. */
struct flk_relay;

FLK_MUST_CHECK flk_err_t flk_orders_init(struct flk_relay *relay, char *errmsg); /* FLK_E_CONFIG */
void flk_orders_fini(struct flk_relay *relay);
void flk_orders_look(struct flk_relay *relay); /* each second: is there one? */
void flk_orders_tick(struct flk_relay *relay); /* some letters of the one that is being carried out */
/* A letter that was put back is in the inbox, or could not be made durable there (entry.err). */
void flk_orders_arrived(struct flk_relay *relay, flk_submission_t *submission);

#endif
