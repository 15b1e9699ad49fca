/* SPDX-License-Identifier: MIT */
#include "common/http/watch.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include "common/thread.h"

enum { PERIOD_MS = 100, PRESSED_HEAD_MS = 500, PRESSED_IDLE_MS = 1000 };

static bool has_unread(int fd) {
    int unread;
    return ioctl(fd, FIONREAD, &unread) == 0 && unread > 0;
}

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/* When the phase has lasted too long; UINT64_MAX: never. */
static uint64_t end_of(const flk_http_bounds_t *bounds, flk_http_phase_t phase, uint64_t ms, bool pressed) {
    switch (phase) {
    case FLK_HTTP_HEAD:
        return ms + (pressed ? least(PRESSED_HEAD_MS, bounds->head_ms) : bounds->head_ms);
    case FLK_HTTP_IDLE:
        return ms + (pressed ? least(PRESSED_IDLE_MS, bounds->idle_ms) : bounds->idle_ms);
    case FLK_HTTP_BODY:
        return ms - (pressed ? bounds->pace.pressed_ms : 0);
    default:
        return UINT64_MAX;
    }
}

static flk_counter_t *counter_of(const flk_http_connections_t *connections, flk_http_phase_t phase) {
    return phase == FLK_HTTP_HEAD   ? connections->cut_head
           : phase == FLK_HTTP_BODY ? connections->cut_body
                                    : connections->cut_idle;
}

/* The mutex is held, so the descriptor is this connection's. */
static void judge(flk_http_connection_t *connection, uint64_t now_ms, bool pressed) {
    flk_http_connections_t *connections = connection->all;
    uint64_t word = atomic_load(&connection->phase);
    flk_http_phase_t phase = flk_http_phase_of(word);
    if (now_ms < end_of(&connections->bounds, phase, flk_http_phase_ms(word), pressed) ||
        (phase == FLK_HTTP_IDLE && has_unread(connection->fd))) {
        return;
    }
    uint64_t late = flk_http_phase_word(FLK_HTTP_LATE, now_ms);
    if (atomic_compare_exchange_strong(&connection->phase, &word, late)) { /* else it went on just now */
        shutdown(connection->fd, phase == FLK_HTTP_BODY ? SHUT_RD : SHUT_RDWR);
        flk_counter_add(counter_of(connections, phase), 1);
    }
}

static void look_at(flk_http_connection_t *connection, bool pressed) {
    flk_http_connections_t *connections = connection->all;
    uint64_t now_ms = flk_mono_ms();
    flk_http_exchange_news_t news = flk_http_exchange_tick(&connection->exchange, now_ms);
    if (news == FLK_EXCHANGE_IN_VAIN) {
        flk_counter_add(connections->cut_reader, 1);
    }
    if (news != FLK_EXCHANGE_NONE) {
        return; /* the next head may wait as long as the answer before it */
    }
    pthread_mutex_lock(&connections->mutex);
    if (connection->fd >= 0) {
        judge(connection, now_ms, pressed);
    }
    pthread_mutex_unlock(&connections->mutex);
}

/* The mutex is held. */
static void wait_a_period(flk_http_connections_t *connections) {
    uint64_t until_ms = flk_mono_ms() + PERIOD_MS;
    while (!connections->watch_ends && flk_cond_wait_until(&connections->wake, &connections->mutex, until_ms)) {
    }
}

static void *watch(void *arg) {
    flk_http_connections_t *connections = arg;
    pthread_mutex_lock(&connections->mutex);
    while (!connections->watch_ends) {
        if (atomic_load(&connections->open) == 0) {
            pthread_cond_wait(&connections->wake, &connections->mutex);
            continue;
        }
        wait_a_period(connections);
        pthread_mutex_unlock(&connections->mutex);
        bool pressed = flk_http_connections_pressed(connections);
        for (unsigned i = 0; i < connections->bounds.threads; i++) {
            look_at(&connections->places[i], pressed);
        }
        pthread_mutex_lock(&connections->mutex);
    }
    pthread_mutex_unlock(&connections->mutex);
    return NULL;
}

flk_err_t flk_http_watch_start(flk_http_connections_t *connections, char *errmsg) {
    return flk_thread_start(&connections->watch, "flk-http-watch", watch, connections, errmsg);
}

void flk_http_watch_stop(flk_http_connections_t *connections) {
    pthread_mutex_lock(&connections->mutex);
    connections->watch_ends = true;
    pthread_cond_signal(&connections->wake);
    pthread_mutex_unlock(&connections->mutex);
    pthread_join(connections->watch, NULL);
}
