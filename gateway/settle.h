/* SPDX-License-Identifier: MIT */
/* The end of a submission. All but _tell and _late take the submission. Relay thread. */
#ifndef FLK_GATEWAY_SETTLE_H
#define FLK_GATEWAY_SETTLE_H

#include "gateway/gateway.h"

/* Tells the client; false when it was told before, or there is none. The content of `answer` may be moved. For a
 * submission that the relay does not have yet, the thread that has it may do this. */
bool flk_settle_tell(flk_gateway_t *gateway, flk_submission_t *submission, flk_answer_t *answer);
/* A final answer: acks, counts, tells, lets go. The content of `answer` is moved or freed. */
void flk_settle_end(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer);
/* The final answer for a dead letter; with FLK_FLAG_DUPLICATE in `flags` for one that the queue held before. */
void flk_settle_dead_letter(flk_relay_t *relay, flk_submission_t *submission, uint32_t flags);
/* No answer for now: 503 to the client; the record stays un-acked, for the re-drive. `retry_ms` 0: not known. */
void flk_settle_defer(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why);
/* Lets go without a word: the re-drive finds the record in the log, if there is one. */
void flk_settle_forget(flk_relay_t *relay, flk_submission_t *submission);

/* The client of a submission in the table waits no more: only its record does. */
void flk_settle_detach(flk_relay_t *relay, flk_submission_t *submission);
/* … and its place is needed: lets go of it, and remembers it for a while for flk_settle_late. */
void flk_settle_let_go(flk_relay_t *relay, flk_submission_t *submission);
/* A verdict for a record that is not in memory: acks and counts it. False: it was settled before, or is not known to
 * be of the verdict's PCS. */
bool flk_settle_late(flk_relay_t *relay, uint64_t lsn, const flk_answer_t *answer);

#endif
