/* SPDX-License-Identifier: MIT */
/* A slot's deadline is FREE, CLAIMED while its peer is written into it, a time (reading), or CUTTING while the watch
 * looks for the socket: then the reader, which cannot close the connection before flk_slow_body_end, waits there, so that the
 * descriptor found is still this connection's.
 *
 * A socket is found by both its ends: the same client may hold other connections to this process from the same port. */
#include "gateway/slow_body.h"
#include "common/thread.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { PERIOD_MS = 250, PEER_BYTES = 48 };
#define FREE    UINT64_C(0)
#define CLAIMED (UINT64_MAX - 1)
#define CUTTING UINT64_MAX

struct flk_body_slot {
    _Atomic uint64_t deadline_ms;
    char peer[PEER_BYTES]; /* without the zone of a link-local address */
    int peer_port;
    uint64_t began_ms; /* its reader's */
};

struct flk_slow_body {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop;
    bool stopping;
    flk_slow_body_options_t options;
    atomic_uint next_slot; /* where the next body looks first */
    flk_body_slot_t slots[];
};

typedef union address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} address_t;

typedef int name_fn(int fd, struct sockaddr *address, socklen_t *size); /* getsockname or getpeername */

/* The port of one end, and its address as text; -1 for what is no TCP socket. */
static int end_of(int fd, name_fn *name, char text[INET6_ADDRSTRLEN]) {
    address_t address;
    socklen_t size = sizeof address;
    if (name(fd, &address.any, &size) != 0) {
        return -1;
    }
    if (address.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address.ipv4.sin_addr, text, INET6_ADDRSTRLEN);
        return ntohs(address.ipv4.sin_port);
    }
    if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.ipv6.sin6_addr, text, INET6_ADDRSTRLEN);
        return ntohs(address.ipv6.sin6_port);
    }
    return -1;
}

static bool is_connection(int fd, int port, const flk_body_slot_t *slot) {
    char text[INET6_ADDRSTRLEN];
    return end_of(fd, getsockname, text) == port && end_of(fd, getpeername, text) == slot->peer_port &&
           strcmp(text, slot->peer) == 0;
}

static void cut(const flk_slow_body_t *watch, const flk_body_slot_t *slot) {
    DIR *dir = opendir("/proc/self/fd");
    if (dir == NULL) {
        return; /* out of descriptors: at the next period */
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (entry->d_name[0] != '.' && is_connection(fd, watch->options.port, slot)) {
            shutdown(fd, SHUT_RD); /* its reader sees the end, and can still answer */
            break;
        }
    }
    closedir(dir);
}

/* `now_ms` is ahead of the clock while pressed. */
static void check(const flk_slow_body_t *watch, flk_body_slot_t *slot, uint64_t now_ms) {
    uint64_t deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    if (deadline_ms == FREE || deadline_ms > now_ms) {
        return;
    }
    if (atomic_compare_exchange_strong(&slot->deadline_ms, &deadline_ms, CUTTING)) {
        cut(watch, slot);
        atomic_store(&slot->deadline_ms, deadline_ms);
    }
}

static void *run(void *arg) {
    flk_slow_body_t *watch = arg;
    pthread_mutex_lock(&watch->lock);
    while (!watch->stopping) {
        flk_cond_wait_until(&watch->stop, &watch->lock, flk_mono_ms() + PERIOD_MS);
        bool pressed = watch->options.pressed != NULL && watch->options.pressed(watch->options.arg);
        uint64_t now_ms = flk_mono_ms() + (pressed ? watch->options.pressed_ms : 0);
        for (unsigned i = 0; i < watch->options.bodies_max; i++) {
            check(watch, &watch->slots[i], now_ms);
        }
    }
    pthread_mutex_unlock(&watch->lock);
    return NULL;
}

flk_err_t flk_slow_body_start(const flk_slow_body_options_t *options, flk_slow_body_t **watch, char *errmsg) {
    flk_slow_body_t *mine = flk_start_alloc(sizeof *mine + options->bodies_max * sizeof mine->slots[0]);
    mine->options = *options;
    pthread_mutex_init(&mine->lock, NULL);
    flk_cond_init(&mine->stop);
    flk_err_t err = flk_thread_start(&mine->thread, "flk-slow-body", run, mine, errmsg);
    if (err != FLK_OK) {
        free(mine);
        return err;
    }
    *watch = mine;
    return FLK_OK;
}

void flk_slow_body_relax(flk_slow_body_t *watch) {
    if (watch != NULL) {
        pthread_mutex_lock(&watch->lock);
        watch->options.pressed = NULL;
        pthread_mutex_unlock(&watch->lock);
    }
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

static flk_body_slot_t *claim(flk_slow_body_t *watch) {
    unsigned first = atomic_fetch_add_explicit(&watch->next_slot, 1, memory_order_relaxed);
    for (unsigned i = 0; i < watch->options.bodies_max; i++) {
        flk_body_slot_t *slot = &watch->slots[(first + i) % watch->options.bodies_max];
        uint64_t expected = FREE;
        if (atomic_compare_exchange_strong(&slot->deadline_ms, &expected, CLAIMED)) {
            return slot;
        }
    }
    return NULL;
}

static uint64_t deadline_of(const flk_slow_body_t *watch, const flk_body_slot_t *slot, size_t bytes) {
    uint64_t allowed_ms = watch->options.grace_ms + bytes / watch->options.bytes_per_ms;
    return slot->began_ms + (allowed_ms < watch->options.deadline_ms ? allowed_ms : watch->options.deadline_ms);
}

flk_body_slot_t *flk_slow_body_begin(flk_slow_body_t *watch, const char *peer, int peer_port) {
    flk_body_slot_t *slot = claim(watch);
    if (slot == NULL) {
        return NULL;
    }
    size_t len = strcspn(peer, "%");
    len = len < PEER_BYTES ? len : PEER_BYTES - 1;
    memcpy(slot->peer, peer, len);
    slot->peer[len] = '\0';
    slot->peer_port = peer_port;
    slot->began_ms = flk_mono_ms();
    atomic_store_explicit(&slot->deadline_ms, deadline_of(watch, slot, 0), memory_order_release);
    return slot;
}

void flk_slow_body_progress(flk_slow_body_t *watch, flk_body_slot_t *slot, size_t bytes) {
    uint64_t deadline_ms = slot == NULL ? CUTTING : atomic_load_explicit(&slot->deadline_ms, memory_order_relaxed);
    if (deadline_ms != CUTTING) { /* else it is too late, or not watched; an exchange that fails is too late as well */
        atomic_compare_exchange_strong(&slot->deadline_ms, &deadline_ms, deadline_of(watch, slot, bytes));
    }
}

void flk_slow_body_end(flk_body_slot_t *slot) {
    if (slot == NULL) {
        return;
    }
    uint64_t deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    while (deadline_ms == CUTTING ||
           !atomic_compare_exchange_weak_explicit(&slot->deadline_ms, &deadline_ms, FREE, memory_order_acq_rel,
                                                  memory_order_acquire)) {
        sched_yield(); /* the watch is looking for our socket */
        deadline_ms = atomic_load_explicit(&slot->deadline_ms, memory_order_acquire);
    }
}
