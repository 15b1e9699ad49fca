/* SPDX-License-Identifier: MIT */
/* The watch: each PERIOD_MS, when some connection is open, look at every socket of this process with our port as its own
 * end. One whose peer is in a place (below) is BUSY or IDLE; any other one is a stranger: it is in HEAD, or waits for
 * a thread. The kernel tells those apart: who waits has sent something of which nothing was read, and is left alone.
 *
 * civetweb does not tell a connection's socket. It is found by its far end, through a duplicate of the descriptor: the
 * number may be closed and given to something else at any moment, what the duplicate names stays the same.
 *
 * Out of descriptors or memory: nothing is cut in this period. */
#include "common/http/connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/list.h"
#include "common/thread.h"

enum { PERIOD_MS = 100, PRESSED_HEAD_MS = 500, PRESSED_IDLE_MS = 1000, PEER_BYTES = 46, STRANGERS_MAX = 8192 };

typedef struct peer {
    char address[PEER_BYTES]; /* as inet_ntop prints it, without a zone */
    int port;
} peer_t;

typedef enum state { FREE, HEAD, BUSY, IDLE } state_t;

/* Who comes and goes is guarded by the mutex: state FREE and HEAD, peer, life. */
struct flk_http_connection {
    flk_http_connections_t *all;
    _Atomic state_t state;
    peer_t peer;               /* in BUSY and IDLE */
    _Atomic uint64_t since_ms; /* of IDLE */
    bool was_here, has_socket; /* the watch's: when its look began; it was found */
    int socket;                /* the watch's: one with this peer; … */
    unsigned sockets;          /* … and how many it saw in this look */
    flk_http_exchange_t exchange;
};

typedef struct stranger {
    peer_t peer;
    uint64_t since_ms;
} stranger_t;

typedef struct strangers {
    size_t len;
    stranger_t all[STRANGERS_MAX];
} strangers_t;

struct flk_http_connections {
    flk_http_bounds_t bounds;
    atomic_uint open, requests, running; /* connections with a thread; requests; those of them that are taken up */
    flk_metrics_t *own_metrics;          /* when nobody wants them */
    flk_gauge_t *open_gauge;
    flk_counter_t *cut_head, *cut_idle, *cut_reader, *refused, *parted;
    pthread_mutex_t mutex; /* guards who has which place, stopping */
    pthread_cond_t wake;   /* of the watch: it stops, or there is an open one again */
    bool stopping, watching;
    unsigned port;
    pthread_t thread;
    strangers_t *before, *now; /* the watch's: who they were at the last look */
    flk_http_connection_t places[];
};

static void register_metrics(flk_http_connections_t *connections, flk_metrics_t *metrics) {
    static const char cut[] = "flk_http_cut_total";
    static const char help[] =
        "Connections ended by us: their head was slow, they were idle, or did not take their answer.";
    connections->open_gauge =
        flk_metrics_gauge(metrics, "flk_http_connections", NULL, "HTTP connections that have a thread.");
    connections->cut_head = flk_metrics_counter(metrics, cut, "reason=\"head\"", help);
    connections->cut_idle = flk_metrics_counter(metrics, cut, "reason=\"idle\"", help);
    connections->cut_reader = flk_metrics_counter(metrics, cut, "reason=\"reader\"", help);
    connections->parted =
        flk_metrics_counter(metrics, "flk_http_parted_total", NULL,
                            "HTTP requests that were answered without waking their connection's thread.");
    connections->refused = flk_metrics_counter(metrics, "flk_http_overload_total", NULL,
                                               "HTTP requests refused because there were too many at once.");
}

/* An exchange is answered. Parted from its thread, that ends the request, and the connection is idle from now on. */
static void on_answered(flk_http_exchange_t *exchange, bool parted) {
    flk_http_connection_t *connection = FLK_CONTAINER_OF(exchange, flk_http_connection_t, exchange);
    flk_http_connections_t *connections = connection->all;
    atomic_fetch_sub(&connections->running, 1);
    if (parted) {
        flk_counter_add(connections->parted, 1);
        flk_http_connection_end(connection);
        flk_http_connections_leave(connections);
    }
}

