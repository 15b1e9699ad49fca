/* SPDX-License-Identifier: MIT */
/* Statements to PostgreSQL and their results, without a call that could block beyond a deadline. The connection belongs
 * to the caller's thread and is non-blocking. */
#ifndef FLK_WORKER_STORE_POSTGRES_EXCHANGE_H
#define FLK_WORKER_STORE_POSTGRES_EXCHANGE_H

#include <libpq-fe.h>

#include "worker/store/metrics.h"

typedef struct flk_pg_exchange {
    PGconn *pg;
    uint64_t deadline_ms; /* of flk_mono_ms */
    flk_store_fault_t fault;
    bool lasting;   /* after an error: the connection is not usable any more */
    bool untouched; /* after a lasting one of a pipeline: the server had ended the session before it did any of it */
    char *errmsg;
} flk_pg_exchange_t;

/* Outside pipeline mode: one or several statements without parameters; *result is the last one's, the caller's to
 * clear. Errors: FLK_E_UNAVAILABLE, FLK_E_CORRUPT; *result is NULL then. */
FLK_MUST_CHECK flk_err_t flk_pg_command(flk_pg_exchange_t *exchange, const char *sql, PGresult **result);

/* One step of a pipeline: prepares the statement, or executes it; parameters and results are binary. */
typedef struct flk_pg_call {
    const char *statement;
    const char *prepare; /* SQL; NULL: execute */
    int params_len;
    const char *const *params;
    const int *params_bytes;
    PGresult *result; /* out: the caller's to clear; NULL after an error */
} flk_pg_call_t;

/* In pipeline mode: sends the calls and a sync at once and waits for all results: one round trip. When a call fails, so
 * do those after it. Errors: as above; results that came stay to be cleared. */
FLK_MUST_CHECK flk_err_t flk_pg_pipeline(flk_pg_exchange_t *exchange, flk_pg_call_t *calls, size_t calls_len);

void flk_pg_clear(flk_pg_call_t *calls, size_t calls_len);

#endif
