/* SPDX-License-Identifier: MIT */
#include "common/pcs/policy/json.h"
#include "common/pcs/policy/load.h"

#include "tests/unit/rig/suite.h"
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Loads `text` from a file. */
static flk_err_t load_text(const char *text, size_t text_bytes, flk_policy_t *policy, char *errmsg) {
    char path[] = "/tmp/flk-test-policy-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, text_bytes), (ssize_t)text_bytes);
    close(fd);
    flk_err_t err = flk_policy_load(path, policy, errmsg);
    ck_assert(err == FLK_OK || strstr(errmsg, path) != NULL); /* the message names the file */
    unlink(path);
    return err;
}

/* The defaults are those of the playbook. */
START_TEST(test_policy_default) {
    flk_policy_t policy;
    flk_policy_default(&policy);
    ck_assert_str_eq(policy.version, "default-1");
    ck_assert(policy.terms.tol_d == 0.15 && policy.terms.tol_coh == 0.05 && policy.terms.tol_budget == 0.01);
    ck_assert(policy.terms.alpha == 0.30 && policy.terms.beta == 0.50 && policy.terms.gamma == 0.20 &&
              policy.terms.base == 0.10);
    ck_assert(policy.terms.d0 == 2.2);
    ck_assert_uint_eq(policy.dedup_ttl_s, 1209600);
}
END_TEST

/* A file sets every member; an absent member keeps its default. */
START_TEST(test_policy_load) {
    flk_policy_t policy;
    char errmsg[FLK_ERRMSG_BYTES];
    const char *full =
        "{\"version\":\"2026-01:a_b.c\",\"tolD\":0,\"tolCoh\":1,\"tolBudget\":0.5,\"alpha\":0.1,\"beta\":0.2,"
        "\"gamma\":0.3,\"base\":1,\"D0\":16,\"dedup_ttl_s\":60}\n";
    ck_assert_int_eq(load_text(full, strlen(full), &policy, errmsg), FLK_OK);
    ck_assert_str_eq(policy.version, "2026-01:a_b.c");
    ck_assert(policy.terms.tol_d == 0 && policy.terms.tol_coh == 1 && policy.terms.tol_budget == 0.5);
    ck_assert(policy.terms.alpha == 0.1 && policy.terms.beta == 0.2 && policy.terms.gamma == 0.3 &&
              policy.terms.base == 1 && policy.terms.d0 == 16);
    ck_assert_uint_eq(policy.dedup_ttl_s, 60);
    const char *some = "{\"version\":\"v2\",\"tolD\":0.2}";
    ck_assert_int_eq(load_text(some, strlen(some), &policy, errmsg), FLK_OK);
    ck_assert(policy.terms.tol_d == 0.2 && policy.terms.tol_coh == 0.05 && policy.dedup_ttl_s == 1209600);
}
END_TEST

