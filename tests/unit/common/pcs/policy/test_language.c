/* SPDX-License-Identifier: MIT */
/* The policy language: the text that is read, the places of its faults, and the guard-rails. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/pcs/policy/compare.h"
#include "common/pcs/policy/json.h"
#include "common/pcs/policy/load.h"
#include "common/pcs/policy/source.h"
#include "tests/unit/rig/suite.h"

static char errmsg[FLK_ERRMSG_BYTES];

static flk_policy_t read_text(const char *text) {
    flk_policy_t policy;
    ck_assert_msg(flk_policy_read(text, strlen(text), &policy, errmsg) == FLK_OK, "%s: %s", text, errmsg);
    return policy;
}

static char *json_of(const flk_policy_t *policy) {
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    flk_policy_print_json(policy, out);
    fclose(out);
    return text;
}

static void check_same(const flk_policy_t *a, const flk_policy_t *b) {
    char *left = json_of(a), *right = json_of(b);
    ck_assert_str_eq(left, right);
    free(left);
    free(right);
}

/* The shipped default.flk says the built-in policy, member by member. */
START_TEST(test_language_default_file) {
    flk_policy_t built_in, loaded;
    flk_policy_default(&built_in);
    ck_assert_msg(flk_policy_load(FLK_TEST_DATA "/../../compose/default.flk", &loaded, errmsg) == FLK_OK, "%s", errmsg);
    check_same(&built_in, &loaded);
}
END_TEST

/* A text with everything in it is the policy of its JSON form, in any order of its statements. */
START_TEST(test_language_equals_json) {
    static const char json[] =
        "{\"version\":\"v2\",\"tolD\":0.2,\"tolCoh\":0,\"tolBudget\":0.02,\"alpha\":0.25,\"beta\":0.4,\"gamma\":0,"
        "\"base\":0.05,\"D0\":2,\"stickyCoh\":0.8,\"stickyD\":1.4,\"nonStickyD\":2.5,\"median\":\"upper\","
        "\"dedup_ttl_s\":5400,\"escalate\":[{\"name\":\"thin\",\"when\":[[[\"scale_count\",\"<\",4],[\"r\",\">\",0.95]]"
        ","
        "[[\"D_hat\",\"<=\",-1.5]]]}],\"shards\":[{\"shard\":\"lab-*\",\"tolD\":0.3,\"escalate\":[{\"name\":\"far\","
        "\"when\":"
        "[[[\"degraded\",\"==\",1],[\"residual_spread\",\">=\",2]]]}]}]}";
    static const char text[] =
        "# all of it\npolicy \"v2\"\n"
        "for shard \"lab-*\" { escalate \"far\" when degraded and residual_spread >= 2 tolerance D_hat 0.3 }\n"
        "escalate \"thin\" when scale_count < 4 and r > 0.95 or D_hat <= -1.5\n"
        "keep 1.5 hours regime mixed otherwise regime non_sticky when D_hat >= 2.5\n"
        "regime sticky when coh_star >= 0.80 and D_hat <= 1.4\nmedian upper\n"
        "budget = 0.4 * max(0, D_hat - 2) + 0.05 + 0.25 * (1 - r)\n"
        "tolerance budget 0.02 tolerance coh_star 0 tolerance D_hat 0.2";
    flk_policy_t from_text = read_text(text), from_json = read_text(json);
    check_same(&from_text, &from_json);
}
END_TEST

