/* SPDX-License-Identifier: MIT */
/* The verdict again, in words: each line has the claim, the computation with its numbers, and the bound. The verdict
 * itself comes from flk_verdict, and the words follow its reasons. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/json_out.h"
#include "agent/flk/policy/verbs.h"
#include "common/pcs/canonical.h"
#include "common/pcs/rule.h"

typedef struct explain {
    const flk_pcs_t *pcs;
    const flk_policy_t *policy;
    const flk_terms_t *terms;
    unsigned block;
    flk_outcome_t outcome;
    flk_signals_t signals;
} explain_t;

static const char *yes(bool holds) {
    return holds ? "yes" : "no";
}

static bool has(const explain_t *explain, flk_reason_t reason) {
    return (explain->outcome.reasons & 1u << reason) != 0;
}

static void print_policy(const explain_t *explain) {
    const bool block = explain->block > 0;
    printf("pcs_id    %s\nshard     %s\npolicy    %s, %s%s%s\n", explain->pcs->id, explain->pcs->shard_id,
           explain->policy->version, block ? "the block for shard \"" : "the terms without a block",
           block ? explain->policy->shards[explain->block - 1].pattern : "", block ? "\"" : "");
}

static void print_d_hat(const explain_t *explain) {
    const double claimed = explain->signals.values[FLK_SIGNAL_D_HAT];
    const bool upper = explain->terms->median == FLK_MEDIAN_UPPER;
    if (has(explain, FLK_REASON_D_HAT_UNVERIFIABLE)) {
        printf("D_hat     claimed %.10g; %u scales and their N_j give no slope: unverifiable\n", claimed,
               explain->pcs->scales_len);
        return;
    }
    printf("D_hat     claimed %.10g; the median of the slopes of %u scales (%s) is %.10g; |difference| %.10g <= tolD "
           "%.10g: %s\n",
           claimed, explain->pcs->scales_len, upper ? "upper of two" : "mean of two", explain->outcome.d_hat,
           flk_round9(fabs(claimed - explain->outcome.d_hat)), explain->terms->tol_d,
           yes(!has(explain, FLK_REASON_D_HAT_OUT_OF_TOLERANCE)));
}

static void print_ranges(const explain_t *explain) {
    printf("coh_star  %.10g in [0, 1 + tolCoh = %.10g]: %s\n", explain->signals.values[FLK_SIGNAL_COH_STAR],
           flk_round9(1 + explain->terms->tol_coh), yes(!has(explain, FLK_REASON_COH_STAR_OUT_OF_BOUNDS)));
    printf("r         %.10g in [0, 1]: %s\n", explain->signals.values[FLK_SIGNAL_R],
           yes(!has(explain, FLK_REASON_R_OUT_OF_BOUNDS)));
}

static void print_regime(const explain_t *explain) {
    const flk_terms_t *terms = explain->terms;
    const double coh_star = explain->signals.values[FLK_SIGNAL_COH_STAR], d_hat = explain->signals.values[0];
    printf("regime    sticky (coh_star >= %.10g: %s, and D_hat <= %.10g: %s), non_sticky (D_hat >= %.10g: %s), else "
           "mixed: %s; claimed %s\n",
           terms->sticky_coh, yes(coh_star >= terms->sticky_coh), terms->sticky_d, yes(d_hat <= terms->sticky_d),
           terms->non_sticky_d, yes(d_hat >= terms->non_sticky_d), flk_regime_name(explain->outcome.regime),
           flk_regime_name(explain->pcs->regime));
}

static void print_budget(const explain_t *explain) {
    const flk_terms_t *terms = explain->terms;
    const double *values = explain->signals.values;
    printf("budget    %.10g + %.10g * (1 - %.10g) + %.10g * max(0, %.10g - %.10g) + %.10g * %.10g, clamped to [0, 1]: "
           "%.10g\n",
           terms->base, terms->alpha, values[FLK_SIGNAL_R], terms->beta, values[FLK_SIGNAL_D_HAT], terms->d0,
           terms->gamma, values[FLK_SIGNAL_COH_STAR], explain->outcome.budget);
    printf("          claimed %.10g; |difference| %.10g <= tolBudget %.10g: %s\n", explain->outcome.budget_claimed,
           flk_round9(fabs(explain->outcome.budget_claimed - explain->outcome.budget)), terms->tol_budget,
           yes(!has(explain, FLK_REASON_BUDGET_MISMATCH)));
}

static void print_rule(const explain_t *explain, unsigned at) {
    const flk_rule_t *rule = &explain->policy->rules[at];
    if (rule->block != 0 && rule->block != explain->block) {
        return;
    }
    printf("rule      %s:", rule->name);
    for (unsigned i = 0; i < rule->conditions_len; i++) {
        const flk_condition_t *condition = &rule->conditions[i];
        const bool joined = i > 0 && condition->alternative == rule->conditions[i - 1].alternative;
        printf("%s%s %s %.10g (%.10g: %s)",
               i == 0   ? " "
               : joined ? " and "
                        : " or ",
               flk_signal_name((flk_signal_t)condition->signal), flk_compare_name((flk_compare_t)condition->compare),
               condition->value, explain->signals.values[condition->signal],
               yes(flk_condition_holds(condition, &explain->signals)));
    }
    const bool holds = (flk_rules_hold(explain->policy, explain->block, &explain->signals) & 1u << at) != 0;
    printf(": %s\n", holds ? "holds" : "does not hold");
}

static void print_verdict(const explain_t *explain) {
    const char *separator = " ", *reason;
    flk_reason_each_t each = {0};
    printf("verdict   %u %s", explain->outcome.status,
           explain->outcome.status == FLK_STATUS_ACCEPTED ? "accepted" : "escalated:");
    while ((reason = flk_reason_each(&each, explain->outcome.reasons, explain->outcome.rules)) != NULL) {
        printf("%s%s", separator, reason);
        separator = ", ";
    }
    putchar('\n');
}

static void print_text(const explain_t *explain) {
    print_policy(explain);
    print_d_hat(explain);
    print_ranges(explain);
    print_regime(explain);
    print_budget(explain);
    if (explain->pcs->degraded) {
        printf("degraded  ft.degraded is true\n");
    }
    for (unsigned i = 0; i < explain->policy->rules_len; i++) {
        print_rule(explain, i);
    }
    print_verdict(explain);
}

static void print_json(const explain_t *explain) {
    json_t *signals = json_object(), *rules = json_object(), *reasons = json_array(), *terms = json_object();
    flk_reason_each_t each = {0};
    const char *reason;
    for (unsigned i = 0; i < FLK_SIGNALS_LEN; i++) {
        const double value = explain->signals.values[i];
        json_object_set_new(signals, flk_signal_name((flk_signal_t)i), isnan(value) ? json_null() : json_real(value));
    }
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        json_object_set_new(terms, flk_term_name(i), json_real(flk_term_value(explain->terms, i)));
    }
    const uint32_t hold = flk_rules_hold(explain->policy, explain->block, &explain->signals);
    for (unsigned i = 0; i < explain->policy->rules_len; i++) {
        const flk_rule_t *rule = &explain->policy->rules[i];
        if (rule->block == 0 || rule->block == explain->block) {
            json_object_set_new(rules, rule->name, json_boolean(hold >> i & 1));
        }
    }
    while ((reason = flk_reason_each(&each, explain->outcome.reasons, explain->outcome.rules)) != NULL) {
        json_array_append_new(reasons, json_string(reason));
    }
    json_t *d_hat = explain->outcome.has_d_hat ? json_real(explain->outcome.d_hat) : json_null();
    flk_json_out(json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:f, s:s, s:i, s:o}", "pcs_id", explain->pcs->id,
                           "shard_id", explain->pcs->shard_id, "policy_version", explain->policy->version, "block",
                           explain->block > 0 ? explain->policy->shards[explain->block - 1].pattern : NULL, "terms",
                           terms, "signals", signals, "rules", rules, "recomputed_D_hat", d_hat, "recomputed_budget",
                           explain->outcome.budget, "regime", flk_regime_name(explain->outcome.regime), "status",
                           (int)explain->outcome.status, "reasons", reasons));
}

/* One PCS as JSON. False: it is none, and that is told. */
static bool read_pcs(const char *path, flk_pcs_t *pcs) {
    static char body[FLK_PCS_BODY_BYTES_MAX + 1];
    char errmsg[FLK_ERRMSG_BYTES];
    flk_pcs_fault_t fault;
    const bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "re");
    if (file == NULL) {
        flk_errmsg(errmsg, "%s: %s", path, strerror(errno));
        return flk_policy_ask_failed(errmsg) == FLK_EXIT_OK;
    }
    const size_t bytes = fread(body, 1, sizeof body, file);
    if (!standard) {
        fclose(file);
    }
    if (flk_pcs_from_json(body, bytes, pcs, &fault) == FLK_OK) {
        return true;
    }
    flk_errmsg(errmsg, "%s is no PCS: %s%s%s", path, fault.field, fault.field[0] != '\0' ? " " : "", fault.reason);
    return flk_policy_ask_failed(errmsg) == FLK_EXIT_OK;
}

int flk_policy_verb_explain(const flk_policy_ask_t *ask) {
    flk_policy_t policy;
    flk_pcs_t pcs;
    if (!flk_policy_ask_load(ask->policy_file, &policy) || !read_pcs(ask->files[0], &pcs)) {
        return FLK_EXIT_FAILED;
    }
    explain_t explain = {.pcs = &pcs, .policy = &policy, .block = flk_policy_block(&policy, pcs.shard_id)};
    explain.terms = flk_policy_terms(&policy, explain.block);
    flk_verdict(&pcs, &policy, &explain.outcome);
    flk_signals_of(&pcs, &explain.outcome, &explain.signals);
    (ask->json ? print_json : print_text)(&explain);
    flk_pcs_fini(&pcs);
    return FLK_EXIT_OK;
}
