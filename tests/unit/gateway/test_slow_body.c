/* SPDX-License-Identifier: MIT */
/* The watch over slow bodies, on real connections to a listener of the test's own. */
#include "gateway/slow_body.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/rig/suite.h"

enum { SOON_MS = 100, LATE_MS = 3600000, PATIENCE_MS = 20000 };

typedef union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} address_t;

/* A listener, and a connection through it. */
typedef struct line {
    int listener, client, server;
    int port, peer_port;
    char peer[64];
} line_t;

static int port_of(const address_t *address) {
    return ntohs(address->any.sa_family == AF_INET ? address->ipv4.sin_port : address->ipv6.sin6_port);
}

static address_t loopback(int family, int port) {
    address_t address = {.any.sa_family = (sa_family_t)family};
    if (family == AF_INET) {
        address.ipv4.sin_port = htons((uint16_t)port);
        address.ipv4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else {
        address.ipv6.sin6_port = htons((uint16_t)port);
        address.ipv6.sin6_addr = in6addr_loopback;
    }
    return address;
}

/* `from_port` 0: any. */
static line_t line_open(int family, int from_port) {
    line_t line = {.listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    address_t address = loopback(family, 0);
    socklen_t size = sizeof address;
    ck_assert_int_eq(bind(line.listener, &address.any, size), 0);
    ck_assert_int_eq(listen(line.listener, 4), 0);
    ck_assert_int_eq(getsockname(line.listener, &address.any, &size), 0);
    line.port = port_of(&address);
    line.client = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int one = 1;
    setsockopt(line.client, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    address_t from = loopback(family, from_port);
    ck_assert_int_eq(bind(line.client, &from.any, sizeof from), 0);
    ck_assert_int_eq(connect(line.client, &address.any, sizeof address), 0);
    size = sizeof from;
    line.server = accept(line.listener, &from.any, &size);
    ck_assert_int_ge(line.server, 0);
    line.peer_port = port_of(&from);
    if (family == AF_INET) {
        inet_ntop(AF_INET, &from.ipv4.sin_addr, line.peer, sizeof line.peer);
    } else {
        inet_ntop(AF_INET6, &from.ipv6.sin6_addr, line.peer, sizeof line.peer);
    }
    return line;
}

static void line_close(line_t *line) {
    close(line->client);
    close(line->server);
    close(line->listener);
}

static bool is_cut_within(const line_t *line, int ms) {
    struct pollfd wait = {.fd = line->server, .events = POLLIN};
    char byte;
    return poll(&wait, 1, ms) == 1 && recv(line->server, &byte, 1, MSG_DONTWAIT) == 0;
}

static flk_slow_body_t *watch_start(unsigned bodies_max, const line_t *line, uint64_t deadline_ms) {
    flk_slow_body_t *watch;
    flk_slow_body_options_t options = {.bodies_max = bodies_max,
                                       .port = line->port,
                                       .deadline_ms = deadline_ms,
                                       .grace_ms = deadline_ms,
                                       .bytes_per_ms = 1};
    ck_assert_int_eq(flk_slow_body_start(&options, &watch, NULL), FLK_OK);
    return watch;
}

/* A body that takes longer than its deadline is cut, over IPv4 and IPv6, also from an address that has a zone. */
START_TEST(test_slow_body_is_cut) {
    static const int families[] = {AF_INET, AF_INET6, AF_INET6};
    line_t line = line_open(families[_i], 0);
    flk_slow_body_t *watch = watch_start(4, &line, SOON_MS);
    if (_i == 2) {
        strcat(line.peer, "%eth0"); /* as getnameinfo prints link-local ones */
    }
    flk_body_slot_t *slot = flk_slow_body_begin(watch, line.peer, line.peer_port);
    ck_assert(is_cut_within(&line, PATIENCE_MS));
    flk_slow_body_end(slot);
    flk_slow_body_stop(&watch);
    line_close(&line);
}
END_TEST

/* One that came in time is left alone, and so is a connection that reads none. */
START_TEST(test_slow_body_in_time) {
    line_t line = line_open(AF_INET, 0);
    flk_slow_body_t *watch = watch_start(4, &line, SOON_MS);
    flk_slow_body_end(flk_slow_body_begin(watch, line.peer, line.peer_port));
    ck_assert(!is_cut_within(&line, 600));
    flk_slow_body_stop(&watch);
    line_close(&line);
}
END_TEST

/* Of two connections from the same port of one client only the one to the watched port is cut. */
START_TEST(test_slow_body_same_peer) {
    line_t other = line_open(AF_INET, 0), line = line_open(AF_INET, other.peer_port);
    flk_slow_body_t *watch = watch_start(4, &line, SOON_MS);
    flk_body_slot_t *slot = flk_slow_body_begin(watch, line.peer, line.peer_port);
    ck_assert(is_cut_within(&line, PATIENCE_MS));
    ck_assert(!is_cut_within(&other, 100));
    flk_slow_body_end(slot);
    flk_slow_body_stop(&watch);
    line_close(&line);
    line_close(&other);
}
END_TEST

/* More bodies than the watch has room for are read unwatched; a place is free again once its body is in. */
START_TEST(test_slow_body_places) {
    enum { PLACES = 3 };
    line_t line = line_open(AF_INET, 0);
    flk_slow_body_t *watch = watch_start(PLACES, &line, LATE_MS);
    flk_body_slot_t *slots[PLACES];
    for (unsigned turn = 0; turn < 5; turn++) {
        for (unsigned i = 0; i < PLACES; i++) {
            slots[i] = flk_slow_body_begin(watch, line.peer, line.peer_port);
            ck_assert_ptr_nonnull(slots[i]);
            ck_assert(i == 0 || slots[i] != slots[i - 1]);
        }
        flk_body_slot_t *none = flk_slow_body_begin(watch, line.peer, line.peer_port);
        ck_assert_ptr_null(none);
        flk_slow_body_end(none);
        for (unsigned i = 0; i < PLACES; i++) {
            flk_slow_body_end(slots[i]);
        }
    }
    flk_slow_body_stop(&watch);
    line_close(&line);
}
END_TEST

typedef struct reader {
    flk_slow_body_t *watch;
    const line_t *line;
    bool stop;
} reader_t;

static void *read_again_and_again(void *arg) {
    reader_t *reader = arg;
    while (!__atomic_load_n(&reader->stop, __ATOMIC_SEQ_CST)) {
        flk_slow_body_end(flk_slow_body_begin(reader->watch, reader->line->peer, reader->line->peer_port));
    }
    return NULL;
}

/* Threads that begin and end bodies while the watch looks and cuts: nothing hangs. */
START_TEST(test_slow_body_races) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    line_t line = line_open(AF_INET, 0);
    flk_slow_body_t *watch = watch_start(2, &line, 0); /* late at once */
    reader_t reader = {.watch = watch, .line = &line};
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_again_and_again, &reader), 0);
    }
    ck_assert(is_cut_within(&line, PATIENCE_MS));
    __atomic_store_n(&reader.stop, true, __ATOMIC_SEQ_CST);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    flk_slow_body_stop(&watch);
    line_close(&line);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("slow_body");
    TCase *tcase = tcase_create("slow_body");
    tcase_set_timeout(tcase, 60);
    tcase_add_loop_test(tcase, test_slow_body_is_cut, 0, 3);
    tcase_add_test(tcase, test_slow_body_in_time);
    tcase_add_test(tcase, test_slow_body_same_peer);
    tcase_add_test(tcase, test_slow_body_places);
    tcase_add_test(tcase, test_slow_body_races);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
