/* SPDX-License-Identifier: MIT */
#include "worker/rules.h"
#include "common/pcs/keyring_load.h"
#include "common/pcs/policy/load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct flk_rulebook {
    _Atomic(flk_rules_t *) current; /* changed under the mutex */
    pthread_mutex_t mutex;          /* guards `users` of all rules */
};

flk_err_t flk_rules_load(const flk_settings_t *settings, flk_key_metrics_t *metrics, flk_rules_t **out, char *errmsg) {
    *out = NULL;
    flk_rules_t *rules = calloc(1, sizeof *rules);
    if (rules == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_keyring_load(settings, &rules->keyring, errmsg);
    const char *policy_file = flk_settings_str(settings, FLK_SET_POLICY_FILE);
    flk_policy_default(&rules->policy);
    if (err == FLK_OK && policy_file[0] != '\0') {
        err = flk_policy_load(policy_file, &rules->policy, errmsg);
    }
    if (err != FLK_OK) {
        flk_rules_destroy(&rules);
        return err;
    }
    uint64_t ttl_s = flk_settings_uint(settings, FLK_SET_DEDUP_TTL_S);
    rules->ttl_ms = 1000 * (ttl_s != 0 ? ttl_s : rules->policy.dedup_ttl_s);
    for (size_t i = 0; metrics != NULL && i < flk_keyring_len(rules->keyring); i++) {
        rules->verified[i] = flk_key_metrics_of(metrics, flk_keyring_id(rules->keyring, i));
    }
    *out = rules;
    return FLK_OK;
}

void flk_rules_destroy(flk_rules_t **rules) {
    if (*rules != NULL) {
        flk_keyring_destroy(&(*rules)->keyring);
        free(*rules);
        *rules = NULL;
    }
}

flk_rulebook_t *flk_rulebook_new(flk_rules_t *rules) {
    flk_rulebook_t *book = calloc(1, sizeof *book);
    if (book != NULL) {
        pthread_mutex_init(&book->mutex, NULL);
        rules->users = 1; /* the book itself */
        atomic_init(&book->current, rules);
    }
    return book;
}

/* The mutex is held. */
static void give_back(flk_rules_t *rules) {
    if (--rules->users == 0) {
        flk_rules_destroy(&rules);
    }
}

void flk_rulebook_destroy(flk_rulebook_t **book) {
    if (*book != NULL) {
        give_back(atomic_load(&(*book)->current));
        pthread_mutex_destroy(&(*book)->mutex);
        free(*book);
        *book = NULL;
    }
}

void flk_rulebook_publish(flk_rulebook_t *book, flk_rules_t *rules) {
    pthread_mutex_lock(&book->mutex);
    rules->users = 1;
    give_back(atomic_exchange(&book->current, rules));
    pthread_mutex_unlock(&book->mutex);
}

const flk_rules_t *flk_rulebook_turn_to(flk_rulebook_t *book, const flk_rules_t *held) {
    if (held != NULL && atomic_load_explicit(&book->current, memory_order_acquire) == held) {
        return held;
    }
    pthread_mutex_lock(&book->mutex);
    flk_rules_t *rules = atomic_load(&book->current);
    rules->users++;
    if (held != NULL) {
        give_back((flk_rules_t *)held);
    }
    pthread_mutex_unlock(&book->mutex);
    return rules;
}

void flk_rulebook_leave(flk_rulebook_t *book, const flk_rules_t *held) {
    pthread_mutex_lock(&book->mutex);
    give_back((flk_rules_t *)held);
    pthread_mutex_unlock(&book->mutex);
}
