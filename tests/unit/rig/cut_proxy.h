/* SPDX-License-Identifier: MIT */
/* A TCP proxy before a real server that breaks its connection after so many bytes, in either direction: every place at
 * which a connection can be lost, one after the other. */
#ifndef FLK_TESTS_CUT_PROXY_H
#define FLK_TESTS_CUT_PROXY_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/rig/daemon_rig.h"

typedef enum cut_direction { CUT_REQUEST, CUT_REPLY } cut_direction_t;

typedef struct cut_proxy {
    unsigned port, server_port;
    int listener;
    pthread_t thread;
    atomic_bool stop;
    atomic_long left[2]; /* bytes that may still pass, by direction */
    atomic_bool was_cut;
} cut_proxy_t;

int cut_socket(unsigned port, bool listens);

void cut_proxy_start(cut_proxy_t *proxy, unsigned server_port);

/* From now on so many bytes pass in that direction, and then nothing any more. */
void cut_proxy_arm(cut_proxy_t *proxy, cut_direction_t direction, long bytes);

void cut_proxy_stop(cut_proxy_t *proxy);

#endif
