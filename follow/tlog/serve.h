/* SPDX-License-Identifier: MIT */
/* GET /tlog/<log>/checkpoint, /tlog/<log>/tile/…: the files of the transparency logs, as any static server would serve
 * them, and nothing of private/. Requests run in the server's threads. */
#ifndef FLK_FOLLOW_TLOG_SERVE_H
#define FLK_FOLLOW_TLOG_SERVE_H

#include "common/http/admin.h"

typedef struct flk_tlog_pages {
    const char *dir;          /* FLK_TLOG_DIR */
    const char *closed_why;   /* NULL: open; else each request is answered 403 with it */
    const flk_admin_t *admin; /* Basic Auth */
} flk_tlog_pages_t;

/* Keeps `pages`, and all that they point at. */
flk_http_route_t flk_tlog_route(const flk_tlog_pages_t *pages);

#endif
