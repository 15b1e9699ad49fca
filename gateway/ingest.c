/* SPDX-License-Identifier: MIT */
#include "gateway/ingest.h"

void flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_wal_append(gateway->inbox, &submission->entry);
    flk_submission_parse(submission, reader);
    if (flk_submission_pass(submission)) {
        flk_arrivals_push(&gateway->arrivals, submission, submission);
    }
}

void flk_ingest_committed(void *arg, flk_wal_entry_t *group) {
    flk_gateway_t *gateway = arg;
    /* Those whose parsing is done go to the relay together: one wake-up a group. The arrivals are a stack, so the chain is
     * built newest first. */
    flk_submission_t *newest = NULL, *oldest = NULL;
    while (group != NULL) {
        flk_submission_t *submission = (flk_submission_t *)group;
        group = group->next;
        if (submission->entry.err == FLK_OK) {
            atomic_store_explicit(&gateway->committed_lsn, submission->entry.lsn, memory_order_release);
        }
        if (!flk_submission_pass(submission)) {
            continue;
        }
        submission->queue_next = newest;
        newest = submission;
        if (oldest == NULL) {
            oldest = submission;
        }
    }
    if (newest != NULL) {
        flk_arrivals_push(&gateway->arrivals, newest, oldest);
    }
}
