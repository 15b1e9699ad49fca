/* SPDX-License-Identifier: MIT */
/* A broker gave a PCS up: it took its workers with it. The submission stays in the in-flight table, so that the re-drive
 * does not hand it to workers again, until the dead-letter log has it; then its record is acked and its client told.
 *
 * The log fails: the client is told 503 and the burial is tried again each second. A crash before the ack leaves the record in
 * both logs: at the next start the re-drive finds its id among the dead letters. A PCS that came several times is buried once. */
#include "common/log.h"
#include "gateway/relay_internal.h"

static void bury(flk_relay_t *relay, flk_submission_t *submission) {
    flk_list_remove(&submission->by_state);
    flk_dlq_bury(relay->gateway->dlq, submission);
}

void flk_burial_begin(flk_relay_t *relay, flk_submission_t *submission) {
    flk_log(FLK_LOG_ERROR, "dead_letter", FLK_U("lsn", submission->entry.lsn),
            FLK_S("do", "the PCS took its workers with it; see the worker's log, then re-drive it"));
    if (flk_dlq_contains(relay->gateway->dlq, submission->pcs_id)) {
        flk_burial_settle(relay, submission, FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
        return;
    }
    if (submission->by_age.list != &relay->watched) {
        flk_list_remove(&submission->by_age); /* not to be let go of while the log's writer reads it */
    }
    submission->state = FLK_SUBMISSION_BURYING;
    bury(relay, submission);
}

void flk_burial_end(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->buried_err != FLK_OK) {
        flk_answer_t answer;
        if (relay->unburied.len == 0) {
            flk_log(FLK_LOG_ERROR, "burial_failed", FLK_U("lsn", submission->entry.lsn),
                    FLK_S("why", flk_err_text(submission->buried_err)),
                    FLK_S("do", "see to the disk of FLK_DATA_DIR; it is tried again each second"));
        }
        flk_answer_problem(&answer, 503, "", "the dead-letter log could not make the record durable", FLK_RETRY_MS);
        flk_relay_tell(relay, submission, &answer);
        flk_list_remove(&submission->by_age);
        flk_list_push(&relay->unburied, &submission->by_state);
        return;
    }
    flk_dlq_remember(relay->gateway->dlq, submission->pcs_id);
    flk_counter_add(relay->gateway->metrics.dead_letters, 1);
    flk_burial_settle(relay, submission, FLK_FLAG_DEAD_LETTER);
}

void flk_burial_tick(flk_relay_t *relay) {
    while (relay->unburied.first != NULL) {
        bury(relay, flk_by_state(relay->unburied.first));
    }
}

void flk_burial_settle(flk_relay_t *relay, flk_submission_t *submission, uint32_t flags) {
    flk_answer_t answer = {.status = FLK_STATUS_ESCALATED, .flags = flags};
    flk_err_t err = flk_dlq_outcome(submission, relay->reader, &answer.outcome);
    if (err != FLK_OK) {
        flk_relay_defer(relay, submission, 0, flk_err_text(err));
        return;
    }
    flk_relay_settle(relay, submission, &answer);
}
