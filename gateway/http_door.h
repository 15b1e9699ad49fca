/* SPDX-License-Identifier: MIT */
/* The HTTP door: POST /v1/pcs/submit and /v1/pcs/batch, and the admin pages, on one server. */
#ifndef FLK_GATEWAY_HTTP_DOOR_H
#define FLK_GATEWAY_HTTP_DOOR_H

#include "common/listen.h"
#include "gateway/gateway.h"

typedef struct flk_http_door flk_http_door_t; /* Opaque. */

/* Listens. The gateway's log and relay must run. Errors: FLK_E_CONFIG with setting and reason in errmsg. */
FLK_MUST_CHECK flk_err_t flk_http_door_start(flk_gateway_t *gateway, flk_http_door_t **door, char *errmsg);
/* Where it listens, with the port that was picked when it was to be 0. */
void flk_http_door_address(const flk_http_door_t *door, char text[FLK_LISTEN_TEXT_BYTES]);
/* From now on each answer is its connection's last. */
void flk_http_door_drain(flk_http_door_t *door);
/* Stops listening and waits for the requests that are being served. NULL is allowed. */
void flk_http_door_stop(flk_http_door_t **door);

#endif
