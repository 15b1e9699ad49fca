/* SPDX-License-Identifier: MIT */
/* The broker's side towards workers. The loop's thread. */
#ifndef FLK_BROKER_BACKEND_H
#define FLK_BROKER_BACKEND_H

#include "broker/state.h"

size_t flk_backend_turn(flk_broker_t *broker); /* handles a batch of frames; returns its size */
void flk_backend_tick(flk_broker_t *broker);   /* sends PINGs that are due, drops workers that are lost */
void flk_backend_judge(
    flk_broker_t *broker); /* Loses the workers whose key was removed; their deliveries are not blamed. */
void flk_backend_goodbye(flk_broker_t *broker); /* to all */
void flk_backend_close(flk_broker_t *broker);   /* frees the workers; no delivery may be left */

#endif
