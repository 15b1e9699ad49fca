/* SPDX-License-Identifier: MIT */
/* One delivery on its way through a worker, and the steps of it that need nothing but the record itself and the rules:
 * no I/O, no clock, no randomness. batch.h puts the store between them.
 *
 *   WORK ── admit ──▶ REFUSED (400, 401, 413)
 *              └────▶ ADMITTED ── not in the store: judge, put ──▶ settle ──▶ SETTLED (200, 202)
 *                      ▲  │     └ in the store ─────────────────▶ settle ──▶ SETTLED (200, 202)
 *                      │  │                                         │
 *                      └──│─── the value found is no outcome ───────┘
 *                         └─────── the store failed, out of memory ────────▶ UNAVAILABLE */
#ifndef FLK_WORKER_VERIFY_H
#define FLK_WORKER_VERIFY_H

#include "proto/stored_outcome.h"
#include "worker/rules.h"
#include "worker/store/store.h"

typedef enum flk_job_state {
    FLK_JOB_REFUSED,     /* status and problem are the answer */
    FLK_JOB_ADMITTED,    /* id and signature are right */
    FLK_JOB_SETTLED,     /* status, flags and outcome are the answer */
    FLK_JOB_UNAVAILABLE, /* reason is the answer: nothing was decided */
} flk_job_state_t;

typedef struct flk_job {
    flk_job_state_t state;
    uint32_t status, flags;
    const char *reason; /* static, plain ASCII, at most FLK_NAME_MAX bytes */
    flk_problem_t problem;
    flk_id_t submission;
    uint8_t digest[FLK_DIGEST_BYTES]; /* of the signed content */
    flk_signature_t signature;        /* when `decoded` */
    bool decoded;                     /* a PCS with the id that is its own; item.key is that id */
    flk_outcome_record_t outcome;     /* as judged, or as the store has it */
    flk_store_item_t item;            /* value: flk_stored_outcome_write */
    uint8_t *stale;                   /* the store's value that is no outcome, for item.stale; NULL: none */
    bool replaced;                    /* by this job's */
    flk_pcs_t pcs;                    /* between admit and release of an ADMITTED job */
} flk_job_t;

/* Decodes a PCS, checks its id, then its signature: REFUSED, ADMITTED or UNAVAILABLE (out of memory). Borrows body
 * until return; `now_s` (Unix time) tells which keys are active. A job that was admitted is ended by
 * flk_verify_release. */
void flk_verify_admit(flk_pcs_reader_t *reader, const flk_keyring_t *keyring, int64_t now_s, const flk_id_t *submission,
                      const void *body, size_t body_bytes, flk_job_t *job);

/* Gives the verdict and writes the outcome that this submission would be the origin of, into item.value as well.
 * UNAVAILABLE when that could not be read again. */
void flk_verify_judge(const flk_policy_t *policy, flk_job_t *job);

/* The store has spoken: item.value is the outcome for ever, item.found tells whether it was there before. SETTLED
 * with its status and flags. When those bytes are no outcome, the job stays ADMITTED the first time, to be judged
 * and put in their place (item.stale); after that it is UNAVAILABLE, as it is when a later version wrote them. */
void flk_verify_settle(flk_job_t *job);

void flk_verify_release(flk_job_t *job);

#endif
