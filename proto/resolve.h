/* SPDX-License-Identifier: MIT */
/* Host names of links become addresses beside the loops. libzmq would call getaddrinfo in the one I/O thread that
 * serves all links: a name server that does not answer blocks it for seconds, and with it the links to healthy peers.
 * So a name is looked up in a thread of its own, one at a time for each name, and libzmq is given addresses only. Any
 * thread may call; none waits. */
#ifndef FLK_PROTO_RESOLVE_H
#define FLK_PROTO_RESOLVE_H

#include "common/err.h"

enum {
    FLK_HOST_BYTES = 256,
    FLK_ADDRESSES_MAX = 8,       /* of one name that are kept */
    FLK_ADDRESS_BYTES = 64,      /* "192.0.2.1", "[2001:db8::1]" */
    FLK_RESOLVE_AGAIN_MS = 1000, /* how long an answer, or the lack of one, is not asked for again */
};

typedef struct flk_addresses {
    size_t len; /* at least 1 */
    char text[FLK_ADDRESSES_MAX][FLK_ADDRESS_BYTES];
} flk_addresses_t;

/* Splits tcp://HOST:PORT. True: HOST is a name, which is written to `host`; `port` borrows from `endpoint`. False:
 * HOST is an address, or the endpoint is of another kind, which libzmq reads itself. */
bool flk_resolve_is_name(const char *endpoint, char host[FLK_HOST_BYTES], const char **port);

/* Fills in the known addresses of `host`, perhaps from an earlier look-up, and starts a new one when the last one is
 * older than FLK_RESOLVE_AGAIN_MS. FLK_E_AGAIN: nothing is known yet. FLK_E_UNAVAILABLE: nothing is known, and errmsg
 * says why the last one failed. */
FLK_MUST_CHECK flk_err_t flk_resolve(const char *host, uint64_t now_ms, flk_addresses_t *addresses, char *errmsg);

#endif
