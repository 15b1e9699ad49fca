/* SPDX-License-Identifier: MIT */
/* The watch: one thread a server. Each 100 ms, while a connection is open, it looks after the exchanges that wait for
 * their answer or for a slow reader, and ends the connections whose phase has lasted too long (http/connections.h).
 * It sleeps while none is open. */
#ifndef FLK_COMMON_HTTP_WATCH_H
#define FLK_COMMON_HTTP_WATCH_H

#include "common/http/connections.h"

/* Errors: FLK_E_NOMEM (no thread). */
FLK_MUST_CHECK flk_err_t flk_http_watch_start(flk_http_connections_t *connections, char *errmsg);
/* When it was started, and the server has stopped. */
void flk_http_watch_stop(flk_http_connections_t *connections);

#endif
