/* SPDX-License-Identifier: MIT */
#include "common/http/connections.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/list.h"
#include "common/thread.h"

static void register_metrics(flk_http_connections_t *connections, flk_metrics_t *metrics) {
    static const char cut[] = "flk_http_cut_total";
    static const char help[] =
        "Connections ended by the server: a slow head, a slow body, idle, or an answer that was not taken.";
    connections->open_gauge =
        flk_metrics_gauge(metrics, "flk_http_connections", NULL, "HTTP connections that have a thread.");
    connections->cut_head = flk_metrics_counter(metrics, cut, "reason=\"head\"", help);
    connections->cut_idle = flk_metrics_counter(metrics, cut, "reason=\"idle\"", help);
    connections->cut_body = flk_metrics_counter(metrics, cut, "reason=\"body\"", help);
    connections->cut_reader = flk_metrics_counter(metrics, cut, "reason=\"reader\"", help);
    connections->detached =
        flk_metrics_counter(metrics, "flk_http_detached_total", NULL,
                            "HTTP requests that were answered without waking their connection's thread.");
    connections->refused = flk_metrics_counter(metrics, "flk_http_overload_total", NULL,
                                               "HTTP requests refused because there were too many at once.");
}

/* The answer of a detached request is out. */
static void on_answered(flk_http_exchange_t *exchange) {
    flk_http_connection_t *connection = FLK_CONTAINER_OF(exchange, flk_http_connection_t, exchange);
    flk_http_connections_t *connections = connection->all;
    flk_counter_add(connections->detached, 1);
    flk_http_connection_rest(connection);
    atomic_fetch_sub(&connections->running, 1);
    atomic_fetch_sub(&connections->requests, 1);
}

flk_err_t flk_http_connections_new(const flk_http_bounds_t *bounds, flk_metrics_t *metrics,
                                   flk_http_connections_t **out, char *errmsg) {
    flk_http_connections_t *connections =
        flk_start_alloc(sizeof *connections + bounds->threads * sizeof(flk_http_connection_t));
    *out = connections;
    connections->bounds = *bounds;
    connections->own_metrics = metrics == NULL ? flk_metrics_new() : NULL;
    register_metrics(connections, metrics != NULL ? metrics : connections->own_metrics);
    for (unsigned i = 0; i < bounds->threads; i++) {
        connections->places[i].all = connections;
        connections->places[i].fd = -1;
        flk_http_exchange_init(&connections->places[i].exchange, &connections->draining, on_answered);
    }
    pthread_mutex_init(&connections->mutex, NULL);
    flk_cond_init(&connections->wake);
    connections->leave_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (connections->leave_fd < 0) {
        flk_errmsg(errmsg, "out of file descriptors or memory at start: %s", strerror(errno));
        return FLK_E_NOMEM;
    }
    return FLK_OK;
}

void flk_http_connections_destroy(flk_http_connections_t **out) {
    flk_http_connections_t *connections = *out;
    *out = NULL;
    if (connections == NULL) {
        return;
    }
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        flk_http_exchange_fini(&connections->places[i].exchange);
    }
    if (connections->leave_fd >= 0) {
        close(connections->leave_fd);
    }
    pthread_cond_destroy(&connections->wake);
    pthread_mutex_destroy(&connections->mutex);
    flk_metrics_destroy(&connections->own_metrics);
    free(connections);
}

void flk_http_connections_end(flk_http_connections_t *connections) {
    pthread_mutex_lock(&connections->mutex);
    atomic_store(&connections->over, true);
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        if (connections->places[i].fd >= 0) {
            shutdown(connections->places[i].fd, SHUT_RDWR);
        }
    }
    pthread_mutex_unlock(&connections->mutex);
}

bool flk_http_connections_pressed(const flk_http_connections_t *connections) {
    return atomic_load_explicit(&connections->open, memory_order_relaxed) * 4 >= connections->bounds.threads * 3;
}

/* ---- a connection's life ---- */

/* The mutex is held. There is one: a thread has at most one connection. */
static flk_http_connection_t *take_place(flk_http_connections_t *connections) {
    flk_http_connection_t *connection = NULL;
    for (unsigned i = 0; i < connections->bounds.threads && connection == NULL; i++) {
        if (!connections->places[i].is_taken) {
            connection = &connections->places[i];
        }
    }
    FLK_ASSERT(connection != NULL);
    connection->is_taken = true;
    return connection;
}

