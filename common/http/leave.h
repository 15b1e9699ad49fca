/* SPDX-License-Identifier: MIT */
/* How a connection ends so that its client notices no more than it must. The connection's thread. */
#ifndef FLK_COMMON_HTTP_LEAVE_H
#define FLK_COMMON_HTTP_LEAVE_H

#include "common/http/connections.h"

/* Half-closes and reads on for a bounded time and amount, until the client closes too. `was_told`: the last answer said
 * that the connection ends. The socket is still to be closed. */
void flk_http_leave(flk_http_connection_t *connection, bool was_told);

#endif