/* Faults of syntax are told with line, column, the word found there and the words expected; bytes of any kind are. */
START_TEST(test_language_syntax) {
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"polisy \"v\"", "line 1, column 1: 'polisy', expected policy"},
        {"policy v", "line 1, column 8: 'v', expected a name in quotes"},
        {"policy \"v", "line 1, column 8: '\\\"', expected a name in quotes"},
        {"policy \"v\"\n  tolerance r 1", "line 2, column 13: 'r', expected budget, D_hat or coh_star"},
        {"policy \"v\"\ntolerance D_hat", "line 2, column 16: the end, expected a number"},
        {"policy \"v\" tolerance D_hat -1", "line 1, column 28: '-', expected a number"},
        {"policy \"v\" tolerance D_hat .5", "line 1, column 28: '.', expected a number"},
        {"policy \"v\" keep 14 weeks", "column 20: 'weeks', expected seconds, minutes, hours, days"},
        {"policy \"v\" regime sticky when coh_star > 0.7 and D_hat <= 1", "column 40: another number, expected >="},
        {"policy \"v\" budget = 0.1 * (2 - r)", "column 28: another number, expected 1"},
        {"policy \"v\" budget = 0.1 + ", "the end, expected a number"},
        {"policy \"v\" for shard \"a\" { keep 1 days }", "column 28: 'keep', expected"},
        {"policy \"v\" for shard \"a\" { for shard \"b\" { } }", "column 28: 'for', expected"},
        {"policy \"v\" for shard \"a\" {", "the end, expected"},
        {"policy \"v\" }", "'}', expected the end"},
        {"policy \"v\" escalate \"x\" when r = 1", "'=', expected a comparison"},
        {"policy \"v\" escalate \"x\" when degraded == 1", "'==', expected the end"},
        {"policy \"v\" escalate \"x\" when not r > 1", "'r', expected degraded"},
        {"policy \"v\" \xff\x01", "column 12: '\\xff', expected"},
        {"policy \"v\" tolerance D_hat 0.0000000000000000000000000", "more than 24 digits"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_policy_t policy;
        ck_assert_int_eq(flk_policy_read(rows[i].text, strlen(rows[i].text), &policy, errmsg), FLK_E_CONFIG);
        ck_assert_msg(strstr(errmsg, rows[i].said) != NULL, "row %zu: '%s'", i, errmsg);
    }
}
END_TEST

