/* SPDX-License-Identifier: MIT */
/* HTTP through civetweb as all our doors have it: how one listens, and how one answers. */
#ifndef FLK_COMMON_HTTP_HTTP_H
#define FLK_COMMON_HTTP_HTTP_H

#include "common/metrics.h"

struct mg_connection;
struct mg_context;

/* Registers the handlers of a server that is starting; no request gets in before it has returned. */
typedef flk_err_t flk_http_attach_fn(struct mg_context *context, void *arg);

typedef struct flk_http_options {
    const char *listen;       /* "host:port"; port 0 picks a free one */
    unsigned threads;         /* requests that may be taken up at once */
    unsigned spare_threads;   /* beyond those: for heads and bodies on their way, and to refuse what is too much */
    unsigned queue;           /* accepted connections that may wait for a thread */
    unsigned per_address_max; /* connections of one client address; a request over it is answered 503; 0 = no bound */
    unsigned request_timeout_ms;
    unsigned keep_alive_ms;     /* how long an idle connection is kept; 0 = one request a connection */
    flk_metrics_t *metrics;     /* for those of the connections; borrowed until flk_http_stop */
    flk_http_attach_fn *attach; /* NULL = none */
    void *attach_arg;
} flk_http_options_t;

/* Starts civetweb behind the framing guard (http/guard.h) and with bounds on its connections (http/connections.h), without document root, CORS, directory pages or a Server
 * header; *port is the one bound. Errors: FLK_E_CONFIG "cannot listen on HOST:PORT: …", or what `attach` gave. Caller
 * frees with flk_http_stop. */
FLK_MUST_CHECK flk_err_t flk_http_start(const flk_http_options_t *options, struct mg_context **context, unsigned *port,
                                        char *errmsg);
/* True while few threads are left for new connections: who is slow may be cut sooner. Any thread. */
bool flk_http_is_pressed(const struct mg_context *context);
/* Lets the requests that run be answered, up to 10 s, answers new ones 503 and closes their connections, up to 3 s as long as
 * more come, then stops. The caller sees to it that no request waits for this very stop. One server at a time: a stop
 * refuses the requests of all servers of the process. */
void flk_http_stop(struct mg_context **context);

/* One response with Date, Content-Length, no-store, nosniff and the body, in one send when it is small. To HEAD the
 * body is announced, not sent. */
typedef struct flk_http_answer {
    int status;
    const char *content_type;
    const char *body;
    size_t body_bytes;
    unsigned retry_after_s;   /* 0 = no such header */
    const char *allow;        /* NULL = no such header */
    const char *authenticate; /* WWW-Authenticate; NULL = no such header */
    bool close;               /* ends the connection */
} flk_http_answer_t;
void flk_http_send(struct mg_connection *connection, const flk_http_answer_t *answer);

/* A request that waits for others to be answered, once its body is read. Its handler
 *   1. opens the exchange; NULL: too many are at that, answer 503;
 *   2. may set a limit to it;
 *   3. hands it to whoever will answer it, from any thread, exactly once. That never blocks; the answer is as for flk_http_send,
 *      without `close`, its body not above 4096 bytes. The exchange is not to be touched afterwards;
 *   4. leaves, and returns. It writes nothing to the connection itself: that may be answered, and at the next request, already.
 * See http/exchange.h for what happens behind it. */
typedef struct flk_http_exchange flk_http_exchange_t;
FLK_MUST_CHECK flk_http_exchange_t *flk_http_exchange_open(struct mg_connection *connection);
void flk_http_exchange_answer(flk_http_exchange_t *exchange, const flk_http_answer_t *answer);
void flk_http_exchange_leave(flk_http_exchange_t *exchange, struct mg_connection *connection);

/* From `until_ms` (monotonic) on, within some 100 ms, asks `overdue` whether it is answered with a 503 that says `why` (kept), because
 * nobody else will: true takes that over from flk_http_exchange_answer. Asked each time until it is true or the answer is there, from a thread of the
 * server that must not block; never after flk_http_exchange_answer has returned. */
typedef bool flk_http_overdue_fn(void *arg);
void flk_http_exchange_limit(flk_http_exchange_t *exchange, uint64_t until_ms, const char *why,
                             flk_http_overdue_fn *overdue, void *arg);

/* RFC 9457 problem as one JSON text; `field` "" or NULL leaves it out. Strings are escaped, and cut when they would
 * not fit. Returns bytes written without the NUL. `out_bytes` >= FLK_HTTP_PROBLEM_BYTES_MIN. */
enum { FLK_HTTP_PROBLEM_BYTES_MIN = 256, FLK_HTTP_PROBLEM_BYTES = 1024 };
size_t flk_http_problem(char *out, size_t out_bytes, int status, const char *title, const char *detail,
                        const char *field);
const char *flk_http_status_text(int status);
extern const char flk_http_problem_type[]; /* its media type */

/* Sends `answer` with a problem of its status as type and body. */
void flk_http_send_problem(struct mg_connection *connection, const flk_http_answer_t *answer, const char *detail,
                           const char *field);

#endif
