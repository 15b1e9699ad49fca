/* SPDX-License-Identifier: MIT */
/* Starting and stopping civetweb.
 *
 * It reports why it cannot listen only through its log callback, before it returns NULL and in the calling thread:
 * flk_http_start keeps the first line, the cause, for the error message. While it stops it drops what handlers write and cuts
 * every connection, so flk_http_stop lets them finish first, and sends away who keeps a connection open: his next request
 * is answered 503 and the connection closed, rather than cut under him.
 *
 * Spare threads are there so that a request that is too many is told so instead of left to wait. */
#include <civetweb.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"
#include "common/http/connections.h"
#include "common/http/guard.h"
#include "common/http/http.h"
#include "common/log.h"
#include "common/thread.h"

enum {
    HEAD_MS = 5000,
    OPTIONS_MAX = 24,
    NUMBER_BYTES = 12,
    DRAIN_MS_MAX = 10000,
    LEAVE_MS_MAX = 3000,
    QUIET_MS = 1000
};

/* Where this thread's civetweb lines go while it starts a server; NULL otherwise. */
static _Thread_local char *start_message;

/* Whether this thread is in a request, between on_begin and on_end, and whether its connection knows. Not when it has parted from it. */
static _Thread_local bool in_request, is_counted;
static atomic_int starts_under_way, stops_under_way;

/* Connections of all servers of the process, and when the last request came (monotonic). */
static atomic_int connections_open;
static atomic_uint_fast64_t last_request_ms;

/* ---- what civetweb calls ---- */

static int refuse(struct mg_connection *connection, const char *why) {
    flk_http_send_problem(connection, &(flk_http_answer_t){.status = 503, .retry_after_s = 1, .close = true}, why,
                          NULL);
    return 503;
}

static const char *begin(const struct mg_connection *connection) {
    const struct mg_request_info *request = mg_get_request_info(connection);
    is_counted = true;
    return flk_http_connection_begin(mg_get_user_context_data(connection), mg_get_user_connection_data(connection),
                                     request->remote_addr, request->remote_port);
}

/* The guard refuses what two servers could read in two ways. A request counts as running until its answer is written. */
static int on_begin(struct mg_connection *connection) {
    atomic_store(&last_request_ms, flk_mono_ms());
    flk_http_connection_await(mg_get_user_connection_data(connection)); /* the answer before this one goes first */
    if (atomic_load(&starts_under_way) > 0) {
        return refuse(connection, "starting"); /* without handlers it would be a 404, which is for ever */
    }
    flk_http_connections_t *connections = mg_get_user_context_data(connection);
    flk_http_connections_enter(connections); /* before the look: either we see the stop, or the stop sees us */
    in_request = atomic_load(&stops_under_way) == 0;
    if (!in_request) {
        flk_http_connections_leave(connections);
        return refuse(connection, "shutting down");
    }
    const char *why = begin(connection);
    return why == NULL ? flk_http_guard(connection) : refuse(connection, why);
}

/* Also called for requests that never came to on_begin. */
static void on_end(const struct mg_connection *connection, int status) {
    (void)status;
    if (is_counted) {
        is_counted = false;
        flk_http_connection_end(mg_get_user_connection_data(connection));
    }
    if (in_request) {
        in_request = false;
        flk_http_connections_leave(mg_get_user_context_data(connection));
    }
}

/* Called by the thread that took a connection up, before it has read a byte. */
static int on_connect(const struct mg_connection *connection, void **data) {
    atomic_fetch_add(&connections_open, 1);
    *data = flk_http_connection_open(mg_get_user_context_data(connection));
    return 0;
}

static void on_close(const struct mg_connection *connection) {
    flk_http_connection_close(mg_get_user_context_data(connection), mg_get_user_connection_data(connection));
}

static void on_closed(const struct mg_connection *connection) {
    (void)connection;
    atomic_fetch_sub(&connections_open, 1);
}

/* Handlers check what they need to. Without this one civetweb looks for a password file on disk at every request. */
static int allow(struct mg_connection *connection, void *arg) {
    (void)connection;
    (void)arg;
    return 1;
}

