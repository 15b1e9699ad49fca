/* SPDX-License-Identifier: MIT */
/* Sleeps about a minute, or an eighth of a generation if that is less; connects, calls flk.maintain() until it has
 * nothing to do, hangs up. A call that fails is logged once in a row, and tried again at the next time: only disk space
 * depends on it. */
#include "worker/store/postgres/janitor.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/thread.h"
#include "worker/store/postgres/exchange.h"
#include "worker/store/postgres/session.h"

enum { SLEEP_MIN_MS = 100, SLEEP_MAX_MS = 60000, GENERATIONS = 8, CALL_MS = 60000, STEPS_MAX = 64 };

struct flk_pg_janitor {
    struct flk_pg_janitor *next;
    unsigned stores; /* guarded by janitors_mutex */
    flk_pg_target_t *target;
    uint64_t connect_timeout_ms;
    _Atomic uint64_t ttl_ms;
    bool failed; /* the thread's: the last time, and it was logged */

    pthread_t thread;
    pthread_mutex_t mutex; /* guards the rest */
    pthread_cond_t change;
    bool stop, done, orphan;
};

static pthread_mutex_t janitors_mutex = PTHREAD_MUTEX_INITIALIZER;
static flk_pg_janitor_t *janitors;

static void janitor_free(flk_pg_janitor_t *janitor) {
    flk_pg_target_release(janitor->target);
    pthread_cond_destroy(&janitor->change);
    pthread_mutex_destroy(&janitor->mutex);
    free(janitor);
}

/* With the mutex held; false when the time is over. */
static bool wait_change(flk_pg_janitor_t *janitor, uint64_t until_ms) {
    return flk_cond_wait_until(&janitor->change, &janitor->mutex, until_ms);
}

/* ---- the thread ---- */

static flk_err_t maintain_once(PGconn *pg, uint64_t ttl_ms, int *did, char *errmsg) {
    char sql[64];
    snprintf(sql, sizeof sql, "SELECT flk.maintain(%llu)", (unsigned long long)ttl_ms);
    flk_pg_exchange_t x = {.pg = pg, .deadline_ms = flk_mono_ms() + CALL_MS, .errmsg = errmsg};
    PGresult *result;
    flk_err_t err = flk_pg_command(&x, sql, &result);
    *did = err == FLK_OK && PQntuples(result) == 1 ? atoi(PQgetvalue(result, 0, 0)) : 0;
    PQclear(result);
    return err;
}

static flk_err_t maintain(flk_pg_janitor_t *janitor, char *errmsg) {
    PGconn *pg;
    flk_store_fault_t fault;
    flk_err_t err = flk_pg_connect(janitor->target, janitor->connect_timeout_ms, CALL_MS, &pg, &fault, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    int did = 1;
    for (int step = 0; err == FLK_OK && did != 0 && step < STEPS_MAX; step++) {
        err = maintain_once(pg, atomic_load(&janitor->ttl_ms), &did, errmsg);
        if (did != 0) {
            flk_log(FLK_LOG_INFO, did == 1 ? "store_generation_opened" : "store_generation_dropped",
                    FLK_S("store", "postgres"), FLK_S("server", flk_pg_target_name(janitor->target)));
        }
    }
    flk_pg_session_end(pg, janitor->connect_timeout_ms);
    return err;
}

static void work(flk_pg_janitor_t *janitor) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    bool fails = maintain(janitor, errmsg) != FLK_OK;
    if (fails && !janitor->failed) {
        flk_log(FLK_LOG_WARN, "store_maintenance_failed", FLK_S("store", "postgres"), FLK_S("error", errmsg));
    }
    janitor->failed = fails;
}

static uint64_t sleep_ms(const flk_pg_janitor_t *janitor) {
    uint64_t ms = atomic_load(&janitor->ttl_ms) / GENERATIONS / 8;
    ms = ms < SLEEP_MIN_MS ? SLEEP_MIN_MS : ms > SLEEP_MAX_MS ? SLEEP_MAX_MS : ms;
    return ms - flk_random_u64() % (ms / 2 + 1);
}

