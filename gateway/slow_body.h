/* SPDX-License-Identifier: MIT */
/* Cuts off clients whose body takes longer than its deadline. civetweb's read of a body goes on for as long as a byte
 * comes now and then, and its thread with it; it does not tell the socket either. So a thread that reads a body says so
 * here, and one watching thread finds the sockets of those that are late, by their two ends, and ends their reading. */
#ifndef FLK_GATEWAY_SLOW_BODY_H
#define FLK_GATEWAY_SLOW_BODY_H

#include "common/err.h"

typedef struct flk_slow_body flk_slow_body_t; /* Opaque; fields are commented in slow_body.c. */
typedef struct flk_body_slot flk_body_slot_t;

/* Starts the watching thread, for at most bodies_max bodies at once on connections to `port` of this process. Start-up
 * allocation. Errors: FLK_E_NOMEM (no thread). */
FLK_MUST_CHECK flk_err_t flk_slow_body_start(unsigned bodies_max, int port, uint64_t deadline_ms,
                                             flk_slow_body_t **watch, char *errmsg);
/* When no body is being read any more. NULL is allowed. */
void flk_slow_body_stop(flk_slow_body_t **watch);

/* Around the reading of one body; `peer` (numeric, as civetweb gives it) and `peer_port` are the client's. Any thread; a
 * few atomic operations. The connection must not be closed before _end. NULL, which _end allows, above bodies_max. */
flk_body_slot_t *flk_slow_body_begin(flk_slow_body_t *watch, const char *peer, int peer_port);
void flk_slow_body_end(flk_body_slot_t *slot);

#endif
