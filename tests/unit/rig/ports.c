/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/ports.h"

#include <arpa/inet.h>
#include <check.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base.h"

enum { LEAST = 12000, MOST = 32000 };

static bool is_free(unsigned port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return bound;
}

unsigned rig_free_port(void) {
    unsigned port;
    do {
        port = LEAST + (unsigned)(flk_random_u64() % (MOST - LEAST));
    } while (!is_free(port));
    return port;
}