static void *janitor_main(void *arg) {
    flk_pg_janitor_t *janitor = arg;
    pthread_mutex_lock(&janitor->mutex);
    while (!janitor->stop) {
        uint64_t until_ms = flk_mono_ms() + sleep_ms(janitor);
        while (!janitor->stop && wait_change(janitor, until_ms)) {
        }
        if (!janitor->stop) {
            pthread_mutex_unlock(&janitor->mutex);
            work(janitor);
            pthread_mutex_lock(&janitor->mutex);
        }
    }
    janitor->done = true;
    bool orphan = janitor->orphan;
    pthread_cond_broadcast(&janitor->change);
    pthread_mutex_unlock(&janitor->mutex);
    if (orphan) {
        janitor_free(janitor);
    }
    return NULL;
}

/* ---- its users ---- */

static flk_err_t start(flk_pg_target_t *target, uint64_t ttl_ms, uint64_t connect_timeout_ms, flk_pg_janitor_t **out,
                       char *errmsg) {
    flk_pg_janitor_t *janitor = calloc(1, sizeof *janitor);
    if (janitor == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    janitor->target = flk_pg_target_hold(target);
    janitor->connect_timeout_ms = connect_timeout_ms;
    atomic_init(&janitor->ttl_ms, ttl_ms);
    pthread_mutex_init(&janitor->mutex, NULL);
    flk_cond_init(&janitor->change);
    flk_err_t err = flk_thread_start(&janitor->thread, "flk-pg-janitor", janitor_main, janitor, errmsg);
    if (err != FLK_OK) {
        janitor_free(janitor);
        return err;
    }
    *out = janitor;
    return FLK_OK;
}

flk_err_t flk_pg_janitor_join(flk_pg_target_t *target, uint64_t ttl_ms, uint64_t connect_timeout_ms,
                              flk_pg_janitor_t **out, char *errmsg) {
    flk_err_t err = FLK_OK;
    pthread_mutex_lock(&janitors_mutex);
    flk_pg_janitor_t *janitor = janitors;
    while (janitor != NULL && strcmp(flk_pg_target_name(janitor->target), flk_pg_target_name(target)) != 0) {
        janitor = janitor->next;
    }
    if (janitor == NULL && (err = start(target, ttl_ms, connect_timeout_ms, &janitor, errmsg)) == FLK_OK) {
        janitor->next = janitors;
        janitors = janitor;
    }
    if (err == FLK_OK) {
        janitor->stores++;
        *out = janitor;
    }
    pthread_mutex_unlock(&janitors_mutex);
    return err;
}

static void stop(flk_pg_janitor_t *janitor, uint64_t wait_ms) {
    uint64_t until_ms = flk_mono_ms() + wait_ms;
    pthread_mutex_lock(&janitor->mutex);
    janitor->stop = true;
    pthread_cond_broadcast(&janitor->change);
    while (!janitor->done && wait_change(janitor, until_ms)) {
    }
    if (!janitor->done) {
        janitor->orphan = true;
        pthread_detach(janitor->thread);
        pthread_mutex_unlock(&janitor->mutex);
        return;
    }
    pthread_mutex_unlock(&janitor->mutex);
    pthread_join(janitor->thread, NULL);
    janitor_free(janitor);
}

void flk_pg_janitor_leave(flk_pg_janitor_t **owned, uint64_t wait_ms) {
    flk_pg_janitor_t *janitor = *owned;
    *owned = NULL;
    if (janitor == NULL) {
        return;
    }
    pthread_mutex_lock(&janitors_mutex);
    bool last = --janitor->stores == 0;
    if (last) {
        flk_pg_janitor_t **at = &janitors;
        while (*at != janitor) {
            at = &(*at)->next;
        }
        *at = janitor->next;
    }
    pthread_mutex_unlock(&janitors_mutex);
    if (last) {
        stop(janitor, wait_ms);
    }
}

void flk_pg_janitor_set_ttl(flk_pg_janitor_t *janitor, uint64_t ttl_ms) {
    atomic_store(&janitor->ttl_ms, ttl_ms);
}
