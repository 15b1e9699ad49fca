/* SPDX-License-Identifier: MIT */
/* Cases beside a policy, as tests/data/vectors/verdicts.json has them: each is a PCS, the status and the reasons. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/json_out.h"
#include "agent/flk/policy/verbs.h"
#include "common/pcs/verdict.h"

typedef struct test {
    bool json;
    flk_policy_t policy;
    unsigned cases, failed;
} test_t;

static void tell(test_t *test, const char *name, bool passed, const char *why) {
    test->cases++;
    test->failed += !passed;
    if (test->json) {
        flk_json_out(json_pack("{s:s, s:b, s:s}", "case", name, "passed", (int)passed, "why", why));
    } else if (!passed) {
        printf("%s: %s\n", name, why);
    }
}

static json_t *reasons_of(const flk_outcome_t *outcome) {
    json_t *reasons = json_array();
    flk_reason_each_t each = {0};
    const char *reason;
    while ((reason = flk_reason_each(&each, outcome->reasons, outcome->rules)) != NULL) {
        json_array_append_new(reasons, json_string(reason));
    }
    return reasons;
}

/* Both sides are told as JSON texts. */
static void compare(test_t *test, const char *name, const json_t *one, const flk_outcome_t *outcome) {
    json_t *came = reasons_of(outcome), *wanted = json_object_get(one, "reasons");
    char why[FLK_ERRMSG_BYTES];
    const json_int_t status = json_integer_value(json_object_get(one, "status"));
    char *came_text = json_dumps(came, JSON_COMPACT), *wanted_text = json_dumps(wanted, JSON_COMPACT | JSON_ENCODE_ANY);
    snprintf(why, sizeof why, "%u %s, wanted %d %s", outcome->status, came_text != NULL ? came_text : "", (int)status,
             wanted_text != NULL ? wanted_text : "");
    tell(test, name, status == outcome->status && json_equal(came, wanted), why);
    free(came_text);
    free(wanted_text);
    json_decref(came);
}

static void run_case(test_t *test, const json_t *one) {
    const char *name = json_string_value(json_object_get(one, "name"));
    char *body = json_dumps(json_object_get(one, "pcs"), JSON_COMPACT | JSON_REAL_PRECISION(17));
    flk_pcs_t pcs;
    flk_pcs_fault_t fault = {"", "the case has no pcs"};
    name = name != NULL ? name : "a case without a name";
    if (body == NULL || flk_pcs_from_json(body, strlen(body), &pcs, &fault) != FLK_OK) {
        char why[FLK_ERRMSG_BYTES];
        snprintf(why, sizeof why, "no PCS: %s %s", fault.field, fault.reason);
        tell(test, name, false, why);
        free(body);
        return;
    }
    flk_outcome_t outcome;
    flk_verdict(&pcs, &test->policy, &outcome);
    compare(test, name, one, &outcome);
    flk_pcs_fini(&pcs);
    free(body);
}

/* The policy that the cases name, by its path from their file; --policy goes before it. */
static bool load_policy(const flk_policy_ask_t *ask, const json_t *root, flk_policy_t *policy) {
    const char *named = json_string_value(json_object_get(root, "policy")), *cases = ask->files[0];
    char path[4096];
    if (ask->policy_file != NULL || named == NULL) {
        return flk_policy_ask_load(ask->policy_file, policy);
    }
    const char *slash = strrchr(cases, '/');
    const int dir_bytes = slash != NULL && named[0] != '/' ? (int)(slash + 1 - cases) : 0;
    snprintf(path, sizeof path, "%.*s%s", dir_bytes, cases, named);
    return flk_policy_ask_load(path, policy);
}

int flk_policy_verb_test(const flk_policy_ask_t *ask) {
    test_t test = {.json = ask->json};
    json_error_t error;
    char errmsg[FLK_ERRMSG_BYTES];
    size_t i;
    json_t *one, *root = json_load_file(ask->files[0], JSON_REJECT_DUPLICATES, &error);
    const json_t *cases = json_object_get(root, "cases");
    if (json_array_size(cases) == 0) {
        flk_errmsg(errmsg, "%s: no object with cases%s%s", ask->files[0], root == NULL ? ": " : "",
                   root == NULL ? error.text : "");
        json_decref(root);
        return flk_policy_ask_failed(errmsg);
    }
    if (!load_policy(ask, root, &test.policy)) {
        json_decref(root);
        return FLK_EXIT_FAILED;
    }
    json_array_foreach(cases, i, one) {
        run_case(&test, one);
    }
    json_decref(root);
    if (!ask->json) {
        printf("%u cases: %u passed, %u failed; policy %s\n", test.cases, test.cases - test.failed, test.failed,
               test.policy.version);
    }
    return test.failed == 0 ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}
