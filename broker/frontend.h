/* SPDX-License-Identifier: MIT */
/* The broker's side towards gateways. The loop's thread. */
#ifndef FLK_BROKER_FRONTEND_H
#define FLK_BROKER_FRONTEND_H

#include "broker/state.h"

size_t flk_frontend_turn(flk_broker_t *broker);  /* handles a batch of frames; returns its size */
void flk_frontend_tick(flk_broker_t *broker);    /* sends PINGs that are due, drops gateways that are lost */
void flk_frontend_judge(flk_broker_t *broker);   /* Forgets the gateways whose key was removed. */
void flk_frontend_goodbye(flk_broker_t *broker); /* to all */
void flk_frontend_close(flk_broker_t *broker);   /* frees the gateways; no delivery may be left */

#endif
