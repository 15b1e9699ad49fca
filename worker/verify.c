/* SPDX-License-Identifier: MIT */
/* A duplicate is an outcome whose origin is another submission: the same submission finds its own outcome again when
 * the broker delivers it a second time, and that is no duplicate. A duplicate with another digest is a conflict: the
 * same pcs_id was signed over other content, or came with other values of members that the verdict reads beyond it. */
#include "worker/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)FLK_STORE_KEY_BYTES == (int)FLK_PCS_ID_BYTES, "a store's key is a raw pcs_id");
_Static_assert((int)FLK_STORED_OUTCOME_BYTES_MAX <= (int)FLK_STORE_VALUE_BYTES_MAX, "a store's value holds an outcome");
_Static_assert((int)FLK_OUTCOME_BYTES <= (int)FLK_STORE_VALUE_BYTES_MAX, "… and one of the first version");

static void refuse(flk_job_t *job, uint32_t status, const char *field, const char *detail) {
    job->state = FLK_JOB_REFUSED;
    job->status = status;
    snprintf(job->problem.field, sizeof job->problem.field, "%s", field);
    snprintf(job->problem.detail, sizeof job->problem.detail, "%s", detail);
}

void flk_verify_admit(flk_pcs_reader_t *reader, const flk_keyring_t *keyring, int64_t now_s, const flk_id_t *submission,
                      const void *body, size_t body_bytes, flk_job_t *job) {
    job->submission = *submission;
    job->flags = 0;
    job->decoded = job->replaced = false;
    job->stale = NULL;
    job->item.stale = NULL;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_msgpack(reader, body, body_bytes, &job->pcs, &fault);
    if (err == FLK_E_NOMEM) {
        job->state = FLK_JOB_UNAVAILABLE;
        job->reason = "worker out of memory";
        return;
    }
    if (err != FLK_OK) {
        refuse(job, err == FLK_E_TOO_LARGE ? 413 : 400, fault.field, fault.reason);
        return;
    }
    job->decoded = true;
    memcpy(job->item.key, job->pcs.id_raw, sizeof job->item.key);
    if (flk_keyring_verify(keyring, &job->pcs, now_s, job->digest, &job->signature) != FLK_OK) {
        char detail[sizeof job->problem.detail];
        snprintf(detail, sizeof detail, "signature %s", flk_signature_text(job->signature.fault));
        refuse(job, 401, "sig", detail);
        flk_pcs_fini(&job->pcs);
        return;
    }
    job->state = FLK_JOB_ADMITTED;
}

static void give_up(flk_job_t *job, const char *reason) {
    job->state = FLK_JOB_UNAVAILABLE;
    job->reason = reason;
}

void flk_verify_judge(const flk_policy_t *policy, flk_job_t *job) {
    flk_outcome_record_t *record = &job->outcome;
    record->origin = job->submission;
    memcpy(record->pcs_id, job->pcs.id, sizeof record->pcs_id);
    memcpy(record->digest, job->digest, sizeof record->digest);
    record->has_unsigned_digest = true;
    flk_verdict_digest(&job->pcs, record->unsigned_digest);
    flk_verdict(&job->pcs, policy, &record->outcome);
    job->status = record->outcome.status;
    job->item.value_bytes = (uint16_t)flk_stored_outcome_write(record, job->item.value);
    if (job->item.value_bytes == 0) {
        give_up(job, "verdict that cannot be stored");
    }
}

/* Has the job judged, and its outcome put in the place of the store's value. */
static void take_its_place(flk_job_t *job) {
    if (job->stale != NULL) {
        give_up(job, "store holds a damaged outcome");
        return;
    }
    job->stale = malloc(job->item.value_bytes + 1u); /* malloc(0) may give NULL */
    if (job->stale == NULL) {
        give_up(job, "worker out of memory");
        return;
    }
    memcpy(job->stale, job->item.value, job->item.value_bytes);
    job->item.stale = job->stale;
    job->item.stale_bytes = job->item.value_bytes;
    job->item.found = false;
}

static bool differs(const flk_job_t *job) {
    const flk_outcome_record_t *record = &job->outcome;
    uint8_t digest[FLK_UNSIGNED_DIGEST_BYTES];
    if (memcmp(record->digest, job->digest, sizeof record->digest) != 0) {
        return true;
    }
    flk_verdict_digest(&job->pcs, digest);
    return record->has_unsigned_digest && memcmp(record->unsigned_digest, digest, sizeof digest) != 0;
}

void flk_verify_settle(flk_job_t *job) {
    if (!job->item.found) {
        job->state = FLK_JOB_SETTLED; /* as judged */
        job->replaced = job->stale != NULL;
        return;
    }
    switch (flk_stored_outcome_read(job->item.key, job->item.value, job->item.value_bytes, &job->outcome, NULL)) {
    case FLK_OK:
        break;
    case FLK_E_UNAVAILABLE:
        give_up(job, "outcome of a later version");
        return;
    default:
        take_its_place(job);
        return;
    }
    job->state = FLK_JOB_SETTLED;
    job->status = job->outcome.outcome.status;
    if (!flk_id_equal(&job->outcome.origin, &job->submission)) {
        job->flags = FLK_FLAG_DUPLICATE | (differs(job) ? FLK_FLAG_CONFLICT : 0);
    }
}

void flk_verify_release(flk_job_t *job) {
    free(job->stale);
    job->stale = NULL;
    flk_pcs_fini(&job->pcs);
}