/* A policy that breaks a guard-rail is refused, with the member and its limit, and the policy in use stays as it is. */
START_TEST(test_policy_guard_rails) {
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"{\"tolD\":0.2}", "version is required"},
        {"{}", "version is required"},
        {"[]", "one JSON object"},
        {"{\"version\":\"\"}", "version must be"},
        {"{\"version\":1}", "version must be"},
        {"{\"version\":\"a b\"}", "version must be"},
        {"{\"version\":\"123456789012345678901234567890123\"}", "1 to 32"},
        {"{\"version\":\"default-1\",\"tolD\":0.2}", "another version"},
        {"{\"version\":\"v\",\"tolD\":-0.1}", "tolD must be a number from 0 to 1"},
        {"{\"version\":\"v\",\"tolD\":1.1}", "tolD must be a number from 0 to 1"},
        {"{\"version\":\"v\",\"tolCoh\":2}", "tolCoh must"},
        {"{\"version\":\"v\",\"tolBudget\":\"0.1\"}", "tolBudget must"},
        {"{\"version\":\"v\",\"alpha\":1.5}", "alpha must"},
        {"{\"version\":\"v\",\"beta\":-1}", "beta must"},
        {"{\"version\":\"v\",\"gamma\":null}", "gamma must"},
        {"{\"version\":\"v\",\"base\":1.0001}", "base must"},
        {"{\"version\":\"v\",\"D0\":16.5}", "D0 must be a number from 0 to 16"},
        {"{\"version\":\"v\",\"dedup_ttl_s\":59}", "dedup_ttl_s must be an integer from 60 to 315360000"},
        {"{\"version\":\"v\",\"dedup_ttl_s\":315360001}", "dedup_ttl_s must"},
        {"{\"version\":\"v\",\"dedup_ttl_s\":60.5}", "dedup_ttl_s must"},
        {"{\"version\":\"v\",\"tolX\":0}", "unknown member 'tolX'"},
        {"{\"version\":\"v\",\"version\":\"w\"}", "duplicate"},
        {"{\"version\":\"v\",\"median\":\"middle\"}", "median must be"},
        {"{\"version\":\"v\",\"stickyCoh\":1.1}",
         "sticky can never hold: coh_star >= 1.1 is false for coh_star = 1.05"},
        {"{\"version\":\"v\",\"stickyD\":2.6}", "both hold for coh_star = 0.7, D_hat = 2.6"},
        {"{\"version\":\"v\",\"escalate\":{}}", "escalate must be an array"},
        {"{\"version\":\"v\",\"escalate\":[{}]}", "a rule must have two members"},
        {"{\"version\":\"v\",\"escalate\":[{\"name\":\"x\",\"when\":[]}]}", "none empty"},
        {"{\"version\":\"v\",\"escalate\":[{\"name\":\"x\",\"when\":[[]]}]}", "none empty"},
        {"{\"version\":\"v\",\"escalate\":[{\"name\":\"x\",\"when\":[[[\"r\",\"!\",1]]]}]}",
         "[SIGNAL, COMPARE, NUMBER]"},
        {"{\"version\":\"v\",\"escalate\":[{\"name\":\"x\",\"when\":[[[\"r\",\">\",1]]]}]}",
         "rule \"x\" can never hold: r lies from 0 to 1 there, and r > 1 is false for r = 1"},
        {"{\"version\":\"v\",\"shards\":{}}", "shards must be an array"},
        {"{\"version\":\"v\",\"shards\":[{}]}", "a member shard"},
        {"{\"version\":\"v\",\"shards\":[{\"shard\":\"*\"}]}", "shard \"*\" must be"},
        {"{\"version\":\"v\",\"shards\":[{\"shard\":\"a\",\"version\":\"w\"}]}", "unknown member 'version'"},
        {"{\"version\":\"v\",\"shards\":[{\"shard\":\"a*\"},{\"shard\":\"ab\"}]}", "shard ab is in the earlier block"},
        {"{\"version\":\"v\"}}", "line 1"},
        {"{\"version\":\"v\"", "line 1"},
        {"", "line 1"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_policy_t policy, before;
        flk_policy_default(&policy);
        before = policy;
        char errmsg[FLK_ERRMSG_BYTES] = "";
        ck_assert_int_eq(load_text(rows[i].text, strlen(rows[i].text), &policy, errmsg), FLK_E_CONFIG);
        ck_assert_msg(strstr(errmsg, rows[i].part) != NULL, "row %zu: '%s'", i, errmsg);
        ck_assert_mem_eq(&policy, &before, sizeof policy);
    }
}
END_TEST

/* The members beyond the first ten: regimes, median, rules, blocks; a block has the terms of all other shards but for
 * its own members. */
