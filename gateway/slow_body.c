/* SPDX-License-Identifier: MIT */
/* A slot's deadline is 0 (idle), a time (reading), or CUTTING while the watch looks for the socket: then the reader, which cannot
 * close the connection before flk_slow_body_end, waits there, so that the descriptor found is still this connection's. */
#include "gateway/slow_body.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PERIOD_MS = 250 };
#define CUTTING UINT64_MAX

struct flk_body_slot {
    _Atomic uint64_t deadline_ms;
    char peer[48];
    int port;
};

struct flk_slow_body {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    uint64_t deadline_ms;
    unsigned slots_len;
    atomic_uint slots_used;
    flk_body_slot_t slots[];
};

/* The calling thread's own slot, taken at its first body. */
static _Thread_local flk_body_slot_t *own_slot;
static _Thread_local const flk_slow_body_t *own_watch;

static bool is_peer(int fd, const char *peer, int port) {
    union {
        struct sockaddr any;
        struct sockaddr_in ipv4;
        struct sockaddr_in6 ipv6;
    } address;
    socklen_t size = sizeof address;
    char text[INET6_ADDRSTRLEN];
    if (getpeername(fd, &address.any, &size) != 0) {
        return false;
    }
    if (address.any.sa_family == AF_INET) {
        return ntohs(address.ipv4.sin_port) == port &&
               inet_ntop(AF_INET, &address.ipv4.sin_addr, text, sizeof text) != NULL && strcmp(text, peer) == 0;
    }
    return address.any.sa_family == AF_INET6 && ntohs(address.ipv6.sin6_port) == port &&
           inet_ntop(AF_INET6, &address.ipv6.sin6_addr, text, sizeof text) != NULL && strcmp(text, peer) == 0;
}

static void cut(const flk_body_slot_t *slot) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return; /* out of descriptors: at the next period */
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && is_peer(fd, slot->peer, slot->port)) {
            shutdown(fd, SHUT_RDWR);
            break;
        }
    }
    closedir(dir);
}

static void check(flk_body_slot_t *slot, uint64_t now_ms) {
    uint64_t deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    if (deadline_ms == 0 || deadline_ms > now_ms) {
        return;
    }
    if (atomic_compare_exchange_strong(&slot->deadline_ms, &deadline_ms, CUTTING)) {
        cut(slot);
        atomic_store(&slot->deadline_ms, deadline_ms);
    }
}

static void *run(void *arg) {
    flk_slow_body_t *watch = arg;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += PERIOD_MS * 1000000L;
        until.tv_sec += until.tv_nsec / 1000000000L;
        until.tv_nsec %= 1000000000L;
        pthread_cond_timedwait(&watch->stop, &watch->lock, &until);
        unsigned used = atomic_load(&watch->slots_used);
        for (unsigned i = 0; i < used && i < watch->slots_len; i++) {
            check(&watch->slots[i], flk_mono_ms());
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

flk_err_t flk_slow_body_start(unsigned threads_max, uint64_t deadline_ms, flk_slow_body_t **watch, char *errmsg) {
    flk_slow_body_t *mine = flk_start_alloc(sizeof *mine + threads_max * sizeof mine->slots[0]);
    pthread_condattr_t monotonic;
    mine->slots_len = threads_max;
    mine->deadline_ms = deadline_ms;
    pthread_mutex_init(&mine->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&mine->stop, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int failed = pthread_create(&mine->thread, NULL, run, mine);
    if (failed != 0) {
        flk_errmsg(errmsg, "cannot start a thread: %s", strerror(failed));
        free(mine);
        return FLK_E_NOMEM;
    }
    *watch = mine;
    return FLK_OK;
}

void flk_slow_body_stop(flk_slow_body_t **watch) {
    flk_slow_body_t *mine = *watch;
    *watch = NULL;
    if (mine == NULL) {
        return;
    }
    pthread_mutex_lock(&mine->lock);
    mine->stopping = true;
    pthread_cond_signal(&mine->stop);
    pthread_mutex_unlock(&mine->lock);
    pthread_join(mine->thread, NULL);
    pthread_cond_destroy(&mine->stop);
    pthread_mutex_destroy(&mine->lock);
    free(mine);
}

flk_body_slot_t *flk_slow_body_begin(flk_slow_body_t *watch, const char *peer, int port) {
    if (own_watch != watch) {
        unsigned index = atomic_fetch_add(&watch->slots_used, 1);
        FLK_ASSERT(index < watch->slots_len);
        own_slot = &watch->slots[index];
        own_watch = watch;
    }
    size_t len = strnlen(peer, sizeof own_slot->peer - 1);
    memcpy(own_slot->peer, peer, len);
    own_slot->peer[len] = '\0';
    own_slot->port = port;
    atomic_store_explicit(&own_slot->deadline_ms, flk_mono_ms() + watch->deadline_ms, memory_order_release);
    return own_slot;
}

void flk_slow_body_end(flk_body_slot_t *slot) {
    uint64_t deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    while (deadline_ms == CUTTING ||
           !atomic_compare_exchange_weak_explicit(&slot->deadline_ms, &deadline_ms, 0, memory_order_acq_rel,
                                                  memory_order_acquire)) {
        sched_yield(); /* the watch is looking for our socket */
        deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    }
}
