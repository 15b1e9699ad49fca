/* SPDX-License-Identifier: MIT */
#include "common/listen.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char forms[] = "an address is HOST:PORT, [IPV6]:PORT, :PORT, or PORT";

static flk_err_t read_port(const char *text, uint16_t *port, char *errmsg) {
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits] != '\0') {
        flk_errmsg(errmsg, "%s", forms);
        return FLK_E_CONFIG;
    }
    unsigned long value = digits <= 9 ? strtoul(text, NULL, 10) : UINT32_MAX;
    if (value > UINT16_MAX) {
        flk_errmsg(errmsg, "a port is at most 65535");
        return FLK_E_CONFIG;
    }
    *port = (uint16_t)value;
    return FLK_OK;
}

static bool is_name(const char *host) {
    return host[strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == '\0';
}

/* All digits and dots: an address, and not a name that looks like one. */
static bool is_host(const char *host, bool brackets) {
    struct in6_addr address;
    if (brackets) {
        return inet_pton(AF_INET6, host, &address) == 1;
    }
    bool numeric = host[strspn(host, "0123456789.")] == '\0';
    return numeric ? inet_pton(AF_INET, host, &address) == 1 : is_name(host);
}

flk_err_t flk_listen_parse(const char *text, flk_listen_t *listen, char *errmsg) {
    *listen = (flk_listen_t){.port = 0};
    const char *colon = strrchr(text, ':');
    if (colon == NULL) {
        return read_port(text, &listen->port, errmsg);
    }
    size_t len = (size_t)(colon - text);
    bool brackets = len >= 2 && text[0] == '[' && text[len - 1] == ']';
    if (len - 2 * brackets >= sizeof listen->host) {
        flk_errmsg(errmsg, "the host is too long");
        return FLK_E_CONFIG;
    }
    memcpy(listen->host, text + brackets, len - 2 * brackets);
    if (strcmp(listen->host, "*") == 0 && !brackets) {
        listen->host[0] = '\0';
    }
    if ((listen->host[0] != '\0' || brackets) && !is_host(listen->host, brackets)) {
        flk_errmsg(errmsg,
                   strchr(listen->host, ':') != NULL ? "an IPv6 address stands in brackets: [::1]:8080" : forms);
        return FLK_E_CONFIG;
    }
    return read_port(colon + 1, &listen->port, errmsg);
}

bool flk_listen_is_loopback(const flk_listen_t *listen) {
    struct in_addr ipv4;
    struct in6_addr ipv6;
    if (inet_pton(AF_INET, listen->host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    if (inet_pton(AF_INET6, listen->host, &ipv6) == 1) {
        return IN6_IS_ADDR_LOOPBACK(&ipv6) || (IN6_IS_ADDR_V4MAPPED(&ipv6) && ipv6.s6_addr[12] == 127);
    }
    return strcasecmp(listen->host, "localhost") == 0;
}

void flk_listen_print(const flk_listen_t *listen, unsigned port, char text[FLK_LISTEN_TEXT_BYTES]) {
    bool brackets = strchr(listen->host, ':') != NULL;
    const char *host = listen->host[0] != '\0' ? listen->host : "*";
    snprintf(text, FLK_LISTEN_TEXT_BYTES, "%s%s%s:%u", brackets ? "[" : "", host, brackets ? "]" : "", port);
}