/* What civetweb refuses by itself (a malformed request line, say) looks like what we refuse. */
static int on_http_error(struct mg_connection *connection, int status, const char *message) {
    (void)message; /* may quote the request */
    flk_http_connection_await(mg_get_user_connection_data(connection));
    flk_http_send_problem(connection, &(flk_http_answer_t){.status = status, .close = true},
                          "the request is not one that this door can read", NULL);
    return 0;
}

static int on_log_message(const struct mg_connection *connection, const char *message) {
    (void)connection;
    if (start_message != NULL) {
        if (start_message[0] == '\0') {
            flk_errmsg(start_message, "%s", message);
        }
    } else {
        flk_log(FLK_LOG_DEBUG, "http_library", FLK_S("message", message));
    }
    return 1;
}

/* ---- listening ---- */

/* "cannot bind to 127.0.0.1:80: 13 (Permission denied)" -> "Permission denied" and 13; code 0: none is told. */
static const char *shorten(char *message, int *code) {
    char *open = strrchr(message, '(');
    char *close = open != NULL ? strchr(open, ')') : NULL;
    const char *number = open != NULL ? strrchr(message, ':') : NULL;
    *code = number != NULL ? (int)strtol(number + 1, NULL, 10) : 0;
    if (close == NULL) {
        return message;
    }
    *close = '\0';
    return open + 1;
}

static const char *print_number(char number[NUMBER_BYTES], unsigned value) {
    snprintf(number, NUMBER_BYTES, "%u", value);
    return number;
}

static struct mg_context *start_civetweb(const flk_http_options_t *options, flk_http_connections_t *connections,
                                         char *message) {
    char threads[NUMBER_BYTES], queue[NUMBER_BYTES], timeout[NUMBER_BYTES], keep_alive[NUMBER_BYTES];
    const char *pairs[OPTIONS_MAX] = {
        "listening_ports",
        options->listen,
        "num_threads",
        print_number(threads, options->threads + options->spare_threads),
        "connection_queue",
        print_number(queue, options->queue),
        "request_timeout_ms",
        print_number(timeout, options->request_timeout_ms),
        "enable_keep_alive",
        options->keep_alive_ms > 0 ? "yes" : "no",
        "keep_alive_timeout_ms",
        print_number(keep_alive, options->keep_alive_ms),
        "tcp_nodelay",
        "1",
        "access_control_allow_methods",
        "", /* else civetweb answers CORS preflights by itself */
        "enable_directory_listing",
        "no",
    };
    const struct mg_callbacks callbacks = {.begin_request = on_begin,
                                           .connection_close = on_close,
                                           .end_request = on_end,
                                           .init_connection = on_connect,
                                           .connection_closed = on_closed,
                                           .http_error = on_http_error,
                                           .log_message = on_log_message};
    start_message = message;
    struct mg_context *context = mg_start(&callbacks, connections, pairs);
    start_message = NULL;
    return context;
}

static flk_http_connections_t *make_connections(const flk_http_options_t *options) {
    const flk_http_bounds_t bounds = {
        .threads = options->threads + options->spare_threads,
        .requests_max = options->threads,
        .per_address_max = options->per_address_max,
        .head_ms = HEAD_MS,
        .idle_ms = options->keep_alive_ms + HEAD_MS, /* civetweb ends it first, unless bytes drip */
    };
    return flk_http_connections_new(&bounds, options->metrics);
}

static flk_err_t start(const flk_http_options_t *options, struct mg_context **context, unsigned *port, char *errmsg) {
    char message[FLK_ERRMSG_BYTES] = "";
    flk_http_connections_t *connections = make_connections(options);
    mg_init_library(MG_FEATURES_DEFAULT);
    *context = start_civetweb(options, connections, message);
    if (*context == NULL) {
        mg_exit_library();
        flk_http_connections_destroy(&connections);
        int code;
        char shown[128];
        flk_address_show(options->listen, shown, sizeof shown);
        flk_errmsg(errmsg, "cannot listen on %s: %s", shown, shorten(message, &code));
        return flk_err_of_listen(code);
    }
    struct mg_server_port bound;
    *port = mg_get_server_ports(*context, 1, &bound) == 1 ? (unsigned)bound.port : 0;
    mg_set_auth_handler(*context, "**", allow, NULL);
    flk_err_t err = flk_http_connections_watch(connections, *port, errmsg);
    return err != FLK_OK || options->attach == NULL ? err : options->attach(*context, options->attach_arg);
}

