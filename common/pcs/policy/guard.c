/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/guard.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/number.h"
#include "common/pcs/signals.h"
#include "common/pcs/text.h"

typedef struct guard {
    const flk_policy_t *policy;
    const flk_places_t *places;
    char *errmsg;
} guard_t;

/* ---- words ---- */

enum { WORDS_BYTES = 160 };

static const char *number(double value, char out[FLK_NUMBER_BYTES]) {
    flk_number_print(value, FLK_PRINT_ES, out);
    return out;
}

static const char *units(int64_t value, char out[FLK_NUMBER_BYTES]) {
    return number((double)value / (double)FLK_INTERVAL_UNIT, out);
}

/* As the text has it: for shard "lab-*", or nothing. */
static const char *of_block(const flk_policy_t *policy, unsigned block, char out[WORDS_BYTES]) {
    out[0] = '\0';
    if (block > 0) {
        snprintf(out, WORDS_BYTES, " for shard \"%s\"", policy->shards[block - 1].pattern);
    }
    return out;
}

static const char *condition_words(const flk_condition_t *condition, char out[WORDS_BYTES]) {
    char value[FLK_NUMBER_BYTES];
    if (condition->signal == FLK_SIGNAL_DEGRADED) {
        snprintf(out, WORDS_BYTES, "%sdegraded", condition->value == 0 ? "not " : "");
    } else {
        snprintf(out, WORDS_BYTES, "%s %s %s", flk_signal_name((flk_signal_t)condition->signal),
                 flk_compare_name((flk_compare_t)condition->compare), number(condition->value, value));
    }
    return out;
}

/* ---- terms ---- */

/* The effect of a term beyond its range, in one example. */
static void example_of(unsigned term, double value, char out[WORDS_BYTES]) {
    char text[FLK_NUMBER_BYTES];
    number(value, text);
    switch (term) {
    case FLK_TERM_tol_d:
        snprintf(out, WORDS_BYTES, "a claimed D_hat of %s would pass where 0 is recomputed", text);
        break;
    case FLK_TERM_tol_coh:
        snprintf(out, WORDS_BYTES, "coh_star = %s would pass", number(1 + value, text));
        break;
    case FLK_TERM_tol_budget:
        snprintf(out, WORDS_BYTES, "a claimed budget of %s would pass where 0 is recomputed", text);
        break;
    case FLK_TERM_alpha:
        snprintf(out, WORDS_BYTES, "at r = 0 it would add %s to a budget within [0, 1]", text);
        break;
    case FLK_TERM_beta:
        snprintf(out, WORDS_BYTES, "at D_hat = D0 + 1 it would add %s to a budget within [0, 1]", text);
        break;
    case FLK_TERM_gamma:
        snprintf(out, WORDS_BYTES, "at coh_star = 1 it would add %s to a budget within [0, 1]", text);
        break;
    case FLK_TERM_base:
        snprintf(out, WORDS_BYTES, "at r = 1, D_hat = 0, coh_star = 0 the budget would be %s", text);
        break;
    default:
        snprintf(out, WORDS_BYTES, "no D_hat or coh_star that is a measured one reaches %s", text);
        break;
    }
}

static flk_err_t check_ranges(const guard_t *guard, unsigned block) {
    const flk_terms_t *terms = flk_policy_terms(guard->policy, block);
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        char value_text[FLK_NUMBER_BYTES], max_text[FLK_NUMBER_BYTES], example[WORDS_BYTES], where[WORDS_BYTES];
        double value = flk_term_value(terms, i), max = flk_term_max(i);
        if (value >= 0 && value <= max) {
            continue;
        }
        example_of(i, value, example);
        return flk_place_fault(guard->places->terms[block][i], guard->errmsg, "%s%s is %s, not from 0 to %s: %s",
                               flk_term_name(i), of_block(guard->policy, block, where), number(value, value_text),
                               number(max, max_text), example);
    }
    return FLK_OK;
}

static flk_err_t check_budget(const guard_t *guard, unsigned block) {
    const flk_interval_t budget = flk_interval_of(flk_policy_terms(guard->policy, block), FLK_SIGNAL_BUDGET);
    FLK_ASSERT(budget.low >= 0 && budget.low <= budget.high && budget.high <= FLK_INTERVAL_UNIT);
    return FLK_OK;
}

/* ---- regimes ---- */

