/* SPDX-License-Identifier: MIT */
/* The gateway's dead-letter queue: PCS that took three workers with them while alone, or for which no verdict ever
 * fits. A log of its own in DATA_DIR/dlq, and the set of their contents in memory: the queue answers for these and
 * for no other of the same pcs_id. The relay thread owns it; only `stored` is called from the log's writer. */
#ifndef FLK_GATEWAY_DLQ_H
#define FLK_GATEWAY_DLQ_H

#include "common/wal/cursor.h"
#include "gateway/submission.h"

typedef struct flk_dlq flk_dlq_t; /* Opaque; fields are commented in dlq.c. */

/* A dead letter is on disk, or was not stored because of `err`. Called from the log's writer. */
typedef void flk_dlq_stored_fn(void *arg, flk_submission_t *submission, flk_err_t err);

/* Opens the log (options: all but the directory and the commit call are the inbox's) and reads which contents it holds.
 * Errors as flk_wal_open. Caller frees with flk_dlq_close. */
FLK_MUST_CHECK flk_err_t flk_dlq_open(const char *dir, const flk_wal_options_t *like, flk_dlq_stored_fn *stored,
                                      void *arg, flk_dlq_t **dlq, char *errmsg);
void flk_dlq_close(flk_dlq_t **dlq);

/* Whether a parsed submission has the content of a dead letter: all members but `attempt` and `sent_at`, the
 * signature among them. Cheap unless the queue holds its pcs_id. Out of memory: false. `reader` is the calling
 * thread's own, here and below. */
FLK_MUST_CHECK bool flk_dlq_contains(const flk_dlq_t *dlq, const flk_submission_t *submission,
                                     flk_pcs_reader_t *reader);
size_t flk_dlq_len(const flk_dlq_t *dlq); /* any thread */

/* Puts a submission into the log, as of the kind `dead_letter`, and keeps it until `stored` is called, which happens
 * in any case, at once for FLK_E_NOMEM. */
void flk_dlq_append(flk_dlq_t *dlq, flk_submission_t *submission);
/* A dead letter is on disk: from now on flk_dlq_contains says yes. Out of memory: workers answer for the content
 * again until the next start. */
void flk_dlq_remember(flk_dlq_t *dlq, const flk_submission_t *submission, flk_pcs_reader_t *reader);

/* A dead letter, the submission, leaves the queue: its record is acked with `status`, its content is no longer
 * known. */
void flk_dlq_release(flk_dlq_t *dlq, uint64_t lsn, const flk_submission_t *submission, flk_pcs_reader_t *reader,
                     flk_dlq_status_t status);
/* A cursor over the queue's dead letters, oldest first. FLK_E_NOMEM. Destroy it before the queue is closed. */
FLK_MUST_CHECK flk_err_t flk_dlq_cursor(flk_dlq_t *dlq, flk_wal_cursor_t **cursor);

/* Initialises `answer` with the answer to a dead letter: 202, reasons dead_letter. Errors: FLK_E_NOMEM,
 * FLK_E_INVALID; `answer` holds nothing then. */
FLK_MUST_CHECK flk_err_t flk_dlq_answer(const flk_submission_t *submission, flk_pcs_reader_t *reader, uint32_t flags,
                                        flk_answer_t *answer);

#endif
