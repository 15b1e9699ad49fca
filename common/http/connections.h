/* SPDX-License-Identifier: MIT */
/* Keeps one server's connections within bounds. civetweb gives each a thread for as long as it lasts, and reads a request
 * head for as long as a byte comes now and then; so clients that are slow, or only there, could hold all threads. One
 * watching thread looks at the sockets and ends those that hold a thread without a request:
 *
 *     connected ──▶ HEAD ──────▶ BUSY ──────▶ IDLE     cut after head_ms in HEAD, idle_ms in IDLE;
 *                  (reading)   (a handler)     │       under pressure after the much shorter times of http/connections.c:
 *                                 ▲────────────┘       the more clients wait, the less may one dawdle
 *
 * BUSY ones are never cut here, but for one whose client does not take its answer (http/exchange.h), which the watch looks after too.
 *
 * civetweb does not tell a connection's socket; the watch finds it out, so that answers can be sent without the connection's thread. */
#ifndef FLK_COMMON_HTTP_CONNECTIONS_H
#define FLK_COMMON_HTTP_CONNECTIONS_H

#include "common/http/exchange.h"

typedef struct flk_http_connections flk_http_connections_t; /* Opaque; fields are commented in http/connections.c. */
typedef struct flk_http_connection flk_http_connection_t;

typedef struct flk_http_bounds {
    unsigned threads;         /* connections that are served at once */
    unsigned requests_max;    /* taken up at once; below threads, so that somebody is left to refuse the next one */
    unsigned per_address_max; /* connections of one client address; 0 = no bound */
    unsigned head_ms, idle_ms;
} flk_http_bounds_t;

/* Start-up allocation. The watch starts with flk_http_connections_watch, when the port is known. `metrics` outlive it; NULL:
 * nobody wants them. */
flk_http_connections_t *flk_http_connections_new(const flk_http_bounds_t *bounds, flk_metrics_t *metrics);
/* FLK_E_NOMEM: no thread. */
FLK_MUST_CHECK flk_err_t flk_http_connections_watch(flk_http_connections_t *connections, unsigned port, char *errmsg);
/* When the server has stopped. NULL content is allowed. */
void flk_http_connections_destroy(flk_http_connections_t **connections);

/* A connection's life; each from the thread that serves it. NULL above `threads`, which the others allow. */
flk_http_connection_t *flk_http_connection_open(flk_http_connections_t *connections);
void flk_http_connection_close(flk_http_connections_t *connections, flk_http_connection_t *connection);
/* A request's head is read: BUSY. `peer` and `peer_port` as civetweb gives them. Returns NULL, or why it must be refused with a
 * 503: too many connections of this address. Always to be followed by _end. */
FLK_MUST_CHECK const char *flk_http_connection_begin(flk_http_connections_t *connections,
                                                     flk_http_connection_t *connection, const char *peer,
                                                     int peer_port);
void flk_http_connection_end(flk_http_connection_t *connection);
/* Until the last request of this connection was answered. */
void flk_http_connection_await(flk_http_connection_t *connection);
/* The request is there as a whole and would now take its time. NULL when too many are at that. *parted: it is not to be followed by
 * _end and _leave: whoever answers does that. */
FLK_MUST_CHECK flk_http_exchange_t *flk_http_connection_take_up(flk_http_connection_t *connection, bool *parted);

/* Around each request, refused ones too, until it is answered; and how many are at that. Any thread. */
void flk_http_connections_enter(flk_http_connections_t *connections);
void flk_http_connections_leave(flk_http_connections_t *connections);
unsigned flk_http_connections_requests(const flk_http_connections_t *connections);

/* True while few threads are left for new connections. Any thread. */
bool flk_http_connections_pressed(const flk_http_connections_t *connections);

#endif