static flk_err_t check_regimes(const guard_t *guard, unsigned block) {
    const flk_terms_t *terms = flk_policy_terms(guard->policy, block);
    const flk_place_t *places = guard->places->terms[block];
    const double coh_max = flk_round9(1 + terms->tol_coh);
    char where[WORDS_BYTES], texts[3][FLK_NUMBER_BYTES];
    of_block(guard->policy, block, where);
    if (terms->sticky_coh > coh_max) {
        return flk_place_fault(
            places[FLK_TERM_sticky_coh], guard->errmsg,
            "regime sticky%s can never hold: coh_star >= %s is false for coh_star = %s, the greatest "
            "in bounds",
            where, number(terms->sticky_coh, texts[0]), number(coh_max, texts[1]));
    }
    if (terms->sticky_d >= terms->non_sticky_d) {
        const bool moved = places[FLK_TERM_non_sticky_d].line > 0;
        return flk_place_fault(places[moved ? FLK_TERM_non_sticky_d : FLK_TERM_sticky_d], guard->errmsg,
                               "regimes sticky and non_sticky%s overlap: both hold for coh_star = %s, D_hat = %s",
                               where, number(terms->sticky_coh, texts[0]), number(terms->non_sticky_d, texts[1]));
    }
    if (terms->sticky_coh <= 0 && flk_round9(terms->non_sticky_d - terms->sticky_d) <= 1e-9) {
        return flk_place_fault(places[FLK_TERM_sticky_coh], guard->errmsg,
                               "regime mixed%s can never hold: D_hat = %s is sticky, and D_hat = %s is non_sticky",
                               where, number(terms->sticky_d, texts[0]), number(terms->non_sticky_d, texts[1]));
    }
    return FLK_OK;
}

/* ---- shards ---- */

/* Bytes before the star. */
static size_t stem_of(const char *pattern) {
    return strcspn(pattern, "*");
}

static flk_err_t check_shard(const guard_t *guard, unsigned i) {
    const char *pattern = guard->policy->shards[i].pattern;
    const size_t stem = stem_of(pattern);
    if (!flk_text_is_name(pattern, stem, FLK_PCS_SHARD_MAX) || (pattern[stem] == '*' && pattern[stem + 1] != '\0')) {
        return flk_place_fault(guard->places->shards[i], guard->errmsg,
                               "shard \"%s\" must be 1 to %d of A-Z a-z 0-9 . _ : -, with or without a * at the end",
                               pattern, FLK_PCS_SHARD_MAX);
    }
    for (unsigned before = 0; before < i; before++) {
        const char *earlier = guard->policy->shards[before].pattern;
        const size_t earlier_stem = stem_of(earlier);
        const bool covers =
            earlier[earlier_stem] == '*' ? strncmp(earlier, pattern, earlier_stem) == 0 : strcmp(earlier, pattern) == 0;
        if (covers) {
            return flk_place_fault(guard->places->shards[i], guard->errmsg,
                                   "block for shard \"%s\" is never reached: shard %.*s is in the earlier block \"%s\"",
                                   pattern, (int)stem, pattern, earlier);
        }
    }
    return FLK_OK;
}

/* ---- rules ---- */

typedef struct box {
    flk_interval_t sides[FLK_SIGNALS_LEN];
} box_t;

static box_t box_of(const flk_terms_t *terms) {
    box_t box;
    for (unsigned signal = 0; signal < FLK_SIGNALS_LEN; signal++) {
        box.sides[signal] = flk_interval_of(terms, (flk_signal_t)signal);
    }
    return box;
}

static flk_err_t check_condition(const guard_t *guard, unsigned rule_at, unsigned i) {
    const flk_rule_t *rule = &guard->policy->rules[rule_at];
    const flk_condition_t *condition = &rule->conditions[i];
    const flk_place_t place = guard->places->conditions[rule_at][i];
    const double value = condition->value;
    char words[WORDS_BYTES];
    if (condition->signal == FLK_SIGNAL_DEGRADED && (condition->compare != FLK_EQUAL || (value != 0 && value != 1))) {
        return flk_place_fault(place, guard->errmsg, "rule \"%s\": degraded is compared by == with 1 or 0 alone",
                               rule->name);
    }
    if (!(value >= -1e6 && value <= 1e6) || flk_round9(value) != value) {
        return flk_place_fault(place, guard->errmsg,
                               "rule \"%s\": %s must compare with a number from -1000000 to 1000000 of 9 decimals",
                               rule->name, condition_words(condition, words));
    }
    return FLK_OK;
}

