/* SPDX-License-Identifier: MIT */
/* Cuts off clients whose body takes longer than its deadline. civetweb's read of a body goes on for as long as a byte comes now
 * and then, and its thread with it; it does not tell the socket either. So a thread that reads a body says so here, and one
 * watching thread finds the sockets of those that are late, by the peer's address, and shuts them down. */
#ifndef FLK_GATEWAY_SLOW_BODY_H
#define FLK_GATEWAY_SLOW_BODY_H

#include "common/err.h"

typedef struct flk_slow_body flk_slow_body_t; /* Opaque; fields are commented in slow_body.c. */
typedef struct flk_body_slot flk_body_slot_t;

/* Starts the watching thread, for at most threads_max reading ones. Start-up allocation. */
FLK_MUST_CHECK flk_err_t flk_slow_body_start(unsigned threads_max, uint64_t deadline_ms, flk_slow_body_t **watch,
                                             char *errmsg);
/* When no thread reads any more. NULL is allowed. */
void flk_slow_body_stop(flk_slow_body_t **watch);

/* Around the reading of one body by the calling thread; `peer` and `port` are the client's. Two atomic operations. */
flk_body_slot_t *flk_slow_body_begin(flk_slow_body_t *watch, const char *peer, int port);
void flk_slow_body_end(flk_body_slot_t *slot);

#endif
