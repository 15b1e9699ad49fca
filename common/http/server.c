/* SPDX-License-Identifier: MIT */
/* Starting, serving and stopping. civetweb accepts connections, queues them, and gives each a thread; its
 * begin_request callback is the one place where requests come in, so its own handlers, files and errors are never
 * reached.
 *
 * While civetweb stops, it drops the output of handlers and cuts every connection. So flk_http_stop lets requests
 * finish first, answers the next request of an open connection with a 503 and a close, and sends idle connections away.
 *
 * Spare threads let a request that is one too many be refused instead of left to wait. */
#include "common/http/server.h"

#include <civetweb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/address.h"
#include "common/http/connections.h"
#include "common/http/hooks.h"
#include "common/http/leave.h"
#include "common/http/listener.h"
#include "common/http/read.h"
#include "common/http/watch.h"
#include "common/log.h"

enum {
    HEAD_MS = 5000,
    OPTIONS_MAX = 24,
    NUMBER_BYTES = 12,
    DRAIN_MS_MAX = 10000,
    LEAVE_MS_MAX = 3000,
    QUIET_MS = 1000,
    PORTS_BYTES = 16 * FLK_HTTP_LISTENERS_MAX
};

struct flk_http_server {
    struct mg_context *context;
    flk_http_connections_t *connections;
    flk_http_listener_t listener;
    pthread_mutex_t starting; /* held until the sockets to accept from are in place */
    bool is_watched;
    unsigned port, routes_len;
    flk_http_route_t routes[FLK_HTTP_ROUTES_MAX];
    const char *not_found;
    flk_counter_t *refused;
};

/* ---- one request ---- */

static void refuse(const flk_http_server_t *server, flk_http_request_t *request, const flk_http_answer_t *answer,
                   const char *why) {
    if (server->refused != NULL) {
        flk_counter_add(server->refused, 1);
    }
    flk_http_answer_t mine = *answer;
    mine.close = true;
    flk_http_send_problem(request, &mine, why, NULL);
}

static bool matches(const flk_http_route_t *route, const char *path) {
    size_t len = strlen(route->path);
    switch (route->match) {
    case FLK_HTTP_QUERY:
        return strncmp(route->path, path, len) == 0 && (path[len] == '\0' || path[len] == '?');
    case FLK_HTTP_BELOW:
        return strncmp(route->path, path, len) == 0 && path[len] != '\0';
    case FLK_HTTP_EXACT:
        break;
    }
    return strcmp(route->path, path) == 0;
}

static const flk_http_route_t *find_route(const flk_http_server_t *server, const char *path) {
    for (unsigned i = 0; i < server->routes_len; i++) {
        if (matches(&server->routes[i], path)) {
            return &server->routes[i];
        }
    }
    return NULL;
}

