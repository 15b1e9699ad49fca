/* SPDX-License-Identifier: MIT */
/* The thread is started by the first _get and by each _drop, dials until it has a connection, hands it over and
 * ends.
 *
 * Failures: an attempt that fails is tried again after a back-off that doubles from 50 ms to 2 s, of which a random
 * half is left out, so that the threads of a cluster do not come back as one. A connection that is dropped soon
 * after it was made counts as a failed attempt: a server that takes connections and refuses work does not make a
 * busy loop. The resolver may hold an attempt for longer than its time: _destroy then leaves it to the thread, which
 * frees the dialer.
 *
 * Servers, and proxies on the way, close idle connections. A closed one is seen before its next use; when the close and
 * the use cross, the caller drops it as CLOSED and may do its work again on the next. */
#include "worker/store/dialer.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/thread.h"

enum { BACKOFF_MIN_MS = 50, BACKOFF_MAX_MS = 2000, LASTED_MS = 5000 };

typedef enum state { IDLE, DIALING, WAITING, UP } state_t;

struct flk_dialer {
    const flk_dialer_ops_t *ops;
    void *arg;
    const char *store, *server;
    uint64_t timeout_ms;
    flk_store_metrics_t metrics; /* a copy: the thread may outlive the store */

    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t change;
    state_t state;
    bool thread_runs; /* or has ended and waits to be joined */
    bool thread_done;
    bool stop;   /* _destroy was called */
    bool orphan; /* and has gone: the thread frees the dialer */
    pthread_t thread;
    void *connection;     /* while UP */
    void *dropped;        /* for the thread to hang up; NULL: none */
    uint64_t up_since_ms; /* while UP */
    uint64_t uses;        /* while UP: how often _get gave it */
    uint64_t backoff_ms;  /* the next one; 0: dial at once */
    uint64_t failures;    /* attempts in a row */
    flk_err_t err;        /* of the last attempt; FLK_OK before the first one after a loss */
    flk_store_fault_t fault;
    char errmsg[FLK_ERRMSG_BYTES];
};

/* Waits for a change until then; false when the time is over. */
static bool wait_change(flk_dialer_t *dialer, uint64_t until_ms) {
    return flk_cond_wait_until(&dialer->change, &dialer->mutex, until_ms);
}

static void dialer_free(flk_dialer_t *dialer) {
    if (dialer->ops->free_arg != NULL) {
        dialer->ops->free_arg(dialer->arg);
    }
    pthread_cond_destroy(&dialer->change);
    pthread_mutex_destroy(&dialer->mutex);
    free(dialer);
}

