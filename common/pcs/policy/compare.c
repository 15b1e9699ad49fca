/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/compare.h"

#include <stdio.h>
#include <string.h>

typedef struct compare {
    const flk_policy_t *before, *after;
    flk_policy_move_fn *tell;
    void *arg;
    char shard[FLK_POLICY_PATTERN_BYTES];
} compare_t;

static void tell(const compare_t *compare, const char *name, const char *rule, double before, double after,
                 flk_move_t move) {
    compare->tell(compare->arg, &(flk_policy_move_t){compare->shard, name, rule, before, after, move});
}

static flk_move_t move_of(unsigned term, double before, double after) {
    const bool tolerance = term == FLK_TERM_tol_d || term == FLK_TERM_tol_coh || term == FLK_TERM_tol_budget;
    return !tolerance ? FLK_MOVE_OTHER : after > before ? FLK_MOVE_WIDER : FLK_MOVE_NARROWER;
}

static void compare_terms(const compare_t *compare, const flk_terms_t *before, const flk_terms_t *after) {
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        double old = flk_term_value(before, i), new = flk_term_value(after, i);
        if (old != new) {
            tell(compare, flk_term_name(i), NULL, old, new, move_of(i, old, new));
        }
    }
    if (before->median != after->median) {
        tell(compare, "median", NULL, before->median, after->median, FLK_MOVE_OTHER);
    }
}

static const flk_rule_t *find_rule(const flk_policy_t *policy, unsigned block, const char *name) {
    for (unsigned i = 0; i < policy->rules_len; i++) {
        const flk_rule_t *rule = &policy->rules[i];
        if ((rule->block == 0 || rule->block == block) && strcmp(rule->name, name) == 0) {
            return rule;
        }
    }
    return NULL;
}

static bool same_conditions(const flk_rule_t *a, const flk_rule_t *b) {
    bool same = a->conditions_len == b->conditions_len;
    for (unsigned i = 0; same && i < a->conditions_len; i++) {
        const flk_condition_t *left = &a->conditions[i], *right = &b->conditions[i];
        same = left->signal == right->signal && left->compare == right->compare && left->value == right->value &&
               left->alternative == right->alternative;
    }
    return same;
}

/* The rules of `from` that `to` lacks, or, once, those that changed. */
static void compare_rules(const compare_t *compare, const flk_policy_t *from, unsigned from_block,
                          const flk_policy_t *to, unsigned to_block, flk_move_t lacking) {
    for (unsigned i = 0; i < from->rules_len; i++) {
        const flk_rule_t *rule = &from->rules[i];
        if (rule->block != 0 && rule->block != from_block) {
            continue;
        }
        const flk_rule_t *other = find_rule(to, to_block, rule->name);
        if (other == NULL) {
            tell(compare, "escalate", rule->name, lacking == FLK_MOVE_WIDER, lacking == FLK_MOVE_NARROWER, lacking);
        } else if (lacking == FLK_MOVE_WIDER && !same_conditions(rule, other)) {
            tell(compare, "escalate", rule->name, 1, 1, FLK_MOVE_OTHER);
        }
    }
}

static void compare_shard(compare_t *compare, const char *pattern) {
    snprintf(compare->shard, sizeof compare->shard, "%.*s", (int)strcspn(pattern, "*"), pattern);
    const unsigned old = pattern[0] == '\0' ? 0 : flk_policy_block(compare->before, compare->shard);
    const unsigned new = pattern[0] == '\0' ? 0 : flk_policy_block(compare->after, compare->shard);
    compare_terms(compare, flk_policy_terms(compare->before, old), flk_policy_terms(compare->after, new));
    compare_rules(compare, compare->before, old, compare->after, new, FLK_MOVE_WIDER);
    compare_rules(compare, compare->after, new, compare->before, old, FLK_MOVE_NARROWER);
}

void flk_policy_compare(const flk_policy_t *before, const flk_policy_t *after, flk_policy_move_fn *tell_fn, void *arg) {
    compare_t compare = {before, after, tell_fn, arg, ""};
    compare_shard(&compare, "");
    if (before->dedup_ttl_s != after->dedup_ttl_s) {
        tell(&compare, "dedup_ttl_s", NULL, (double)before->dedup_ttl_s, (double)after->dedup_ttl_s, FLK_MOVE_OTHER);
    }
    for (unsigned i = 0; i < after->shards_len; i++) {
        compare_shard(&compare, after->shards[i].pattern);
    }
    for (unsigned i = 0; i < before->shards_len; i++) {
        bool told = false;
        for (unsigned j = 0; j < after->shards_len; j++) {
            told = told || strcmp(before->shards[i].pattern, after->shards[j].pattern) == 0;
        }
        if (!told) {
            compare_shard(&compare, before->shards[i].pattern);
        }
    }
}

/* ---- a reload ---- */

typedef struct widest {
    bool found;
    const char *name;
    double before, after;
    char shard[FLK_POLICY_PATTERN_BYTES];
} widest_t;

static void keep_wider(void *arg, const flk_policy_move_t *move) {
    widest_t *widest = arg;
    if (!widest->found && move->move == FLK_MOVE_WIDER && move->rule == NULL) {
        *widest = (widest_t){.found = true, .name = move->name, .before = move->before, .after = move->after};
        snprintf(widest->shard, sizeof widest->shard, "%s", move->shard);
    }
}

flk_err_t flk_policy_may_follow(const flk_policy_t *before, const flk_policy_t *after, char *errmsg) {
    widest_t widest = {.found = false};
    if (strcmp(before->version, after->version) != 0) {
        return FLK_OK;
    }
    flk_policy_compare(before, after, keep_wider, &widest);
    if (!widest.found) {
        return FLK_OK;
    }
    flk_errmsg(errmsg, "policy version %s is in force with %s %.9g%s%s; a wider one, %.9g, needs a version of its own",
               before->version, widest.name, widest.before, widest.shard[0] != '\0' ? " for shard " : "", widest.shard,
               widest.after);
    return FLK_E_CONFIG;
}
