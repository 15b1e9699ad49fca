/* SPDX-License-Identifier: MIT */
/* flk audit: proofs of a transparency log, made, verified and checked against the whole log. */
#include "agent/flk/audit/audit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/command.h"
#include "common/io.h"
#include "common/program/nearest.h"
#include "common/program/options.h"

enum { PROVE, VERIFY, CHECK, KEYS = 1 << VERIFY | 1 << CHECK, ALL = KEYS | 1 << PROVE };

/* id, name, argument (NULL: none), limits, default, verbs, help */
#define OPTIONS(X)                                                                                                     \
    X(KEY, "key", "VKEY", "a verifier key, or its file", "", KEYS, "the log's, by flk keygen --role tlog")             \
    X(WITNESS, "witness", "VKEY", "a verifier key, or its file", "", KEYS,                                             \
      "must have cosigned the checkpoint, too; again for one more")                                                    \
    X(SINCE, "since", "FILE", "", "", 1 << CHECK, "an earlier checkpoint, which the log must continue")                \
    X(ANSWERS, "answers", "FILE", "", "", 1 << CHECK,                                                                  \
      "a --results file of flk-agent: every verdict in it must stand in the log")                                      \
    X(DIR, "dir", "DIR", "", "FLK_TLOG_DIR", 1 << PROVE, "the log, or a directory of logs")                            \
    X(JSON, "json", NULL, "", "", KEYS, "one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_VERBS_ROW)};

static const struct {
    const char *operand, *help;
    int (*run)(const flk_audit_options_t *options);
} verbs[] = {
    [PROVE] = {"PCS_ID", "print a .tlog-proof: that the verdict of this PCS stands in the log", flk_audit_prove},
    [VERIFY] = {"FILE", "verify such a proof, without any server, and tell its contents", flk_audit_verify},
    [CHECK] = {"URL|DIR...", "read whole logs and verify every entry, tile and checkpoint", flk_audit_check},
};
static const char *const names[] = {[PROVE] = "prove", [VERIFY] = "verify", [CHECK] = "check"};

static void print_help(void);
static bool take_option(void *arg, size_t row, char *value);
static const flk_options_t command_line = {.title = "flk audit",
                                           .rows = rows,
                                           .rows_len = FLK_COUNT_OF(rows),
                                           .verbs = names,
                                           .verbs_len = FLK_COUNT_OF(names),
                                           .print_help = print_help,
                                           .take = take_option};

static void print_help(void) {
    printf("Usage: flk audit prove|verify|check [OPTION...] PCS_ID|FILE|URL|DIR\n\n"
           "Proves from outside that a verdict was recorded and that nothing was changed or\n"
           "removed, by the transparency log that flk-follow keeps (FLK_TLOG_KEY_FILE):\n\n");
    for (size_t i = 0; i < FLK_COUNT_OF(verbs); i++) {
        printf("  %-8s %s\n           %s\n", names[i], verbs[i].operand, verbs[i].help);
    }
    printf("\n");
    flk_options_print(&command_line, ALL, stdout);
    printf("\nExit codes: 0 verified, 1 refused or failed, 2 wrong argument.\n");
}

/* A key as text, or in a file. */
static bool take_key(const char *value, flk_note_key_t *key) {
    char errmsg[FLK_ERRMSG_BYTES], *text;
    size_t text_bytes;
    if (flk_note_key_parse(value, key, errmsg) == FLK_OK) {
        return true;
    }
    if (flk_io_read_file(value, 4096, &text, &text_bytes, NULL) == FLK_OK) {
        bool fine = flk_note_key_parse(text, key, errmsg) == FLK_OK;
        free(text);
        if (fine) {
            return true;
        }
    }
    fprintf(stderr, "flk audit: %s\n", errmsg);
    return false;
}

static bool take_option(void *arg, size_t row, char *value) {
    flk_audit_options_t *options = arg;
    switch ((enum option_id)row) {
    case OPTION_KEY:
        return options->has_key = take_key(value, &options->key);
    case OPTION_WITNESS:
        return options->witnesses_len < FLK_AUDIT_WITNESSES_MAX &&
               take_key(value, &options->witnesses[options->witnesses_len++]);
    case OPTION_SINCE:
        options->since = value;
        return true;
    case OPTION_ANSWERS:
        options->answers = value;
        return true;
    case OPTION_DIR:
        options->dir = value;
        return true;
    case OPTION_JSON:
        return options->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

static const char *name_of(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(names) ? names[index] : NULL;
}

static int run_verb(unsigned verb, uint64_t given, flk_audit_options_t *options) {
    int status = flk_options_belong(&command_line, given, verb);
    if (status >= 0) {
        return status;
    }
    if (options->operands[0] == NULL || (verb != CHECK && options->operands[1] != NULL)) {
        return flk_options_wrong(&command_line, "%s wants %s", names[verb], verbs[verb].operand);
    }
    if (verb != PROVE && !options->has_key) {
        return flk_options_wrong(&command_line, "%s wants --key, the log's verifier key", names[verb]);
    }
    return verbs[verb].run(options);
}

int flk_command_audit(int argc, char **argv) {
    static flk_audit_options_t options;
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, &options, &given, &rest);
    if (status >= 0) {
        return status;
    }
    if (rest[0] == NULL) {
        return flk_options_wrong(&command_line, "a verb is needed: prove, verify or check");
    }
    options.operands = rest + 1;
    for (unsigned verb = 0; verb < FLK_COUNT_OF(verbs); verb++) {
        if (strcmp(rest[0], names[verb]) == 0) {
            return run_verb(verb, given, &options);
        }
    }
    const char *nearest = flk_nearest(rest[0], name_of, NULL);
    return nearest != NULL ? flk_options_wrong(&command_line, "'%s' is no verb (did you mean %s?)", rest[0], nearest)
                           : flk_options_wrong(&command_line, "'%s' is no verb", rest[0]);
}