/* A policy that breaks a guard-rail is refused with its place, the rule and a value. OPERATING has one of each kind. */
START_TEST(test_language_guard_rails) {
    static const struct {
        const char *text, *said;
    } rows[] = {
        {"tolerance coh_star 1.5", "line 2, column 1: tolCoh is 1.5, not from 0 to 1: coh_star = 2.5 would pass"},
        {"budget = 1.5",
         "line 2, column 10: base is 1.5, not from 0 to 1: at r = 1, D_hat = 0, coh_star = 0 the budget"},
        {"budget = 2 * coh_star", "gamma is 2, not from 0 to 1: at coh_star = 1 it would add 2"},
        {"budget = 0.1 * max(0, D_hat - 17)", "D0 is 17, not from 0 to 16"},
        {"regime sticky when coh_star >= 1.06 and D_hat <= 1 regime non_sticky when D_hat >= 2 regime mixed otherwise",
         "line 2, column 1: regime sticky can never hold: coh_star >= 1.06 is false for coh_star = 1.05"},
        {"regime sticky when coh_star >= 0.7 and D_hat <= 2 regime non_sticky when D_hat >= 2 regime mixed otherwise",
         "line 2, column 51: regimes sticky and non_sticky overlap: both hold for coh_star = 0.7, D_hat = 2"},
        {"regime sticky when coh_star >= 0 and D_hat <= 2 regime non_sticky when D_hat >= 2.000000001 regime mixed "
         "otherwise",
         "regime mixed can never hold: D_hat = 2 is sticky, and D_hat = 2.000000001 is non_sticky"},
        {"regime non_sticky when D_hat >= 3",
         "line 2, column 1: regimes are not total: coh_star = 0, D_hat = 2.25 has none"},
        {"regime mixed otherwise regime non_sticky when D_hat >= 3", "regimes are not total: regime sticky is missing"},
        {"tolerance D_hat 0.1\ntolerance D_hat 0.2",
         "line 3, column 1: this tolerance is there twice, first in line 2, column 1"},
        {"median mean median mean", "line 2, column 13: median is there twice"},
        {"budget = 0.1 + 0.2", "column 16: this part of the budget is there twice"},
        {"keep 10 seconds", "line 2, column 1: keep must be whole seconds, from 60 to 315360000"},
        {"keep 100.5 seconds", "keep must be whole seconds"},
        {"escalate \"x\" when coh_star > 1.05", "line 2, column 19: rule \"x\" can never hold: coh_star lies from 0 to "
                                                "1.05 there, and coh_star > 1.05 is false for "
                                                "coh_star = 1.05"},
        {"escalate \"x\" when r > 0.9 and r < 0.5", "line 2, column 31: rule \"x\" can never hold: r lies from "
                                                    "0.900000001 to 1 there, and r < 0.5 is false for r = 0.900000001"},
        {"escalate \"x\" when scale_count < 3 or r > 0.5 or scale_count < 2",
         "line 2, column 49: rule \"x\": alternative 3 adds nothing: scale_count = 1, and all else for which it holds, "
         "is in that of scale_count < 3"},
        {"escalate \"x\" when budget > 0.6 or r < 0 ",
         "line 2, column 35: rule \"x\" can never hold: r lies from 0 to 1"},
        {"escalate \"x\" when degraded and not degraded", "column 32: rule \"x\" can never hold"},
        {"escalate \"x\" when scale_count > 3 and scale_count < 4", "scale_count lies from 4 to 64 there"},
        {"escalate \"x\" when r < 0.1234567891", "of 9 decimals"},
        {"escalate \"x\" when r < 1 escalate \"x\" when r > 0", "column 25: rule \"x\" is there twice"},
        {"escalate \"\" when r < 1", "the name must be 1 to 32"},
        {"escalate \"a*\" when r < 1", "the name must be 1 to 32"},
        {"budget = 0.1 escalate \"x\" when budget > 0.1", "budget lies from 0.1 to 0.1 there"},
        {"escalate \"x\" when r == 0.3 and budget <= 0.293",
         "line 2, column 32: rule \"x\" can never hold: budget lies from 0.31 to 1 there, and the rule wants it from "
         "0.1 to "
         "0.293"},
        {"escalate \"x\" when budget <= 0.293 and r == 0.3",
         "line 2, column 39: rule \"x\" can never hold: budget lies"},
        {"for shard \"lab-*\" { } for shard \"lab-1\" { }", "line 2, column 23: block for shard \"lab-1\" is never "
                                                            "reached: shard lab-1 is in the earlier block \"lab-*\""},
        {"for shard \"a*b\" { }", "line 2, column 1: shard \"a*b\" must be"},
        {"for shard \"\" { }", "shard \"\" must be"},
        {"for shard \"a\" { tolerance D_hat 2 }", "line 2, column 17: tolD for shard \"a\" is 2"},
        {"for shard \"a\" { regime non_sticky when D_hat >= 1 regime sticky when coh_star >= 1 and D_hat <= 1 regime "
         "mixed otherwise }",
         "line 2, column 17: regimes sticky and non_sticky for shard \"a\" overlap"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        char text[512];
        flk_policy_t policy;
        int bytes = snprintf(text, sizeof text, "policy \"v\"\n%s\n", rows[i].text);
        ck_assert_msg(flk_policy_read(text, (size_t)bytes, &policy, errmsg) == FLK_E_CONFIG, "row %zu", i);
        ck_assert_msg(strstr(errmsg, rows[i].said) != NULL, "row %zu: '%s'", i, errmsg);
    }
}
END_TEST

/* More than there is room for is refused: rules, conditions, blocks, names that hold together, items. */
START_TEST(test_language_bounds) {
    static const struct {
        const char *head, *part, *tail;
        unsigned fits;
        const char *said;
    } rows[] = {
        {"", "escalate \"n%u\" when r < 1\n", "", FLK_RULES_MAX, "more than 16 rules"},
        {"escalate \"x\" when r < 0.5", " or D_hat == %u", "", FLK_RULE_CONDITIONS_MAX - 1, "more than 8 conditions"},
        {"", "for shard \"s%u\" { }\n", "", FLK_POLICY_SHARDS_MAX, "more than 16 blocks"},
        {"", "escalate \"%026u\" when r < 1\n", "", 4, "have 134 bytes with commas, more than 127"},
        {"", "for shard \"s\" { }\n", "", 600, "never reached"},
    };
    static char text[65536];
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        for (unsigned extra = 0; extra < 2; extra++) {
            size_t at = (size_t)snprintf(text, sizeof text, "policy \"v\"\n%s", rows[i].head);
            for (unsigned n = 0; n < rows[i].fits + extra; n++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                at += (size_t)snprintf(text + at, sizeof text - at, rows[i].part, n);
#pragma GCC diagnostic pop
            }
            flk_policy_t policy;
            flk_err_t err = flk_policy_read(text, at, &policy, errmsg);
            if (extra == 0 && rows[i].fits <= 16) {
                ck_assert_msg(err == FLK_OK, "row %zu: %s", i, errmsg);
            } else {
                ck_assert_int_eq(err, FLK_E_CONFIG);
                ck_assert_msg(strstr(errmsg, rows[i].said) != NULL || i == 4, "row %zu: '%s'", i, errmsg);
            }
        }
    }
}
END_TEST

