/* SPDX-License-Identifier: MIT */
/* Cuts off clients whose body takes longer than its deadline, or comes slower than it must. civetweb's read of a body goes on for as long as a byte
 * comes now and then, and its thread with it; it does not tell the socket either. So a thread that reads a body says so
 * here, and one watching thread finds the sockets of those that are late, by their two ends, and ends their reading. */
#ifndef FLK_GATEWAY_SLOW_BODY_H
#define FLK_GATEWAY_SLOW_BODY_H

#include "common/err.h"

typedef struct flk_slow_body flk_slow_body_t; /* Opaque; fields are commented in slow_body.c. */
typedef struct flk_body_slot flk_body_slot_t;

/* True while slow clients keep others waiting. Any thread. */
typedef bool flk_slow_body_pressed_fn(const void *arg);

typedef struct flk_slow_body_options {
    unsigned bodies_max;  /* watched at once */
    int port;             /* of this process, that they come to */
    uint64_t deadline_ms; /* for a whole body */
    uint64_t grace_ms;   /* for its first byte; each byte that came gives it 1 / bytes_per_ms more, up to deadline_ms */
    uint64_t pressed_ms; /* less of that while pressed */
    uint64_t bytes_per_ms;
    flk_slow_body_pressed_fn *pressed; /* NULL = never */
    const void *arg;
} flk_slow_body_options_t;

/* Starts the watching thread. Start-up allocation. Errors: FLK_E_NOMEM (no thread). */
FLK_MUST_CHECK flk_err_t flk_slow_body_start(const flk_slow_body_options_t *options, flk_slow_body_t **watch,
                                             char *errmsg);
/* `pressed` is not called any more when this returns, nor later: whom it asks may end before the bodies do. NULL is allowed. */
void flk_slow_body_relax(flk_slow_body_t *watch);
/* When no body is being read any more. NULL is allowed. */
void flk_slow_body_stop(flk_slow_body_t **watch);

/* Around the reading of one body; `peer` (numeric, as civetweb gives it) and `peer_port` are the client's. Any thread; a
 * few atomic operations. The connection must not be closed before _end. NULL, which _end allows, above bodies_max. */
flk_body_slot_t *flk_slow_body_begin(flk_slow_body_t *watch, const char *peer, int peer_port);
/* `bytes` of the body came so far; slot NULL is allowed. */
void flk_slow_body_progress(flk_slow_body_t *watch, flk_body_slot_t *slot, size_t bytes);
void flk_slow_body_end(flk_body_slot_t *slot);

#endif
