/* SPDX-License-Identifier: MIT */
/* Which client it is, for bounds per client: an IPv4 address, or the /64 that an IPv6 client usually has to itself. */
#ifndef FLK_COMMON_HTTP_PEER_H
#define FLK_COMMON_HTTP_PEER_H

#include "common/base.h"

typedef struct flk_http_peer {
    uint8_t bytes[16]; /* IPv4 as ::ffff:a.b.c.d; of IPv6 the first 8 bytes, then zeros */
} flk_http_peer_t;

/* The far end of a TCP socket. False: it is gone. */
FLK_MUST_CHECK bool flk_http_peer_of(int fd, flk_http_peer_t *peer);

/* The last address of X-Forwarded-For, which is the one that the proxy in front of this door saw; in brackets and
 * with a port or without. False: that is no address. */
FLK_MUST_CHECK bool flk_http_peer_forwarded(const char *value, flk_http_peer_t *peer);

bool flk_http_peer_equal(const flk_http_peer_t *a, const flk_http_peer_t *b);

#endif
