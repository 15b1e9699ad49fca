/* SPDX-License-Identifier: MIT */
/* GET /v1/feed: the outcomes of the log behind a position, as a page of NDJSON or CloudEvents; with `wait` the answer
 * comes when there is one. The client keeps its position: Flk-After of an answer is the next request's `after`.
 * proto/PROTOCOL.md and openapi.yaml describe it. Requests run in the server's threads, and each waits in its own. */
#ifndef FLK_FOLLOW_FEED_FEED_H
#define FLK_FOLLOW_FEED_FEED_H

#include "common/http/admin.h"

typedef struct flk_feed flk_feed_t; /* Opaque. */

typedef struct flk_feed_options {
    const char *log_dir;      /* kept */
    unsigned readers_max;     /* requests at once */
    const char *closed_why;   /* NULL: open; else each request is answered 403 with it; kept */
    const flk_admin_t *admin; /* Basic Auth; kept */
    flk_metrics_t *metrics;
} flk_feed_options_t;

/* Start-up. Caller frees with flk_feed_destroy, when the server has stopped. */
flk_feed_t *flk_feed_new(const flk_feed_options_t *options);
void flk_feed_destroy(flk_feed_t **feed); /* NULL content is allowed */

flk_http_route_t flk_feed_route(flk_feed_t *feed);
/* Requests that wait are answered now. */
void flk_feed_drain(flk_feed_t *feed);

#endif