static void reset_request(flk_http_request_t *request) {
    request->head = (flk_http_head_t){.method = "", .path = ""};
    request->ready = request->reading = request->detached = request->ended = false;
    request->complete = true;
    request->at = request->end = request->scanned = 0;
}

flk_http_connection_t *flk_http_connection_open(flk_http_connections_t *connections, struct mg_connection *civetweb) {
    flk_gauge_add(connections->open_gauge, 1);
    pthread_mutex_lock(&connections->mutex);
    if (atomic_fetch_add(&connections->open, 1) == 0) {
        pthread_cond_signal(&connections->wake);
    }
    flk_http_connection_t *connection = take_place(connections);
    pthread_mutex_unlock(&connections->mutex);
    connection->civetweb = civetweb;
    connection->is_one_too_many = connection->is_sent_away = false;
    flk_http_exchange_renew(&connection->exchange);
    atomic_store(&connection->phase, flk_http_phase_word(FLK_HTTP_HEAD, flk_mono_ms()));
    reset_request(&connection->request);
    return connection;
}

/* The mutex is held. */
static unsigned count_of_client(const flk_http_connections_t *connections, const flk_http_peer_t *peer) {
    unsigned count = 0;
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        const flk_http_connection_t *place = &connections->places[i];
        count += place->fd >= 0 && flk_http_peer_equal(&place->peer, peer);
    }
    return count;
}

/* For how long a client has been silent that has sent nothing yet; 0: it has. A connection may have waited long for
 * its thread. */
static uint64_t silent_ms(int fd) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    int unread;
    bool sent =
        ioctl(fd, FIONREAD, &unread) != 0 || unread > 0 || getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0;
    return sent ? 0 : info.tcpi_last_data_recv;
}

bool flk_http_connection_adopt(flk_http_connection_t *connection, int fd) {
    flk_http_connections_t *connections = connection->all;
    flk_http_peer_t peer;
    if (!flk_http_peer_of(fd, &peer)) {
        return false;
    }
    atomic_store(&connection->phase, flk_http_phase_word(FLK_HTTP_HEAD, flk_mono_ms() - silent_ms(fd)));
    const unsigned max = connections->bounds.per_address_max;
    pthread_mutex_lock(&connections->mutex);
    connection->is_one_too_many = max > 0 && count_of_client(connections, &peer) >= max;
    connection->peer = peer;
    connection->fd = fd;
    pthread_mutex_unlock(&connections->mutex);
    return !atomic_load(&connections->over);
}

void flk_http_connection_close(flk_http_connection_t *connection) {
    flk_http_connections_t *connections = connection->all;
    atomic_fetch_sub(&connections->open, 1);
    flk_gauge_add(connections->open_gauge, -1);
    pthread_mutex_lock(&connections->mutex);
    atomic_store(&connection->phase, flk_http_phase_word(FLK_HTTP_FREE, 0));
    connection->fd = -1; /* from now on the descriptor may be another connection's */
    connection->is_taken = false;
    pthread_mutex_unlock(&connections->mutex);
}

/* ---- phases ---- */

static uint64_t body_deadline_ms(const flk_http_connection_t *connection) {
    const flk_http_pace_t *pace = &connection->all->bounds.pace;
    uint64_t earned_ms = pace->grace_ms + connection->request.body_bytes / pace->bytes_per_ms;
    return connection->request.body_began_ms + (earned_ms < pace->deadline_ms ? earned_ms : pace->deadline_ms);
}

bool flk_http_connection_enter(flk_http_connection_t *connection, flk_http_phase_t phase) {
    uint64_t before = atomic_load_explicit(&connection->phase, memory_order_relaxed);
    uint64_t ms = phase == FLK_HTTP_BODY ? body_deadline_ms(connection) : flk_mono_ms();
    do {
        if (flk_http_phase_of(before) == FLK_HTTP_LATE) {
            return false;
        }
        if (phase == FLK_HTTP_HEAD && flk_http_phase_of(before) == FLK_HTTP_HEAD) {
            return true;
        }
    } while (!atomic_compare_exchange_weak(&connection->phase, &before, flk_http_phase_word(phase, ms)));
    return true;
}

void flk_http_connection_rest(flk_http_connection_t *connection) {
    uint64_t before = atomic_load(&connection->phase);
    while (
        flk_http_phase_of(before) == FLK_HTTP_BUSY &&
        !atomic_compare_exchange_weak(&connection->phase, &before, flk_http_phase_word(FLK_HTTP_IDLE, flk_mono_ms()))) {
    }
}
