/* SPDX-License-Identifier: MIT */
#include "worker/store/tool.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base64.h"
#include "common/log.h"
#include "common/pcs/policy.h"
#include "common/program/nearest.h"
#include "common/program/program.h"
#include "proto/body.h"
#include "proto/stored_outcome.h"
#include "worker/store/store.h"

#define TTL_MS_MAX (INT64_C(10) * 366 * 86400 * 1000)
enum { PATIENCE_MS = 60000, RETRY_MS = 50, BATCH_ITEMS = 256 };

struct tool {
    const char *title; /* the user's command: "flk-worker" or "flk store" */
    flk_settings_t *settings;
    flk_policy_t policy;
    flk_store_options_t options;
    flk_store_t *store;
    char errmsg[FLK_ERRMSG_BYTES];
};

static int fail(const struct tool *tool, int status) {
    fprintf(stderr, "%s: %s\n", tool->title, tool->errmsg);
    return status;
}

/* ---- get ---- */

static void print_number(const char *name, bool known, double number) {
    char text[FLK_NUMBER_BYTES] = "null";
    if (known) {
        (void)flk_number_print(number, FLK_PRINT_PYTHON, text);
    }
    printf("\"%s\":%s,", name, text);
}

static void print_outcome(const flk_outcome_record_t *record) {
    const flk_outcome_t *outcome = &record->outcome;
    printf("{\"pcs_id\":\"%s\",\"status\":%u,", record->pcs_id, outcome->status);
    print_number("recomputed_D_hat", outcome->has_d_hat, outcome->d_hat);
    print_number("recomputed_budget", true, outcome->budget);
    print_number("budget", true, outcome->budget_claimed);
    printf("\"regime\":\"%s\",\"reasons\":[", flk_regime_name(outcome->regime));
    const char *separator = "", *reason;
    flk_reason_each_t each = {0};
    while ((reason = flk_reason_each(&each, outcome->reasons, outcome->rules)) != NULL) {
        printf("%s\"%s\"", separator, reason);
        separator = ",";
    }
    printf("],\"policy_version\":\"%s\"}\n", outcome->policy_version);
}

static bool parse_id(const char *hex, uint8_t id[FLK_STORE_KEY_BYTES]) {
    size_t bytes;
    return strlen(hex) == 2 * FLK_STORE_KEY_BYTES &&
           sodium_hex2bin(id, FLK_STORE_KEY_BYTES, hex, 2 * FLK_STORE_KEY_BYTES, NULL, &bytes, NULL) == 0 &&
           bytes == FLK_STORE_KEY_BYTES;
}

static int get_one(struct tool *tool, const char *hex) {
    flk_store_item_t item = {0}, *at = &item;
    flk_outcome_record_t record;
    if (!parse_id(hex, item.key)) {
        flk_errmsg(tool->errmsg, "a pcs_id has 64 hex digits");
        return fail(tool, FLK_EXIT_USAGE);
    }
    if (flk_store_lookup(tool->store, &at, 1, tool->errmsg) != FLK_OK) {
        return fail(tool, FLK_EXIT_FAILED);
    }
    if (!item.found) {
        flk_errmsg(tool->errmsg, "the store has no outcome for %s", hex);
        return fail(tool, FLK_EXIT_FAILED);
    }
    if (flk_stored_outcome_read(item.key, item.value, item.value_bytes, &record, tool->errmsg) != FLK_OK) {
        flk_errmsg_prefix(tool->errmsg, "the store's value is no outcome");
        return fail(tool, FLK_EXIT_FAILED);
    }
    print_outcome(&record);
    return FLK_EXIT_OK;
}

/* ---- stats, export ---- */

static void print_part(void *arg, const char *part, uint64_t outcomes, uint64_t bytes) {
    const struct tool *tool = arg;
    printf("{\"store\":\"%s\",\"part\":\"%s\",\"outcomes\":%llu,\"bytes\":%llu}\n", tool->options.backend, part,
           (unsigned long long)outcomes, (unsigned long long)bytes);
}

static int stats_of_all(struct tool *tool, const char *nothing) {
    (void)nothing;
    return flk_store_measure(tool->store, print_part, tool, tool->errmsg) == FLK_OK ? FLK_EXIT_OK
                                                                                    : fail(tool, FLK_EXIT_FAILED);
}

/* The wire's map of a kept outcome, for an export from a store of any version; other values as they are. */
static size_t to_wire(const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                      uint8_t wire[FLK_STORE_VALUE_BYTES_MAX]) {
    flk_outcome_record_t record;
    if (flk_stored_outcome_read(key, value, value_bytes, &record, NULL) == FLK_OK) {
        return flk_outcome_encode(&record, wire); /* a record that was read can be written */
    }
    memcpy(wire, value, value_bytes);
    return value_bytes;
}

