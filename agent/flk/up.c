/* SPDX-License-Identifier: MIT */
/* flk up: plan -> start -> say where everything is -> supervise until asked to stop -> stop in order. */
#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/cluster/supervisor.h"
#include "agent/flk/command.h"
#include "agent/flk/json_out.h"
#include "agent/flk/style.h"
#include "common/log.h"
#include "common/settings.h"

enum { WORKERS_DEFAULT = 2, OFFSET_MAX = 50000 };

static const char usage[] =
    "Usage: flk up [--workers N] [--data-dir DIR] [--http HOST:PORT] [--ports +N] [--curve] [--json]\n\n"
    "Starts a broker, N workers (2) and a gateway on this host and supervises them in the foreground: what ends is\n"
    "started again. Ctrl-C (SIGINT) or SIGTERM stops all in order, a second one at once. SIGHUP without a terminal "
    "goes on\n"
    "to all: they reload keys and policy.\n\n"
    "  --workers N       worker processes, 1 to 64; they share the cores unless FLK_WORKER_THREADS is set\n"
    "  --data-dir DIR    logs, the inbox log, the store (FLK_DATA_DIR)\n"
    "  --http HOST:PORT  HTTP door (FLK_HTTP_LISTEN)\n"
    "  --ports +N        every address that no setting has: its port, and N; for a second cluster on this host\n"
    "  --curve           every ZeroMQ link encrypted, with keys made once in DIR/keys: one for agents too\n"
    "  --json            one JSON object a line: when it is ready, when it stops, when it has stopped\n\n"
    "All programs take their other settings from the environment; see flk-gateway --help and so on.\n"
    "Exit codes: 0 stopped as asked, 1 failed, also when an address is in use, 2 wrong setting or argument.\n\n";

static bool parse_workers(const char *text, unsigned *workers) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    *workers = (unsigned)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= FLK_CLUSTER_WORKERS_MAX;
}

static bool parse_offset(const char *text, unsigned *offset) {
    char *end;
    text += text[0] == '+';
    unsigned long value = strtoul(text, &end, 10);
    *offset = (unsigned)value;
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value >= 1 && value <= OFFSET_MAX;
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, flk_cluster_options_t *options, bool *json) {
    static const struct option known[] = {
        {"workers", required_argument, NULL, 'w'}, {"data-dir", required_argument, NULL, 'd'},
        {"http", required_argument, NULL, 'p'},    {"ports", required_argument, NULL, 'o'},
        {"json", no_argument, NULL, 'j'},          {"curve", no_argument, NULL, 'c'},
        {"help", no_argument, NULL, 'h'},          {0}};
    *json = false;
    *options = (flk_cluster_options_t){.workers = WORKERS_DEFAULT};
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 'w':
            if (!parse_workers(optarg, &options->workers)) {
                fprintf(stderr, "flk: up: --workers: '%s' is not a number from 1 to %d\n", optarg,
                        FLK_CLUSTER_WORKERS_MAX);
                return FLK_EXIT_USAGE;
            }
            break;
        case 'd':
            options->data_dir = optarg;
            break;
        case 'p':
            options->http = optarg;
            break;
        case 'o':
            if (!parse_offset(optarg, &options->ports_offset)) {
                fprintf(stderr, "flk: up: --ports: '%s' is not a number from +1 to +%d\n", optarg, OFFSET_MAX);
                return FLK_EXIT_USAGE;
            }
            break;
        case 'c':
            options->curve = true;
            break;
        case 'j':
            *json = true;
            break;
        case 'h':
            fputs(usage, stdout);
            flk_settings_print(FLK_PROGRAM_FLK, stdout);
            return FLK_EXIT_OK;
        default:
            return FLK_EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "flk: up: '%s' is not an option; see flk up --help\n", argv[optind]);
        return FLK_EXIT_USAGE;
    }
    return -1;
}

