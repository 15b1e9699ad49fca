/* SPDX-License-Identifier: MIT */
/* The meaning of a failure of PostgreSQL, or of the way to it, for the store. */
#ifndef FLK_WORKER_STORE_POSTGRES_ERROR_H
#define FLK_WORKER_STORE_POSTGRES_ERROR_H

#include <libpq-fe.h>

#include "worker/store/metrics.h"

/* Of a result that is an error. FLK_E_UNAVAILABLE or FLK_E_CORRUPT, with the remedy in errmsg. `lasting`: the
 * connection's next statements would fail as well, so it should be made anew. Detail lines of the server, which may
 * hold values, are left out. */
flk_err_t flk_pg_result_error(const PGresult *result, flk_store_fault_t *fault, bool *lasting, char *errmsg);

/* Of a connection that could not be made, or broke. Always FLK_E_UNAVAILABLE. */
flk_err_t flk_pg_connection_error(const PGconn *pg, flk_store_fault_t *fault, char *errmsg);

#endif