static bool print_line(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                       int64_t expires_ms) {
    char id[2 * FLK_STORE_KEY_BYTES + 1];
    char outcome[sodium_base64_ENCODED_LEN(FLK_STORE_VALUE_BYTES_MAX, sodium_base64_VARIANT_ORIGINAL)];
    uint8_t wire[FLK_STORE_VALUE_BYTES_MAX];
    (void)arg;
    sodium_bin2hex(id, sizeof id, key, FLK_STORE_KEY_BYTES);
    sodium_bin2base64(outcome, sizeof outcome, wire, to_wire(key, value, value_bytes, wire),
                      sodium_base64_VARIANT_ORIGINAL);
    return printf("{\"pcs_id\":\"%s\",\"expires_ms\":%lld,\"outcome\":\"%s\"}\n", id, (long long)expires_ms, outcome) >
           0;
}

static int export_to_stdout(struct tool *tool, const char *nothing) {
    (void)nothing;
    if (flk_store_visit(tool->store, print_line, NULL, tool->errmsg) != FLK_OK) {
        return fail(tool, FLK_EXIT_FAILED);
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        flk_errmsg(tool->errmsg, "cannot write the export: %s", strerror(errno));
        return fail(tool, FLK_EXIT_FAILED);
    }
    return FLK_EXIT_OK;
}

/* ---- import ---- */

struct import {
    struct tool *tool;
    flk_store_item_t items[BATCH_ITEMS], *batch[BATCH_ITEMS];
    flk_outcome_record_t offered[BATCH_ITEMS];
    size_t len;
    unsigned long long line, put, there, different, expired, refused;
};

/* An outcome of an earlier version has no digest of the unsigned, which then tells nothing. */
static bool is_same(flk_outcome_record_t offered, flk_outcome_record_t there) {
    uint8_t left[FLK_OUTCOME_BYTES], right[FLK_OUTCOME_BYTES];
    if (!offered.has_unsigned_digest || !there.has_unsigned_digest) {
        offered.has_unsigned_digest = there.has_unsigned_digest = false;
    }
    size_t bytes = flk_outcome_encode(&offered, left);
    return flk_outcome_encode(&there, right) == bytes && memcmp(left, right, bytes) == 0;
}

static flk_err_t put_batch(struct import *import) {
    if (import->len == 0) {
        return FLK_OK;
    }
    flk_err_t err = flk_store_put(import->tool->store, import->batch, import->len, import->tool->errmsg);
    for (size_t i = 0; err == FLK_OK && i < import->len; i++) {
        const flk_store_item_t *item = &import->items[i];
        flk_outcome_record_t there;
        bool same = flk_stored_outcome_read(item->key, item->value, item->value_bytes, &there, NULL) == FLK_OK &&
                    is_same(import->offered[i], there);
        import->put += !item->found;
        import->there += item->found;
        import->different += item->found && !same;
    }
    import->len = 0;
    return err;
}

static bool parse_line(const char *text, size_t bytes, flk_store_item_t *item, int64_t *expires_ms) {
    json_t *line = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    json_t *outcome = json_object_get(line, "outcome"), *expires = json_object_get(line, "expires_ms");
    const char *id = json_string_value(json_object_get(line, "pcs_id"));
    size_t value_bytes = 0;
    bool fine = id != NULL && parse_id(id, item->key) && json_is_integer(expires) && json_is_string(outcome) &&
                flk_base64_decode(json_string_value(outcome), json_string_length(outcome), item->value,
                                  sizeof item->value, &value_bytes);
    *expires_ms = json_integer_value(expires);
    item->value_bytes = (uint16_t)value_bytes;
    json_decref(line);
    return fine;
}

/* A store must not get a value that no worker could have put: it would keep it for as long as the line says. */
static const char *fault_of(const flk_store_item_t *item, int64_t left_ms, flk_outcome_record_t *offered) {
    static char errmsg[FLK_ERRMSG_BYTES];
    if (left_ms > TTL_MS_MAX) {
        return "would be kept for more than ten years";
    }
    bool fine = flk_stored_outcome_read(item->key, item->value, item->value_bytes, offered, errmsg) == FLK_OK;
    return fine ? NULL : errmsg;
}

