/* SPDX-License-Identifier: MIT */
/* The reasons as text: one bit each, but the rules of a policy, which have names. */
#include <stdio.h>
#include <string.h>

#include "common/pcs/text.h"
#include "common/pcs/verdict.h"

static const char *const names[] = {
#define FLK_REASON_NAME(id, name) [id] = name,
    FLK_REASONS(FLK_REASON_NAME)
#undef FLK_REASON_NAME
};

const char *flk_reason_name(flk_reason_t reason) {
    FLK_ASSERT((size_t)reason < FLK_COUNT_OF(names));
    return names[reason];
}

/* The next name of a rule; NULL: none is left. */
static const char *next_rule(flk_reason_each_t *each, const char *rules) {
    const char *name = rules + each->rules_at;
    size_t len = strcspn(name, ",");
    if (len == 0 || len >= FLK_RULE_NAME_BYTES) {
        return NULL;
    }
    each->rules_at += len + (name[len] == ',');
    snprintf(each->text, sizeof each->text, FLK_REASON_OF_RULE "%.*s", (int)len, name);
    return each->text;
}

const char *flk_reason_each(flk_reason_each_t *each, uint32_t reasons, const char *rules) {
    for (; each->next < FLK_REASON_COUNT; each->next++) {
        if ((reasons & 1u << each->next) == 0) {
            continue;
        }
        if (each->next != FLK_REASON_RULE || rules == NULL || rules[0] == '\0') {
            return names[each->next++];
        }
        const char *rule = next_rule(each, rules);
        if (rule != NULL) {
            return rule;
        }
    }
    return NULL;
}

static bool take_rule(const char *name, char rules[FLK_RULES_BYTES]) {
    size_t len = strlen(rules), name_len = strlen(name);
    if (!flk_text_is_name(name, name_len, FLK_RULE_NAME_BYTES - 1) || len + 1 + name_len >= FLK_RULES_BYTES) {
        return false;
    }
    snprintf(rules + len, FLK_RULES_BYTES - len, "%s%s", len > 0 ? "," : "", name);
    return true;
}

bool flk_reason_take(const char *text, uint32_t *reasons, char rules[FLK_RULES_BYTES]) {
    if (strncmp(text, FLK_REASON_OF_RULE, strlen(FLK_REASON_OF_RULE)) == 0) {
        *reasons |= 1u << FLK_REASON_RULE;
        return take_rule(text + strlen(FLK_REASON_OF_RULE), rules);
    }
    for (unsigned reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (reason != FLK_REASON_RULE && strcmp(text, names[reason]) == 0) {
            *reasons |= 1u << reason;
            return true;
        }
    }
    return false;
}

bool flk_rules_are_names(uint32_t reasons, const char rules[FLK_RULES_BYTES]) {
    size_t at = 0, end = strnlen(rules, FLK_RULES_BYTES), len = 0;
    if (((reasons & 1u << FLK_REASON_RULE) != 0) != (end > 0) || end == FLK_RULES_BYTES) {
        return false;
    }
    for (unsigned names_len = 0; at < end; names_len++, at += len + 1) {
        len = strcspn(rules + at, ",");
        if (names_len == FLK_RULES_MAX || at + len + 1 == end ||
            !flk_text_is_name(rules + at, len, FLK_RULE_NAME_BYTES - 1)) {
            return false;
        }
    }
    return true;
}