typedef struct moves {
    char text[512];
} moves_t;

static void tell(void *arg, const flk_policy_move_t *move) {
    static const char *const words[] = {"moved", "wider", "narrower"};
    moves_t *moves = arg;
    size_t at = strlen(moves->text);
    snprintf(moves->text + at, sizeof moves->text - at, "%s/%s/%s %s;", move->shard, move->name,
             move->rule != NULL ? move->rule : "", words[move->move]);
}

/* Each bound that moved is told, with the shard; a policy that widens a tolerance needs another version. */
START_TEST(test_language_compare) {
    flk_policy_t before =
                     read_text("policy \"v\" tolerance D_hat 0.1 escalate \"x\" when r < 1 escalate \"y\" when r < 1"),
                 after = read_text(
                     "policy \"v\" tolerance D_hat 0.1 tolerance budget 0.005 escalate \"y\" when r < 0.5 keep 1 days"
                     " for shard \"lab-*\" { tolerance D_hat 0.2 escalate \"z\" when r < 1 }");
    moves_t moves = {""};
    flk_policy_compare(&before, &after, tell, &moves);
    ck_assert_str_eq(moves.text,
                     "/tolBudget/ narrower;/escalate/x wider;/escalate/y moved;/dedup_ttl_s/ moved;"
                     "lab-/tolD/ wider;lab-/tolBudget/ narrower;lab-/escalate/x wider;lab-/escalate/y moved;"
                     "lab-/escalate/z narrower;");
    ck_assert_int_eq(flk_policy_may_follow(&before, &after, errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg,
                     "policy version v is in force with tolD 0.1 for shard lab-; a wider one, 0.2, needs a version "
                     "of its own");
    ck_assert_int_eq(flk_policy_may_follow(&after, &before, errmsg), FLK_E_CONFIG); /* tolBudget */
    strcpy(after.version, "w");
    ck_assert_int_eq(flk_policy_may_follow(&before, &after, errmsg), FLK_OK);
    ck_assert_int_eq(flk_policy_may_follow(&before, &before, errmsg), FLK_OK);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("language");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_language_default_file);
    tcase_add_test(tcase, test_language_equals_json);
    tcase_add_test(tcase, test_language_syntax);
    tcase_add_test(tcase, test_language_guard_rails);
    tcase_add_test(tcase, test_language_bounds);
    tcase_add_test(tcase, test_language_compare);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