/* Cuts the box by one condition more; a side that gets empty is a rule that can never hold. */
static flk_err_t cut_box(const guard_t *guard, unsigned rule_at, unsigned i, box_t *box) {
    const flk_rule_t *rule = &guard->policy->rules[rule_at];
    const flk_condition_t *condition = &rule->conditions[i];
    flk_interval_t *side = &box->sides[condition->signal], before = *side;
    *side = flk_interval_cut(before, condition);
    if (side->low <= side->high) {
        return FLK_OK;
    }
    const bool wants_more =
        condition->compare == FLK_GREATER || condition->compare == FLK_AT_LEAST ||
        (condition->compare == FLK_EQUAL && condition->value * (double)FLK_INTERVAL_UNIT > (double)before.high);
    char words[WORDS_BYTES], texts[3][FLK_NUMBER_BYTES];
    const char *signal = flk_signal_name((flk_signal_t)condition->signal);
    return flk_place_fault(guard->places->conditions[rule_at][i], guard->errmsg,
                           "rule \"%s\" can never hold: %s lies from %s to %s there, and %s is false for %s = %s",
                           rule->name, signal, units(before.low, texts[0]), units(before.high, texts[1]),
                           condition_words(condition, words), signal,
                           units(wants_more ? before.high : before.low, texts[2]));
}

/* The budget follows from D_hat, coh_star and r, rising with the first two and falling with the third, so its values
 * over a box are all between those of two corners. A box that has none of them is empty. */
static flk_err_t check_reach(const guard_t *guard, unsigned rule_at, unsigned i, const flk_terms_t *terms, box_t *box) {
    const flk_interval_t *d = &box->sides[FLK_SIGNAL_D_HAT], *coh = &box->sides[FLK_SIGNAL_COH_STAR];
    const flk_interval_t *r = &box->sides[FLK_SIGNAL_R], *budget = &box->sides[FLK_SIGNAL_BUDGET];
    const double unit = (double)FLK_INTERVAL_UNIT;
    const double least = flk_budget(terms, (double)d->low / unit, (double)coh->low / unit, (double)r->high / unit);
    const double most = flk_budget(terms, (double)d->high / unit, (double)coh->high / unit, (double)r->low / unit);
    char texts[4][FLK_NUMBER_BYTES];
    if (llround(most * unit) >= budget->low && llround(least * unit) <= budget->high) {
        return FLK_OK;
    }
    return flk_place_fault(
        guard->places->conditions[rule_at][i], guard->errmsg,
        "rule \"%s\" can never hold: budget lies from %s to %s there, and the rule wants it from %s to "
        "%s, not such as %s",
        guard->policy->rules[rule_at].name, number(least, texts[0]), number(most, texts[1]),
        units(budget->low, texts[2]), units(budget->high, texts[3]), texts[0]);
}

/* Cuts the box of these terms by the conditions from `first` to before `end`. */
static flk_err_t cut_alternative(const guard_t *guard, unsigned rule_at, unsigned first, unsigned end,
                                 const flk_terms_t *terms, box_t *box) {
    flk_err_t err = FLK_OK;
    *box = box_of(terms);
    for (unsigned i = first; err == FLK_OK && i < end; i++) {
        err = cut_box(guard, rule_at, i, box);
        err = err == FLK_OK ? check_reach(guard, rule_at, i, terms, box) : err;
    }
    return err;
}

/* An alternative must be able to hold for some shard that the rule is for. The refusal is that of the last terms tried:
 * those of the rule's own block. */
static flk_err_t check_alternative(const guard_t *guard, unsigned rule_at, unsigned first, unsigned end) {
    const flk_policy_t *policy = guard->policy;
    box_t box;
    const unsigned own = policy->rules[rule_at].block;
    for (unsigned block = own == 0 ? policy->shards_len : own; block > own; block--) {
        if (cut_alternative(guard, rule_at, first, end, flk_policy_terms(policy, block), &box) == FLK_OK) {
            return FLK_OK;
        }
    }
    return cut_alternative(guard, rule_at, first, end, flk_policy_terms(policy, own), &box);
}

static bool covers(const box_t *outer, const box_t *inner) {
    bool all = true;
    for (unsigned i = 0; i < FLK_SIGNALS_LEN; i++) {
        all = all && outer->sides[i].low <= inner->sides[i].low && outer->sides[i].high >= inner->sides[i].high;
    }
    return all;
}

/* An alternative whose every PCS has another alternative changes nothing. The example is a corner of its box, on a side
 * that was cut. */