/* `methods`: "GET, HEAD". */
static bool allows(const char *methods, const char *method) {
    size_t len = strlen(method);
    for (const char *at = methods; (at = strstr(at, method)) != NULL; at += len) {
        bool begins = at == methods || at[-1] == ' ';
        if (begins && (at[len] == ',' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static void route(const flk_http_server_t *server, flk_http_request_t *request) {
    const flk_http_head_t *head = &request->head;
    const flk_http_route_t *found = head->status == 0 ? find_route(server, head->path) : NULL;
    if (head->status != 0) {
        refuse(server, request, &(flk_http_answer_t){.status = head->status}, head->why);
    } else if (found == NULL) {
        const char *why = server->not_found != NULL ? server->not_found : "no such page";
        refuse(server, request, &(flk_http_answer_t){.status = 404}, why);
    } else if (!allows(found->methods, head->method)) {
        char why[64];
        snprintf(why, sizeof why, "this path answers %s only", found->methods);
        refuse(server, request, &(flk_http_answer_t){.status = 405, .allow = found->methods}, why);
    } else {
        found->handler(request, found->arg);
    }
}

static void serve(flk_http_connection_t *connection) {
    flk_http_connections_t *connections = connection->all;
    flk_http_request_t *request = &connection->request;
    atomic_fetch_add(&connections->requests, 1); /* before the look: either it sees the stop, or the stop sees it */
    const flk_http_server_t *server = mg_get_user_context_data(connection->civetweb);
    const flk_http_answer_t later = {.status = 503, .retry_after_s = 1};
    if (atomic_load(&connections->stopping)) {
        refuse(server, request, &later, "shutting down");
    } else if (connection->is_one_too_many) {
        flk_counter_add(connections->refused, 1);
        refuse(server, request, &later, "too many connections from this address");
    } else {
        route(server, request);
    }
    if (request->has_place) {
        request->has_place = false;
        atomic_fetch_sub(&connections->running, 1);
    }
    if (!request->detached) {
        flk_http_connection_rest(connection);
        atomic_fetch_sub(&connections->requests, 1);
    }
}

/* ---- the callbacks of civetweb ---- */

/* Each request. Fails closed: without the hooks nothing is ready, and nothing is served. */
static int on_begin(struct mg_connection *civetweb) {
    flk_http_connection_t *connection = mg_get_user_connection_data(civetweb);
    flk_http_hooks_read(NULL); /* a handler may use sockets */
    atomic_store(&connection->all->last_request_ms, flk_mono_ms());
    bool was_last = flk_http_exchange_await(&connection->exchange); /* the answer before this one goes first */
    bool ready = connection->request.ready && !was_last && flk_http_connection_enter(connection, FLK_HTTP_BUSY);
    connection->request.ready = false;
    if (ready) {
        serve(connection);
    }
    if (!ready || flk_http_request_closes(&connection->request)) {
        mg_disable_keep_alive(civetweb);
    }
    flk_http_hooks_read(connection);
    return 200; /* handled; civetweb only logs it */
}

static int on_connect(const struct mg_connection *civetweb, void **data) {
    flk_http_server_t *server = mg_get_user_context_data(civetweb);
    flk_http_connection_t *connection =
        flk_http_connection_open(server->connections, (struct mg_connection *)(uintptr_t)civetweb);
    flk_http_hooks_read(connection);
    *data = connection;
    return 0;
}

/* The socket is still open. */
static void on_close(const struct mg_connection *civetweb) {
    flk_http_connection_t *connection = mg_get_user_connection_data(civetweb);
    flk_http_hooks_read(NULL);
    bool was_last =
        flk_http_exchange_await(&connection->exchange); /* until then the watch may have to end the answer */
    if (connection->fd >= 0) {
        flk_http_leave(connection, was_last || connection->request.head.close);
    }
    flk_http_connection_close(connection);
}

/* The accepting thread would go on polling a socket that is replaced. */
static void *on_thread(const struct mg_context *context, int type) {
    flk_http_server_t *server = mg_get_user_data(context);
    if (type == 0) {
        pthread_mutex_lock(&server->starting);
        pthread_mutex_unlock(&server->starting);
        flk_http_hooks_accept();
    }
    return NULL;
}

/* Civetweb's own refusals, which no head of ours causes. */
static int on_http_error(struct mg_connection *civetweb, int status, const char *message) {
    (void)status, (void)message;
    mg_disable_keep_alive(civetweb);
    return 0;
}

/* Where this thread's civetweb lines go while it starts a server; NULL otherwise. */
static _Thread_local char *start_message;

static int on_log_message(const struct mg_connection *civetweb, const char *message) {
    (void)civetweb;
    if (start_message == NULL) {
        flk_log(FLK_LOG_DEBUG, "http_library", FLK_S("message", message));
    } else if (start_message[0] == '\0') {
        flk_errmsg(start_message, "%s", message); /* the first line is the cause */
    }
    return 1;
}

/* ---- starting ---- */

static const char *print_number(char number[NUMBER_BYTES], unsigned value) {
    snprintf(number, NUMBER_BYTES, "%u", value);
    return number;
}

/* As many sockets as will be replaced. */
static void print_ports(char ports[PORTS_BYTES], unsigned len) {
    ports[0] = '\0';
    for (unsigned i = 0; i < len; i++) {
        strcat(ports, i == 0 ? "127.0.0.1:0" : ",127.0.0.1:0");
    }
}

static struct mg_context *start_civetweb(const flk_http_options_t *options, flk_http_server_t *server) {
    char threads[NUMBER_BYTES], queue[NUMBER_BYTES], timeout[NUMBER_BYTES], ports[PORTS_BYTES];
    print_ports(ports, server->listener.fds_len);
    const char *pairs[OPTIONS_MAX] = {
        "listening_ports",
        ports,
        "num_threads",
        print_number(threads, options->threads + options->spare_threads),
        "connection_queue",
        print_number(queue, options->queue),
        "request_timeout_ms",
        print_number(timeout, options->write_timeout_ms),
        "enable_keep_alive",
        options->keep_alive_ms > 0 ? "yes" : "no",
        "max_request_size",
        "1024", /* it only sees our own head */
        "tcp_nodelay",
        "1",
        "enable_directory_listing",
        "no",
    };
    const struct mg_callbacks callbacks = {.begin_request = on_begin,
                                           .connection_close = on_close,
                                           .init_connection = on_connect,
                                           .init_thread = on_thread,
                                           .http_error = on_http_error,
                                           .log_message = on_log_message};
    return mg_start(&callbacks, server, pairs);
}

static flk_err_t replace_sockets(flk_http_server_t *server, char *errmsg) {
    struct mg_server_port bound[FLK_HTTP_LISTENERS_MAX] = {{0}};
    unsigned ports[FLK_HTTP_LISTENERS_MAX];
    int bound_len = mg_get_server_ports(server->context, FLK_HTTP_LISTENERS_MAX, bound);
    FLK_ASSERT(bound_len == (int)server->listener.fds_len);
    for (int i = 0; i < bound_len; i++) {
        ports[i] = (unsigned)bound[i].port;
    }
    return flk_http_listener_replace(&server->listener, ports, errmsg);
}

static flk_err_t start_context(const flk_http_options_t *options, flk_http_server_t *server, char *errmsg) {
    char message[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&server->starting);
    start_message = message;
    server->context = start_civetweb(options, server);
    start_message = NULL;
    if (server->context == NULL) {
        flk_errmsg(errmsg, "cannot start the server: %s", message);
        err = FLK_E_NOMEM;
    } else {
        err = replace_sockets(server, errmsg);
    }
    pthread_mutex_unlock(&server->starting);
    return err;
}

static flk_err_t make_connections(const flk_http_options_t *options, flk_http_server_t *server, char *errmsg) {
    const flk_http_bounds_t bounds = {
        .threads = options->threads + options->spare_threads,
        .requests_max = options->threads,
        .per_address_max = options->per_address_max,
        .head_ms = HEAD_MS,
        .idle_ms = options->keep_alive_ms,
        .pace = {.deadline_ms = options->body_deadline_ms,
                 .grace_ms = options->body_grace_ms,
                 .pressed_ms = options->body_pressed_ms,
                 .bytes_per_ms = options->body_bytes_per_ms > 0 ? options->body_bytes_per_ms : 1},
    };
    flk_err_t err = flk_http_connections_new(&bounds, options->metrics, &server->connections, errmsg);
    err = err != FLK_OK ? err : flk_http_watch_start(server->connections, errmsg);
    server->is_watched = err == FLK_OK;
    return err;
}

static void free_server(flk_http_server_t *server) {
    flk_http_listener_close(&server->listener);
    if (server->is_watched) {
        flk_http_watch_stop(server->connections);
    }
    flk_http_connections_destroy(&server->connections);
    mg_exit_library();
    pthread_mutex_destroy(&server->starting);
    free(server);
}

static void warn_plain(const flk_http_options_t *options) {
    flk_listen_t listen;
    char shown[FLK_LISTEN_TEXT_BYTES];
    if (options->plain_advice != NULL && flk_listen_parse(options->listen, &listen, NULL) == FLK_OK &&
        !flk_listen_is_loopback(&listen)) {
        flk_address_show(options->listen, shown, sizeof shown);
        flk_log(FLK_LOG_WARN, "http_without_tls", FLK_S("listen", shown), FLK_S("do", options->plain_advice));
    }
}

flk_err_t flk_http_start(const flk_http_options_t *options, flk_http_server_t **out, char *errmsg) {
    flk_http_server_t *server = flk_start_alloc(sizeof *server);
    *out = NULL;
    FLK_ASSERT(options->routes_len <= FLK_HTTP_ROUTES_MAX);
    memcpy(server->routes, options->routes, options->routes_len * sizeof server->routes[0]);
    server->routes_len = options->routes_len;
    server->not_found = options->not_found;
    server->refused = options->refused;
    pthread_mutex_init(&server->starting, NULL);
    mg_init_library(MG_FEATURES_DEFAULT);
    flk_err_t err = flk_http_listener_open(options->listen, &server->listener, errmsg);
    server->port = server->listener.port;
    if (err == FLK_OK) {
        err = make_connections(options, server, errmsg);
    }
    if (err == FLK_OK) {
        err = start_context(options, server, errmsg);
    }
    if (err != FLK_OK) {
        mg_stop(server->context);
        free_server(server);
        return err;
    }
    warn_plain(options);
    *out = server;
    return FLK_OK;
}

unsigned flk_http_port(const flk_http_server_t *server) {
    return server->port;
}

/* ---- stopping ---- */

static void pause_ms(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

/* From mg_stop on civetweb writes no byte more: an answer that is not out by then is lost. */
static void wait_for_requests(flk_http_connections_t *connections) {
    uint64_t deadline_ms = flk_mono_ms() + DRAIN_MS_MAX;
    while (atomic_load(&connections->requests) > 0 && flk_mono_ms() < deadline_ms) {
        pause_ms();
    }
}

/* Until no client is connected, or all that are have been silent for a while. */
static void wait_for_silence(flk_http_connections_t *connections) {
    uint64_t now_ms = flk_mono_ms(), until_ms = now_ms + LEAVE_MS_MAX;
    atomic_store(&connections->last_request_ms, now_ms);
    while (atomic_load(&connections->open) > 0 && now_ms < until_ms &&
           now_ms < atomic_load(&connections->last_request_ms) + QUIET_MS) {
        pause_ms();
        now_ms = flk_mono_ms();
    }
}

/* Idle connections are told so, and closed when their clients have closed them, or soon. */
static void send_away(flk_http_connections_t *connections) {
    uint64_t deadline_ms = flk_mono_ms() + LEAVE_MS_MAX;
    FLK_ASSERT(eventfd_write(connections->leave_fd, 1) == 0);
    while (atomic_load(&connections->open) > 0 && flk_mono_ms() < deadline_ms) {
        pause_ms();
    }
}

void flk_http_drain(flk_http_server_t *server) {
    atomic_store(&server->connections->draining, true);
}

void flk_http_stop(flk_http_server_t **out) {
    flk_http_server_t *server = *out;
    if (server == NULL) {
        return;
    }
    flk_http_drain(server);
    atomic_store(&server->connections->stopping, true);
    wait_for_requests(server->connections);
    wait_for_silence(server->connections);
    send_away(server->connections);
    flk_http_connections_end(server->connections);
    flk_http_listener_stop(&server->listener);
    mg_stop(server->context);
    free_server(server);
    *out = NULL;
}
