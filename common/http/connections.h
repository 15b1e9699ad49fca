/* SPDX-License-Identifier: MIT */
/* One server's connections: a table with a place for each thread, and bounds on how long a client may hold one.
 *
 * civetweb gives a connection a thread for as long as it lasts, and waits as long as bytes trickle in, so slow or
 * idle clients could occupy every thread. The table knows the phase of each connection; the watch (http/watch.c) ends
 * those that take too long:
 *
 *     taken up ──▶ HEAD ──────▶ BUSY ◀────▶ BODY     LATE: the watch ended it
 *                   ▲            │
 *                   └── IDLE ◀───┘
 *
 * It ends HEAD after head_ms, IDLE after idle_ms, and BODY by its pace; sooner under pressure: the more clients wait,
 * the less may one dawdle.
 * A late body is cut for reading only, so that its refusal still goes out. BUSY is not ended, but for a client that
 * does not take its answer (http/exchange.h).
 *
 * This header is the room's own: server, request, hooks and watch share the structures; handlers see http/request.h. */
#ifndef FLK_COMMON_HTTP_CONNECTIONS_H
#define FLK_COMMON_HTTP_CONNECTIONS_H

#include <stdatomic.h>

#include "common/http/chunks.h"
#include "common/http/request.h"
#include "common/metrics.h"

struct mg_connection;

/* How fast a body must come. */
typedef struct flk_http_pace {
    unsigned deadline_ms;  /* for the whole body */
    unsigned grace_ms;     /* for its first byte; each byte gives it 1 / bytes_per_ms more, up to deadline_ms */
    unsigned pressed_ms;   /* less of that under pressure */
    unsigned bytes_per_ms; /* not 0 where bodies are read */
} flk_http_pace_t;

typedef struct flk_http_bounds {
    unsigned threads;         /* connections that are served at once */
    unsigned requests_max;    /* places of `running`; below threads, so that one is left to refuse the next request */
    unsigned per_address_max; /* connections of one client; 0 = no bound */
    unsigned head_ms, idle_ms;
    flk_http_pace_t pace;
} flk_http_bounds_t;

typedef enum flk_http_phase {
    FLK_HTTP_FREE,
    FLK_HTTP_HEAD,
    FLK_HTTP_BODY,
    FLK_HTTP_BUSY,
    FLK_HTTP_IDLE,
    FLK_HTTP_LATE
} flk_http_phase_t;

/* A phase with a time in one word, so that the watch sees both of one moment: milliseconds << 3 | phase. */
static inline uint64_t flk_http_phase_word(flk_http_phase_t phase, uint64_t ms) {
    return ms << 3 | phase;
}
static inline flk_http_phase_t flk_http_phase_of(uint64_t word) {
    return (flk_http_phase_t)(word & 7);
}
static inline uint64_t flk_http_phase_ms(uint64_t word) {
    return word >> 3;
}

typedef struct flk_http_connections flk_http_connections_t;
typedef struct flk_http_connection flk_http_connection_t;

enum { FLK_HTTP_BUFFER_BYTES = FLK_HTTP_HEAD_BYTES_MAX + 4096 }; /* room for some body behind the longest head */

struct flk_http_request { /* the connection's thread's */
    flk_http_head_t head;
    bool ready;             /* a head was read that was not served yet */
    bool reading, complete; /* the body: its first read began; all of it was read */
    bool detached;
    bool has_place;      /* counted in `running` until its handler returns */
    bool ended;          /* the client sends nothing any more */
    uint64_t body_bytes; /* read so far */
    uint64_t body_began_ms;
    flk_http_chunks_t chunks;
    size_t at, end; /* bytes of the buffer that were read off the socket and not used yet */
    size_t scanned;
    char buffer[FLK_HTTP_BUFFER_BYTES];
};

struct flk_http_connection {
    flk_http_connections_t *all;
    struct mg_connection *civetweb;
    _Atomic uint64_t phase; /* a phase word; BODY: its deadline, others: since when */
    int fd;                 /* -1: not known yet, or closed; changed under the mutex */
    bool is_taken;          /* under the mutex */
    flk_http_peer_t peer;   /* under the mutex */
    bool is_one_too_many;   /* of its client */
    bool is_sent_away;      /* it was idle when the server took its leave */
    flk_http_exchange_t exchange;
    flk_http_request_t request;
};

struct flk_http_connections {
    flk_http_bounds_t bounds;
    atomic_uint open, requests, running; /* connections; requests; those of them that are detached or have a place */
    atomic_bool draining;                /* each answer is its connection's last */
    atomic_bool stopping;                /* requests are refused */
    int leave_fd;                        /* readable: idle connections are sent away */
    atomic_bool over;                    /* connections are ended */
    atomic_uint_fast64_t last_request_ms;
    flk_metrics_t *own_metrics; /* of a server that was given none */
    flk_gauge_t *open_gauge;
    flk_counter_t *cut_head, *cut_idle, *cut_body, *cut_reader, *refused, *detached;
    pthread_mutex_t mutex; /* guards the places' fields as said, and the watch's end */
    pthread_cond_t wake;   /* of the watch: it shall end, or there is an open connection again */
    bool watch_ends;
    pthread_t watch;
    flk_http_connection_t places[];
};

/* `metrics` outlive it; NULL: none are wanted. Caller frees with flk_http_connections_destroy, also after a failure.
 * Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_http_connections_new(const flk_http_bounds_t *bounds, flk_metrics_t *metrics,
                                                  flk_http_connections_t **connections, char *errmsg);
/* When the server has stopped. NULL content is allowed. */
void flk_http_connections_destroy(flk_http_connections_t **connections);
/* Ends every connection, now and from now on. */
void flk_http_connections_end(flk_http_connections_t *connections);
/* True while few threads are left for new connections. Any thread. */
bool flk_http_connections_pressed(const flk_http_connections_t *connections);

/* A connection's life; each from the thread that serves it. The table keeps the connection until _close. */
flk_http_connection_t *flk_http_connection_open(flk_http_connections_t *connections, struct mg_connection *civetweb);
/* Its socket is known. False: the connection is to end. */
FLK_MUST_CHECK bool flk_http_connection_adopt(flk_http_connection_t *connection, int fd);
/* Its exchange is closed. */
void flk_http_connection_close(flk_http_connection_t *connection);

/* Changes the phase: HEAD keeps the time of a HEAD before it; BODY counts the bytes that came so far. False: it is
 * LATE, and stays it. */
FLK_MUST_CHECK bool flk_http_connection_enter(flk_http_connection_t *connection, flk_http_phase_t phase);
/* The request that ran is answered: IDLE, unless the next one has begun to come. Any thread. */
void flk_http_connection_rest(flk_http_connection_t *connection);

#endif