flk_http_connections_t *flk_http_connections_new(const flk_http_bounds_t *bounds, flk_metrics_t *metrics) {
    size_t places = bounds->threads * sizeof(flk_http_connection_t);
    flk_http_connections_t *connections = flk_start_alloc(sizeof *connections + places);
    connections->bounds = *bounds;
    connections->own_metrics = metrics == NULL ? flk_metrics_new() : NULL;
    register_metrics(connections, metrics != NULL ? metrics : connections->own_metrics);
    connections->before = flk_start_alloc(sizeof *connections->before);
    connections->now = flk_start_alloc(sizeof *connections->now);
    for (unsigned i = 0; i < bounds->threads; i++) {
        connections->places[i].all = connections;
        flk_http_exchange_init(&connections->places[i].exchange, on_answered);
    }
    pthread_mutex_init(&connections->mutex, NULL);
    flk_cond_init(&connections->wake);
    return connections;
}

/* ---- a connection's life ---- */

flk_http_connection_t *flk_http_connection_open(flk_http_connections_t *connections) {
    flk_http_connection_t *connection = NULL;
    flk_gauge_add(connections->open_gauge, 1);
    pthread_mutex_lock(&connections->mutex);
    if (atomic_fetch_add(&connections->open, 1) == 0) {
        pthread_cond_signal(&connections->wake);
    }
    for (unsigned i = 0; i < connections->bounds.threads && connection == NULL; i++) {
        if (connections->places[i].state == FREE) {
            connection = &connections->places[i];
            connection->was_here = connection->has_socket = false;
            connection->state = HEAD;
        }
    }
    pthread_mutex_unlock(&connections->mutex);
    return connection;
}

void flk_http_connection_close(flk_http_connections_t *connections, flk_http_connection_t *connection) {
    flk_http_connection_await(connection); /* open until then: the watch may have to end the answer */
    atomic_fetch_sub(&connections->open, 1);
    flk_gauge_add(connections->open_gauge, -1);
    if (connection != NULL) {
        pthread_mutex_lock(&connections->mutex);
        flk_http_exchange_socket(&connection->exchange, -1); /* from now on the descriptor may be somebody else's */
        connection->state = FREE;
        pthread_mutex_unlock(&connections->mutex);
    }
}

void flk_http_connection_await(flk_http_connection_t *connection) {
    if (connection != NULL) {
        flk_http_exchange_await(&connection->exchange);
    }
}

static void set_peer(peer_t *peer, const char *address, int port) {
    size_t len = strcspn(address, "%");
    len = len < PEER_BYTES ? len : PEER_BYTES - 1;
    memcpy(peer->address, address, len);
    peer->address[len] = '\0';
    peer->port = port;
}

/* The mutex is held. */
static bool has_peer(const flk_http_connection_t *place) {
    state_t state = place->state;
    return state == BUSY || state == IDLE;
}

/* The mutex is held. */
static unsigned count_of_address(const flk_http_connections_t *connections, const char *address) {
    unsigned count = 0;
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        const flk_http_connection_t *place = &connections->places[i];
        count += has_peer(place) && strcmp(place->peer.address, address) == 0;
    }
    return count;
}

const char *flk_http_connection_begin(flk_http_connections_t *connections, flk_http_connection_t *connection,
                                      const char *peer, int peer_port) {
    if (connection == NULL) {
        return NULL;
    }
    if (connection->state == IDLE) { /* let in before */
        connection->state = BUSY;
        return NULL;
    }
    const unsigned max = connections->bounds.per_address_max;
    pthread_mutex_lock(&connections->mutex);
    set_peer(&connection->peer, peer, peer_port);
    connection->state = BUSY;
    bool too_many = max > 0 && count_of_address(connections, connection->peer.address) > max;
    pthread_mutex_unlock(&connections->mutex);
    if (too_many) {
        flk_counter_add(connections->refused, 1);
    }
    return too_many ? "too many connections from this address" : NULL;
}

void flk_http_connection_end(flk_http_connection_t *connection) {
    if (connection != NULL) {
        connection->since_ms = flk_mono_ms();
        connection->state = IDLE;
    }
}

flk_http_exchange_t *flk_http_connection_take_up(flk_http_connection_t *connection, bool *parted) {
    if (connection == NULL) {
        return NULL;
    }
    flk_http_connections_t *connections = connection->all;
    if (atomic_fetch_add(&connections->running, 1) >= connections->bounds.requests_max) {
        atomic_fetch_sub(&connections->running, 1);
        flk_counter_add(connections->refused, 1);
        return NULL;
    }
    *parted = flk_http_exchange_begin(&connection->exchange);
    return &connection->exchange;
}

void flk_http_connections_enter(flk_http_connections_t *connections) {
    atomic_fetch_add(&connections->requests, 1);
}

