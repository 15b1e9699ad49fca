/* SPDX-License-Identifier: MIT */
/* add (each):  decode, id, signature        a refused one never comes near the store
 * run:         look up all that were admitted
 *              those not found: verdict, then put all of them, first of equal ids first
 *              those found that are no outcome: likewise, in the place of exactly those bytes
 *              settle: the store's outcome is everybody's
 *
 * A lookup that fails makes all admitted jobs UNAVAILABLE, a put that fails those that needed it. An outcome that such
 * a put stored after all is found when the record comes again, under its own submission. */
#include "worker/batch.h"

#include <stdlib.h>

#include "common/log.h"

struct flk_batch {
    const flk_worker_metrics_t *metrics;
    flk_pcs_reader_t *reader;
    uint64_t verify_ns; /* of this batch so far */
    int64_t now_s;      /* when its first delivery came */
    uint64_t cpu_ns;    /* of the thread when it came; of the whole batch once it was run */
    size_t len;
    flk_job_t jobs[FLK_BATCH_MAX];
    flk_store_item_t *items[FLK_BATCH_MAX]; /* of the call to the store under way */
};

flk_batch_t *flk_batch_new(const flk_worker_metrics_t *metrics) {
    flk_batch_t *batch = calloc(1, sizeof *batch);
    if (batch == NULL) {
        return NULL;
    }
    batch->metrics = metrics;
    batch->reader = flk_pcs_reader_new();
    if (batch->reader == NULL) {
        flk_batch_destroy(&batch);
    }
    return batch;
}

void flk_batch_destroy(flk_batch_t **batch) {
    if (*batch != NULL) {
        flk_batch_clear(*batch);
        flk_pcs_reader_destroy(&(*batch)->reader);
        free(*batch);
        *batch = NULL;
    }
}

void flk_batch_add(flk_batch_t *batch, const flk_rules_t *rules, const flk_id_t *submission, const void *body,
                   size_t body_bytes) {
    FLK_ASSERT(batch->len < FLK_BATCH_MAX);
    uint64_t began_ns = flk_mono_ns();
    if (batch->len == 0) {
        batch->now_s = flk_wall_ms() / 1000;
        batch->cpu_ns = flk_thread_cpu_ns();
    }
    flk_verify_admit(batch->reader, rules->keyring, batch->now_s, submission, body, body_bytes,
                     &batch->jobs[batch->len++]);
    batch->verify_ns += flk_mono_ns() - began_ns;
}

size_t flk_batch_len(const flk_batch_t *batch) {
    return batch->len;
}

const flk_job_t *flk_batch_job(const flk_batch_t *batch, size_t i) {
    return &batch->jobs[i];
}

/* The items of the jobs that still need the store. */
static size_t collect(flk_batch_t *batch) {
    size_t items_len = 0;
    for (size_t i = 0; i < batch->len; i++) {
        if (batch->jobs[i].state == FLK_JOB_ADMITTED) {
            batch->items[items_len++] = &batch->jobs[i].item;
        }
    }
    return items_len;
}

static void release_unless_admitted(flk_job_t *job) {
    if (job->state != FLK_JOB_ADMITTED) {
        flk_verify_release(job);
    }
}

static void settle(flk_batch_t *batch, bool found_only) {
    for (size_t i = 0; i < batch->len; i++) {
        flk_job_t *job = &batch->jobs[i];
        if (job->state == FLK_JOB_ADMITTED && (job->item.found || !found_only)) {
            flk_verify_settle(job);
            release_unless_admitted(job);
        }
    }
}

static void give_up(flk_batch_t *batch) {
    for (size_t i = 0; i < batch->len; i++) {
        flk_job_t *job = &batch->jobs[i];
        if (job->state == FLK_JOB_ADMITTED) {
            job->state = FLK_JOB_UNAVAILABLE;
            job->reason = "store unavailable";
            flk_verify_release(job);
        }
    }
}

static void judge(flk_batch_t *batch, const flk_policy_t *policy) {
    uint64_t began_ns = flk_mono_ns();
    for (size_t i = 0; i < batch->len; i++) {
        if (batch->jobs[i].state == FLK_JOB_ADMITTED) {
            flk_verify_judge(policy, &batch->jobs[i]);
            release_unless_admitted(&batch->jobs[i]);
        }
    }
    batch->verify_ns += flk_mono_ns() - began_ns;
}

static flk_err_t decide(flk_batch_t *batch, const flk_policy_t *policy, flk_store_t *store, char *errmsg) {
    size_t items_len = collect(batch);
    if (items_len == 0) {
        return FLK_OK;
    }
    flk_err_t err = flk_store_lookup(store, batch->items, items_len, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    settle(batch, true);
    judge(batch, policy);
    items_len = collect(batch);
    if (items_len == 0) {
        return FLK_OK;
    }
    err = flk_store_put(store, batch->items, items_len, errmsg);
    if (err == FLK_OK) {
        settle(batch, false);
    }
    return err;
}

static void count_job(const flk_worker_metrics_t *m, const flk_rules_t *rules, const flk_job_t *job) {
    if (job->decoded) {
        flk_key_metrics_count(&m->keys, rules->keyring, rules->verified, &job->signature, job->item.key);
    }
    if (job->state == FLK_JOB_UNAVAILABLE) {
        flk_counter_add(m->unavailable, 1);
        return;
    }
    flk_worker_metrics_verdict(m, job->status);
    if ((job->flags & FLK_FLAG_DUPLICATE) != 0) {
        flk_counter_add(m->duplicates, 1);
    }
    if ((job->flags & FLK_FLAG_CONFLICT) != 0) {
        flk_counter_add(m->conflicts, 1);
    }
    if (job->replaced) {
        flk_counter_add(m->replaced, 1);
        flk_log(FLK_LOG_WARN, "outcome_replaced", FLK_S("pcs_id", job->outcome.pcs_id),
                FLK_S("reason", "the store had bytes for this id that are no outcome; it was verified anew"));
    }
}

static void count(const flk_batch_t *batch, const flk_rules_t *rules) {
    for (size_t i = 0; i < batch->len; i++) {
        count_job(batch->metrics, rules, &batch->jobs[i]);
    }
    flk_histogram_observe(batch->metrics->batch_size, (double)batch->len);
    flk_histogram_observe(batch->metrics->verify_seconds, (double)batch->verify_ns * 1e-9);
}

flk_err_t flk_batch_run(flk_batch_t *batch, const flk_rules_t *rules, flk_store_t *store, char *errmsg) {
    flk_err_t err = decide(batch, &rules->policy, store, errmsg);
    give_up(batch);
    count(batch, rules);
    batch->cpu_ns = flk_thread_cpu_ns() - batch->cpu_ns;
    return err;
}

uint32_t flk_batch_cpu_us(const flk_batch_t *batch) {
    return (uint32_t)(batch->cpu_ns / 1000 / (batch->len == 0 ? 1 : batch->len));
}

void flk_batch_clear(flk_batch_t *batch) {
    for (size_t i = 0; i < batch->len; i++) {
        if (batch->jobs[i].state == FLK_JOB_ADMITTED) { /* added, but never run */
            flk_verify_release(&batch->jobs[i]);
        }
    }
    batch->len = 0;
    batch->verify_ns = 0;
}
