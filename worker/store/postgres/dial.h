/* SPDX-License-Identifier: MIT */
/* Makes connections to PostgreSQL: for the dialer of a store, for the janitor, for a migration. */
#ifndef FLK_WORKER_STORE_POSTGRES_DIAL_H
#define FLK_WORKER_STORE_POSTGRES_DIAL_H

#include <libpq-fe.h>

#include "worker/store/dialer.h"
#include "worker/store/store.h"

/* Where to connect to and how; immutable, shared by all that hold a reference. */
typedef struct flk_pg_target flk_pg_target_t;

/* Reads POSTGRES_CONN. Errors: FLK_E_CONFIG; errmsg does not quote it, for the password. Caller gives the reference
 * back with flk_pg_target_release. */
FLK_MUST_CHECK flk_err_t flk_pg_target_new(const flk_store_options_t *options, flk_pg_target_t **target, char *errmsg);
flk_pg_target_t *flk_pg_target_hold(flk_pg_target_t *target);
void flk_pg_target_release(void *target);
const char *flk_pg_target_name(const flk_pg_target_t *target); /* "db1,db2/flk", for the log */

/* Connects, to a server that takes writes, and sets the session up; statements run for statement_timeout_ms at most.
 * Blocks for about timeout_ms for each host of the list, and for that in the session. Non-blocking afterwards, not in
 * pipeline mode. Errors: FLK_E_UNAVAILABLE, FLK_E_NOMEM; fault says more. Caller frees with
 * flk_pg_session_end. */
FLK_MUST_CHECK flk_err_t flk_pg_connect(const flk_pg_target_t *target, uint64_t timeout_ms,
                                        uint64_t statement_timeout_ms, PGconn **pg, flk_store_fault_t *fault,
                                        char *errmsg);

/* arg: a reference to a flk_pg_target_t. The connection is a PGconn in pipeline mode with the store's statements
 * prepared, on a database that has our schema, migrated before if the target says so. */
extern const flk_dialer_ops_t flk_pg_dial_ops;

/* The store's statements. */
#define FLK_PG_LOOKUP   "flk_lookup" /* ids bytea[] -> pcs_id, outcome */
#define FLK_PG_BEGIN    "flk_begin"  /* -> */
#define FLK_PG_LOCK     "flk_lock"   /* -> void */
#define FLK_PG_PUT      "flk_put"    /* ids bytea[], outcomes bytea[], ttls_ms bigint[] -> pcs_id of the first ones */
#define FLK_PG_EXPIRE   "flk_expire" /* ids bytea[], outcomes bytea[] -> ; those rows, while they have those outcomes */
#define FLK_PG_COMMIT   "flk_commit" /* -> */
#define FLK_PG_ROLLBACK "flk_rollback" /* -> */
#define FLK_PG_PROBE    "flk_probe"    /* -> */
#define FLK_PG_PAGE     "flk_page" /* id bytea -> pcs_id, outcome, expiry in ms bigint of those behind it, in order */
#define FLK_PG_MEASURE  "flk_measure" /* -> generation int, rows bigint, bytes bigint */

#endif