void flk_http_connections_leave(flk_http_connections_t *connections) {
    atomic_fetch_sub(&connections->requests, 1);
}

unsigned flk_http_connections_requests(const flk_http_connections_t *connections) {
    return atomic_load(&connections->requests);
}

bool flk_http_connections_pressed(const flk_http_connections_t *connections) {
    return atomic_load_explicit(&connections->open, memory_order_relaxed) * 4 >= connections->bounds.threads * 3;
}

/* ---- the watch ---- */

typedef union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} address_t;

static int port_of(const address_t *address) {
    return address->any.sa_family == AF_INET    ? ntohs(address->ipv4.sin_port)
           : address->any.sa_family == AF_INET6 ? ntohs(address->ipv6.sin6_port)
                                                : -1;
}

static bool is_listener(int fd) {
    int listens = 0;
    socklen_t size = sizeof listens;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0;
}

/* OURS: a connection to our port. LOST: it may be one, but its peer is gone. */
typedef enum kind { OTHER, OURS, LOST } kind_t;

static kind_t read_peer(int fd, unsigned port, peer_t *peer) {
    address_t address;
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0 || (port_of(&address) != (int)port && port_of(&address) != 0)) {
        return OTHER;
    }
    size = sizeof address;
    if (getpeername(fd, &address.any, &size) != 0) {
        return is_listener(fd) ? OTHER : LOST;
    }
    bool ipv4 = address.any.sa_family == AF_INET;
    const void *raw = ipv4 ? (const void *)&address.ipv4.sin_addr : (const void *)&address.ipv6.sin6_addr;
    peer->port = port_of(&address);
    return inet_ntop(address.any.sa_family, raw, peer->address, sizeof peer->address) != NULL ? OURS : LOST;
}

/* All that it sent is still unread, and it sent something: its turn has not come. */
static bool waits_for_us(int fd) {
    struct tcp_info info;
    socklen_t size = sizeof info;
    int unread;
    memset(&info, 0, sizeof info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || ioctl(fd, SIOCINQ, &unread) != 0) {
        return true; /* not to be judged */
    }
    return unread > 0 && info.tcpi_bytes_received <= (uint64_t)unread;
}

static bool has_unread(int fd) {
    int unread;
    return ioctl(fd, SIOCINQ, &unread) == 0 && unread > 0;
}

static bool same_peer(const peer_t *a, const peer_t *b) {
    return a->port == b->port && strcmp(a->address, b->address) == 0;
}

/* The mutex is held. */
static flk_http_connection_t *find_place(flk_http_connections_t *connections, const peer_t *peer) {
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        flk_http_connection_t *place = &connections->places[i];
        if (has_peer(place) && same_peer(&place->peer, peer)) {
            return place;
        }
    }
    return NULL;
}

/* When we first saw this stranger without a request; remembers it for the next look. */
static uint64_t stranger_since(flk_http_connections_t *connections, const peer_t *peer, uint64_t now_ms) {
    uint64_t since_ms = now_ms;
    for (size_t i = 0; i < connections->before->len; i++) {
        if (same_peer(&connections->before->all[i].peer, peer)) {
            since_ms = connections->before->all[i].since_ms;
            break;
        }
    }
    if (connections->now->len < STRANGERS_MAX) {
        connections->now->all[connections->now->len++] = (stranger_t){.peer = *peer, .since_ms = since_ms};
    }
    return since_ms;
}

static void cut(int fd, flk_counter_t *counter) {
    shutdown(fd, SHUT_RDWR); /* its thread sees the end, and closes it */
    flk_counter_add(counter, 1);
}

/* `fd` is a duplicate of `number`. */
static void judge(flk_http_connections_t *connections, int number, int fd, const peer_t *peer, bool pressed) {
    const flk_http_bounds_t *bounds = &connections->bounds;
    uint64_t now_ms = flk_mono_ms();
    pthread_mutex_lock(&connections->mutex);
    flk_http_connection_t *place = find_place(connections, peer);
    bool known = place != NULL;
    if (known) {
        uint64_t since_ms = place->since_ms;
        bool idle = place->state == IDLE; /* looked at behind its time, which is set before */
        place->socket = number;
        place->sockets++;
        if (idle && !has_unread(fd) && now_ms >= since_ms + (pressed ? PRESSED_IDLE_MS : bounds->idle_ms)) {
            cut(fd, connections->cut_idle);
        }
    }
    pthread_mutex_unlock(&connections->mutex);
    if (known || waits_for_us(fd)) {
        return;
    }
    if (now_ms - stranger_since(connections, peer, now_ms) >= (pressed ? PRESSED_HEAD_MS : bounds->head_ms)) {
        cut(fd, connections->cut_head);
    }
}

