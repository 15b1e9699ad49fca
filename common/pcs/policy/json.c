/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/json.h"

#include <jansson.h>
#include <string.h>

#include "common/escape.h"
#include "common/number.h"
#include "common/pcs/text.h"

enum { TTL_MIN_S = 60, TTL_MAX_S = 315360000 };

/* ---- reading ---- */

/* Copies a string member. False: it is none, or does not fit. */
static bool take_text(const json_t *value, char *out, size_t out_bytes) {
    const char *text = json_string_value(value);
    size_t text_bytes = json_string_length(value);
    if (text == NULL || text_bytes == 0 || text_bytes >= out_bytes) {
        return false;
    }
    memset(out, 0, out_bytes);
    memcpy(out, text, text_bytes);
    return strlen(out) == text_bytes;
}

static flk_err_t take_version(const json_t *value, flk_policy_t *policy, char *errmsg) {
    if (!take_text(value, policy->version, sizeof policy->version) ||
        !flk_text_is_name(policy->version, strlen(policy->version), FLK_POLICY_VERSION_BYTES - 1)) {
        flk_errmsg(errmsg, "version must be a string of 1 to %d of A-Z a-z 0-9 . _ : -", FLK_POLICY_VERSION_BYTES - 1);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t take_ttl(const json_t *value, flk_policy_t *policy, char *errmsg) {
    json_int_t ttl_s = json_integer_value(value);
    if (!json_is_integer(value) || ttl_s < TTL_MIN_S || ttl_s > TTL_MAX_S) {
        flk_errmsg(errmsg, "dedup_ttl_s must be an integer from %d to %d", TTL_MIN_S, TTL_MAX_S);
        return FLK_E_CONFIG;
    }
    policy->dedup_ttl_s = (uint64_t)ttl_s;
    return FLK_OK;
}

static flk_err_t take_median(const json_t *value, flk_terms_t *terms, char *errmsg) {
    const char *text = json_is_string(value) ? json_string_value(value) : "";
    if (strcmp(text, "mean") != 0 && strcmp(text, "upper") != 0) {
        flk_errmsg(errmsg, "median must be \"mean\" or \"upper\"");
        return FLK_E_CONFIG;
    }
    terms->median = text[0] == 'u' ? FLK_MEDIAN_UPPER : FLK_MEDIAN_MEAN;
    return FLK_OK;
}

/* Takes a member that a block may have, too. *known tells whether it is one. */
static flk_err_t take_term(const char *key, const json_t *value, flk_terms_t *terms, bool *known, char *errmsg) {
    *known = true;
    if (strcmp(key, "median") == 0) {
        return take_median(value, terms, errmsg);
    }
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        if (strcmp(key, flk_term_name(i)) != 0) {
            continue;
        }
        double number = json_number_value(value);
        if (!json_is_number(value) || !(number >= 0 && number <= flk_term_max(i))) {
            flk_errmsg(errmsg, "%s must be a number from 0 to %g", key, flk_term_max(i));
            return FLK_E_CONFIG;
        }
        *flk_term_of(terms, i) = number;
        return FLK_OK;
    }
    *known = false;
    return FLK_OK;
}

static bool take_signal(const json_t *value, uint8_t *signal) {
    for (unsigned i = 0; json_is_string(value) && i < FLK_SIGNALS_LEN; i++) {
        if (strcmp(json_string_value(value), flk_signal_name((flk_signal_t)i)) == 0) {
            *signal = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool take_compare(const json_t *value, uint8_t *compare) {
    for (unsigned i = 0; json_is_string(value) && i < FLK_COMPARES; i++) {
        if (strcmp(json_string_value(value), flk_compare_name((flk_compare_t)i)) == 0) {
            *compare = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static flk_err_t take_condition(const json_t *value, size_t alternative, flk_rule_t *rule, char *errmsg) {
    if (rule->conditions_len == FLK_RULE_CONDITIONS_MAX) {
        flk_errmsg(errmsg, "escalate \"%s\" has more than %d conditions", rule->name, FLK_RULE_CONDITIONS_MAX);
        return FLK_E_CONFIG;
    }
    flk_condition_t *condition = &rule->conditions[rule->conditions_len++];
    if (json_array_size(value) != 3 || !take_signal(json_array_get(value, 0), &condition->signal) ||
        !take_compare(json_array_get(value, 1), &condition->compare) || !json_is_number(json_array_get(value, 2))) {
        flk_errmsg(errmsg, "escalate \"%s\": a condition must be [SIGNAL, COMPARE, NUMBER]", rule->name);
        return FLK_E_CONFIG;
    }
    condition->value = json_number_value(json_array_get(value, 2));
    condition->alternative = (uint8_t)alternative;
    return FLK_OK;
}

static flk_err_t take_when(const json_t *when, flk_rule_t *rule, char *errmsg) {
    size_t i, j;
    json_t *alternative, *condition;
    bool whole = json_array_size(when) > 0;
    json_array_foreach(when, i, alternative) {
        whole = whole && json_array_size(alternative) > 0;
        json_array_foreach(alternative, j, condition) {
            flk_err_t err = take_condition(condition, i, rule, errmsg);
            if (err != FLK_OK) {
                return err;
            }
        }
    }
    if (!whole) {
        flk_errmsg(errmsg, "escalate \"%s\": when must be an array of arrays of conditions, none empty", rule->name);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t take_rule(const json_t *value, unsigned block, flk_policy_t *policy, char *errmsg) {
    if (policy->rules_len == FLK_RULES_MAX) {
        flk_errmsg(errmsg, "escalate: more than %d rules", FLK_RULES_MAX);
        return FLK_E_CONFIG;
    }
    flk_rule_t *rule = &policy->rules[policy->rules_len++];
    rule->block = (uint8_t)block;
    if (json_object_size(value) != 2 || !take_text(json_object_get(value, "name"), rule->name, sizeof rule->name) ||
        !flk_text_is_name(rule->name, strlen(rule->name), FLK_RULE_NAME_BYTES - 1)) {
        flk_errmsg(errmsg,
                   "escalate: a rule must have two members, when and name, a string of 1 to %d of A-Z a-z 0-9 . _ : -",
                   FLK_RULE_NAME_BYTES - 1);
        return FLK_E_CONFIG;
    }
    return take_when(json_object_get(value, "when"), rule, errmsg);
}

static flk_err_t take_rules(const json_t *value, unsigned block, flk_policy_t *policy, char *errmsg) {
    size_t i;
    json_t *rule;
    if (!json_is_array(value)) {
        flk_errmsg(errmsg, "escalate must be an array of rules");
        return FLK_E_CONFIG;
    }
    json_array_foreach(value, i, rule) {
        flk_err_t err = take_rule(rule, block, policy, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

static flk_err_t unknown_member(const char *key, const char *known, char *errmsg) {
    char shown[FLK_SHOWN_BYTES];
    flk_errmsg(errmsg, "unknown member '%s'; members are %s", flk_escape_name(key, shown), known);
    return FLK_E_CONFIG;
}

static flk_err_t take_shard(json_t *value, flk_policy_t *policy, char *errmsg) {
    if (policy->shards_len == FLK_POLICY_SHARDS_MAX) {
        flk_errmsg(errmsg, "shards: more than %d blocks", FLK_POLICY_SHARDS_MAX);
        return FLK_E_CONFIG;
    }
    flk_policy_shard_t *shard = &policy->shards[policy->shards_len++];
    if (!take_text(json_object_get(value, "shard"), shard->pattern, sizeof shard->pattern)) {
        flk_errmsg(errmsg, "shards: a block must be an object with a member shard, the pattern of its ids");
        return FLK_E_CONFIG;
    }
    shard->terms = policy->terms;
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member) {
        bool known = true;
        flk_err_t err = FLK_OK;
        if (strcmp(key, "escalate") == 0) {
            err = take_rules(member, policy->shards_len, policy, errmsg);
        } else if (strcmp(key, "shard") != 0) {
            err = take_term(key, member, &shard->terms, &known, errmsg);
        }
        if (err != FLK_OK || !known) {
            return err != FLK_OK ? err : unknown_member(key, "shard, the terms, median, escalate", errmsg);
        }
    }
    return FLK_OK;
}

static flk_err_t take_shards(json_t *value, flk_policy_t *policy, char *errmsg) {
    size_t i;
    json_t *shard;
    if (!json_is_array(value)) {
        flk_errmsg(errmsg, "shards must be an array of blocks");
        return FLK_E_CONFIG;
    }
    json_array_foreach(value, i, shard) {
        flk_err_t err = take_shard(shard, policy, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}

/* Blocks and rules come last: they build on the terms. */
static flk_err_t take_member(const char *key, json_t *value, flk_policy_t *policy, char *errmsg) {
    bool known;
    if (strcmp(key, "escalate") == 0 || strcmp(key, "shards") == 0) {
        return FLK_OK;
    }
    if (strcmp(key, "version") == 0) {
        return take_version(value, policy, errmsg);
    }
    if (strcmp(key, "dedup_ttl_s") == 0) {
        return take_ttl(value, policy, errmsg);
    }
    flk_err_t err = take_term(key, value, &policy->terms, &known, errmsg);
    if (err == FLK_OK && !known) {
        return unknown_member(key,
                              "version, tolD, tolCoh, tolBudget, alpha, beta, gamma, base, D0, stickyCoh, stickyD, "
                              "nonStickyD, median, dedup_ttl_s, escalate, shards",
                              errmsg);
    }
    return err;
}

static flk_err_t read_policy(json_t *root, flk_policy_t *policy, char *errmsg) {
    if (!json_is_object(root)) {
        flk_errmsg(errmsg, "must be one JSON object");
        return FLK_E_CONFIG;
    }
    if (json_object_get(root, "version") == NULL) {
        flk_errmsg(errmsg, "version is required: another policy is another version");
        return FLK_E_CONFIG;
    }
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        flk_err_t err = take_member(key, value, policy, errmsg);
        if (err != FLK_OK) {
            return err;
        }
    }
    json_t *rules = json_object_get(root, "escalate"), *shards = json_object_get(root, "shards");
    flk_err_t err = rules != NULL ? take_rules(rules, 0, policy, errmsg) : FLK_OK;
    return err == FLK_OK && shards != NULL ? take_shards(shards, policy, errmsg) : err;
}

flk_err_t flk_policy_from_json(const char *text, size_t text_bytes, flk_policy_t *policy, char *errmsg) {
    json_error_t error;
    json_t *root = json_loadb(text, text_bytes, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        char shown[FLK_SHOWN_BYTES]; /* jansson quotes the file */
        flk_errmsg(errmsg, "line %d, column %d: %s", error.line, error.column, flk_escape_name(error.text, shown));
        return FLK_E_CONFIG;
    }
    flk_err_t err = read_policy(root, policy, errmsg);
    json_decref(root);
    return err;
}

/* ---- printing ---- */

static void print_number(double value, FILE *out) {
    char text[FLK_NUMBER_BYTES];
    flk_number_print(value, FLK_PRINT_ES, text);
    fputs(text, out);
}

/* Members that differ from `base`; NULL: all. */
static void print_terms(const flk_terms_t *terms, const flk_terms_t *base, FILE *out) {
    for (unsigned i = 0; i < FLK_TERMS_LEN; i++) {
        if (base == NULL || flk_term_value(terms, i) != flk_term_value(base, i)) {
            fprintf(out, ",\"%s\":", flk_term_name(i));
            print_number(flk_term_value(terms, i), out);
        }
    }
    if (base == NULL || terms->median != base->median) {
        fprintf(out, ",\"median\":\"%s\"", terms->median == FLK_MEDIAN_UPPER ? "upper" : "mean");
    }
}

static void print_rule(const flk_rule_t *rule, FILE *out) {
    fprintf(out, "{\"name\":\"%s\",\"when\":[", rule->name);
    for (unsigned i = 0; i < rule->conditions_len; i++) {
        const flk_condition_t *condition = &rule->conditions[i];
        const bool first = i == 0 || condition->alternative != rule->conditions[i - 1].alternative;
        fputs(first ? i == 0 ? "[" : "],[" : ",", out);
        fprintf(out, "[\"%s\",\"%s\",", flk_signal_name((flk_signal_t)condition->signal),
                flk_compare_name((flk_compare_t)condition->compare));
        print_number(condition->value, out);
        fputs("]", out);
    }
    fputs("]]}", out);
}

static void print_rules(const flk_policy_t *policy, unsigned block, FILE *out) {
    const char *separator = ",\"escalate\":[";
    for (unsigned i = 0; i < policy->rules_len; i++) {
        if (policy->rules[i].block == block) {
            fputs(separator, out);
            print_rule(&policy->rules[i], out);
            separator = ",";
        }
    }
    fputs(separator[1] == '\0' ? "]" : "", out);
}

void flk_policy_print_json(const flk_policy_t *policy, FILE *out) {
    fprintf(out, "{\"version\":\"%s\"", policy->version);
    print_terms(&policy->terms, NULL, out);
    fprintf(out, ",\"dedup_ttl_s\":%llu", (unsigned long long)policy->dedup_ttl_s);
    print_rules(policy, 0, out);
    for (unsigned i = 0; i < policy->shards_len; i++) {
        fprintf(out, "%s{\"shard\":\"%s\"", i == 0 ? ",\"shards\":[" : ",", policy->shards[i].pattern);
        print_terms(&policy->shards[i].terms, &policy->terms, out);
        print_rules(policy, i + 1, out);
        fputs("}", out);
    }
    fputs(policy->shards_len > 0 ? "]}\n" : "}\n", out);
}
