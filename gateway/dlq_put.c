/* SPDX-License-Identifier: MIT */
/* A PCS is given up: by a broker, since it took its workers with it, or here, since no verdict ever fits. The
 * submission stays in the in-flight table, so that the re-drive does not hand it to workers again, until the
 * dead-letter log has it; then its record is acked and its client told.
 *
 * The dead-letter log fails: the client is told 503 and the put is tried again each second. A crash before the ack
 * leaves the record in both logs: at the next start the re-drive finds its content among the dead letters. A PCS
 * that came several times is put once. */
#include "gateway/dlq_put.h"

#include "common/log.h"
#include "gateway/relay_internal.h"
#include "gateway/settle.h"

static void put(flk_relay_t *relay, flk_submission_t *submission) {
    flk_list_remove(&submission->by_state);
    flk_dlq_append(relay->gateway->dlq, submission);
}

void flk_dlq_put_begin(flk_relay_t *relay, flk_submission_t *submission, flk_dead_letter_t why) {
    const bool lost = why == FLK_DEAD_LETTER_LOST;
    flk_log(FLK_LOG_ERROR, "dead_letter", FLK_U("lsn", submission->entry.lsn),
            FLK_S("reason", lost ? "workers_lost" : "unsettled"),
            FLK_S("do", lost ? "the PCS took its workers with it; see the worker's log, then re-drive it"
                             : "the PCS never got a verdict that fits; see the workers' logs, then re-drive it"));
    submission->dead_letter = why;
    if (flk_dlq_contains(relay->gateway->dlq, submission, relay->reader)) {
        flk_settle_dead_letter(relay, submission, FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
        return;
    }
    if (submission->by_age.list != &relay->watched) {
        flk_list_remove(&submission->by_age); /* not to be let go of while the log's writer reads it */
    }
    submission->state = FLK_SUBMISSION_DEAD;
    put(relay, submission);
}

void flk_dlq_put_off(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why, bool unfit) {
    const flk_wal_entry_t *entry = &submission->entry;
    if (submission->door == FLK_DOOR_LOG && /* a client that waits is told to come back */
        flk_tries_failed(&relay->tries, entry->lsn, entry->time_ms, unfit, relay->now_ms)) {
        flk_dlq_put_begin(relay, submission, FLK_DEAD_LETTER_UNSETTLED);
    } else {
        flk_settle_defer(relay, submission, retry_ms, why);
    }
}

void flk_dlq_put_end(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->dlq_err != FLK_OK) {
        flk_answer_t answer;
        if (relay->dlq_failed.len == 0) {
            flk_log(FLK_LOG_ERROR, "dead_letter_not_stored", FLK_U("lsn", submission->entry.lsn),
                    FLK_S("why", flk_err_text(submission->dlq_err)),
                    FLK_S("do", "see to the disk of FLK_DATA_DIR; it is tried again each second"));
        }
        flk_answer_init_problem(&answer, 503, "", "the dead-letter log could not make the record durable",
                                FLK_RETRY_MS);
        flk_settle_tell(relay->gateway, submission, &answer);
        flk_list_remove(&submission->by_age);
        flk_list_push(&relay->dlq_failed, &submission->by_state);
        return;
    }
    flk_dlq_remember(relay->gateway->dlq, submission, relay->reader);
    const flk_gateway_metrics_t *metrics = &relay->gateway->metrics;
    const bool lost = submission->dead_letter == FLK_DEAD_LETTER_LOST;
    flk_counter_add(lost ? metrics->dead_letters : metrics->dead_letters_unsettled, 1);
    flk_settle_dead_letter(relay, submission, FLK_FLAG_DEAD_LETTER);
}

void flk_dlq_put_tick(flk_relay_t *relay) {
    while (relay->dlq_failed.first != NULL) {
        put(relay, flk_by_state(relay->dlq_failed.first));
    }
}
