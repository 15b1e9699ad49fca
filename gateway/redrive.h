/* SPDX-License-Identifier: MIT */
/* Un-acked records of the inbox get their verdict without a client's help. Relay thread. */
#ifndef FLK_GATEWAY_REDRIVE_H
#define FLK_GATEWAY_REDRIVE_H

#include "gateway/relay.h"

FLK_MUST_CHECK flk_err_t flk_redrive_init(flk_relay_t *relay); /* FLK_E_NOMEM */
void flk_redrive_fini(flk_relay_t *relay);                     /* before the inbox is closed */
void flk_redrive_tick(flk_relay_t *relay, bool linked); /* takes some records, if it may; `linked`: to a broker */
void flk_redrive_trouble(flk_relay_t *relay, uint32_t retry_ms); /* a 503-class answer: rest, longer each time */
void flk_redrive_progress(flk_relay_t *relay);                   /* a verdict: no more trouble */

#endif
