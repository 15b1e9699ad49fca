/* SPDX-License-Identifier: MIT */
/* PQcancel connects, sends and waits for the server to hang up, each without a deadline. So a thread does it, which
 * is waited for and otherwise left behind. */
#include "worker/store/postgres/session.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/thread.h"

struct cancel {
    PGcancel *request;
    bool done, orphan; /* orphan: nobody waits for it any more */
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* guards all cancels, and the number of them */
static pthread_cond_t change;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static unsigned under_way;

static void init_change(void) {
    flk_cond_init(&change);
}

static void cancel_free(struct cancel *cancel) {
    PQfreeCancel(cancel->request);
    free(cancel);
}

static void *cancel_main(void *arg) {
    struct cancel *cancel = arg;
    char text[256];
    (void)PQcancel(cancel->request, text, sizeof text); /* if it fails, the session is at its end or the server away */
    pthread_mutex_lock(&mutex);
    under_way--;
    cancel->done = true;
    pthread_cond_broadcast(&change);
    bool orphan = cancel->orphan;
    pthread_mutex_unlock(&mutex);
    if (orphan) {
        cancel_free(cancel);
    }
    return NULL;
}

/* With the mutex held. */
static bool start(struct cancel *cancel) {
    pthread_t thread;
    while (under_way == FLK_PG_CANCELS_MAX) {
        pthread_cond_wait(&change, &mutex);
    }
    if (flk_thread_start(&thread, "flk-pg-cancel", cancel_main, cancel, NULL) != FLK_OK) {
        return false;
    }
    pthread_detach(thread);
    under_way++;
    return true;
}

static void cancel_statement(PGconn *pg, uint64_t wait_ms) {
    uint64_t until_ms = flk_mono_ms() + wait_ms;
    struct cancel *cancel = calloc(1, sizeof *cancel);
    if (cancel == NULL || (cancel->request = PQgetCancel(pg)) == NULL) {
        free(cancel);
        return;
    }
    pthread_once(&once, init_change);
    pthread_mutex_lock(&mutex);
    bool done = !start(cancel);
    while (!done && !cancel->done && flk_cond_wait_until(&change, &mutex, until_ms)) {
    }
    done = done || cancel->done;
    cancel->orphan = !done;
    pthread_mutex_unlock(&mutex);
    if (done) {
        cancel_free(cancel);
    }
}

void flk_pg_session_end(PGconn *pg, uint64_t wait_ms) {
    if (PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_ACTIVE) {
        cancel_statement(pg, wait_ms);
    }
    PQfinish(pg);
}
