/* SPDX-License-Identifier: MIT */
/* Keep-alive connections, at most one request outstanding on each, all in one epoll loop. Each is made for its first
 * request, and anew for the next one after the server ended it unused: a door gives a connection seconds to ask. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/load/load.h"

typedef struct connection {
    int fd; /* -1: not connected */
    bool asked;
    uint64_t due_ns;
    char in[8192];
    size_t in_bytes;
} connection_t;

static int dial(const char *host_port) {
    char host[64];
    const char *colon = strrchr(host_port, ':');
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (colon == NULL || (size_t)(colon - host_port) >= sizeof host) {
        return -1;
    }
    memcpy(host, host_port, (size_t)(colon - host_port));
    host[colon - host_port] = '\0';
    address.sin_port = htons((uint16_t)atoi(colon + 1));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static bool connect_one(connection_t *connection, int epoll, const char *host_port) {
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    connection->fd = dial(host_port);
    if (connection->fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0) {
        fprintf(stderr, "flk-load: cannot connect to %s: %s\n", host_port, strerror(errno));
        return false;
    }
    return true;
}

static void disconnect(connection_t *connection) {
    close(connection->fd);
    connection->fd = -1;
}

static bool request(connection_t *connection, uint64_t due_ns, const load_body_t *body) {
    char out[4096];
    int len = snprintf(out, sizeof out,
                       "POST /v1/pcs/submit HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
                       "Content-Length: %u\r\n\r\n%s",
                       body->bytes_len, body->bytes);
    FLK_ASSERT(len > 0 && len < (int)sizeof out);
    connection->due_ns = due_ns;
    connection->in_bytes = 0;
    connection->asked = true;
    return send(connection->fd, out, (size_t)len, MSG_NOSIGNAL) == len;
}

/* The status of a whole response, 0 while it is not whole, -1 when the connection ended. */
static int response(connection_t *connection) {
    ssize_t got = recv(connection->fd, connection->in + connection->in_bytes,
                       sizeof connection->in - 1 - connection->in_bytes, MSG_DONTWAIT);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN ? 0 : -1;
    }
    connection->in_bytes += (size_t)got;
    connection->in[connection->in_bytes] = '\0';
    const char *end = strstr(connection->in, "\r\n\r\n");
    const char *length = strcasestr(connection->in, "Content-Length:");
    if (end == NULL || length == NULL) {
        return 0;
    }
    size_t whole = (size_t)(end + 4 - connection->in) + strtoul(length + 15, NULL, 10);
    return connection->in_bytes >= whole ? atoi(connection->in + 9) : 0;
}

/* Those without a request, as a stack. */
typedef struct idle {
    connection_t **connections;
    unsigned len;
} idle_t;

/* False when a connection cannot be made, or has ended. */
static bool send_due(int epoll, idle_t *idle, const load_options_t *options, const load_body_t *bodies, size_t *next) {
    uint64_t due_ns;
    while (idle->len > 0 && window_due(&due_ns)) {
        connection_t *connection = idle->connections[--idle->len];
        const load_body_t *body = &bodies[(*next)++ % options->distinct];
        bool kept = connection->fd >= 0;
        if (!kept && !connect_one(connection, epoll, options->http)) {
            return false;
        }
        if (request(connection, due_ns, body)) {
            continue;
        }
        disconnect(connection);
        if (!kept || !connect_one(connection, epoll, options->http) || !request(connection, due_ns, body)) {
            return false;
        }
    }
    return true;
}

static bool take_answers(int epoll, idle_t *idle) {
    struct epoll_event events[64];
    uint64_t wait_ns = window_wait_ns();
    struct timespec wait = {.tv_nsec = (long)wait_ns};
    int ready = epoll_pwait2(epoll, events, FLK_COUNT_OF(events), &wait, NULL);
    for (int i = 0; i < ready; i++) {
        connection_t *connection = events[i].data.ptr;
        int status = response(connection);
        if (status < 0 && connection->asked) {
            return false;
        }
        if (status < 0) {
            disconnect(connection);
        } else if (status > 0) {
            connection->asked = false;
            window_count(connection->due_ns, (unsigned)status);
            idle->connections[idle->len++] = connection;
        }
    }
    return true;
}

int http_run(const load_options_t *options, const load_body_t *bodies) {
    connection_t *connections = flk_start_alloc(options->outstanding * sizeof *connections);
    idle_t idle = {.connections = flk_start_alloc(options->outstanding * sizeof(connection_t *))};
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    size_t next = 0;
    bool alive = true;
    for (unsigned i = 0; i < options->outstanding; i++) {
        connections[i].fd = -1;
        idle.connections[idle.len++] = &connections[i];
    }
    window_open(options);
    while (alive && window_running()) {
        alive = send_due(epoll, &idle, options, bodies, &next) && take_answers(epoll, &idle);
    }
    if (!alive) {
        fprintf(stderr, "flk-load: %s ended a connection\n", options->http);
    }
    int status = window_print();
    for (unsigned i = 0; i < options->outstanding; i++) {
        if (connections[i].fd >= 0) {
            close(connections[i].fd);
        }
    }
    close(epoll);
    free(idle.connections);
    free(connections);
    return alive ? status : 1;
}
