/* SPDX-License-Identifier: MIT */
/* flk: the front door for people. A command of our own is a function; any other NAME is the program flk-NAME beside
 * this one. Reading order: up, cluster, supervisor, child; status, snapshot, probe. */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "agent/flk/command.h"
#include "agent/flk/sibling.h"
#include "common/settings.h"

static const char help[] = "flk - verifies Proof-of-Computation Summaries: a gateway, a broker, workers, an agent\n\n"
                           "Usage: flk COMMAND [ARGUMENT...]\n\n"
                           "  up        start and supervise a local cluster in the foreground\n"
                           "  status    one screen about the cluster that runs\n"
                           "  demo      a cluster, real events, a killed worker, a report\n"
                           "  keygen    a key pair for the ZeroMQ links\n"
                           "  store     look into the store of outcomes, export, import\n"
                           "  agent     turn events into PCS and submit them\n"
                           "  gateway   run one gateway\n"
                           "  broker    run one broker\n"
                           "  worker    run one worker\n"
                           "  wal       a gateway's log: list, show, verify, stats, export, audit, replay\n"
                           "  dlq       a gateway's dead letters: list, show, purge, replay\n"
                           "  settings  print every setting of every program as a Markdown table\n"
                           "  version   print the version\n"
                           "  help      this page; flk COMMAND --help tells more\n\n"
                           "Exit codes: 0 done, 1 failed, 2 wrong setting or argument.\n\n";

static int command_help(int argc, char **argv) {
    (void)argc;
    (void)argv;
    fputs(help, stdout);
    flk_settings_print(FLK_PROGRAM_FLK, stdout);
    return FLK_FRONT_OK;
}

static int command_version(int argc, char **argv) {
    (void)argc;
    (void)argv;
    printf("flk %s\n", FLK_VERSION);
    return FLK_FRONT_OK;
}

static int command_settings(int argc, char **argv) {
    (void)argc;
    (void)argv;
    flk_settings_print_markdown(stdout);
    return FLK_FRONT_OK;
}

/* Becomes flk-`name`. */
static int become(const char *name, char **argv) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_sibling_exec(name, argv, errmsg);
    fprintf(stderr, "flk: %s\n", errmsg);
    return FLK_FRONT_FAILED;
}

/* The store is the worker's: `flk store X` is `flk-worker store X`. */
static int command_store(int argc, char **argv) {
    (void)argc;
    return become("worker", argv - 1);
}

/* `flk wal X` is `flk-replay X`. */
static int command_wal(int argc, char **argv) {
    (void)argc;
    return become("replay", argv);
}

/* `flk dlq X` is `flk-replay dlq X`. */
static int command_dlq(int argc, char **argv) {
    (void)argc;
    return become("replay", argv - 1);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"up", flk_command_up},         {"status", flk_command_status}, {"demo", flk_command_demo},
    {"keygen", flk_command_keygen}, {"store", command_store},       {"wal", command_wal},
    {"dlq", command_dlq},           {"settings", command_settings}, {"version", command_version},
    {"--version", command_version}, {"help", command_help},         {"--help", command_help},
    {"-h", command_help},
};

int main(int argc, char **argv) {
    if (argc < 2) {
        fputs(help, stderr);
        return FLK_FRONT_USAGE;
    }
    FLK_ASSERT(sodium_init() >= 0);
    for (size_t i = 0; i < FLK_COUNT_OF(commands); i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    char errmsg[FLK_ERRMSG_BYTES];
    flk_sibling_exec(argv[1], argv + 1, errmsg);
    fprintf(stderr, "flk: '%s' is no command (%s); see flk help\n", argv[1], errmsg);
    return FLK_FRONT_USAGE;
}
