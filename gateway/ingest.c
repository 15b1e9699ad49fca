/* SPDX-License-Identifier: MIT */
/* A body is parsed before it is logged: a stranger's junk must not fill the log, and a refusal has nothing to lose.
 * The log's writer still gets whole groups, since each door's thread parses its own. */
#include "gateway/ingest.h"

#include "gateway/admission.h"
#include "gateway/settle.h"

static void refuse(flk_gateway_t *gateway, flk_submission_t *submission) {
    const flk_gateway_metrics_t *metrics = &gateway->metrics;
    flk_answer_t answer;
    if (submission->parse_err == FLK_E_NOMEM) {
        flk_admission_refuse(gateway, 503, "out of memory", 1000, &answer);
    } else {
        flk_counter_add(submission->parse_err == FLK_E_TOO_LARGE ? metrics->rejected_413 : metrics->rejected_400, 1);
        flk_submission_refusal(submission, &answer);
    }
    flk_settle_tell(gateway, submission, &answer);
    flk_admission_release(gateway, submission->entry.body_bytes);
    flk_submission_unref(&submission);
}

bool flk_ingest_check(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_submission_parse(submission, reader);
    if (submission->parse_err != FLK_OK) {
        refuse(gateway, submission);
        return false;
    }
    return true;
}

void flk_ingest_log(flk_gateway_t *gateway, flk_submission_t *newest, flk_submission_t *oldest) {
    flk_wal_append_chain(gateway->inbox, &newest->entry, &oldest->entry);
}

bool flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader) {
    bool checked = flk_ingest_check(gateway, submission, reader);
    if (checked) {
        flk_ingest_log(gateway, submission, submission);
    }
    return checked;
}

void flk_ingest_committed(void *arg, flk_wal_entry_t *group) {
    flk_gateway_t *gateway = arg;
    /* The group goes to the relay together: one wake-up. The arrivals are a stack, so the chain is built newest
     * first. */
    flk_submission_t *newest = NULL, *oldest = (flk_submission_t *)group;
    while (group != NULL) {
        flk_submission_t *submission = (flk_submission_t *)group;
        group = group->next;
        if (submission->entry.err == FLK_OK) {
            atomic_store_explicit(&gateway->committed_lsn, submission->entry.lsn, memory_order_release);
        }
        submission->queue_next = newest;
        newest = submission;
    }
    if (newest != NULL) {
        flk_arrivals_push(&gateway->arrivals, newest, oldest);
    }
}
