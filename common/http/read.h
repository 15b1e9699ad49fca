/* SPDX-License-Identifier: MIT */
/* Reads requests off a connection: the head before a handler has it, its body, and the rest when the connection ends.
 * The connection's thread. */
#ifndef FLK_COMMON_HTTP_READ_H
#define FLK_COMMON_HTTP_READ_H

#include <sys/types.h>

#include "common/http/connections.h"

/* As recv without waiting. */
ssize_t flk_http_receive_now(int fd, void *out, size_t room);

/* Reads the next head, or bytes that must be refused in its place. False: the connection is over. Blocks. */
FLK_MUST_CHECK bool flk_http_read_head(flk_http_connection_t *connection);

/* As flk_http_request_body. */
FLK_MUST_CHECK flk_err_t flk_http_read_body(flk_http_connection_t *connection, char *out, size_t room, size_t *got);

/* Whether the connection must be closed behind the answer. */
bool flk_http_request_closes(const flk_http_request_t *request);

#endif
