/* SPDX-License-Identifier: MIT */
/* Refuses requests whose framing two servers could read in two ways, before a handler acts on them: one that a proxy in
 * front reads otherwise than we do could carry a second request past it (RFC 9112, sections 2.2, 5.1, 5.2, 6.1, 6.3 and
 * 11.2). */
#ifndef FLK_COMMON_HTTP_GUARD_H
#define FLK_COMMON_HTTP_GUARD_H

struct mg_connection;

/* Called as civetweb's begin_request is: 0 lets the request pass; otherwise it was answered with this status, and the
 * connection closes, so that what follows on it is never read as a request. */
int flk_http_guard(struct mg_connection *connection);

#endif
