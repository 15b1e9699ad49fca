/* SPDX-License-Identifier: MIT */
#include "agent/flk/cluster/port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/listen.h"

enum { HOST_BYTES = 256, PORTS_TRIED_MAX = 1000 };

/* Splits "host:port" or "[v6]:port" into its two parts, without the brackets. */
static bool split(const char *address, char host[HOST_BYTES], const char **port) {
    const char *colon = strrchr(address, ':');
    if (colon == NULL || colon == address || colon[1] == '\0') {
        return false;
    }
    size_t host_len = (size_t)(colon - address);
    bool brackets = address[0] == '[' && address[host_len - 1] == ']';
    int written = snprintf(host, HOST_BYTES, "%.*s", (int)(host_len - 2 * brackets), address + brackets);
    *port = colon + 1;
    return written < HOST_BYTES;
}

/* 0 or an errno. SO_REUSEADDR as civetweb and libzmq have it: connections in TIME_WAIT do not count. */
static int try_bind(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return errno;
    }
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    int failure = bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 1) == 0 ? 0 : errno;
    close(fd);
    return failure;
}

flk_err_t flk_port_check(const char *address, char *errmsg) {
    const char *scheme = strstr(address, "://");
    if (strcmp(address, "off") == 0 || (scheme != NULL && strncmp(address, "tcp://", 6) != 0)) {
        return FLK_OK;
    }
    char host[HOST_BYTES];
    const char *port;
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (!split(scheme != NULL ? scheme + 3 : address, host, &port) ||
        getaddrinfo(strcmp(host, "*") == 0 ? NULL : host, port, &hints, &found) != 0) {
        flk_errmsg(errmsg, "%.160s is not an address to listen on", address);
        return FLK_E_CONFIG;
    }
    int failure = try_bind(found);
    freeaddrinfo(found);
    if (failure != 0) {
        flk_errmsg(errmsg, failure == EADDRINUSE ? "%.160s is in use" : "cannot listen on %.160s: %s", address,
                   strerror(failure));
        return FLK_E_LOCKED;
    }
    return FLK_OK;
}

/* Host and port of a URL or endpoint, as "host:port"; an URL's scheme gives its port. */
static void address_of(const char *url, char *out, size_t out_bytes) {
    const char *scheme = strstr(url, "://");
    const char *host = scheme != NULL ? scheme + 3 : url;
    const char *at = strchr(host, '@');
    size_t len = strcspn(host, "/?");
    if (at != NULL && at < host + len) {
        len -= (size_t)(at + 1 - host);
        host = at + 1;
    }
    const char *bracket = memrchr(host, ']', len), *colon = memrchr(host, ':', len);
    bool has_port = colon != NULL && (bracket == NULL || colon > bracket);
    const char *port = has_port ? "" : strncmp(url, "https", 5) == 0 ? ":443" : ":80";
    char address[HOST_BYTES];
    snprintf(address, sizeof address, "%.*s%s", (int)len, host, port);
    flk_port_connectable(address, out, out_bytes);
}

/* 0 or an errno. */
static int try_connect(const struct addrinfo *address, unsigned timeout_ms) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return errno;
    }
    int failure = connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    struct pollfd wait = {.fd = fd, .events = POLLOUT};
    socklen_t len = sizeof failure;
    if (failure == EINPROGRESS &&
        (poll(&wait, 1, (int)timeout_ms) != 1 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &len) != 0)) {
        failure = ETIMEDOUT;
    }
    close(fd);
    return failure;
}

flk_err_t flk_port_reach(const char *address, unsigned timeout_ms, char *errmsg) {
    char host[HOST_BYTES], target[HOST_BYTES];
    const char *port;
    struct addrinfo hints = {.ai_flags = AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *found;
    if (strncmp(address, "ipc://", 6) == 0) {
        flk_errmsg(errmsg, "%.200s: %s", address, strerror(ENOENT));
        return access(address + 6, W_OK) == 0 ? FLK_OK : FLK_E_UNAVAILABLE;
    }
    address_of(address, target, sizeof target);
    if (!split(target, host, &port)) {
        flk_errmsg(errmsg, "%.200s is not an address", address);
        return FLK_E_INVALID;
    }
    int status = getaddrinfo(host, port, &hints, &found);
    if (status != 0) {
        flk_errmsg(errmsg, "%.200s: %s", address, gai_strerror(status));
        return FLK_E_UNAVAILABLE;
    }
    int failure = ENOENT;
    for (const struct addrinfo *at = found; at != NULL && failure != 0; at = at->ai_next) {
        failure = try_connect(at, timeout_ms);
    }
    freeaddrinfo(found);
    flk_errmsg(errmsg, "%.200s: %s", address, strerror(failure));
    return failure == 0 ? FLK_OK : FLK_E_UNAVAILABLE;
}

unsigned flk_port_pick(unsigned from) {
    for (unsigned port = from; port < from + PORTS_TRIED_MAX && port < 65536; port++) {
        struct sockaddr_in loopback = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct addrinfo address = {
            .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&loopback, .ai_addrlen = sizeof loopback};
        if (try_bind(&address) == 0) {
            return port;
        }
    }
    return 0;
}

void flk_port_connectable(const char *address, char *out, size_t out_bytes) {
    flk_listen_t listen;
    if (flk_listen_parse(address, &listen, NULL) != FLK_OK) {
        snprintf(out, out_bytes, "%s", address);
    } else if (listen.host[0] == '\0' || strcmp(listen.host, "0.0.0.0") == 0) {
        snprintf(out, out_bytes, "127.0.0.1:%u", listen.port);
    } else if (strcmp(listen.host, "::") == 0) {
        snprintf(out, out_bytes, "[::1]:%u", listen.port);
    } else {
        snprintf(out, out_bytes, "%s", address);
    }
}