static void say_where(const flk_cluster_t *cluster, uint64_t took_ms) {
    flk_style_t style = flk_style_for(stdout);
    printf("\n%sThe cluster is ready%s, %.1f s after its start.\n\n", style.green, style.end, (double)took_ms / 1000);
    printf("  %sHTTP door%s    http://%s/v1/pcs/submit\n", style.bold, style.end, cluster->http);
    printf("  %sZeroMQ door%s  %s\n", style.bold, style.end, cluster->zmq);
    if (cluster->keys[0] != '\0') {
        printf("  %sits key%s      FLK_CURVE_DIR=%s FLK_CURVE_KEY_FILE=%s/agent.key\n", style.bold, style.end,
               cluster->keys, cluster->keys);
    }
    if (!cluster->is_signed) {
        printf("  %ssigning%s      %soff: whoever reaches a door is believed; see PCS_SIGN_ALG%s\n", style.bold,
               style.end, style.yellow, style.end);
    }
    printf("  %sdata%s         %s\n", style.bold, style.end, cluster->data_dir);
    printf("  %slogs%s         %s/logs/\n\n", style.bold, style.end, cluster->data_dir);
    printf("  %s%-11s %8s   %s%s\n", style.dim, "process", "pid", "pages", style.end);
    for (size_t i = 0; i < cluster->children_len; i++) {
        const flk_child_t *child = &cluster->children[i];
        printf("  %-11s %8ld   http://%s/metrics\n", child->name, (long)child->pid, child->address);
    }
    printf("\nCtrl-C stops it. See how it does, from another terminal: %sflk status --data-dir %s%s\n\n", style.bold,
           cluster->data_dir, style.end);
    fflush(stdout);
}

static void say_where_json(const flk_cluster_t *cluster, uint64_t took_ms) {
    json_t *members = json_array();
    for (size_t i = 0; i < cluster->children_len; i++) {
        const flk_child_t *child = &cluster->children[i];
        json_array_append_new(members, json_pack("{s:s, s:s, s:I, s:s}", "name", child->name, "program", child->program,
                                                 "pid", (json_int_t)child->pid, "address", child->address));
    }
    flk_json_out(json_pack("{s:s, s:I, s:s, s:s, s:b, s:s, s:s, s:o}", "event", "ready", "took_ms", (json_int_t)took_ms,
                           "http", cluster->http, "zmq", cluster->zmq, "signed", cluster->is_signed, "data_dir",
                           cluster->data_dir, "curve_dir", cluster->keys, "members", members));
}

static void say_stopping(bool json) {
    if (json) {
        flk_json_out(json_pack("{s:s}", "event", "stopping"));
    } else {
        printf("\nstopping: gateway, workers, broker\n");
        fflush(stdout);
    }
}

static int run_cluster(flk_cluster_t *cluster, bool json, char *errmsg) {
    flk_supervisor_t *supervisor;
    if (flk_supervisor_new(cluster, &supervisor, errmsg) != FLK_OK) {
        return FLK_EXIT_FAILED;
    }
    uint64_t start_ms = flk_mono_ms();
    flk_err_t err = flk_supervisor_start(supervisor, errmsg);
    if (err == FLK_OK) {
        (json ? say_where_json : say_where)(cluster, flk_mono_ms() - start_ms);
        flk_supervisor_run(supervisor);
        say_stopping(json);
    }
    bool clean = flk_supervisor_stop(supervisor);
    if (json) {
        flk_json_out(json_pack("{s:s, s:b}", "event", "stopped", "clean", clean));
    }
    flk_supervisor_destroy(&supervisor);
    if (err == FLK_OK && !clean) {
        flk_errmsg(errmsg, "what did not stop was killed");
    }
    if (err == FLK_OK || err == FLK_E_CLOSED) {
        return clean ? FLK_EXIT_OK : FLK_EXIT_FAILED;
    }
    return flk_exit_status(err);
}

static void start_log(void) {
    flk_settings_t *settings;
    if (flk_settings_load(FLK_PROGRAM_FLK, &settings, NULL) == FLK_OK) {
        flk_program_start_log(settings);
        flk_settings_destroy(&settings);
    }
}

int flk_command_up(int argc, char **argv) {
    flk_cluster_options_t options;
    bool json;
    int status = parse(argc, argv, &options, &json);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_cluster_t *cluster;
    start_log();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    flk_err_t err = flk_cluster_plan(&options, &cluster, errmsg);
    status = err == FLK_OK ? run_cluster(cluster, json, errmsg) : flk_exit_status(err);
    if (errmsg[0] != '\0' && status != FLK_EXIT_OK) {
        fprintf(stderr, "flk: %s\n", errmsg);
    }
    flk_cluster_destroy(&cluster);
    curl_global_cleanup();
    return status;
}
