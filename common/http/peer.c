/* SPDX-License-Identifier: MIT */
#include "common/http/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

enum { NETWORK_BYTES = 8, TEXT_BYTES = 64 };

static void set_ipv4(flk_http_peer_t *peer, const struct in_addr *address) {
    *peer = (flk_http_peer_t){.bytes = {[10] = 0xff, [11] = 0xff}};
    memcpy(peer->bytes + 12, address, 4);
}

/* An IPv4 client of a socket that takes both looks like IPv6. */
static void set_ipv6(flk_http_peer_t *peer, const struct in6_addr *address) {
    *peer = (flk_http_peer_t){.bytes = {0}};
    memcpy(peer->bytes, address, IN6_IS_ADDR_V4MAPPED(address) ? sizeof peer->bytes : (size_t)NETWORK_BYTES);
}

bool flk_http_peer_of(int fd, flk_http_peer_t *peer) {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
    socklen_t size = sizeof address;
    if (getpeername(fd, &address.any, &size) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET) {
        set_ipv4(peer, &address.ipv4.sin_addr);
    } else if (address.any.sa_family == AF_INET6) {
        set_ipv6(peer, &address.ipv6.sin6_addr);
    } else {
        return false;
    }
    return true;
}

/* "[::1]:80" -> "::1", "1.2.3.4:80" -> "1.2.3.4"; the zone of a link-local address goes. */
static void trim_address(char *text) {
    bool brackets = text[0] == '[';
    if (brackets) {
        memmove(text, text + 1, strlen(text));
    }
    char *colon = strchr(text, ':');
    bool has_port = !brackets && colon != NULL && strchr(colon + 1, ':') == NULL;
    text[strcspn(text, brackets ? "]%" : has_port ? ":" : "%")] = '\0';
}

bool flk_http_peer_forwarded(const char *value, flk_http_peer_t *peer) {
    const char *comma = strrchr(value, ',');
    const char *last = comma != NULL ? comma + 1 : value;
    last += strspn(last, " \t");
    size_t len = strcspn(last, " \t");
    if (len >= TEXT_BYTES) {
        return false;
    }
    char text[TEXT_BYTES];
    memcpy(text, last, len);
    text[len] = '\0';
    trim_address(text);
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, text, &ipv4) == 1) {
        set_ipv4(peer, &ipv4);
    } else if (inet_pton(AF_INET6, text, &ipv6) == 1) {
        set_ipv6(peer, &ipv6);
    } else {
        return false;
    }
    return true;
}

bool flk_http_peer_equal(const flk_http_peer_t *a, const flk_http_peer_t *b) {
    return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}
