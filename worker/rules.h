/* SPDX-License-Identifier: MIT */
/* The rules of verification: keys and policy, as one immutable whole. SIGHUP publishes another; each thread picks it up
 * between two batches, so that no record is judged by half of each. */
#ifndef FLK_WORKER_RULES_H
#define FLK_WORKER_RULES_H

#include "common/pcs/policy.h"
#include "common/program/settings.h"
#include "worker/key_metrics.h"

typedef struct flk_rules {
    flk_keyring_t *keyring;
    flk_counter_t *verified[FLK_KEYS_MAX]; /* of each key of the ring; NULL: not counted */
    flk_policy_t policy;
    uint64_t ttl_ms; /* how long an outcome is kept */
    unsigned users;  /* the book's, guarded by it */
} flk_rules_t;

/* Errors: FLK_E_CONFIG, FLK_E_NOMEM. Caller frees with flk_rules_destroy, or gives them to a book. `metrics` outlive
 * the rules; NULL counts nothing by key. */
FLK_MUST_CHECK flk_err_t flk_rules_load(const flk_settings_t *settings, flk_key_metrics_t *metrics, flk_rules_t **rules,
                                        char *errmsg);
void flk_rules_destroy(flk_rules_t **rules);

typedef struct flk_rulebook flk_rulebook_t; /* Opaque. Any thread. */

/* Takes rules. NULL: out of memory. Caller frees with flk_rulebook_destroy, when no thread holds rules of it. */
FLK_MUST_CHECK flk_rulebook_t *flk_rulebook_new(flk_rules_t *rules);
void flk_rulebook_destroy(flk_rulebook_t **book);
/* Takes rules; those of before go when the last thread has left them. */
void flk_rulebook_publish(flk_rulebook_t *book, flk_rules_t *rules);
/* Gives back `held` (NULL at first) and returns the rules in force: one atomic load while nothing changed. The caller
 * ends with flk_rulebook_leave. */
const flk_rules_t *flk_rulebook_turn_to(flk_rulebook_t *book, const flk_rules_t *held);
void flk_rulebook_leave(flk_rulebook_t *book, const flk_rules_t *held);

#endif
