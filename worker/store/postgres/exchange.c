/* SPDX-License-Identifier: MIT */
/* libpq queues statements; PQflush writes as much as fits, poll waits for either direction, PQconsumeInput reads. A
 * deadline that passes leaves results outstanding, so that the connection is lost for good. */
#include "worker/store/postgres/exchange.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "worker/store/postgres/error.h"

static flk_err_t broken(flk_pg_exchange_t *x) {
    x->lasting = true;
    return flk_pg_connection_error(x->pg, &x->fault, x->errmsg);
}

static flk_err_t late(flk_pg_exchange_t *x) {
    x->lasting = true;
    x->fault = FLK_FAULT_TIMEOUT;
    flk_errmsg(x->errmsg, "no answer within the timeout");
    return FLK_E_UNAVAILABLE;
}

/* Until PQgetResult would not block. */
static flk_err_t await(flk_pg_exchange_t *x) {
    for (;;) {
        int unsent = PQflush(x->pg);
        if (unsent < 0) {
            return broken(x);
        }
        if (unsent == 0 && !PQisBusy(x->pg)) {
            return FLK_OK;
        }
        uint64_t now_ms = flk_mono_ms();
        struct pollfd polled = {.fd = PQsocket(x->pg), .events = (short)(unsent > 0 ? POLLIN | POLLOUT : POLLIN)};
        int ready = now_ms < x->deadline_ms ? poll(&polled, 1, (int)(x->deadline_ms - now_ms)) : 0;
        if (ready == 0 || (ready < 0 && errno != EINTR)) {
            return late(x);
        }
        if (ready > 0 && (polled.revents & ~POLLOUT) != 0 && PQconsumeInput(x->pg) == 0) {
            return broken(x);
        }
    }
}

static flk_err_t next_result(flk_pg_exchange_t *x, PGresult **result) {
    *result = NULL;
    flk_err_t err = await(x);
    if (err == FLK_OK) {
        *result = PQgetResult(x->pg);
    }
    return err;
}

static bool is_error(const PGresult *result) {
    ExecStatusType status = PQresultStatus(result);
    return status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK && status != PGRES_EMPTY_QUERY;
}

flk_err_t flk_pg_command(flk_pg_exchange_t *x, const char *sql, PGresult **last) {
    *last = NULL;
    if (PQsendQuery(x->pg, sql) == 0) {
        return broken(x);
    }
    flk_err_t first = FLK_OK;
    for (;;) {
        PGresult *result;
        flk_err_t err = next_result(x, &result);
        if (err != FLK_OK) {
            PQclear(*last);
            *last = NULL;
            return err;
        }
        if (result == NULL) {
            return first;
        }
        PQclear(*last);
        *last = result;
        if (is_error(result) && first == FLK_OK) {
            first = flk_pg_result_error(result, &x->fault, &x->lasting, x->errmsg);
        }
        if (first != FLK_OK) {
            PQclear(*last);
            *last = NULL;
        }
    }
}

/* ---- pipeline ---- */

static bool send_call(flk_pg_exchange_t *x, const flk_pg_call_t *call) {
    static const int binary[] = {1, 1, 1, 1};
    FLK_ASSERT(call->params_len <= (int)FLK_COUNT_OF(binary));
    if (call->prepare != NULL) {
        return PQsendPrepare(x->pg, call->statement, call->prepare, 0, NULL) != 0;
    }
    return PQsendQueryPrepared(x->pg, call->statement, call->params_len, call->params, call->params_bytes, binary, 1) !=
           0;
}

static bool send_calls(flk_pg_exchange_t *x, const flk_pg_call_t *calls, size_t calls_len) {
    for (size_t i = 0; i < calls_len; i++) {
        if (!send_call(x, &calls[i])) {
            return false;
        }
    }
    return PQpipelineSync(x->pg) != 0;
}

/* One call's result, and the NULL that ends it. */
static flk_err_t take_result(flk_pg_exchange_t *x, flk_pg_call_t *call, flk_err_t before) {
    flk_err_t err = next_result(x, &call->result);
    if (err != FLK_OK) {
        return err;
    }
    if (call->result == NULL) {
        return broken(x); /* libpq saw the connection end */
    }
    if (is_error(call->result) && before == FLK_OK) {
        before = flk_pg_result_error(call->result, &x->fault, &x->lasting, x->errmsg);
    }
    PGresult *end;
    err = next_result(x, &end);
    PQclear(end);
    if (err != FLK_OK || end != NULL) {
        return err != FLK_OK ? err : broken(x);
    }
    return before;
}

flk_err_t flk_pg_pipeline(flk_pg_exchange_t *x, flk_pg_call_t *calls, size_t calls_len) {
    for (size_t i = 0; i < calls_len; i++) {
        calls[i].result = NULL;
    }
    x->lasting = x->untouched = false;
    if (!send_calls(x, calls, calls_len)) {
        x->untouched = true;
        return broken(x);
    }
    flk_err_t err = FLK_OK;
    for (size_t i = 0; i < calls_len && !x->lasting; i++) {
        err = take_result(x, &calls[i], err);
    }
    if (x->lasting) {
        bool answered = calls[0].result != NULL && !is_error(calls[0].result);
        x->untouched = !answered && x->fault == FLK_FAULT_UNAVAILABLE;
        return err;
    }
    PGresult *sync;
    flk_err_t sync_err = next_result(x, &sync);
    bool synced = sync != NULL && PQresultStatus(sync) == PGRES_PIPELINE_SYNC;
    PQclear(sync);
    if (sync_err != FLK_OK || !synced) {
        return sync_err != FLK_OK ? sync_err : broken(x);
    }
    return err;
}

void flk_pg_clear(flk_pg_call_t *calls, size_t calls_len) {
    for (size_t i = 0; i < calls_len; i++) {
        PQclear(calls[i].result);
        calls[i].result = NULL;
    }
}
