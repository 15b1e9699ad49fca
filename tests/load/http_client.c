/* SPDX-License-Identifier: MIT */
/* Keep-alive connections, one request outstanding on each, all in one epoll loop. */
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
    int fd;
    uint64_t sent_ns;
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

static bool request(connection_t *connection, const load_body_t *body) {
    char out[4096];
    int len = snprintf(out, sizeof out,
                       "POST /v1/pcs/submit HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
                       "Content-Length: %u\r\n\r\n%s",
                       body->bytes_len, body->bytes);
    FLK_ASSERT(len > 0 && len < (int)sizeof out);
    connection->sent_ns = flk_mono_ns();
    connection->in_bytes = 0;
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

int http_run(const load_options_t *options, const load_body_t *bodies) {
    connection_t *connections = flk_start_alloc(options->outstanding * sizeof *connections);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    size_t next = 0;
    int status = 0;
    for (unsigned i = 0; i < options->outstanding; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &connections[i]};
        connections[i].fd = dial(options->http);
        if (connections[i].fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, connections[i].fd, &event) != 0) {
            fprintf(stderr, "flk-load: cannot connect to %s: %s\n", options->http, strerror(errno));
            return 1;
        }
    }
    window_open(options);
    for (unsigned i = 0; i < options->outstanding; i++) {
        (void)request(&connections[i], &bodies[next++ % options->distinct]);
    }
    while (window_running() && status == 0) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, FLK_COUNT_OF(events), 10);
        for (int i = 0; i < ready; i++) {
            connection_t *connection = events[i].data.ptr;
            int answer = response(connection);
            if (answer == 0) {
                continue;
            }
            if (answer > 0) {
                window_count(connection->sent_ns, (unsigned)answer);
            }
            if (answer < 0 || !request(connection, &bodies[next++ % options->distinct])) {
                fprintf(stderr, "flk-load: %s ended a connection\n", options->http);
                status = 1;
                break;
            }
        }
    }
    window_print();
    for (unsigned i = 0; i < options->outstanding; i++) {
        close(connections[i].fd);
    }
    close(epoll);
    free(connections);
    return status;
}
