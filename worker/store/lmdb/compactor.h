/* SPDX-License-Identifier: MIT */
/* The thread that carries recent outcomes to the index, and deletes expired ones there. Each process has one; a lock
 * file lets one of them work at a time, and passes on when its holder dies. */
#ifndef FLK_WORKER_STORE_LMDB_COMPACTOR_H
#define FLK_WORKER_STORE_LMDB_COMPACTOR_H

#include "worker/store/lmdb/recent.h"

typedef struct flk_lmdb_compactor flk_lmdb_compactor_t; /* Opaque; fields are commented in lmdb/compactor.c. */

/* Borrows recent and index until _stop. It moves outcomes while there are more than `keep_bytes` of them. Errors:
 * FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_lmdb_compactor_start(flk_lmdb_recent_t *recent, flk_lmdb_env_t *index,
                                                  flk_store_clock_fn *clock, size_t keep_bytes,
                                                  flk_lmdb_compactor_t **compactor, char *errmsg);
/* Ends the thread after the step it is at. False: it did not end within timeout_ms; then it, recent and index must
 * be left alone, until the process ends. */
FLK_MUST_CHECK bool flk_lmdb_compactor_stop(flk_lmdb_compactor_t **compactor, uint64_t timeout_ms);

/* Has it look whether there is something to move. Does not wait; nor does _sweep, which has it sweep as well. */
void flk_lmdb_compactor_wake(flk_lmdb_compactor_t *compactor);
void flk_lmdb_compactor_sweep(flk_lmdb_compactor_t *compactor);

#endif
