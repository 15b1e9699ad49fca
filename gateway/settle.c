/* SPDX-License-Identifier: MIT */
/* The end of a submission. The record is acked first, then its verdict is counted, then the client is told, and last
 * the memory is let go.
 *
 * A verdict may come twice (the submission was sent to two brokers), late (its client was told 503), or for a record
 * that is not in memory any more. The log decides: the ack that settles the record counts, every other one does not.
 * So each record is counted once in the life of the process that acks it. For a record that is not in memory the
 * in-flight table recalls the pcs_id; without that nobody could tell whether the verdict is the record's, and the
 * re-drive gets another one. */
#include "gateway/settle.h"

#include "gateway/admission.h"
#include "gateway/relay_internal.h"
#include "proto/stored_outcome.h"

static void count(flk_gateway_metrics_t *metrics, const flk_answer_t *answer) {
    flk_counter_t *counter = metrics->rejected_400;
    if (answer->flags & FLK_FLAG_DUPLICATE) {
        counter = metrics->dedup_hits;
    } else if (answer->status == FLK_STATUS_ACCEPTED) {
        counter = metrics->accepted;
    } else if (answer->status == FLK_STATUS_ESCALATED) {
        counter = metrics->escalated;
    } else if (answer->status == 401) {
        counter = metrics->rejected_401;
    } else if (answer->status == 413) {
        counter = metrics->rejected_413;
    }
    flk_counter_add(counter, 1);
    if (answer->flags & FLK_FLAG_CONFLICT) {
        flk_counter_add(metrics->conflicts, 1);
    }
}

/* The part of an answer that the log keeps. A refusal has no outcome, nor has a dead letter: nobody judged it. */
static void fill_ending(const flk_answer_t *answer, const uint8_t *pcs_id, flk_wal_ending_t *ending,
                        uint8_t outcome[FLK_STORED_OUTCOME_BYTES_MAX]) {
    _Static_assert((int)FLK_STORED_OUTCOME_BYTES_MAX <= (int)FLK_WAL_OUTCOME_BYTES_MAX, "an ack holds an outcome");
    _Static_assert((int)FLK_PCS_ID_BYTES == (int)FLK_WAL_SUBJECT_BYTES, "its subject is a raw pcs_id");
    _Static_assert(sizeof answer->key == sizeof ending->key, "and it has room for the id of a key");
    *ending = (flk_wal_ending_t){
        .mark = {.status = answer->status, .flags = (uint16_t)answer->flags, .detail = answer->outcome.outcome.reasons},
        .has_subject = pcs_id != NULL};
    if (pcs_id != NULL) {
        memcpy(ending->subject, pcs_id, FLK_PCS_ID_BYTES);
    }
    memcpy(ending->key, answer->key, sizeof ending->key);
    if (flk_answer_has_outcome(answer) && (ending->mark.detail & 1u << FLK_REASON_DEAD_LETTER) == 0) {
        ending->outcome_bytes = (uint16_t)flk_stored_outcome_put(&answer->outcome, outcome);
        ending->outcome = outcome;
    }
}

/* `pcs_id` NULL: not known. False, and nothing is counted: it was settled before. */
static bool ack(flk_relay_t *relay, uint64_t lsn, const uint8_t *pcs_id, const flk_answer_t *answer) {
    uint8_t outcome[FLK_STORED_OUTCOME_BYTES_MAX];
    flk_wal_ending_t ending;
    fill_ending(answer, pcs_id, &ending, outcome);
    bool settled = flk_wal_end(relay->gateway->inbox, lsn, &ending);
    flk_tries_settled(&relay->tries, lsn);
    if (settled) {
        count(&relay->gateway->metrics, answer);
    }
    return settled;
}

bool flk_settle_late(flk_relay_t *relay, uint64_t lsn, const flk_answer_t *answer) {
    const uint8_t *pcs_id = flk_inflight_recall(relay->table, lsn);
    return pcs_id != NULL && flk_answer_is_about(answer, pcs_id) && ack(relay, lsn, pcs_id, answer);
}

bool flk_settle_tell(flk_gateway_t *gateway, flk_submission_t *submission, flk_answer_t *answer) {
    if (submission->tell == NULL || !flk_submission_claim(submission)) {
        return false;
    }
    atomic_fetch_sub_explicit(&gateway->awaited, 1, memory_order_relaxed);
    submission->tell(submission, answer);
    return true;
}

void flk_settle_let_go(flk_relay_t *relay, flk_submission_t *submission) {
    flk_inflight_let_go(relay->table, submission);
    flk_settle_forget(relay, submission);
}

/* Off every list, out of the table, and out of memory. */
void flk_settle_forget(flk_relay_t *relay, flk_submission_t *submission) {
    flk_list_remove(&submission->by_state);
    flk_list_remove(&submission->by_age);
    if (submission->state != FLK_SUBMISSION_ARRIVING) {
        flk_inflight_remove(relay->table, submission);
    }
    submission->state = FLK_SUBMISSION_SETTLED;
    if (submission->door != FLK_DOOR_LOG) {
        flk_admission_release(relay->gateway, submission->entry.body_bytes);
    }
    flk_submission_unref(&submission);
}

void flk_settle_end(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer) {
    ack(relay, submission->entry.lsn, submission->parse_err == FLK_OK ? submission->pcs_id : NULL, answer);
    flk_settle_tell(relay->gateway, submission, answer);
    flk_settle_forget(relay, submission);
    flk_answer_fini(answer);
}

void flk_settle_dead_letter(flk_relay_t *relay, flk_submission_t *submission, uint32_t flags) {
    flk_answer_t answer;
    flk_err_t err = flk_dlq_answer(submission, relay->reader, flags, &answer);
    if (err != FLK_OK) {
        flk_settle_defer(relay, submission, 0, flk_err_text(err));
        return;
    }
    flk_settle_end(relay, submission, &answer);
}

void flk_settle_defer(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why) {
    flk_answer_t answer;
    flk_counter_add(relay->gateway->metrics.unavailable, 1);
    flk_answer_init_problem(&answer, 503, "", why, retry_ms == 0 ? FLK_RETRY_MS : retry_ms);
    flk_settle_tell(relay->gateway, submission, &answer);
    flk_settle_forget(relay, submission);
}

/* The text that the submission came as need not be kept: the record has it. */
void flk_settle_detach(flk_relay_t *relay, flk_submission_t *submission) {
    flk_submission_drop_json(submission);
    flk_list_push(&relay->detached, &submission->by_age);
}
