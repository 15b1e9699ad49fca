/* SPDX-License-Identifier: MIT */
/* Stands between civetweb and its sockets, so that it never reads a byte that a client sent.
 *
 * civetweb has no way to be given a connection, its bytes or its address. But it is a shared library, and calls recv,
 * poll and accept by their names: a program that links this file defines them, in front of libc's. In every thread
 * but civetweb's own, and there for everything but reading a connection, they do the same as libc's.
 *   recv    in a worker, on its connection: reads and judges a request (http/request.h), then gives civetweb a
 *           constant head that says nothing but "a request". So one parser reads requests, and it is ours
 *   poll    in a worker, before that recv: ready at once; the recv waits
 *   accept  in the accepting thread: hides the client's address, for which a civetweb without IPv6 has no room
 *
 * Were the hooks not in force, no request would be served: the server answers only requests that they read. */
#ifndef FLK_COMMON_HTTP_HOOKS_H
#define FLK_COMMON_HTTP_HOOKS_H

#include "common/http/connections.h"

/* The connection that this thread of civetweb reads; NULL: none, and its calls are libc's. */
void flk_http_hooks_read(flk_http_connection_t *connection);
/* This thread is the one of civetweb that accepts. */
void flk_http_hooks_accept(void);

#endif
