/* SPDX-License-Identifier: MIT */
/* HTTP through civetweb as all our doors have it: how one listens, and how one answers. */
#ifndef FLK_COMMON_HTTP_H
#define FLK_COMMON_HTTP_H

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

/* Starts civetweb behind the framing guard (http_guard.h) and with bounds on its connections (http_connections.h), without document root, CORS, directory pages or a Server
 * header; *port is the one bound. Errors: FLK_E_CONFIG "cannot listen on HOST:PORT: …", or what `attach` gave. Caller
 * frees with flk_http_stop. */
FLK_MUST_CHECK flk_err_t flk_http_start(const flk_http_options_t *options, struct mg_context **context, unsigned *port,
                                        char *errmsg);
/* Around the part of a request that waits for others, once its body is read. False: too many are at that; answer 503. */
FLK_MUST_CHECK bool flk_http_take_up(const struct mg_connection *connection);
void flk_http_give_back(const struct mg_connection *connection);
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

/* RFC 9457 problem as one JSON text; `field` "" or NULL leaves it out. Strings are escaped, and cut when they would
 * not fit. Returns bytes written without the NUL. `out_bytes` >= FLK_HTTP_PROBLEM_BYTES_MIN. */
enum { FLK_HTTP_PROBLEM_BYTES_MIN = 256, FLK_HTTP_PROBLEM_BYTES = 1024 };
size_t flk_http_problem(char *out, size_t out_bytes, int status, const char *title, const char *detail,
                        const char *field);
const char *flk_http_status_text(int status);

/* Sends `answer` with a problem of its status as type and body. */
void flk_http_send_problem(struct mg_connection *connection, const flk_http_answer_t *answer, const char *detail,
                           const char *field);

#endif
