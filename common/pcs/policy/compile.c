/* SPDX-License-Identifier: MIT */
/* Two passes, for statements come in any order: first all that holds for every shard, then the blocks, which build on
 * it. So the rules for every shard come first in the policy, too, as its JSON form has them. */
#include <math.h>
#include <string.h>

#include "common/pcs/policy/source.h"
#include "common/pcs/text.h"

enum { KEEP_MIN_S = 60, KEEP_MAX_S = 315360000 };

typedef struct compile {
    flk_policy_t *policy;
    flk_places_t *places;
    char *errmsg;
    unsigned block;                                        /* that the item stands in */
    flk_place_t median, sticky, non_sticky, mixed, budget; /* of the block; line 0: not there yet */
} compile_t;

static flk_terms_t *terms_of(compile_t *compile) {
    return compile->block == 0 ? &compile->policy->terms : &compile->policy->shards[compile->block - 1].terms;
}

/* Takes the place of a statement that may be there once. */
static flk_err_t once(compile_t *compile, const flk_policy_item_t *item, flk_place_t *place, const char *name) {
    if (place->line > 0) {
        return flk_place_fault(item->place, compile->errmsg, "%s is there twice, first in line %d, column %d", name,
                               place->line, place->column);
    }
    *place = item->place;
    return FLK_OK;
}

static flk_err_t take_version(compile_t *compile, const flk_policy_item_t *item) {
    flk_policy_t *policy = compile->policy;
    if (!flk_text_is_name(item->text, strlen(item->text), FLK_POLICY_VERSION_BYTES - 1)) {
        return flk_place_fault(item->place, compile->errmsg,
                               "policy \"%s\": the version must be 1 to %d of A-Z a-z 0-9 . _ : -", item->text,
                               FLK_POLICY_VERSION_BYTES - 1);
    }
    memset(policy->version, 0, sizeof policy->version);
    memcpy(policy->version, item->text, strlen(item->text));
    compile->places->version = item->place;
    return FLK_OK;
}

static flk_err_t take_tolerance(compile_t *compile, const flk_policy_item_t *item) {
    *flk_term_of(terms_of(compile), item->code) = item->number;
    return once(compile, item, &compile->places->terms[compile->block][item->code], "this tolerance");
}

static flk_err_t take_regime(compile_t *compile, const flk_policy_item_t *item) {
    flk_terms_t *terms = terms_of(compile);
    flk_place_t *places = compile->places->terms[compile->block];
    if (item->kind == FLK_ITEM_MIXED) {
        return once(compile, item, &compile->mixed, "regime mixed");
    }
    if (item->kind == FLK_ITEM_NON_STICKY) {
        terms->non_sticky_d = item->number;
        places[FLK_TERM_non_sticky_d] = item->place;
        return once(compile, item, &compile->non_sticky, "regime non_sticky");
    }
    terms->sticky_coh = item->number;
    terms->sticky_d = item->second;
    places[FLK_TERM_sticky_coh] = places[FLK_TERM_sticky_d] = item->place;
    return once(compile, item, &compile->sticky, "regime sticky");
}

/* A budget says all weights: one that it leaves out is 0. */
static flk_err_t take_budget(compile_t *compile, const flk_policy_item_t *item) {
    flk_terms_t *terms = terms_of(compile);
    terms->alpha = terms->beta = terms->gamma = terms->base = 0;
    return once(compile, item, &compile->budget, "budget");
}

static flk_err_t take_weight(compile_t *compile, const flk_policy_item_t *item) {
    flk_terms_t *terms = terms_of(compile);
    *flk_term_of(terms, item->code) = item->number;
    if (item->code == FLK_TERM_beta) {
        terms->d0 = item->second;
        compile->places->terms[compile->block][FLK_TERM_d0] = item->place;
    }
    return once(compile, item, &compile->places->terms[compile->block][item->code], "this part of the budget");
}

static flk_err_t take_keep(compile_t *compile, const flk_policy_item_t *item) {
    double seconds = item->number * item->code;
    if (!(seconds >= KEEP_MIN_S && seconds <= KEEP_MAX_S) || seconds != floor(seconds)) {
        return flk_place_fault(item->place, compile->errmsg, "keep must be whole seconds, from %d to %d", KEEP_MIN_S,
                               KEEP_MAX_S);
    }
    compile->policy->dedup_ttl_s = (uint64_t)seconds;
    return once(compile, item, &compile->places->keep, "keep");
}

static flk_err_t take_rule(compile_t *compile, const flk_policy_item_t *item) {
    flk_policy_t *policy = compile->policy;
    if (policy->rules_len == FLK_RULES_MAX) {
        return flk_place_fault(item->place, compile->errmsg, "more than %d rules", FLK_RULES_MAX);
    }
    compile->places->rules[policy->rules_len] = item->place;
    flk_rule_t *rule = &policy->rules[policy->rules_len++];
    rule->block = (uint8_t)compile->block;
    if (!flk_text_is_name(item->text, strlen(item->text), FLK_RULE_NAME_BYTES - 1)) {
        return flk_place_fault(item->place, compile->errmsg,
                               "rule \"%s\": the name must be 1 to %d of A-Z a-z 0-9 . _ : -", item->text,
                               FLK_RULE_NAME_BYTES - 1);
    }
    memcpy(rule->name, item->text, strlen(item->text));
    return FLK_OK;
}

