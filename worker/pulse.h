/* SPDX-License-Identifier: MIT */
/* The thread that keeps a worker process alive in its brokers' eyes while its verify threads are held by the store:
 * its own DEALER to each broker sends a PING that names all of them, each period. It never introduces itself as a
 * worker. A thread that began no turn for vouch_ms is no longer vouched for: the broker gives its deliveries to
 * others. */
#ifndef FLK_WORKER_PULSE_H
#define FLK_WORKER_PULSE_H

#include "worker/loop.h"

typedef struct flk_pulse flk_pulse_t; /* Opaque. */

/* Starts the thread; options as of the loops. `loops` is borrowed until flk_pulse_stop. Errors: FLK_E_CONFIG,
 * FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_pulse_start(const flk_loop_options_t *options, flk_loop_t *const *loops, size_t loops_len,
                                         flk_pulse_t **pulse, char *errmsg);
void flk_pulse_stop(flk_pulse_t **pulse);

#endif
