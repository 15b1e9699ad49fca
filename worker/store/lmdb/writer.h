/* SPDX-License-Identifier: MIT */
/* The one thread of a process that puts to its recent outcomes. Store handles hand it their batches; it puts all
 * that wait into one transaction, so that they share its sync. Callers wait with a deadline, which a mutex of
 * LMDB's, held by a stopped process, could not give them. */
#ifndef FLK_WORKER_STORE_LMDB_WRITER_H
#define FLK_WORKER_STORE_LMDB_WRITER_H

#include "worker/store/lmdb/compactor.h"

typedef struct flk_lmdb_writer flk_lmdb_writer_t; /* Opaque; fields are commented in lmdb/writer.c. */

/* One batch. Belongs to its store handle, except from _do until the writer is through with it. */
typedef struct flk_lmdb_request {
    struct flk_lmdb_request *next;
    enum { FLK_LMDB_IDLE, FLK_LMDB_QUEUED, FLK_LMDB_DONE } state; /* guarded by the writer's mutex */
    bool orphan;                                                  /* its handle is gone: the writer frees it */
    bool probe;                                                   /* write something in any case */
    int64_t now_ms;                                               /* outcomes that expired by then are absent */
    int64_t expires_ms;
    uint64_t absent_at;                /* no item was there at this transaction of the recent; 0: nobody looked */
    flk_store_item_t **items, *copies; /* copies: the caller may have left */
    uint8_t *stales;                   /* their stale values, one behind the other; NULL: none has one */
    size_t items_len, items_cap;
    flk_err_t err;
    char errmsg[FLK_ERRMSG_BYTES];
    pthread_cond_t done; /* to its caller */
} flk_lmdb_request_t;

typedef struct flk_lmdb_writer_options { /* all borrowed until _stop */
    flk_lmdb_recent_t *recent;
    flk_lmdb_env_t *index;
    flk_lmdb_compactor_t *compactor; /* woken when more than keep_bytes are recent */
    size_t keep_bytes, limit_bytes;  /* nothing is put while more than limit_bytes are */
} flk_lmdb_writer_options_t;

/* Errors: FLK_E_NOMEM. */
FLK_MUST_CHECK flk_err_t flk_lmdb_writer_start(const flk_lmdb_writer_options_t *options, flk_lmdb_writer_t **writer,
                                               char *errmsg);
/* Writes all queued batches and ends the thread. False: it did not end within timeout_ms; then it and the objects in
 * its options must be left alone, until the process ends. */
FLK_MUST_CHECK bool flk_lmdb_writer_stop(flk_lmdb_writer_t **writer, uint64_t timeout_ms);

/* True when the request is not the writer's: it may be filled and written. */
bool flk_lmdb_writer_free(flk_lmdb_writer_t *writer, flk_lmdb_request_t *request);
/* Writes a free request and waits for its commit. Errors: FLK_E_UNAVAILABLE at the deadline, the request then stays the
 * writer's until it is through; others as flk_lmdb_err. */
FLK_MUST_CHECK flk_err_t flk_lmdb_writer_do(flk_lmdb_writer_t *writer, flk_lmdb_request_t *request, uint64_t timeout_ms,
                                            char *errmsg);
flk_lmdb_request_t *flk_lmdb_request_new(void); /* NULL: out of memory. Caller frees with flk_lmdb_request_release. */
/* Frees the request, or leaves that to the writer (NULL: there is none). */
void flk_lmdb_request_release(flk_lmdb_writer_t *writer, flk_lmdb_request_t **request);

#endif
