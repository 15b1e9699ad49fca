/* SPDX-License-Identifier: MIT */
/* The text of an address to listen on, as FLK_HTTP_LISTEN and FLK_ADMIN_LISTEN have it. Any thread. */
#ifndef FLK_COMMON_LISTEN_H
#define FLK_COMMON_LISTEN_H

#include "common/err.h"

enum { FLK_LISTEN_HOST_BYTES = 256, FLK_LISTEN_TEXT_BYTES = FLK_LISTEN_HOST_BYTES + 16 };

typedef struct flk_listen {
    char host[FLK_LISTEN_HOST_BYTES]; /* an address without brackets, or a name; "" = every address, IPv4 and IPv6 */
    uint16_t port;                    /* 0 = a free one */
} flk_listen_t;

/* Reads "127.0.0.1:8080", "[::1]:8080", "localhost:8080", "NAME:8080"; ":8080", "*:8080" and "8080" mean every
 * address. Resolves nothing. Errors: FLK_E_CONFIG with the reason, without the text, in errmsg. */
FLK_MUST_CHECK flk_err_t flk_listen_parse(const char *text, flk_listen_t *listen, char *errmsg);

/* Whether only this host can connect. False for a name other than localhost. */
bool flk_listen_is_loopback(const flk_listen_t *listen);

/* "host:port" with `port` for the one that was asked for, which may have been 0. */
void flk_listen_print(const flk_listen_t *listen, unsigned port, char text[FLK_LISTEN_TEXT_BYTES]);

#endif
