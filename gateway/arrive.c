/* SPDX-License-Identifier: MIT */
#include "gateway/arrive.h"

#include "common/log.h"
#include "gateway/relay_internal.h"
#include "gateway/settle.h"

static void enter_table(flk_relay_t *relay, flk_submission_t *submission) {
    flk_inflight_insert(relay->table, submission);
    submission->state = FLK_SUBMISSION_PENDING;
    flk_list_push(&relay->pending, &submission->by_state);
    if (submission->door == FLK_DOOR_LOG) {
        flk_submission_drop_json(submission);
        submission->deadline_ms =
            relay->now_ms + relay->gateway->request_timeout_ms; /* for no client, but see relay.c */
        flk_list_push(&relay->driven, &submission->by_age);
    } else if (atomic_load(&submission->claimed)) {
        flk_settle_detach(relay, submission);
    } else if (submission->by_age.list == NULL) { /* an agent's is there since it came, by its deadline */
        flk_list_push(&relay->watched, &submission->by_age);
    }
}

/* Out of the log alone: by the rules of the version that logged it, or of before bodies were parsed first, it was a
 * PCS. */
static void refuse_malformed(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    flk_log(FLK_LOG_WARN, "record_malformed", FLK_U("lsn", submission->entry.lsn),
            FLK_S("field", submission->fault.field), FLK_S("why", submission->fault.reason));
    flk_submission_refusal(submission, &answer);
    flk_settle_end(relay, submission, &answer);
}

/* Never counted as accepted nor as put off: there is no record. */
static void refuse_lost(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    flk_counter_add(relay->gateway->metrics.refused, 1);
    flk_answer_init_problem(&answer, 503, "", "the inbox log could not make the record durable", FLK_RETRY_MS);
    flk_settle_tell(relay->gateway, submission, &answer);
    flk_settle_forget(relay, submission);
}

void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->entry.err != FLK_OK) {
        refuse_lost(relay, submission);
    } else if (submission->parse_err == FLK_E_NOMEM) {
        flk_settle_defer(relay, submission, 0, "out of memory");
    } else if (submission->parse_err != FLK_OK) {
        refuse_malformed(relay, submission);
    } else if (flk_inflight_find(relay->table, submission->entry.lsn) != NULL) {
        /* The log's writer was so slow to hand it over that the re-drive took the record up. */
        flk_settle_defer(relay, submission, 0, "the record is being verified; send again for the outcome");
    } else if (flk_dlq_contains(relay->gateway->dlq, submission, relay->reader)) {
        flk_settle_dead_letter(relay, submission, FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
    } else {
        enter_table(relay, submission);
    }
}
