/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/cut_proxy.h"

int cut_socket(unsigned port, bool listens) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    bool fine = listens ? bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 16) == 0
                        : connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    if (!fine) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Passes on the bytes that have come, as far as the budget allows; false when the connection is over. */
static bool cut_pass(cut_proxy_t *proxy, cut_direction_t direction, int from, int to) {
    char data[4096];
    ssize_t got = read(from, data, sizeof data);
    if (got <= 0) {
        return false;
    }
    long left = atomic_load(&proxy->left[direction]);
    ssize_t passed = got <= left ? got : left;
    atomic_fetch_sub(&proxy->left[direction], passed);
    if (passed > 0 && send(to, data, (size_t)passed, MSG_NOSIGNAL) != passed) {
        return false;
    }
    if (passed < got) {
        atomic_store(&proxy->was_cut, true);
    }
    return passed == got;
}

static void cut_serve(cut_proxy_t *proxy, int client) {
    int server = cut_socket(proxy->server_port, false);
    struct pollfd polled[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
    bool go_on = server >= 0;
    while (go_on && !atomic_load(&proxy->stop)) {
        (void)poll(polled, 2, 10);
        go_on = (polled[0].revents == 0 || cut_pass(proxy, CUT_REQUEST, client, server)) &&
                (polled[1].revents == 0 || cut_pass(proxy, CUT_REPLY, server, client));
    }
    close(client);
    close(server);
}

static void *cut_main(void *arg) {
    cut_proxy_t *proxy = arg;
    while (!atomic_load(&proxy->stop)) {
        struct pollfd polled = {.fd = proxy->listener, .events = POLLIN};
        if (poll(&polled, 1, 10) == 1) {
            int client = accept(proxy->listener, NULL, NULL);
            if (client >= 0) {
                cut_serve(proxy, client);
            }
        }
    }
    return NULL;
}

void cut_proxy_start(cut_proxy_t *proxy, unsigned server_port) {
    proxy->server_port = server_port;
    proxy->port = rig_free_port();
    proxy->listener = cut_socket(proxy->port, true);
    ck_assert_int_ge(proxy->listener, 0);
    atomic_init(&proxy->stop, false);
    atomic_init(&proxy->was_cut, false);
    atomic_init(&proxy->left[CUT_REQUEST], 1 << 30);
    atomic_init(&proxy->left[CUT_REPLY], 1 << 30);
    ck_assert_int_eq(pthread_create(&proxy->thread, NULL, cut_main, proxy), 0);
}

void cut_proxy_arm(cut_proxy_t *proxy, cut_direction_t direction, long bytes) {
    atomic_store(&proxy->left[direction], bytes);
}

void cut_proxy_stop(cut_proxy_t *proxy) {
    atomic_store(&proxy->stop, true);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
}
