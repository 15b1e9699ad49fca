/* SPDX-License-Identifier: MIT */
/* flk: the front door for people. A command of our own is a function; any other NAME is the program flk-NAME beside
 * this one. Reading order: up, cluster, supervisor, child; status, members, unit, snapshot, probe; submit, door;
 * doctor, findings, check_*. */
#include <stdio.h>
#include <string.h>

#include "agent/flk/cluster/sibling.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "agent/flk/unit.h"
#include "common/program/nearest.h"
#include "common/program/options.h"
#include "common/program/settings.h"

typedef int command_fn(int argc, char **argv);

static command_fn command_store, command_wal, command_dlq, command_settings, command_version, command_help;

/* In the order of help. A command without a function is the program flk-NAME. */
static const struct {
    const char *name;
    command_fn *run;
    const char *summary;
} commands[] = {
    {"up", flk_command_up, "start and supervise a local cluster in the foreground"},
    {"status", flk_command_status, "one screen about the cluster that runs"},
    {"demo", flk_command_demo, "a cluster, real events, a killed worker, a report"},
    {"submit", flk_command_submit, "send PCS from a file and print the answers"},
    {"feed", flk_command_feed, "the outcomes of a gateway's log, in order, as they come"},
    {"doctor", flk_command_doctor, "look for faults here, and tell the remedies"},
    {"healthcheck", flk_command_healthcheck, "ask the program that runs here whether it is ready"},
    {"bench", flk_command_bench, "load a door and tell how fast it answers"},
    {"keygen", flk_command_keygen, "a key pair for the ZeroMQ links"},
    {"policy", flk_command_policy, "check, explain, compare and try policies"},
    {"audit", flk_command_audit, "prove and verify verdicts by the transparency log"},
    {"store", command_store, "look into the store of outcomes, export, import"},
    {"agent", NULL, "turn events into PCS and submit them"},
    {"gateway", NULL, "run one gateway"},
    {"broker", NULL, "run one broker"},
    {"worker", NULL, "run one worker"},
    {"follow", NULL, "run one flk-follow beside a gateway"},
    {"wal", command_wal, "a gateway's log: list, show, verify, stats, export, audit, replay"},
    {"dlq", command_dlq, "a gateway's dead letters: list, show, purge, replay"},
    {"settings", command_settings, "print every setting of every program as a Markdown table"},
    {"version", command_version, "print the version"},
    {"help", command_help, "this page; flk help COMMAND tells more about one"},
};

static void print_help(FILE *out) {
    fputs("flk - verifies Proof-of-Computation Summaries: a gateway, a broker, workers, an agent\n\n"
          "Usage: flk [--unit UNIT] COMMAND [ARGUMENT...]\n\n",
          out);
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].summary);
    }
    fputs("\n  --unit UNIT  the settings of a unit of this host, as flk-worker@8082, in place of the environment's\n\n"
          "With --json a command prints JSON on standard output: one document, or one object a line.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong setting or argument.\n\n",
          out);
}

/* ---- settings, version, help: --json and nothing else ---- */

static const flk_option_t plain_rows[] = {{"json", NULL, "", "", 0, "one JSON document"}};
static char plain_title[32]; /* "flk version" */
static flk_options_t plain = {.title = plain_title, .rows = plain_rows, .rows_len = FLK_COUNT_OF(plain_rows)};

static void print_plain_help(void) {
    printf("Usage: %s [OPTION...]\n\n", plain_title);
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, plain_title + strlen("flk ")) == 0) {
            printf("Does this: %s.\n\n", commands[i].summary);
        }
    }
    flk_options_print(&plain, 0, stdout);
}

static bool take_json(void *arg, size_t row, char *value) {
    bool *json = arg;
    (void)row;
    (void)value;
    return *json = true;
}

/* -1 to go on with *json, or the exit status. */
static int parse_plain(int argc, char **argv, bool *json) {
    char **rest;
    uint64_t given;
    *json = false;
    snprintf(plain_title, sizeof plain_title, "flk %s", argv[0]);
    plain.print_help = print_plain_help;
    plain.take = take_json;
    int status = flk_options_parse(&plain, argc, argv, json, &given, &rest);
    return status < 0 && rest[0] != NULL ? flk_options_wrong(&plain, "'%s' is no option", rest[0]) : status;
}

static int run_command(int argc, char **argv);

