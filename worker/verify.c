/* SPDX-License-Identifier: MIT */
/* A duplicate is an outcome whose origin is another submission: the same submission finds its own outcome again when the
 * broker delivers it a second time, and that is no duplicate. A duplicate with another digest is a conflict: the same
 * pcs_id was signed over other content. */
#include "worker/verify.h"

#include <stdio.h>
#include <string.h>

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
    job->decoded = false;
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

void flk_verify_judge(const flk_policy_t *policy, flk_job_t *job) {
    job->outcome.origin = job->submission;
    memcpy(job->outcome.pcs_id, job->pcs.id, sizeof job->outcome.pcs_id);
    memcpy(job->outcome.digest, job->digest, sizeof job->outcome.digest);
    flk_verdict(&job->pcs, policy, &job->outcome.outcome);
    job->status = job->outcome.outcome.status;
    job->item.value_bytes = (uint16_t)flk_stored_outcome_write(&job->outcome, job->item.value);
}

void flk_verify_settle(flk_job_t *job) {
    job->state = FLK_JOB_SETTLED;
    if (!job->item.found) {
        return; /* as judged */
    }
    const flk_outcome_record_t *record = &job->outcome;
    if (flk_stored_outcome_read(job->item.key, job->item.value, job->item.value_bytes, &job->outcome, NULL) != FLK_OK) {
        job->state = FLK_JOB_UNAVAILABLE;
        job->reason = "store holds a damaged outcome";
        return;
    }
    job->status = record->outcome.status;
    if (!flk_id_equal(&record->origin, &job->submission)) {
        job->flags = FLK_FLAG_DUPLICATE;
        if (memcmp(record->digest, job->digest, sizeof record->digest) != 0) {
            job->flags |= FLK_FLAG_CONFLICT;
        }
    }
}

void flk_verify_release(flk_job_t *job) {
    flk_pcs_fini(&job->pcs);
}