START_TEST(test_policy_rules_and_blocks) {
    flk_policy_t policy;
    char errmsg[FLK_ERRMSG_BYTES];
    const char *text =
        "{\"shards\":[{\"shard\":\"lab-*\",\"tolD\":0.3,\"escalate\":[{\"name\":\"lab\",\"when\":[[[\"degraded\",\"=="
        "\",1]]]}]},"
        "{\"shard\":\"x\",\"median\":\"mean\"}],\"version\":\"v\",\"stickyCoh\":0.8,\"stickyD\":1.4,\"nonStickyD\":2.5,"
        "\"median\":\"upper\",\"escalate\":[{\"name\":\"thin\",\"when\":[[[\"scale_count\",\"<\",4],[\"r\",\">\",0.95]]"
        ","
        "[[\"D_hat\",\"<=\",-1.5]]]}]}";
    ck_assert_msg(load_text(text, strlen(text), &policy, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert(policy.terms.sticky_coh == 0.8 && policy.terms.sticky_d == 1.4 && policy.terms.non_sticky_d == 2.5);
    ck_assert_int_eq(policy.terms.median, FLK_MEDIAN_UPPER);
    ck_assert_uint_eq(policy.shards_len, 2);
    ck_assert(policy.shards[0].terms.tol_d == 0.3 && policy.shards[0].terms.sticky_coh == 0.8);
    ck_assert_int_eq(policy.shards[1].terms.median, FLK_MEDIAN_MEAN);
    ck_assert_uint_eq(policy.rules_len, 2);
    ck_assert_str_eq(policy.rules[0].name, "thin");
    ck_assert_uint_eq(policy.rules[0].conditions_len, 3);
    ck_assert_uint_eq(policy.rules[0].conditions[2].alternative, 1);
    ck_assert(policy.rules[0].conditions[2].value == -1.5 && policy.rules[1].block == 1);
    /* Printed and read again it is the same, byte by byte. */
    char *printed[2];
    for (int i = 0; i < 2; i++) {
        size_t len;
        FILE *out = open_memstream(&printed[i], &len);
        flk_policy_print_json(&policy, out);
        fclose(out);
        ck_assert_msg(load_text(printed[i], len, &policy, errmsg) == FLK_OK, "%s", errmsg);
    }
    ck_assert_str_eq(printed[0], printed[1]);
    free(printed[0]);
    free(printed[1]);
}
END_TEST

/* A file that is missing, a directory or far too large is refused with one line that says so. */
START_TEST(test_policy_files) {
    flk_policy_t policy;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ck_assert_int_eq(flk_policy_load("/nonexistent/policy.json", &policy, errmsg), FLK_E_CONFIG);
    ck_assert_str_eq(errmsg, "policy /nonexistent/policy.json: cannot open: No such file or directory");
    ck_assert_int_eq(flk_policy_load("/tmp", &policy, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "cannot read"));
    static char large[65537];
    memset(large, ' ', sizeof large);
    ck_assert_int_eq(load_text(large, sizeof large, &policy, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "larger than 65536"));
    memcpy(large, "{\"version\":\"v\"}", 15);
    ck_assert_int_eq(load_text(large, sizeof large - 1, &policy, errmsg), FLK_OK);
}
END_TEST

/* The digest depends on each member, and not on the version. */
START_TEST(test_policy_digest) {
    char first[FLK_POLICY_DIGEST_HEX + 1], other[FLK_POLICY_DIGEST_HEX + 1];
    flk_policy_t policy;
    flk_policy_default(&policy);
    flk_policy_digest(&policy, first);
    ck_assert_uint_eq(strlen(first), FLK_POLICY_DIGEST_HEX);
    strcpy(policy.version, "another");
    flk_policy_digest(&policy, other);
    ck_assert_str_eq(first, other);
    ck_assert_str_eq(first, "2271f72d48433350"); /* as it was when policies had ten members */
    for (unsigned i = 0; i <= FLK_TERMS_LEN; i++) {
        flk_policy_default(&policy);
        if (i < FLK_TERMS_LEN) {
            *flk_term_of(&policy.terms, i) += 1e-12;
        } else {
            policy.dedup_ttl_s++;
        }
        flk_policy_digest(&policy, other);
        ck_assert_str_ne(first, other);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("policy");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_policy_default);
    tcase_add_test(tcase, test_policy_load);
    tcase_add_test(tcase, test_policy_digest);
    tcase_add_test(tcase, test_policy_rules_and_blocks);
    tcase_add_test(tcase, test_policy_guard_rails);
    tcase_add_test(tcase, test_policy_files);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
