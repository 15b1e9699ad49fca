/* SPDX-License-Identifier: MIT */
/* The pages that every daemon has: /healthz, /health, /readyz, /metrics. They have a server of their own (broker,
 * worker) or are routes of another one (gateway). The first three are 503 while a loop of the process has not turned
 * for too long (common/beat.h). */
#ifndef FLK_COMMON_HTTP_ADMIN_H
#define FLK_COMMON_HTTP_ADMIN_H

#include "common/err.h"
#include "common/http/server.h"
#include "common/metrics.h"

typedef struct flk_admin flk_admin_t; /* Opaque. */

/* Fills `why` (not NULL, FLK_ERRMSG_BYTES) when it returns false. Any thread. */
typedef bool flk_admin_ready_fn(void *arg, char *why);

typedef struct flk_admin_options {
    flk_metrics_t *metrics;
    flk_admin_ready_fn *ready;
    void *ready_arg;
    const char *user, *pass; /* Basic Auth for /metrics; both "" = open. Compared in constant time. Copied. */
} flk_admin_options_t;

/* The form of an address or "off", before anything is opened. Errors: FLK_E_CONFIG, as flk_admin_start. */
FLK_MUST_CHECK flk_err_t flk_admin_check(const char *listen, char *errmsg);

/* Starts a server with the pages; "off" gives FLK_OK and NULL. Errors: FLK_E_CONFIG "cannot listen on HOST:PORT: …".
 * Caller frees with flk_admin_stop. */
FLK_MUST_CHECK flk_err_t flk_admin_start(const char *listen, const flk_admin_options_t *options, flk_admin_t **admin,
                                         char *errmsg);

/* For a server that has routes of its own: the pages, to be copied into its options. Stop that server before
 * flk_admin_stop. Errors: FLK_E_NOMEM. */
enum { FLK_ADMIN_ROUTES = 4 };
FLK_MUST_CHECK flk_err_t flk_admin_new(const flk_admin_options_t *options, flk_admin_t **admin);
void flk_admin_routes(flk_admin_t *admin, flk_http_route_t routes[FLK_ADMIN_ROUTES]);

/* Whether a request has the user and password of Basic Auth; else it is answered 401. Always true where none are set.
 * Any thread. */
FLK_MUST_CHECK bool flk_admin_let_in(const flk_admin_t *admin, flk_http_request_t *request);

void flk_admin_stop(flk_admin_t **admin);
unsigned flk_admin_port(const flk_admin_t *admin);

#endif