/* `flk help COMMAND` is `flk COMMAND --help`. */
static int command_help(int argc, char **argv) {
    if (argc == 2 && argv[1][0] != '-' && strcmp(argv[1], "help") != 0) {
        static char option[] = "--help";
        char *words[] = {NULL, argv[1], option, NULL};
        return run_command(2, words + 1);
    }
    bool json;
    bool all = argc == 1 || strcmp(argv[1], "help") == 0;
    int status = all ? -1 : parse_plain(argc, argv, &json);
    if (status >= 0) {
        return status;
    }
    if (all) {
        print_help(stdout);
        flk_settings_print(FLK_PROGRAM_FLK, stdout);
    } else {
        json_t *list = json_array();
        for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
            json_array_append_new(list,
                                  json_pack("{s:s, s:s}", "name", commands[i].name, "summary", commands[i].summary));
        }
        flk_json_out(json_pack("{s:o}", "commands", list));
    }
    return FLK_EXIT_OK;
}

static int command_version(int argc, char **argv) {
    bool json;
    int status = parse_plain(argc, argv, &json);
    if (status < 0 && json) {
        flk_json_out(json_pack("{s:s}", "version", FLK_VERSION));
    } else if (status < 0) {
        printf("flk %s\n", FLK_VERSION);
    }
    return status < 0 ? FLK_EXIT_OK : status;
}

static int command_settings(int argc, char **argv) {
    bool json;
    int status = parse_plain(argc, argv, &json);
    if (status < 0) {
        (json ? flk_settings_print_json : flk_settings_print_markdown)(stdout);
    }
    return status < 0 ? FLK_EXIT_OK : status;
}

/* Becomes flk-`name`, which calls itself `title`. */
static int become(const char *name, const char *title, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_sibling_exec(name, title, argv, errmsg);
    fprintf(stderr, "flk: %s\n", errmsg);
    return FLK_EXIT_FAILED;
}

/* The store is the worker's: `flk store X` is `flk-worker store X`. */
static int command_store(int argc, char **argv) {
    (void)argc;
    return become("worker", "flk store", argv - 1);
}

/* `flk wal X` is `flk-replay X`. */
static int command_wal(int argc, char **argv) {
    (void)argc;
    return become("replay", "flk wal", argv);
}

/* `flk dlq X` is `flk-replay dlq X`. */
static int command_dlq(int argc, char **argv) {
    (void)argc;
    return become("replay", "flk dlq", argv - 1);
}

static const char *command_name(const void *list, size_t index) {
    (void)list;
    return index < FLK_COUNT_OF(commands) ? commands[index].name : NULL;
}

/* argv[0] is the command's name, and the words before it may be written over. */
static int run_command(int argc, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES];
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        if (commands[i].run != NULL && strcmp(argv[0], commands[i].name) == 0) {
            return commands[i].run(argc, argv);
        }
    }
    if (strcmp(argv[0], "complete") == 0) {
        return flk_command_complete(argc, argv);
    }
    flk_sibling_exec(argv[0], NULL, argv, errmsg);
    const char *nearest = flk_nearest(argv[0], command_name, NULL);
    if (nearest != NULL) {
        fprintf(stderr, "flk: '%s' is no command; did you mean %s?\n", argv[0], nearest);
    } else {
        fprintf(stderr, "flk: '%s' is no command (%s); see flk help\n", argv[0], errmsg);
    }
    return FLK_EXIT_USAGE;
}

/* Takes --unit UNIT out of the arguments, wherever it stands, and enters it. -1 to go on, or the exit status. */
static int take_unit(int *argc, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES];
    const char *unit = NULL;
    int kept = 1;
    for (int i = 1; i < *argc; i++) {
        bool is_unit = strcmp(argv[i], "--unit") == 0;
        if (strcmp(argv[i], "--") == 0) {
            memmove(&argv[kept], &argv[i], (size_t)(*argc - i) * sizeof *argv);
            kept += *argc - i;
            break;
        }
        if (is_unit && i + 1 == *argc) {
            fprintf(stderr, "flk: --unit needs the name of a unit, as flk-worker@8082\n");
            return FLK_EXIT_USAGE;
        }
        if (is_unit) {
            unit = argv[++i];
        } else if (strncmp(argv[i], "--unit=", 7) == 0) {
            unit = argv[i] + 7;
        } else {
            argv[kept++] = argv[i];
        }
    }
    argv[ *argc = kept] = NULL;
    if (unit != NULL && flk_unit_enter(unit, errmsg) != FLK_OK) {
        fprintf(stderr, "flk: %s\n", errmsg);
        return FLK_EXIT_USAGE;
    }
    return -1;
}

int main(int argc, char **argv) {
    flk_program_begin();
    int status = argc > 1 && strcmp(argv[1], "complete") == 0 ? -1 : take_unit(&argc, argv);
    if (status >= 0) {
        return status;
    }
    if (argc < 2) {
        print_help(stderr);
        return FLK_EXIT_USAGE;
    }
    /* The options that people expect to work like commands. */
    static char version[] = "version", help[] = "help";
    argv[1] = strcmp(argv[1], "--version") == 0                              ? version
              : strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ? help
                                                                             : argv[1];
    return run_command(argc - 1, argv + 1);
}