flk_err_t flk_dialer_new(const flk_dialer_options_t *options, flk_dialer_t **out, char *errmsg) {
    flk_dialer_t *dialer = calloc(1, sizeof *dialer);
    if (dialer == NULL) {
        if (options->ops->free_arg != NULL) {
            options->ops->free_arg(options->arg);
        }
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    dialer->ops = options->ops;
    dialer->arg = options->arg;
    dialer->store = options->store;
    dialer->server = options->server;
    dialer->timeout_ms = options->timeout_ms;
    pthread_mutex_init(&dialer->mutex, NULL);
    flk_cond_init(&dialer->change);
    *out = dialer;
    return FLK_OK;
}

/* ---- the thread ---- */

/* Between half of the back-off and all of it. */
static uint64_t with_jitter(uint64_t backoff_ms) {
    return backoff_ms - flk_random_u64() % (backoff_ms / 2 + 1);
}

static void wait_backoff(flk_dialer_t *dialer) {
    if (dialer->backoff_ms != 0) {
        dialer->state = WAITING;
        uint64_t until_ms = flk_mono_ms() + with_jitter(dialer->backoff_ms);
        while (!dialer->stop && wait_change(dialer, until_ms)) {
        }
    }
    dialer->state = DIALING;
    dialer->backoff_ms = dialer->backoff_ms == 0                   ? BACKOFF_MIN_MS
                         : 2 * dialer->backoff_ms > BACKOFF_MAX_MS ? BACKOFF_MAX_MS
                                                                   : 2 * dialer->backoff_ms;
}

static void note_up(flk_dialer_t *dialer, void *connection) {
    dialer->connection = connection;
    dialer->up_since_ms = flk_mono_ms();
    dialer->uses = 0;
    dialer->state = UP;
    flk_store_metrics_add(&dialer->metrics, dialer->metrics.dials_ok, 1);
    flk_store_metrics_move(&dialer->metrics, dialer->metrics.connected, 1);
    flk_log(FLK_LOG_INFO, "store_connected", FLK_S("store", dialer->store), FLK_S("server", dialer->server),
            FLK_U("failed_attempts", dialer->failures));
    dialer->failures = 0;
}

static void note_failure(flk_dialer_t *dialer, flk_err_t err, flk_store_fault_t fault, const char *errmsg) {
    dialer->err = err;
    dialer->fault = fault;
    snprintf(dialer->errmsg, sizeof dialer->errmsg, "%s", errmsg);
    dialer->failures++;
    flk_store_metrics_add(&dialer->metrics, dialer->metrics.dials_failed, 1);
    flk_log(dialer->failures == 1 ? FLK_LOG_WARN : FLK_LOG_DEBUG, "store_connect_failed", FLK_S("store", dialer->store),
            FLK_S("server", dialer->server), FLK_S("error", errmsg));
}

/* One attempt. Called and returns with the mutex held; dials without it. */
static void attempt(flk_dialer_t *dialer) {
    void *connection = NULL;
    flk_store_fault_t fault = FLK_FAULT_UNAVAILABLE;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    pthread_mutex_unlock(&dialer->mutex);
    flk_err_t err = dialer->ops->dial(dialer->arg, dialer->timeout_ms, &connection, &fault, errmsg);
    pthread_mutex_lock(&dialer->mutex);
    if (err == FLK_OK && dialer->stop) {
        dialer->ops->hang_up(connection, 0); /* idle */
    } else if (err == FLK_OK) {
        note_up(dialer, connection);
    } else if (!dialer->stop) {
        note_failure(dialer, err, fault, errmsg);
    }
    pthread_cond_broadcast(&dialer->change);
}

/* Called and returns with the mutex held; hangs up without it. */
static void hang_up_dropped(flk_dialer_t *dialer) {
    void *dropped = dialer->dropped;
    dialer->dropped = NULL;
    if (dropped != NULL) {
        pthread_mutex_unlock(&dialer->mutex);
        dialer->ops->hang_up(dropped, dialer->timeout_ms);
        pthread_mutex_lock(&dialer->mutex);
    }
}

static void *dialer_main(void *arg) {
    flk_dialer_t *dialer = arg;
    pthread_mutex_lock(&dialer->mutex);
    hang_up_dropped(dialer);
    while (!dialer->stop && dialer->state != UP) {
        wait_backoff(dialer);
        if (!dialer->stop) {
            attempt(dialer);
        }
    }
    dialer->thread_done = true;
    bool orphan = dialer->orphan;
    pthread_cond_broadcast(&dialer->change);
    pthread_mutex_unlock(&dialer->mutex);
    if (orphan) {
        dialer_free(dialer);
    }
    return NULL;
}

/* ---- the owner; with the mutex held ---- */

static void join_thread(flk_dialer_t *dialer) {
    if (dialer->thread_runs) {
        pthread_mutex_unlock(&dialer->mutex); /* it is done, or about to be: nobody waits long */
        pthread_join(dialer->thread, NULL);
        pthread_mutex_lock(&dialer->mutex);
        dialer->thread_runs = dialer->thread_done = false;
    }
}

static void start_thread(flk_dialer_t *dialer) {
    join_thread(dialer);
    dialer->state = DIALING;
    flk_err_t err = flk_thread_start(&dialer->thread, "flk-dialer", dialer_main, dialer, dialer->errmsg);
    if (err == FLK_OK) {
        dialer->thread_runs = true;
        return;
    }
    dialer->state = IDLE; /* the next _get tries again */
    dialer->err = err;
    dialer->fault = FLK_FAULT_NO_MEMORY;
}

static void take_down(flk_dialer_t *dialer) {
    dialer->connection = NULL;
    flk_store_metrics_move(&dialer->metrics, dialer->metrics.connected, -1);
}

/* The connection goes to the thread, which hangs it up and makes another one. */
static void replace(flk_dialer_t *dialer, bool at_once, flk_store_fault_t fault, const char *why) {
    void *dropped = dialer->connection;
    take_down(dialer);
    dialer->err = at_once ? FLK_OK : FLK_E_UNAVAILABLE;
    if (at_once) {
        dialer->backoff_ms = 0;
    } else {
        dialer->fault = fault;
        snprintf(dialer->errmsg, sizeof dialer->errmsg, "%s", why);
    }
    join_thread(dialer); /* of this connection; it has ended, and would take `dropped` no more */
    dialer->dropped = dropped;
    start_thread(dialer);
    if (!dialer->thread_runs) {
        dialer->dropped = NULL;
        dialer->ops->hang_up(dropped, 0);
    }
}

static void replace_if_closed(flk_dialer_t *dialer) {
    if (dialer->state != UP || dialer->ops->is_closed == NULL || !dialer->ops->is_closed(dialer->connection)) {
        return;
    }
    flk_log(FLK_LOG_INFO, "store_connection_closed", FLK_S("store", dialer->store), FLK_S("server", dialer->server),
            FLK_S("reason", "the server closed it while it was idle, or spoke unasked"));
    replace(dialer, dialer->uses > 0, FLK_FAULT_UNAVAILABLE, "the server closes connections as soon as they are made");
}

flk_err_t flk_dialer_get(flk_dialer_t *dialer, const flk_store_metrics_t *metrics, uint64_t deadline_ms,
                         void **connection, flk_store_fault_t *fault, char *errmsg) {
    pthread_mutex_lock(&dialer->mutex);
    if (!dialer->metrics.on && metrics->on) {
        dialer->metrics = *metrics;
        flk_store_metrics_move(&dialer->metrics, dialer->metrics.wanted, 1);
    }
    replace_if_closed(dialer);
    if (dialer->state == IDLE) {
        dialer->err = FLK_OK;
        start_thread(dialer);
    }
    while (dialer->state != UP && dialer->err == FLK_OK && wait_change(dialer, deadline_ms)) {
    }
    flk_err_t err = FLK_OK;
    if (dialer->state == UP) {
        *connection = dialer->connection;
        dialer->uses++;
    } else if (dialer->err != FLK_OK) {
        err = dialer->err;
        *fault = dialer->fault;
        flk_errmsg(errmsg, "%s", dialer->errmsg);
    } else {
        err = FLK_E_UNAVAILABLE;
        *fault = FLK_FAULT_TIMEOUT;
        flk_errmsg(errmsg, "%s: still connecting", dialer->server);
    }
    pthread_mutex_unlock(&dialer->mutex);
    return err;
}

void flk_dialer_drop(flk_dialer_t *dialer, flk_dialer_cause_t cause, flk_store_fault_t fault, const char *why) {
    pthread_mutex_lock(&dialer->mutex);
    FLK_ASSERT(dialer->state == UP);
    bool lasted = flk_mono_ms() - dialer->up_since_ms >= LASTED_MS;
    bool served = cause == FLK_DIALER_CLOSED && dialer->uses > 1;
    flk_log(served ? FLK_LOG_INFO : FLK_LOG_WARN, "store_connection_lost", FLK_S("store", dialer->store),
            FLK_S("server", dialer->server), FLK_S("error", why));
    replace(dialer, lasted || served, fault, why);
    pthread_mutex_unlock(&dialer->mutex);
}

void flk_dialer_destroy(flk_dialer_t **owned, uint64_t wait_ms) {
    flk_dialer_t *dialer = *owned;
    *owned = NULL;
    if (dialer == NULL) {
        return;
    }
    pthread_mutex_lock(&dialer->mutex);
    dialer->stop = true;
    pthread_cond_broadcast(&dialer->change);
    if (dialer->state == UP) {
        dialer->ops->hang_up(dialer->connection, 0); /* idle */
        take_down(dialer);
    }
    flk_store_metrics_move(&dialer->metrics, dialer->metrics.wanted, -1);
    uint64_t until_ms = flk_mono_ms() + wait_ms;
    while (dialer->thread_runs && !dialer->thread_done && wait_change(dialer, until_ms)) {
    }
    dialer->metrics.on = false; /* the registry may go now */
    if (dialer->thread_runs && !dialer->thread_done) {
        dialer->orphan = true;
        pthread_detach(dialer->thread);
        pthread_mutex_unlock(&dialer->mutex);
        return;
    }
    join_thread(dialer);
    pthread_mutex_unlock(&dialer->mutex);
    dialer_free(dialer);
}
