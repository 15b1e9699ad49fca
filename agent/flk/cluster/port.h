/* SPDX-License-Identifier: MIT */
/* TCP addresses as settings spell them: is one free, and where would a client on this host connect to? */
#ifndef FLK_AGENT_FLK_CLUSTER_PORT_H
#define FLK_AGENT_FLK_CLUSTER_PORT_H

#include "common/err.h"

/* Tries to bind `address` ("host:port", "tcp://host:port", host may be * or 0.0.0.0) and lets it go again. FLK_OK:
 * free, or not TCP ("off", ipc://…). FLK_E_LOCKED: in use; FLK_E_CONFIG: no address. Both with a line in errmsg. */
FLK_MUST_CHECK flk_err_t flk_port_check(const char *address, char *errmsg);

/* Connects to `address` ("host:port", "scheme://host[:port][/path]"; http and https have their ports) and hangs up
 * again. Blocks up to timeout_ms, and for the name's look-up. ipc:// endpoints must be there. Errors:
 * FLK_E_UNAVAILABLE, FLK_E_INVALID, with a line in errmsg. */
FLK_MUST_CHECK flk_err_t flk_port_reach(const char *address, unsigned timeout_ms, char *errmsg);

/* The first free loopback port from `from` on; 0 when there is none among the next 1000. */
unsigned flk_port_pick(unsigned from);

/* Where a client on this host connects to: "0.0.0.0:80", "*:80", ":80" and "80" -> "127.0.0.1:80", "[::]:80" ->
 * "[::1]:80"; others as they are. */
void flk_port_connectable(const char *address, char *out, size_t out_bytes);

#endif
