/* SPDX-License-Identifier: MIT */
#include "gateway/ingest.h"

enum { RETRY_MS = 1000 }; /* after a refusal whose end nobody can tell */

static flk_err_t refuse(flk_gateway_t *gateway, flk_answer_t *answer, const char *why) {
    flk_counter_add(gateway->metrics.refused, 1);
    flk_answer_problem(answer, 503, "", why, RETRY_MS);
    return FLK_E_UNAVAILABLE;
}

flk_err_t flk_ingest_admit(flk_gateway_t *gateway, flk_answer_t *answer) {
    flk_counter_add(gateway->metrics.ingest, 1);
    if (atomic_load_explicit(&gateway->draining, memory_order_relaxed)) {
        return refuse(gateway, answer, "the gateway is shutting down; send again, another one may answer");
    }
    uint32_t retry_ms;
    if (!flk_throttle_take(&gateway->throttle, flk_mono_ns(), &retry_ms)) {
        flk_counter_add(gateway->metrics.throttled, 1);
        flk_answer_problem(answer, 429, "", "more submissions than TOKEN_RATE allows; send again later", retry_ms);
        return FLK_E_FULL;
    }
    if (!flk_wal_healthy(gateway->inbox)) {
        return refuse(gateway, answer, "the inbox log cannot make records durable now; nothing was accepted");
    }
    if (atomic_fetch_add_explicit(&gateway->admitted, 1, memory_order_relaxed) >= gateway->inflight_max) {
        atomic_fetch_sub_explicit(&gateway->admitted, 1, memory_order_relaxed);
        return refuse(gateway, answer, "as many submissions are in flight as FLK_INFLIGHT_MAX allows");
    }
    atomic_fetch_add_explicit(&gateway->awaited, 1, memory_order_relaxed);
    return FLK_OK;
}

void flk_ingest_leave(flk_gateway_t *gateway) {
    atomic_fetch_sub_explicit(&gateway->admitted, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&gateway->awaited, 1, memory_order_relaxed);
}

void flk_ingest_start(flk_gateway_t *gateway, flk_submission_t *submission, flk_pcs_reader_t *reader) {
    flk_wal_append(gateway->inbox, &submission->entry);
    flk_submission_parse(submission, reader);
    if (flk_submission_pass(submission)) {
        flk_relay_push(gateway->relay, submission, submission);
    }
}

void flk_ingest_committed(void *arg, flk_wal_entry_t *group) {
    flk_gateway_t *gateway = arg;
    /* Those whose parsing is done go to the relay together: one wake-up a group. The queue is a stack, so the chain is
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
        flk_relay_push(gateway->relay, newest, oldest);
    }
}