static flk_err_t check_alternatives(const guard_t *guard, unsigned rule_at, const box_t *boxes, const unsigned *firsts,
                                    unsigned boxes_len) {
    const flk_rule_t *rule = &guard->policy->rules[rule_at];
    for (unsigned i = 0; i < boxes_len; i++) {
        for (unsigned j = 0; j < boxes_len; j++) {
            if (i == j || !covers(&boxes[j], &boxes[i]) || (j > i && covers(&boxes[i], &boxes[j]))) {
                continue;
            }
            const unsigned signal = rule->conditions[firsts[i]].signal;
            char text[FLK_NUMBER_BYTES], words[WORDS_BYTES];
            return flk_place_fault(
                guard->places->conditions[rule_at][firsts[i]], guard->errmsg,
                "rule \"%s\": alternative %u adds nothing: %s = %s, and all else for which it holds, "
                "is in that of %s",
                rule->name, i + 1, flk_signal_name((flk_signal_t)signal),
                units(boxes[i].sides[signal].low > -FLK_INTERVAL_UNIT * FLK_INTERVAL_UNIT ? boxes[i].sides[signal].low
                                                                                          : boxes[i].sides[signal].high,
                      text),
                condition_words(&rule->conditions[firsts[j]], words));
        }
    }
    return FLK_OK;
}

/* The box of an alternative by its conditions alone. */
static box_t box_of_conditions(const flk_rule_t *rule, unsigned first, unsigned end) {
    const flk_terms_t widest = {.tol_coh = flk_term_max(FLK_TERM_tol_coh), .beta = 1};
    box_t box = box_of(&widest);
    for (unsigned i = first; i < end; i++) {
        flk_interval_t *side = &box.sides[rule->conditions[i].signal];
        *side = flk_interval_cut(*side, &rule->conditions[i]);
    }
    return box;
}

static flk_err_t check_rule(const guard_t *guard, unsigned rule_at) {
    const flk_rule_t *rule = &guard->policy->rules[rule_at];
    box_t boxes[FLK_RULE_CONDITIONS_MAX];
    unsigned firsts[FLK_RULE_CONDITIONS_MAX], boxes_len = 0;
    for (unsigned i = 0, end; i < rule->conditions_len; i = end) {
        flk_err_t err = FLK_OK;
        for (end = i;
             end < rule->conditions_len && rule->conditions[end].alternative == rule->conditions[i].alternative;) {
            err = err == FLK_OK ? check_condition(guard, rule_at, end) : err;
            end++;
        }
        firsts[boxes_len] = i;
        boxes[boxes_len++] = box_of_conditions(rule, i, end);
        err = err == FLK_OK ? check_alternative(guard, rule_at, i, end) : err;
        if (err != FLK_OK) {
            return err;
        }
    }
    return check_alternatives(guard, rule_at, boxes, firsts, boxes_len);
}

static flk_err_t check_name(const guard_t *guard, unsigned rule_at) {
    const flk_rule_t *rule = &guard->policy->rules[rule_at];
    size_t bytes = 0; /* of the names that may hold together with this one */
    for (unsigned i = 0; i <= rule_at; i++) {
        const flk_rule_t *other = &guard->policy->rules[i];
        if (i < rule_at && strcmp(other->name, rule->name) == 0) {
            return flk_place_fault(guard->places->rules[rule_at], guard->errmsg,
                                   "rule \"%s\" is there twice: reason rule:%s would not tell which one held",
                                   rule->name, rule->name);
        }
        bytes += other->block == 0 || other->block == rule->block ? strlen(other->name) + 1 : 0;
    }
    if (bytes > FLK_RULES_BYTES) {
        return flk_place_fault(
            guard->places->rules[rule_at], guard->errmsg,
            "rule \"%s\": names of the rules that may hold together have %zu bytes with commas, more "
            "than %d",
            rule->name, bytes - 1, FLK_RULES_BYTES - 1);
    }
    return FLK_OK;
}

flk_err_t flk_policy_guard(const flk_policy_t *policy, const flk_places_t *places, char *errmsg) {
    static const flk_places_t nowhere;
    const guard_t guard = {policy, places != NULL ? places : &nowhere, errmsg};
    flk_err_t err = FLK_OK;
    for (unsigned block = 0; err == FLK_OK && block <= policy->shards_len; block++) {
        err = check_ranges(&guard, block);
        err = err == FLK_OK ? check_budget(&guard, block) : err;
        err = err == FLK_OK ? check_regimes(&guard, block) : err;
    }
    for (unsigned i = 0; err == FLK_OK && i < policy->shards_len; i++) {
        err = check_shard(&guard, i);
    }
    for (unsigned i = 0; err == FLK_OK && i < policy->rules_len; i++) {
        err = check_name(&guard, i);
        err = err == FLK_OK ? check_rule(&guard, i) : err;
    }
    return err;
}