static flk_err_t import_line(struct import *import, const char *text, size_t bytes) {
    flk_store_item_t *item = &import->items[import->len];
    flk_outcome_record_t *offered = &import->offered[import->len];
    int64_t expires_ms, now_ms = flk_wall_ms();
    *item = (flk_store_item_t){0};
    import->line++;
    if (!parse_line(text, bytes, item, &expires_ms)) {
        flk_errmsg(import->tool->errmsg, "line %llu is not one of `flk-worker store export`", import->line);
        return FLK_E_INVALID;
    }
    if (expires_ms <= now_ms) {
        import->expired++;
        return FLK_OK;
    }
    const char *fault = fault_of(item, expires_ms - now_ms, offered);
    if (fault != NULL) {
        fprintf(stderr, "flk-worker: line %llu is left out: %s\n", import->line, fault);
        import->refused++;
        return FLK_OK;
    }
    item->ttl_ms = (uint64_t)(expires_ms - now_ms);
    item->value_bytes = (uint16_t)flk_stored_outcome_write(offered, item->value);
    FLK_ASSERT(item->value_bytes != 0); /* a record that was read can be written */
    import->batch[import->len++] = item;
    return import->len == BATCH_ITEMS ? put_batch(import) : FLK_OK;
}

static int import_from_stdin(struct tool *tool, const char *nothing) {
    (void)nothing;
    struct import *import = flk_start_alloc(sizeof *import);
    char *text = NULL;
    size_t text_cap = 0;
    ssize_t bytes;
    flk_err_t err = FLK_OK;
    import->tool = tool;
    while (err == FLK_OK && (bytes = getline(&text, &text_cap, stdin)) > 0) {
        err = import_line(import, text, (size_t)bytes);
    }
    if (err == FLK_OK && ferror(stdin)) {
        flk_errmsg(tool->errmsg, "cannot read standard input: %s", strerror(errno));
        err = FLK_E_IO;
    }
    char first[FLK_ERRMSG_BYTES];
    snprintf(first, sizeof first, "%s", tool->errmsg);
    flk_err_t last = put_batch(import); /* also the lines before a wrong one */
    if (err != FLK_OK) {
        snprintf(tool->errmsg, sizeof tool->errmsg, "%s", first);
    }
    err = err != FLK_OK ? err : last;
    printf("{\"lines\":%llu,\"put\":%llu,\"there\":%llu,\"different\":%llu,\"expired\":%llu,\"refused\":%llu}\n",
           import->line, import->put, import->there, import->different, import->expired, import->refused);
    bool refused = import->refused > 0;
    free(text);
    free(import);
    if (err == FLK_OK && refused) {
        return FLK_EXIT_FAILED;
    }
    return err == FLK_OK ? FLK_EXIT_OK : fail(tool, FLK_EXIT_FAILED);
}

/* ---- check ---- */

