/* SPDX-License-Identifier: MIT */
/* 1. begin: the thread that read the request opens the exchange and reads on.
 * 2. answer: the thread that has the answer prints it and sends it, with one send that does not block.
 * 3. All of it went out: closed.
 *
 * Failures, and the reaction to each:
 *   the client reads too slowly   the bytes left over are kept; tick sends them once there is room, and ends
 *                                 the connection after a while. No other client waits for it
 *   the client is gone            the answer is dropped; the connection's thread sees the end of the connection by
 *                                 itself
 *   nobody answers                tick does, with a 503, at the limit that the handler set
 *   out of memory for a rest      the connection is ended: half an answer must not be taken for one */
#include "common/http/exchange.h"
#include "common/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { READER_MS_MAX = 10000 }; /* as long as civetweb waits for a client that does not read */

void flk_http_exchange_init(flk_http_exchange_t *exchange, const atomic_bool *draining,
                            flk_http_answered_fn *answered) {
    *exchange = (flk_http_exchange_t){.fd = -1, .draining = draining, .answered = answered};
    pthread_mutex_init(&exchange->lock, NULL);
    flk_cond_init(&exchange->over);
}

void flk_http_exchange_fini(flk_http_exchange_t *exchange) {
    FLK_ASSERT(exchange->state == FLK_EXCHANGE_CLOSED);
    pthread_cond_destroy(&exchange->over);
    pthread_mutex_destroy(&exchange->lock);
}

void flk_http_exchange_renew(flk_http_exchange_t *exchange) {
    pthread_mutex_lock(&exchange->lock);
    FLK_ASSERT(exchange->state == FLK_EXCHANGE_CLOSED);
    exchange->close = false;
    pthread_mutex_unlock(&exchange->lock);
}

void flk_http_exchange_begin(flk_http_exchange_t *exchange, int fd, bool close) {
    pthread_mutex_lock(&exchange->lock);
    FLK_ASSERT(exchange->state == FLK_EXCHANGE_CLOSED && fd >= 0);
    exchange->state = FLK_EXCHANGE_OPEN;
    exchange->fd = fd;
    exchange->close = close;
    exchange->overdue = NULL;
    pthread_mutex_unlock(&exchange->lock);
}

void flk_http_exchange_limit(flk_http_exchange_t *exchange, uint64_t until_ms, const char *why,
                             flk_http_overdue_fn *overdue, void *arg) {
    pthread_mutex_lock(&exchange->lock);
    exchange->until_ms = until_ms;
    exchange->why = why;
    exchange->overdue = overdue;
    exchange->arg = arg;
    pthread_mutex_unlock(&exchange->lock);
}

bool flk_http_exchange_await(flk_http_exchange_t *exchange) {
    pthread_mutex_lock(&exchange->lock);
    while (exchange->state != FLK_EXCHANGE_CLOSED) {
        pthread_cond_wait(&exchange->over, &exchange->lock);
    }
    bool was_last = exchange->close;
    pthread_mutex_unlock(&exchange->lock);
    return was_last;
}

/* ---- answering; the lock is held ---- */

/* How much of it needs no more care: all, when the connection is broken. */
static size_t send_some(int fd, const char *data, size_t bytes) {
    ssize_t sent;
    do {
        sent = send(fd, data, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0 ? (size_t)sent : errno == EAGAIN || errno == EWOULDBLOCK ? 0 : bytes;
}

static void close_exchange(flk_http_exchange_t *exchange) {
    free(exchange->rest);
    exchange->rest = NULL;
    exchange->state = FLK_EXCHANGE_CLOSED;
    exchange->answered(exchange);
    pthread_cond_signal(&exchange->over); /* no system call while nobody waits */
}

static bool keep_rest(flk_http_exchange_t *exchange, const char *data, size_t bytes) {
    exchange->rest = malloc(bytes);
    exchange->rest_bytes = exchange->rest != NULL ? bytes : 0;
    if (exchange->rest != NULL) {
        memcpy(exchange->rest, data, bytes);
    }
    return exchange->rest != NULL;
}

static void take_answer(flk_http_exchange_t *exchange, const flk_http_answer_t *answer) {
    char message[FLK_HTTP_MESSAGE_BYTES];
    flk_http_answer_t mine = *answer;
    exchange->close |= atomic_load(exchange->draining);
    mine.close = exchange->close;
    size_t bytes = flk_http_print(&mine, message);
    size_t sent = send_some(exchange->fd, message, bytes);
    exchange->overdue = NULL;
    exchange->state = FLK_EXCHANGE_ANSWERED;
    exchange->until_ms = flk_mono_ms() + READER_MS_MAX;
    if (sent == bytes) {
        close_exchange(exchange);
    } else if (!keep_rest(exchange, message + sent, bytes - sent)) {
        shutdown(exchange->fd, SHUT_RDWR);
        close_exchange(exchange);
    }
}

void flk_http_exchange_answer(flk_http_exchange_t *exchange, const flk_http_answer_t *answer) {
    FLK_ASSERT(!answer->close && answer->body_bytes <= FLK_HTTP_SMALL_BODY_BYTES);
    pthread_mutex_lock(&exchange->lock);
    FLK_ASSERT(exchange->state == FLK_EXCHANGE_OPEN);
    take_answer(exchange, answer);
    pthread_mutex_unlock(&exchange->lock);
}

/* ---- now and then ---- */

static void answer_overdue(flk_http_exchange_t *exchange) {
    char body[FLK_HTTP_PROBLEM_BYTES];
    flk_http_answer_t answer = {.status = 503, .content_type = flk_http_problem_type, .body = body, .retry_after_s = 1};
    answer.body_bytes =
        flk_http_problem(body, sizeof body, answer.status, flk_http_status_text(answer.status), exchange->why, NULL);
    take_answer(exchange, &answer);
}

/* True: in vain. */
static bool send_rest(flk_http_exchange_t *exchange, uint64_t now_ms) {
    size_t sent = send_some(exchange->fd, exchange->rest, exchange->rest_bytes);
    memmove(exchange->rest, exchange->rest + sent, exchange->rest_bytes - sent);
    exchange->rest_bytes -= sent;
    bool in_vain = exchange->rest_bytes > 0 && now_ms >= exchange->until_ms;
    if (in_vain) {
        shutdown(exchange->fd, SHUT_RDWR);
    }
    if (in_vain || exchange->rest_bytes == 0) {
        close_exchange(exchange);
    }
    return in_vain;
}

flk_http_exchange_news_t flk_http_exchange_tick(flk_http_exchange_t *exchange, uint64_t now_ms) {
    bool in_vain = false;
    pthread_mutex_lock(&exchange->lock);
    if (exchange->state == FLK_EXCHANGE_OPEN && exchange->overdue != NULL && now_ms >= exchange->until_ms &&
        exchange->overdue(exchange->arg)) {
        answer_overdue(exchange);
    } else if (exchange->state == FLK_EXCHANGE_ANSWERED) {
        in_vain = send_rest(exchange, now_ms);
    }
    bool closed = exchange->state == FLK_EXCHANGE_CLOSED;
    pthread_mutex_unlock(&exchange->lock);
    return in_vain ? FLK_EXCHANGE_IN_VAIN : closed ? FLK_EXCHANGE_NONE : FLK_EXCHANGE_PENDING;
}