/* False: which connection it is could not be told. */
static bool look_at(flk_http_connections_t *connections, int number, bool pressed) {
    peer_t peer;
    kind_t kind = read_peer(number, connections->port, &peer);
    if (kind != OURS) {
        return kind == OTHER;
    }
    int fd = fcntl(number, F_DUPFD_CLOEXEC, 0);
    bool ours = fd >= 0 && read_peer(fd, connections->port, &peer) == OURS;
    if (ours) {
        judge(connections, number, fd, &peer, pressed);
    }
    if (fd >= 0) {
        close(fd);
    }
    return ours;
}

static void begin_look(flk_http_connections_t *connections) {
    pthread_mutex_lock(&connections->mutex);
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        connections->places[i].was_here = has_peer(&connections->places[i]);
        connections->places[i].sockets = 0;
    }
    pthread_mutex_unlock(&connections->mutex);
}

/* Whose connection was open all the time: its socket was among those that the look saw. If it saw one with that peer, and knew the
 * peer of each, that is it. A peer alone would not do: one may have connections to two addresses of this host. */
static void end_look(flk_http_connections_t *connections) {
    pthread_mutex_lock(&connections->mutex);
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        flk_http_connection_t *place = &connections->places[i];
        if (place->was_here && !place->has_socket && has_peer(place) && place->sockets == 1) {
            place->has_socket = true;
            flk_http_exchange_socket(&place->exchange, place->socket);
        }
    }
    pthread_mutex_unlock(&connections->mutex);
}

static void look(flk_http_connections_t *connections) {
    bool pressed = flk_http_connections_pressed(connections), sure = true;
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return;
    }
    begin_look(connections);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            sure &= look_at(connections, atoi(entry->d_name), pressed);
        }
    }
    closedir(dir);
    if (sure) {
        end_look(connections);
    }
    strangers_t *before = connections->before;
    connections->before = connections->now;
    connections->now = before;
    connections->now->len = 0;
}

static void look_after_exchanges(flk_http_connections_t *connections) {
    uint64_t now_ms = flk_mono_ms();
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        if (flk_http_exchange_tick(&connections->places[i].exchange, now_ms)) {
            flk_counter_add(connections->cut_reader, 1);
        }
    }
}

/* The mutex is held. */
static void wait_a_period(flk_http_connections_t *connections) {
    uint64_t until_ms = flk_mono_ms() + PERIOD_MS;
    while (!connections->stopping && flk_cond_wait_until(&connections->wake, &connections->mutex, until_ms)) {
    }
}

static void *run(void *arg) {
    flk_http_connections_t *connections = arg;
    pthread_mutex_lock(&connections->mutex);
    while (!connections->stopping) {
        if (atomic_load(&connections->open) == 0) {
            pthread_cond_wait(&connections->wake, &connections->mutex);
            continue;
        }
        wait_a_period(connections);
        pthread_mutex_unlock(&connections->mutex);
        look_after_exchanges(connections);
        look(connections);
        pthread_mutex_lock(&connections->mutex);
    }
    pthread_mutex_unlock(&connections->mutex);
    return NULL;
}

flk_err_t flk_http_connections_watch(flk_http_connections_t *connections, unsigned port, char *errmsg) {
    connections->port = port;
    flk_err_t err = flk_thread_start(&connections->thread, "flk-http-watch", run, connections, errmsg);
    connections->watching = err == FLK_OK;
    return err;
}

void flk_http_connections_destroy(flk_http_connections_t **out) {
    flk_http_connections_t *connections = *out;
    *out = NULL;
    if (connections == NULL) {
        return;
    }
    if (connections->watching) {
        pthread_mutex_lock(&connections->mutex);
        connections->stopping = true;
        pthread_cond_signal(&connections->wake);
        pthread_mutex_unlock(&connections->mutex);
        pthread_join(connections->thread, NULL);
    }
    for (unsigned i = 0; i < connections->bounds.threads; i++) {
        flk_http_exchange_fini(&connections->places[i].exchange);
    }
    pthread_cond_destroy(&connections->wake);
    pthread_mutex_destroy(&connections->mutex);
    flk_metrics_destroy(&connections->own_metrics);
    free(connections->before);
    free(connections->now);
    free(connections);
}