static flk_err_t take_condition(compile_t *compile, const flk_policy_item_t *item) {
    const unsigned at = compile->policy->rules_len - 1;
    flk_rule_t *rule = &compile->policy->rules[at];
    if (rule->conditions_len == FLK_RULE_CONDITIONS_MAX) {
        return flk_place_fault(item->place, compile->errmsg, "rule \"%s\" has more than %d conditions", rule->name,
                               FLK_RULE_CONDITIONS_MAX);
    }
    compile->places->conditions[at][rule->conditions_len] = item->place;
    rule->conditions[rule->conditions_len++] = (flk_condition_t){.signal = item->signal,
                                                                 .compare = (uint8_t)item->code,
                                                                 .alternative = item->alternative,
                                                                 .value = item->number};
    return FLK_OK;
}

static flk_err_t take_shard(compile_t *compile, const flk_policy_item_t *item) {
    flk_policy_t *policy = compile->policy;
    if (policy->shards_len == FLK_POLICY_SHARDS_MAX) {
        return flk_place_fault(item->place, compile->errmsg, "more than %d blocks for shards", FLK_POLICY_SHARDS_MAX);
    }
    compile->places->shards[policy->shards_len] = item->place;
    flk_policy_shard_t *shard = &policy->shards[policy->shards_len++];
    shard->terms = policy->terms;
    compile->block = policy->shards_len;
    if (strlen(item->text) >= sizeof shard->pattern) {
        return flk_place_fault(item->place, compile->errmsg, "for shard: the pattern is longer than %d characters",
                               FLK_POLICY_PATTERN_BYTES - 1);
    }
    memcpy(shard->pattern, item->text, strlen(item->text));
    return FLK_OK;
}

/* At the end of a block: of the three regimes all are given, or none. */
static flk_err_t check_regimes(compile_t *compile) {
    const flk_terms_t *terms = terms_of(compile);
    const flk_place_t sticky = compile->sticky, non_sticky = compile->non_sticky, mixed = compile->mixed;
    const flk_place_t place = sticky.line > 0 ? sticky : non_sticky.line > 0 ? non_sticky : mixed;
    if (place.line == 0 || (sticky.line > 0 && non_sticky.line > 0 && mixed.line > 0)) {
        return FLK_OK;
    }
    if (mixed.line == 0) {
        return flk_place_fault(
            place, compile->errmsg,
            "regimes are not total: coh_star = 0, D_hat = %.9g has none; add: regime mixed otherwise",
            (terms->sticky_d + terms->non_sticky_d) / 2);
    }
    return flk_place_fault(
        place, compile->errmsg, "regimes are not total: regime %s is missing, so D_hat = %.9g has none of its own",
        sticky.line == 0 ? "sticky" : "non_sticky", sticky.line == 0 ? terms->sticky_d : terms->non_sticky_d);
}

static flk_err_t take_end(compile_t *compile) {
    flk_err_t err = check_regimes(compile);
    compile->block = 0;
    compile->median = compile->sticky = compile->non_sticky = compile->mixed = compile->budget = (flk_place_t){0, 0};
    return err;
}

static flk_err_t take_item(compile_t *compile, const flk_policy_item_t *item) {
    switch (item->kind) {
    case FLK_ITEM_POLICY:
        return take_version(compile, item);
    case FLK_ITEM_TOLERANCE:
        return take_tolerance(compile, item);
    case FLK_ITEM_MEDIAN:
        terms_of(compile)->median = (flk_median_t)item->code;
        return once(compile, item, &compile->median, "median");
    case FLK_ITEM_STICKY:
    case FLK_ITEM_NON_STICKY:
    case FLK_ITEM_MIXED:
        return take_regime(compile, item);
    case FLK_ITEM_BUDGET:
        return take_budget(compile, item);
    case FLK_ITEM_WEIGHT:
        return take_weight(compile, item);
    case FLK_ITEM_KEEP:
        return take_keep(compile, item);
    case FLK_ITEM_ESCALATE:
        return take_rule(compile, item);
    case FLK_ITEM_CONDITION:
        return take_condition(compile, item);
    case FLK_ITEM_SHARD:
        return take_shard(compile, item);
    case FLK_ITEM_END:
        return take_end(compile);
    case FLK_ITEM_KINDS:
        break;
    }
    return FLK_OK;
}

flk_err_t flk_policy_compile(const flk_policy_source_t *source, flk_policy_t *policy, flk_places_t *places,
                             char *errmsg) {
    compile_t compile = {.policy = policy, .places = places, .errmsg = errmsg};
    flk_err_t err = FLK_OK;
    for (int pass = 0; pass < 2; pass++) {
        bool in_block = false;
        for (size_t i = 0; err == FLK_OK && i < source->items_len; i++) {
            const flk_policy_item_t *item = &source->items[i];
            in_block = in_block || item->kind == FLK_ITEM_SHARD;
            err = in_block == (pass == 1) ? take_item(&compile, item) : FLK_OK;
            in_block = in_block && item->kind != FLK_ITEM_END;
        }
        err = err == FLK_OK && pass == 0 ? take_end(&compile) : err;
    }
    return err;
}
