/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/sha256.h"

static const struct {
    const char *name;
    size_t offset;
    double value, max; /* default; the least is 0 */
} terms_table[] = {
#define TERM(field, name, value, max) {name, offsetof(flk_terms_t, field), value, max},
    FLK_TERMS(TERM)
#undef TERM
};

double *flk_term_of(flk_terms_t *terms, unsigned term) {
    FLK_ASSERT(term < FLK_TERMS_LEN);
    return (double *)(void *)((char *)terms + terms_table[term].offset);
}

double flk_term_value(const flk_terms_t *terms, unsigned term) {
    FLK_ASSERT(term < FLK_TERMS_LEN);
    return *(const double *)(const void *)((const char *)terms + terms_table[term].offset);
}

const char *flk_term_name(unsigned term) {
    FLK_ASSERT(term < FLK_TERMS_LEN);
    return terms_table[term].name;
}

double flk_term_max(unsigned term) {
    FLK_ASSERT(term < FLK_TERMS_LEN);
    return terms_table[term].max;
}

const char *flk_signal_name(flk_signal_t signal) {
    static const char *const names[] = {
#define SIGNAL(id, name) [id] = name,
        FLK_SIGNALS(SIGNAL)
#undef SIGNAL
    };
    FLK_ASSERT((size_t)signal < FLK_COUNT_OF(names));
    return names[signal];
}

const char *flk_compare_name(flk_compare_t compare) {
    static const char *const names[FLK_COMPARES] = {
        [FLK_LESS] = "<", [FLK_AT_MOST] = "<=", [FLK_GREATER] = ">", [FLK_AT_LEAST] = ">=", [FLK_EQUAL] = "=="};
    FLK_ASSERT((size_t)compare < FLK_COUNT_OF(names));
    return names[compare];
}

void flk_policy_default(flk_policy_t *policy) {
    memset(policy, 0, sizeof *policy);
    memcpy(policy->version, FLK_POLICY_DEFAULT_VERSION, sizeof FLK_POLICY_DEFAULT_VERSION);
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        *flk_term_of(&policy->terms, i) = terms_table[i].value;
    }
    policy->dedup_ttl_s = 14 * 24 * 3600;
}

static bool fits(const char *pattern, const char *shard_id) {
    size_t len = strlen(pattern);
    return len > 0 && pattern[len - 1] == '*' ? strncmp(pattern, shard_id, len - 1) == 0
                                              : strcmp(pattern, shard_id) == 0;
}

unsigned flk_policy_block(const flk_policy_t *policy, const char *shard_id) {
    for (unsigned i = 0; i < policy->shards_len; i++) {
        if (fits(policy->shards[i].pattern, shard_id)) {
            return i + 1;
        }
    }
    return 0;
}

/* ---- the digest ---- */

static void add(crypto_hash_sha256_state *hash, const char *text) {
    crypto_hash_sha256_update(hash, (const uint8_t *)text, strlen(text));
}

static void add_number(crypto_hash_sha256_state *hash, double value) {
    char text[40];
    snprintf(text, sizeof text, "%a ", value);
    add(hash, text);
}

static void add_terms(crypto_hash_sha256_state *hash, const flk_terms_t *terms, unsigned first, unsigned end) {
    for (unsigned i = first; i < end; i++) {
        add_number(hash, flk_term_value(terms, i));
    }
}

static void add_rule(crypto_hash_sha256_state *hash, const flk_rule_t *rule) {
    char text[64];
    snprintf(text, sizeof text, " rule %s %u ", rule->name, rule->block);
    add(hash, text);
    for (unsigned i = 0; i < rule->conditions_len; i++) {
        const flk_condition_t *condition = &rule->conditions[i];
        snprintf(text, sizeof text, "%u %u %u ", condition->alternative, condition->signal, condition->compare);
        add(hash, text);
        add_number(hash, condition->value);
    }
}

/* True: the policy says nothing that the ten members of the first form cannot say. */
static bool is_plain(const flk_policy_t *policy) {
    flk_policy_t plain;
    flk_policy_default(&plain);
    bool same = policy->terms.median == plain.terms.median && policy->rules_len == 0 && policy->shards_len == 0;
    for (unsigned i = FLK_TERM_d0 + 1; i < FLK_TERMS_LEN; i++) {
        same = same && flk_term_value(&policy->terms, i) == flk_term_value(&plain.terms, i);
    }
    return same;
}

void flk_policy_digest(const flk_policy_t *policy, char digest[FLK_POLICY_DIGEST_HEX + 1]) {
    char text[FLK_POLICY_PATTERN_BYTES + 16];
    uint8_t out[FLK_SHA256_BYTES];
    crypto_hash_sha256_state hash;
    crypto_hash_sha256_init(&hash);
    add_terms(&hash, &policy->terms, 0, FLK_TERM_d0 + 1);
    snprintf(text, sizeof text, "%llu", (unsigned long long)policy->dedup_ttl_s);
    add(&hash, text);
    if (!is_plain(policy)) {
        add(&hash, policy->terms.median == FLK_MEDIAN_UPPER ? " upper " : " mean ");
        add_terms(&hash, &policy->terms, FLK_TERM_d0 + 1, FLK_TERMS_LEN);
        for (unsigned i = 0; i < policy->shards_len; i++) {
            snprintf(text, sizeof text, " shard %s ", policy->shards[i].pattern);
            add(&hash, text);
            add_terms(&hash, &policy->shards[i].terms, 0, FLK_TERMS_LEN);
            add(&hash, policy->shards[i].terms.median == FLK_MEDIAN_UPPER ? "upper" : "mean");
        }
        for (unsigned i = 0; i < policy->rules_len; i++) {
            add_rule(&hash, &policy->rules[i]);
        }
    }
    crypto_hash_sha256_final(&hash, out);
    sodium_bin2hex(digest, FLK_POLICY_DIGEST_HEX + 1, out, FLK_POLICY_DIGEST_HEX / 2);
}