flk_http_exchange_t *flk_http_exchange_open(struct mg_connection *connection) {
    bool parted = false;
    flk_http_exchange_t *exchange = flk_http_connection_take_up(mg_get_user_connection_data(connection), &parted);
    if (parted) {
        is_counted = in_request = false;
    }
    return exchange;
}

bool flk_http_is_pressed(const struct mg_context *context) {
    return flk_http_connections_pressed(mg_get_user_data(context));
}

flk_err_t flk_http_start(const flk_http_options_t *options, struct mg_context **context, unsigned *port, char *errmsg) {
    atomic_fetch_add(&starts_under_way, 1);
    flk_err_t err = start(options, context, port, errmsg);
    atomic_fetch_sub(&starts_under_way, 1);
    if (err != FLK_OK && *context != NULL) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        flk_http_stop(context);
    }
    return err;
}

/* ---- stopping ---- */

/* From mg_stop on civetweb writes no byte more: an answer that is not out by then is lost. */
static void wait_for_requests(const struct mg_context *context) {
    uint64_t deadline_ms = flk_mono_ms() + DRAIN_MS_MAX;
    while (flk_http_connections_requests(mg_get_user_data(context)) > 0 && flk_mono_ms() < deadline_ms) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

/* Until nobody is connected, or all who are have been silent for a while. */
static void wait_for_leaving(void) {
    uint64_t now_ms = flk_mono_ms(), until_ms = now_ms + LEAVE_MS_MAX;
    atomic_store(&last_request_ms, now_ms);
    while (atomic_load(&connections_open) > 0 && now_ms < until_ms &&
           now_ms < atomic_load(&last_request_ms) + QUIET_MS) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        now_ms = flk_mono_ms();
    }
}

/* civetweb's accepting thread looks at its stop flag only every two seconds, or when somebody connects. */
typedef struct waker {
    char host[64], port[NUMBER_BYTES];
    atomic_bool done;
} waker_t;

static void connect_once(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        (void)!connect(fd, address->ai_addr, address->ai_addrlen); /* refused: it has stopped already */
        close(fd);
    }
}

static void *keep_connecting(void *arg) {
    enum { PAUSE_NS = 5000000 };
    waker_t *waker = arg;
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address;
    if (getaddrinfo(waker->host, waker->port, &hints, &address) == 0) {
        while (!atomic_load(&waker->done)) {
            connect_once(address);
            nanosleep(&(struct timespec){.tv_nsec = PAUSE_NS}, NULL);
        }
        freeaddrinfo(address);
    }
    return NULL;
}

/* Where to connect to: the host that was asked for (without brackets) and the port that was given. */
static void waker_init(waker_t *waker, const struct mg_context *context) {
    struct mg_server_port bound = {0};
    (void)!mg_get_server_ports(context, 1, &bound);
    const char *listen = mg_get_option(context, "listening_ports");
    const char *colon = listen != NULL ? strrchr(listen, ':') : NULL;
    size_t host_len = colon != NULL ? (size_t)(colon - listen) : 0;
    bool brackets = host_len > 2 && listen[0] == '[';
    snprintf(waker->host, sizeof waker->host, "%.*s", (int)(host_len - 2 * brackets), listen + brackets);
    snprintf(waker->port, sizeof waker->port, "%d", bound.port);
}

void flk_http_stop(struct mg_context **context) {
    if (*context == NULL) {
        return;
    }
    atomic_fetch_add(&stops_under_way, 1);
    wait_for_requests(*context);
    wait_for_leaving();
    waker_t waker = {.done = false};
    waker_init(&waker, *context);
    pthread_t thread;
    bool waking = /* else it only takes longer */
        flk_thread_start(&thread, "flk-http-waker", keep_connecting, &waker, NULL) == FLK_OK;
    flk_http_connections_t *connections = mg_get_user_data(*context);
    mg_stop(*context);
    flk_http_connections_destroy(&connections);
    atomic_store(&waker.done, true);
    if (waking) {
        pthread_join(thread, NULL);
    }
    mg_exit_library();
    atomic_fetch_sub(&stops_under_way, 1);
    *context = NULL;
}
