/* SPDX-License-Identifier: MIT */
/* flk policy VERB: policies compiled, checked, explained, compared and tried, before a worker loads them. */
#include <stdio.h>
#include <string.h>

#include "agent/flk/command.h"
#include "agent/flk/policy/verbs.h"
#include "common/program/nearest.h"
#include "common/program/options.h"

static const struct {
    const char *name;
    unsigned files; /* that it wants */
    int (*run)(const flk_policy_ask_t *ask);
} verbs[] = {
    {"compile", 1, flk_policy_verb_compile}, {"check", 1, flk_policy_verb_check},
    {"explain", 1, flk_policy_verb_explain}, {"diff", 2, flk_policy_verb_diff},
    {"test", 1, flk_policy_verb_test},       {"try", 1, flk_policy_verb_try},
};
enum { DIFF = 1u << 3, EXPLAIN = 1u << 2, TEST = 1u << 4, TRY = 1u << 5, ALL = 0x3f };
static const char *const verb_names[] = {"compile", "check", "explain", "diff", "test", "try"};

/* id, name, argument (NULL: none), limits, default, verbs, help */
#define OPTIONS(X)                                                                                                     \
    X(JSON, "json", NULL, "", "", ALL, "JSON, one document or one object a line")                                      \
    X(POLICY, "policy", "FILE", "", "the built-in one", EXPLAIN | TEST | TRY,                                          \
      "the policy that judges, or judged so far")                                                                      \
    X(LOG, "log", "DIR", "", "", TRY, "a gateway's log, DATA_DIR/inbox")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_VERBS_ROW)};

static void print_help(void);
static bool take_option(void *arg, size_t row, char *value);
static const flk_options_t command_line = {.title = "flk policy",
                                           .rows = rows,
                                           .rows_len = FLK_COUNT_OF(rows),
                                           .verbs = verb_names,
                                           .verbs_len = FLK_COUNT_OF(verb_names),
                                           .print_help = print_help,
                                           .take = take_option};

static void print_help(void) {
    printf("Usage: flk policy VERB [OPTION...] FILE...\n\n"
           "A policy FILE is a text of the policy language or JSON, as in FLK_POLICY_FILE;\n- is standard input.\n\n"
           "  compile FILE     print the policy as canonical JSON\n"
           "  check FILE       say whether workers would take it\n"
           "  explain PCS      say how each number of the verdict on a PCS came about; PCS\n"
           "                   is a file with one PCS as JSON, or - for standard input\n"
           "  diff OLD NEW     say which bounds moved, and whether one became wider\n"
           "  test FILE        run the cases of a file: {\"policy\": FILE, \"cases\": [{\"name\",\n"
           "                   \"pcs\", \"status\", \"reasons\"}]}\n"
           "  try FILE         judge the PCS of a log by --policy and by FILE, and list the\n"
           "                   verdicts that would change\n\n");
    flk_options_print(&command_line, ALL, stdout);
    printf("\nExit codes: 0 done, 1 refused, another verdict, or wider under the same version,\n"
           "2 wrong argument.\n");
}

static bool take_option(void *arg, size_t row, char *value) {
    flk_policy_ask_t *ask = arg;
    switch ((enum option_id)row) {
    case OPTION_POLICY:
        ask->policy_file = value;
        return true;
    case OPTION_LOG:
        ask->log_dir = value;
        return true;
    case OPTION_JSON:
        return ask->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

static const char *verb_name(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(verb_names) ? verb_names[index] : NULL;
}

int flk_command_policy(int argc, char **argv) {
    flk_policy_ask_t ask = {.json = false};
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, &ask, &given, &rest);
    if (status >= 0) {
        return status;
    }
    size_t verb = 0;
    while (rest[0] != NULL && verb < FLK_COUNT_OF(verbs) && strcmp(rest[0], verbs[verb].name) != 0) {
        verb++;
    }
    if (rest[0] == NULL || verb == FLK_COUNT_OF(verbs)) {
        const char *nearest = rest[0] != NULL ? flk_nearest(rest[0], verb_name, NULL) : NULL;
        return flk_options_wrong(&command_line, "give a verb: compile, check, explain, diff, test or try%s%s",
                                 nearest != NULL ? "; nearest is " : "", nearest != NULL ? nearest : "");
    }
    status = flk_options_belong(&command_line, given, (unsigned)verb);
    if (status >= 0) {
        return status;
    }
    ask.files = rest + 1;
    for (unsigned i = 0; i <= verbs[verb].files; i++) {
        if ((ask.files[i] == NULL) != (i == verbs[verb].files)) {
            return flk_options_wrong(&command_line, "%s wants %u FILE", verbs[verb].name, verbs[verb].files);
        }
    }
    if (verbs[verb].run == flk_policy_verb_try && ask.log_dir == NULL) {
        return flk_options_wrong(&command_line, "try wants --log DIR");
    }
    return verbs[verb].run(&ask);
}
