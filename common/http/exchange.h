/* SPDX-License-Identifier: MIT */
/* One connection's request whose answer another thread has.
 *
 *     CLOSED ──begin──▶ OPEN ──answer──▶ ANSWERED ──▶ CLOSED
 *                        └──────all of it went out at once──▲
 *
 * An exchange is *detached* from the thread that read the request: that thread goes back and reads the next request,
 * and the thread that has the answer sends it. So a request costs one sleep of its connection's thread, not two.
 *
 * At most one exchange is open on a connection, so answers keep the order of requests: before the connection's thread
 * acts on the next request, writes anything or closes the socket, it waits in flk_http_exchange_await. Until then the
 * descriptor stays this connection's. */
#ifndef FLK_COMMON_HTTP_EXCHANGE_H
#define FLK_COMMON_HTTP_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/http/answer.h"

typedef enum flk_http_exchange_state {
    FLK_EXCHANGE_CLOSED,
    FLK_EXCHANGE_OPEN,
    FLK_EXCHANGE_ANSWERED
} flk_http_exchange_state_t;

typedef struct flk_http_exchange flk_http_exchange_t;

/* The request is answered: its place among those that are taken up is free. Called with the lock held. */
typedef void flk_http_answered_fn(flk_http_exchange_t *exchange);

/* Whether the server shall answer, since nobody else will. Must not block. */
typedef bool flk_http_overdue_fn(void *arg);

struct flk_http_exchange {
    pthread_mutex_t lock; /* guards the fields below */
    pthread_cond_t over;  /* the state is CLOSED */
    flk_http_exchange_state_t state;
    int fd;                      /* of the connection, while the state is not CLOSED */
    bool close;                  /* the answer is, or was, the connection's last */
    const atomic_bool *draining; /* while true, each answer is */
    flk_http_answered_fn *answered;
    char *rest; /* ANSWERED: the bytes that the socket did not take yet; heap */
    size_t rest_bytes;
    uint64_t until_ms; /* OPEN: overdue; ANSWERED: end of patience with a client that does not read */
    const char *why;
    flk_http_overdue_fn *overdue; /* NULL: never */
    void *arg;
};

/* Start-up. `draining` is kept until flk_http_exchange_fini: answers that are printed while it is true say that the
 * connection ends. */
void flk_http_exchange_init(flk_http_exchange_t *exchange, const atomic_bool *draining, flk_http_answered_fn *answered);
void flk_http_exchange_fini(flk_http_exchange_t *exchange);
/* It is CLOSED, and another connection's from now on. */
void flk_http_exchange_renew(flk_http_exchange_t *exchange);

/* Opens it on the connection's own socket. The connection's thread. */
void flk_http_exchange_begin(flk_http_exchange_t *exchange, int fd, bool close);

/* If unanswered at `until_ms` (monotonic), calls `overdue` every 100 ms or so. On true the server sends a 503 with
 * `why` (kept), and the caller must not answer. `overdue` is never called after flk_http_exchange_answer has
 * returned. */
void flk_http_exchange_limit(flk_http_exchange_t *exchange, uint64_t until_ms, const char *why,
                             flk_http_overdue_fn *overdue, void *arg);

/* Prints and sends the answer; its body has at most FLK_HTTP_SMALL_BODY_BYTES, and `close` is the exchange's to
 * decide. Any thread, exactly once; never blocks. The exchange must not be touched afterwards. */
void flk_http_exchange_answer(flk_http_exchange_t *exchange, const flk_http_answer_t *answer);

/* Sleeps until it is CLOSED. The connection's thread; not long: an answer comes by its limit. True: the client was told
 * that the answer is the connection's last. */
FLK_MUST_CHECK bool flk_http_exchange_await(flk_http_exchange_t *exchange);

typedef enum flk_http_exchange_news {
    FLK_EXCHANGE_NONE,    /* it is closed */
    FLK_EXCHANGE_PENDING, /* not yet */
    FLK_EXCHANGE_IN_VAIN  /* the client did not take its answer in time, and its connection was ended */
} flk_http_exchange_news_t;

/* The watch: answers an overdue request, sends the rest of an answer. Never blocks. */
FLK_MUST_CHECK flk_http_exchange_news_t flk_http_exchange_tick(flk_http_exchange_t *exchange, uint64_t now_ms);

#endif
