/* SPDX-License-Identifier: MIT */
/* An HTTP server as all our doors have it: its address, its bounds and its paths. Several may run in one process. */
#ifndef FLK_COMMON_HTTP_SERVER_H
#define FLK_COMMON_HTTP_SERVER_H

#include "common/http/request.h"
#include "common/metrics.h"

/* Answers or detaches the request, see http/request.h. */
typedef void flk_http_handler_fn(flk_http_request_t *request, void *arg);

/* Nothing is decoded. Other paths are answered 404, other methods 405. */
typedef enum flk_http_match {
    FLK_HTTP_EXACT, /* the path byte for byte: a query makes it another one */
    FLK_HTTP_QUERY, /* the path, with a query or without */
    FLK_HTTP_BELOW, /* it begins with the path, which ends in "/", and something follows */
} flk_http_match_t;

typedef struct flk_http_route {
    const char *path;
    const char *methods; /* "GET, HEAD", as Allow has them */
    flk_http_handler_fn *handler;
    void *arg;
    flk_http_match_t match;
} flk_http_route_t;

enum { FLK_HTTP_ROUTES_MAX = 16 };

typedef struct flk_http_options {
    const char *listen;       /* as common/listen.h reads it */
    const char *plain_advice; /* a warning tells it when that is beyond loopback; NULL: it is meant */
    unsigned threads;         /* requests that may be detached, or have a place, at once */
    unsigned spare_threads;   /* beyond those: for heads and bodies on their way, and for refusals */
    unsigned queue;           /* accepted connections that may wait for a thread */
    unsigned per_address_max; /* connections of one client; a request over it is answered 503; 0 = no bound */
    unsigned write_timeout_ms;
    unsigned keep_alive_ms;    /* how long an idle connection is kept; 0 = one request a connection */
    unsigned body_deadline_ms; /* for a whole body; 0: no handler reads one */
    unsigned body_grace_ms;    /* for its first byte; from then on it must come at body_bytes_per_ms */
    unsigned body_pressed_ms;  /* less of that while others wait for a thread */
    unsigned body_bytes_per_ms;
    const flk_http_route_t *routes; /* copied; their texts are kept */
    unsigned routes_len;
    const char *not_found;  /* the detail of a 404; NULL: a plain one */
    flk_metrics_t *metrics; /* for the connections'; borrowed until flk_http_stop; NULL: none */
    flk_counter_t *refused; /* requests that did not come to a handler; NULL: none */
} flk_http_options_t;

typedef struct flk_http_server flk_http_server_t; /* Opaque. */

/* Starts civetweb behind the guard and with bounds on its connections, without document root, CORS, directory pages
 * or a Server header. Errors: FLK_E_CONFIG "cannot listen on HOST:PORT: …", FLK_E_NOMEM. Caller frees with
 * flk_http_stop. */
FLK_MUST_CHECK flk_err_t flk_http_start(const flk_http_options_t *options, flk_http_server_t **server, char *errmsg);
/* The one bound. */
unsigned flk_http_port(const flk_http_server_t *server);
/* From now on each answer says that its connection ends. */
void flk_http_drain(flk_http_server_t *server);
/* Drains: answers new requests 503 and lets those that run be answered, up to 10 s; waits until connections were silent
 * for a second, up to 3 s; tells those that are left with a 503 that they end, and waits for their clients to close, up
 * to 3 s; then stops. No request may wait for this very stop. NULL content is allowed. */
void flk_http_stop(flk_http_server_t **server);

#endif
