/* SPDX-License-Identifier: MIT */
/* One connection's request whose answer another thread has. What a handler does with it is in http.h; here is what the server does.
 *
 *     CLOSED ──begin──▶ OPEN ──answer──▶ ANSWERED ──▶ CLOSED
 *                        └──────all of it went out at once──▲
 *
 * A connection whose socket is known is *parted* from the thread that read the request: that goes back to civetweb and waits for the
 * next request, and whoever has the answer sends it. So a request costs one sleep of its thread, not two. As long as the socket is
 * not known the thread waits in flk_http_exchange_leave and sends the answer itself.
 *
 * At most one is open on a connection, so answers keep the order of requests: before the thread looks at the next one, writes
 * anything or closes the socket it waits in flk_http_exchange_await. For that long, too, the descriptor stays this connection's. */
#ifndef FLK_COMMON_HTTP_EXCHANGE_H
#define FLK_COMMON_HTTP_EXCHANGE_H

#include <pthread.h>

#include "common/http/http.h"

typedef enum flk_http_exchange_state {
    FLK_EXCHANGE_CLOSED,
    FLK_EXCHANGE_OPEN,
    FLK_EXCHANGE_ANSWERED
} flk_http_exchange_state_t;

/* A request was answered, `parted` or not: its place among those that are taken up is free. Called with the lock held. */
typedef void flk_http_answered_fn(flk_http_exchange_t *exchange, bool parted);

struct flk_http_exchange {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t over;  /* the state is not what its thread waits for to end */
    flk_http_exchange_state_t state;
    int fd; /* -1: not known */
    bool parted;
    flk_http_answered_fn *answered;
    char *rest; /* ANSWERED: what is still to be sent; heap */
    size_t rest_bytes;
    uint64_t until_ms; /* OPEN: overdue; ANSWERED: no more patience with who does not read */
    const char *why;
    flk_http_overdue_fn *overdue; /* NULL: never */
    void *arg;
};

/* Start-up. */
void flk_http_exchange_init(flk_http_exchange_t *exchange, flk_http_answered_fn *answered);
void flk_http_exchange_fini(flk_http_exchange_t *exchange);

/* The connection's socket; -1 when there is none (any more). Must not be given for another connection's: bytes would go there. */
void flk_http_exchange_socket(flk_http_exchange_t *exchange, int fd);
/* Opens it. True: parted. Its own thread. */
FLK_MUST_CHECK bool flk_http_exchange_begin(flk_http_exchange_t *exchange);
/* Sleeps until it is closed. Its own thread; not long: an answer comes by its limit. */
void flk_http_exchange_await(flk_http_exchange_t *exchange);
/* Now and then: answers what is overdue, sends what did not go out at once. True: the client did not take its answer in time, and its
 * connection was ended. Never blocks. */
FLK_MUST_CHECK bool flk_http_exchange_tick(flk_http_exchange_t *exchange, uint64_t now_ms);

/* ---- http.c ---- */
/* A whole answer as it goes over the wire; body_bytes <= FLK_HTTP_SMALL_BODY_BYTES. Returns its bytes. */
enum { FLK_HTTP_HEAD_BYTES = 768, FLK_HTTP_SMALL_BODY_BYTES = 4096 };
enum { FLK_HTTP_MESSAGE_BYTES = FLK_HTTP_HEAD_BYTES + FLK_HTTP_SMALL_BODY_BYTES };
size_t flk_http_print(const flk_http_answer_t *answer, char message[FLK_HTTP_MESSAGE_BYTES]);

#endif
