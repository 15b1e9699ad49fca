/* SPDX-License-Identifier: MIT */
#include "common/http/listener.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/address.h"
enum { BACKLOG = 1024 };

typedef union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} address_t;

static unsigned port_of(int fd) {
    address_t address;
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) != 0) {
        return 0;
    }
    return ntohs(address.any.sa_family == AF_INET6 ? address.ipv6.sin6_port : address.ipv4.sin_port);
}

/* The descriptor, or -1 with errno. */
static int open_socket(const struct sockaddr *address, socklen_t size, bool both) {
    int on = 1, only_ipv6 = !both;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    bool made = (address->sa_family != AF_INET6 ||
                 setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only_ipv6, sizeof only_ipv6) == 0) &&
                bind(fd, address, size) == 0 && listen(fd, BACKLOG) == 0;
    if (!made) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void set_port(struct sockaddr *address, unsigned port) {
    if (address->sa_family == AF_INET6) {
        ((struct sockaddr_in6 *)(void *)address)->sin6_port = htons((uint16_t)port);
    } else {
        ((struct sockaddr_in *)(void *)address)->sin_port = htons((uint16_t)port);
    }
}

/* A second address gets the port that the first one was given. */
static bool add_socket(flk_http_listener_t *listener, struct sockaddr *address, socklen_t size, bool both) {
    if (listener->fds_len == FLK_HTTP_LISTENERS_MAX) {
        return true;
    }
    set_port(address, listener->port);
    int fd = open_socket(address, size, both);
    if (fd >= 0) {
        listener->fds[listener->fds_len++] = fd;
        listener->port = port_of(fd);
    }
    return fd >= 0;
}

static bool is_missing(int error) {
    return error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
}

static bool open_everywhere(flk_http_listener_t *listener) {
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    return add_socket(listener, (struct sockaddr *)&ipv6, sizeof ipv6, true) ||
           (is_missing(errno) && add_socket(listener, (struct sockaddr *)&ipv4, sizeof ipv4, true));
}

static bool open_localhost(flk_http_listener_t *listener) {
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return add_socket(listener, (struct sockaddr *)&ipv4, sizeof ipv4, false) &&
           (add_socket(listener, (struct sockaddr *)&ipv6, sizeof ipv6, false) || is_missing(errno));
}

/* False with errno, or with the resolver's reason in `why`. */
static bool open_host(const char *host, flk_http_listener_t *listener, char *why) {
    struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    int failed = getaddrinfo(host, NULL, &hints, &found);
    if (failed != 0) {
        flk_errmsg(why, "%s", gai_strerror(failed));
        errno = failed == EAI_SYSTEM ? errno : failed == EAI_AGAIN ? EAGAIN : EINVAL;
        return false;
    }
    bool all = true;
    for (struct addrinfo *at = found; at != NULL && all; at = at->ai_next) {
        all = add_socket(listener, at->ai_addr, at->ai_addrlen, strcmp(host, "::") == 0);
    }
    int error = errno;
    freeaddrinfo(found);
    errno = error;
    return all;
}

static bool open_sockets(const char *host, flk_http_listener_t *listener, char *why) {
    return host[0] == '\0'                      ? open_everywhere(listener)
           : strcasecmp(host, "localhost") == 0 ? open_localhost(listener)
                                                : open_host(host, listener, why);
}

static flk_err_t cannot_listen(flk_err_t err, const char *text, const char *why, char *errmsg) {
    char shown[FLK_LISTEN_TEXT_BYTES];
    flk_address_show(text, shown, sizeof shown);
    flk_errmsg(errmsg, "cannot listen on %s: %s", shown, why);
    return err;
}

static flk_err_t parse(const char *text, flk_listen_t *address, char *errmsg) {
    char why[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = flk_listen_parse(text, address, why);
    return err == FLK_OK ? FLK_OK : cannot_listen(err, text, why, errmsg);
}

flk_err_t flk_http_listener_check(const char *text, char *errmsg) {
    flk_listen_t address;
    return parse(text, &address, errmsg);
}

flk_err_t flk_http_listener_open(const char *text, flk_http_listener_t *listener, char *errmsg) {
    char why[FLK_ERRMSG_BYTES] = "";
    flk_listen_t address;
    *listener = (flk_http_listener_t){.fds_len = 0};
    flk_err_t err = parse(text, &address, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    listener->port = address.port;
    if (open_sockets(address.host, listener, why)) {
        return FLK_OK;
    }
    err = cannot_listen(flk_err_of_listen(errno), text, why[0] != '\0' ? why : strerror(errno), errmsg);
    flk_http_listener_close(listener);
    return err;
}

/* ---- in civetweb's place ---- */

static bool listens_on(int fd, unsigned port) {
    int listens = 0;
    address_t address;
    socklen_t size = sizeof listens, address_size = sizeof address;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens != 0 &&
           getsockname(fd, &address.any, &address_size) == 0 && address.any.sa_family == AF_INET &&
           address.ipv4.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && ntohs(address.ipv4.sin_port) == port;
}

/* Among all descriptors of the process: civetweb tells its ports, and no descriptor. -1: none. */
static int find_listener(unsigned port) {
    DIR *dir = opendir("/proc/self/fd");
    int found = -1;
    for (struct dirent *entry; dir != NULL && found < 0 && (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.' && listens_on(atoi(entry->d_name), port)) {
            found = atoi(entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

flk_err_t flk_http_listener_replace(flk_http_listener_t *listener, const unsigned *ports, char *errmsg) {
    for (unsigned i = 0; i < listener->fds_len; i++) {
        int place = find_listener(ports[i]);
        if (place < 0 || dup3(listener->fds[i], place, O_CLOEXEC) < 0) {
            flk_errmsg(errmsg, "cannot pass a socket on: %s", place < 0 ? "it is not found" : strerror(errno));
            return FLK_E_IO;
        }
        close(listener->fds[i]);
        listener->fds[i] = place;
    }
    return FLK_OK;
}

void flk_http_listener_stop(flk_http_listener_t *listener) {
    for (unsigned i = 0; i < listener->fds_len; i++) {
        shutdown(listener->fds[i], SHUT_RDWR);
    }
    listener->fds_len = 0;
}

void flk_http_listener_close(flk_http_listener_t *listener) {
    for (unsigned i = 0; i < listener->fds_len; i++) {
        close(listener->fds[i]);
    }
    listener->fds_len = 0;
}
