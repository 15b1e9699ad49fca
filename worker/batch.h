/* SPDX-License-Identifier: MIT */
/* The deliveries that had arrived when a turn began, taken through verification together: one lookup and one put at the
 * store for all of them. Owned by one thread. */
#ifndef FLK_WORKER_BATCH_H
#define FLK_WORKER_BATCH_H

#include "worker/metrics.h"
#include "worker/verify.h"

enum { FLK_BATCH_MAX = 256 };

typedef struct flk_batch flk_batch_t; /* Opaque. */

/* NULL: out of memory. Caller frees with flk_batch_destroy. `metrics` is borrowed until then. */
FLK_MUST_CHECK flk_batch_t *flk_batch_new(const flk_worker_metrics_t *metrics);
void flk_batch_destroy(flk_batch_t **batch);

/* Decodes a delivery and checks its signature; borrows body until return. The job's place is the number of jobs before.
 * A full batch is a bug. */
void flk_batch_add(flk_batch_t *batch, const flk_rules_t *rules, const flk_id_t *submission, const void *body,
                   size_t body_bytes);

/* Takes every job to its end: REFUSED, SETTLED or UNAVAILABLE. Blocks at the store, each of its two calls no longer
 * than the store timeout. Returns FLK_OK, or the store's error (store.h) with errmsg; jobs that had their answer by
 * then keep it. */
FLK_MUST_CHECK flk_err_t flk_batch_run(flk_batch_t *batch, const flk_rules_t *rules, flk_store_t *store, char *errmsg);

size_t flk_batch_len(const flk_batch_t *batch);
const flk_job_t *flk_batch_job(const flk_batch_t *batch, size_t i); /* borrowed until _clear */
/* CPU time of the thread from the first delivery to the end of the run, divided over the jobs. */
uint32_t flk_batch_cpu_us(const flk_batch_t *batch);
/* Forgets all jobs. */
void flk_batch_clear(flk_batch_t *batch);

#endif
