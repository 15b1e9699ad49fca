/* SPDX-License-Identifier: MIT */
/* The sockets that a server listens on. They are ours, since civetweb as Debian builds it knows no IPv6: each takes
 * the place of one that civetweb opened, under the same descriptor. The thread that starts the server. */
#ifndef FLK_COMMON_HTTP_LISTENER_H
#define FLK_COMMON_HTTP_LISTENER_H

#include "common/listen.h"

enum { FLK_HTTP_LISTENERS_MAX = 8 };

typedef struct flk_http_listener {
    int fds[FLK_HTTP_LISTENERS_MAX];
    unsigned fds_len;
    unsigned port; /* the one bound, the same for all */
} flk_http_listener_t;

/* Its form, before anything is opened. Errors: FLK_E_CONFIG, as _open. */
FLK_MUST_CHECK flk_err_t flk_http_listener_check(const char *text, char *errmsg);

/* Opens a socket for each address of the host: for every address one that takes IPv4 and IPv6, or IPv4 where there is
 * no IPv6. Errors: as flk_err_of_listen, with "cannot listen on HOST:PORT: …". Caller frees with
 * flk_http_listener_close. */
FLK_MUST_CHECK flk_err_t flk_http_listener_open(const char *text, flk_http_listener_t *listener, char *errmsg);

/* Puts the n-th socket in the place of the listening socket on 127.0.0.1:ports[n], which no thread polls yet. The
 * descriptor is civetweb's to close from now on. Errors: FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_http_listener_replace(flk_http_listener_t *listener, const unsigned *ports, char *errmsg);

/* No connection comes in any more, and a thread that polls the sockets wakes up. */
void flk_http_listener_stop(flk_http_listener_t *listener);
/* Those that were not put in another's place. */
void flk_http_listener_close(flk_http_listener_t *listener);

#endif