/* A store that connects with its first call may be there only a moment later. */
static int check_now(struct tool *tool, const char *nothing) {
    (void)nothing;
    uint64_t deadline_ms = flk_mono_ms() + flk_settings_uint(tool->settings, FLK_SET_STORE_CONNECT_TIMEOUT_MS) +
                           flk_settings_uint(tool->settings, FLK_SET_STORE_TIMEOUT_MS);
    flk_err_t err;
    while ((err = flk_store_health(tool->store, tool->errmsg)) == FLK_E_UNAVAILABLE && flk_mono_ms() < deadline_ms) {
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
    if (err == FLK_OK) {
        printf("{\"store\":\"%s\",\"healthy\":true}\n", tool->options.backend);
    }
    return err == FLK_OK ? FLK_EXIT_OK : fail(tool, FLK_EXIT_FAILED);
}

/* ---- migrate ---- */

static int migrate(struct tool *tool) {
    char told[FLK_STORE_TOLD_BYTES];
    flk_err_t err = flk_store_migrate(&tool->options, told, tool->errmsg);
    if (err != FLK_OK) {
        return fail(tool, err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED);
    }
    printf("%s\n", told);
    return FLK_EXIT_OK;
}

/* ---- commands ---- */

/* Looking must not make a store where there is none. */
static flk_err_t check_there(struct tool *tool) {
    const flk_store_options_t *options = &tool->options;
    char path[2048];
    snprintf(path, sizeof path, "%s/store", options->data_dir);
    bool files = strcmp(options->backend, "memory") == 0 || strcmp(options->backend, "lmdb") == 0;
    if (files && access(path, F_OK) != 0) {
        flk_errmsg(tool->errmsg, "there is no store in %s: set FLK_DATA_DIR to the worker's", options->data_dir);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static const struct verb {
    const char *name;
    int (*run)(struct tool *tool, const char *argument);
    bool has_argument;
} verbs[] = {{"check", check_now, false},
             {"get", get_one, true},
             {"stats", stats_of_all, false},
             {"export", export_to_stdout, false},
             {"import", import_from_stdin, false}};

static const char *verb_name(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(verbs) ? verbs[index].name : NULL;
}

/* Prints FLK_STORE_TOOL_USAGE's lines about the store by the name that the user called. */
static void print_usage(const struct tool *tool, FILE *out) {
    static const char begin[] = "  flk-worker store ";
    bool is_flk = strcmp(tool->title, "flk store") == 0;
    fprintf(out, "Usage: %s%s VERB [--json]\n\n", tool->title, is_flk ? "" : " store");
    for (const char *line = FLK_STORE_TOOL_USAGE; *line != '\0';) {
        int len = (int)strcspn(line, "\n");
        if (strncmp(line, begin, strlen(begin)) == 0) {
            int skipped = (int)strlen(begin);
            fprintf(out, "  %s %.*s\n", is_flk ? "flk store" : "flk-worker store", len - skipped, line + skipped);
        }
        line += len + (line[len] == '\n');
    }
    fputs("\n  --json  the form that they print in any case: JSON, one object a line\n\n", out);
}

static int print_help(const struct tool *tool) {
    fputs("Looks into the store of outcomes, beside workers that serve or without any. Its settings are the "
          "worker's.\n\n",
          stdout);
    print_usage(tool, stdout);
    fputs("Exit codes: 0 done, 1 failed or no such outcome, 2 wrong setting or argument.\n\n", stdout);
    flk_settings_print(FLK_PROGRAM_WORKER, stdout);
    return FLK_EXIT_OK;
}

/* NULL after a line about the mistake. */
static const struct verb *find_verb(const struct tool *tool, int argc, char **argv) {
    for (size_t i = 0; argc > 2 && i < FLK_COUNT_OF(verbs); i++) {
        if (strcmp(argv[2], verbs[i].name) == 0) {
            if (argc == 3 + verbs[i].has_argument) {
                return &verbs[i];
            }
            fprintf(stderr, "%s: %s %s\n", tool->title, argv[2],
                    verbs[i].has_argument ? "takes one pcs_id" : "takes no argument");
            return NULL;
        }
    }
    const char *nearest = argc > 2 ? flk_nearest(argv[2], verb_name, NULL) : NULL;
    if (nearest != NULL) {
        fprintf(stderr, "%s: '%s' is no verb; did you mean %s?\n", tool->title, argv[2], nearest);
    } else {
        print_usage(tool, stderr);
    }
    return NULL;
}

static int run_on_store(struct tool *tool, const struct verb *verb, const char *argument) {
    tool->options.read_only = verb->run != import_from_stdin;
    if (verb->run == check_now) {
        tool->options.timeout_ms = flk_settings_uint(tool->settings, FLK_SET_STORE_TIMEOUT_MS);
    }
    flk_err_t err = tool->options.read_only ? check_there(tool) : FLK_OK;
    err = err != FLK_OK ? err : flk_store_open(&tool->options, &tool->store, tool->errmsg);
    if (err != FLK_OK) {
        return fail(tool, err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED);
    }
    int status = verb->run(tool, argument);
    flk_store_close(&tool->store);
    return status;
}

/* A person waits, not a record: more patience than a batch has. */
static flk_err_t prepare(struct tool *tool) {
    flk_err_t err = flk_settings_load(FLK_PROGRAM_WORKER, &tool->settings, tool->errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_policy_default(&tool->policy);
    flk_store_options(tool->settings, tool->policy.dedup_ttl_s, &tool->options);
    tool->options.timeout_ms = PATIENCE_MS;
    flk_log_init("flk-worker", FLK_LOG_WARN, FLK_LOG_TEXT);
    return FLK_OK;
}

/* The store's commands print JSON in any case: --json is taken out of the arguments, wherever it stands. */
static int drop_json(int argc, char **argv) {
    int kept = 0;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--json") != 0) {
            argv[kept++] = argv[i];
        }
    }
    return kept;
}

static int run_verb(struct tool *tool, int argc, char **argv) {
    const struct verb *verb = find_verb(tool, argc, argv);
    if (verb == NULL) {
        return FLK_EXIT_USAGE;
    }
    return prepare(tool) == FLK_OK ? run_on_store(tool, verb, argv[3]) : fail(tool, FLK_EXIT_USAGE);
}

bool flk_store_tool(int argc, char **argv, int *status) {
    bool migrates = argc == 2 && strcmp(argv[1], "--migrate") == 0;
    if (!migrates && (argc < 2 || strcmp(argv[1], "store") != 0)) {
        return false;
    }
    struct tool tool = {.title = strcmp(argv[0], "flk store") == 0 ? argv[0] : "flk-worker"};
    argc = drop_json(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0)) {
        *status = print_help(&tool);
    } else if (migrates) {
        *status = prepare(&tool) == FLK_OK ? migrate(&tool) : fail(&tool, FLK_EXIT_USAGE);
    } else {
        *status = run_verb(&tool, argc, argv);
    }
    flk_settings_destroy(&tool.settings);
    return true;
}
