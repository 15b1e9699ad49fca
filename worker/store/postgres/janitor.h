/* SPDX-License-Identifier: MIT */
/* A thread of the process that calls flk.maintain() now and then, on a connection of its own for each call: dropping a
 * large partition may take longer than a batch may. Every worker process has one; the database lets one in at a
 * time. */
#ifndef FLK_WORKER_STORE_POSTGRES_JANITOR_H
#define FLK_WORKER_STORE_POSTGRES_JANITOR_H

#include "worker/store/postgres/dial.h"

typedef struct flk_pg_janitor
    flk_pg_janitor_t; /* Opaque. One for each database in the process, shared by its stores. */

/* Joins the janitor of target's database, which is started if there is none. Holds target. Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_pg_janitor_join(flk_pg_target_t *target, uint64_t ttl_ms, uint64_t connect_timeout_ms,
                                             flk_pg_janitor_t **janitor, char *errmsg);
/* The last one stops it; a call that is under way is waited for up to wait_ms, and then left to its thread. */
void flk_pg_janitor_leave(flk_pg_janitor_t **janitor, uint64_t wait_ms);

/* For generations from now on. Any thread. */
void flk_pg_janitor_set_ttl(flk_pg_janitor_t *janitor, uint64_t ttl_ms);

#endif
