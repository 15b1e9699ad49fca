/* SPDX-License-Identifier: MIT */
/* The part that the LMDB store handles of one process share: both environments of data_dir/store/lmdb and their
 * threads. LMDB must not open one environment twice in a process. Any thread may call any function. */
#ifndef FLK_WORKER_STORE_LMDB_SHARED_H
#define FLK_WORKER_STORE_LMDB_SHARED_H

#include "worker/store/lmdb/writer.h"
#include "worker/store/registry.h"

typedef struct flk_lmdb_shared {
    flk_store_shared_t base;
    uint64_t swept_ms; /* atomic: when a sweep was last asked for */
    flk_lmdb_env_t index;
    flk_lmdb_recent_t recent;
    flk_lmdb_compactor_t *compactor;
    flk_lmdb_writer_t *writer;
} flk_lmdb_shared_t;

/* Errors: as flk_store_open. Caller gives it back with _release. */
FLK_MUST_CHECK flk_err_t flk_lmdb_shared_acquire(const flk_store_options_t *options, flk_lmdb_shared_t **shared,
                                                 char *errmsg);
/* The last one ends the threads and closes the environments; a thread that does not end in time keeps them. */
void flk_lmdb_shared_release(flk_lmdb_shared_t *shared, uint64_t timeout_ms);

#endif
