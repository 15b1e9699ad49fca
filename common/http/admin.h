/* SPDX-License-Identifier: MIT */
/* The pages that every daemon has: /healthz, /readyz, /metrics. On a listener of their own (broker, worker) or added
 * to a civetweb context that exists (gateway). */
#ifndef FLK_COMMON_HTTP_ADMIN_H
#define FLK_COMMON_HTTP_ADMIN_H

#include "common/err.h"
#include "common/http/http.h"
#include "common/metrics.h"

struct mg_context;

typedef struct flk_admin flk_admin_t; /* Opaque. */

/* Fills `why` (not NULL, FLK_ERRMSG_BYTES) when it returns false. Any thread. */
typedef bool flk_admin_ready_fn(void *arg, char *why);

typedef struct flk_admin_options {
    flk_metrics_t *metrics;
    flk_admin_ready_fn *ready;
    void *ready_arg;
    const char *user, *pass; /* Basic Auth for /metrics; both "" = open. Compared in constant time. Copied. */
} flk_admin_options_t;

/* Listens on "host:port" (port 0 picks a free one, see flk_admin_port). "off" gives FLK_OK and NULL. Errors:
 * FLK_E_CONFIG with "cannot listen on HOST:PORT: …" in errmsg. Caller frees with flk_admin_stop. */
FLK_MUST_CHECK flk_err_t flk_admin_start(const char *listen, const flk_admin_options_t *options, flk_admin_t **admin,
                                         char *errmsg);
/* Adds the pages to `context`; stop it before flk_admin_stop. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_admin_attach(struct mg_context *context, const flk_admin_options_t *options,
                                          flk_admin_t **admin);
void flk_admin_stop(flk_admin_t **admin);
unsigned flk_admin_port(const flk_admin_t *admin);

#endif
