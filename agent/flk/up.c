/* SPDX-License-Identifier: MIT */
/* flk up: plan -> start -> say where everything is -> supervise until asked to stop -> stop in order. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/flk/cluster/supervisor.h"
#include "agent/flk/command.h"
#include "agent/flk/style.h"
#include "common/patience.h"
#include "common/program/options.h"
#include "common/program/settings.h"

enum { WORKERS_DEFAULT = 2, OFFSET_MAX = 50000, SAY_MS = 1000 };

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(WORKERS, "workers", "N", "1 to 64", "2",                                                                         \
      "worker processes; they share the cores unless FLK_WORKER_THREADS is set")                                       \
    X(DATA_DIR, "data-dir", "DIR", "", "FLK_DATA_DIR", "logs, the inbox log, the store")                               \
    X(HTTP, "http", "HOST:PORT", "", "FLK_HTTP_LISTEN", "HTTP door")                                                   \
    X(PORTS, "ports", "+N", "+1 to +50000", "",                                                                        \
      "moves each address that no setting has by so many ports, for a second cluster")                                 \
    X(CURVE, "curve", NULL, "", "",                                                                                    \
      "every ZeroMQ link is encrypted, with keys made once in DIR/keys: one for agents too")                           \
    X(JSON, "json", NULL, "", "", "one JSON object a line: when it is ready, when it stops, when it has stopped")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk up");

static void print_help(void) {
    printf("Usage: flk up [OPTION...]\n\n"
           "Starts a broker, workers, a gateway and flk-follow on this host and supervises\n"
           "them in the foreground: a process that ends is started again. Ctrl-C (SIGINT) or SIGTERM\n"
           "stops all in order, a second one at once. SIGHUP without a terminal goes on to\n"
           "all: they reload keys and policy.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nAll programs take their other settings from the environment: see flk-gateway\n"
           "--help and so on.\n"
           "Exit codes: 0 stopped as asked, 1 failed, also when an address is in use, 2 wrong\n"
           "setting or argument.\n\n");
    flk_settings_print(FLK_PROGRAM_FLK, stdout);
}

typedef struct up {
    flk_cluster_options_t cluster;
    bool json;
} up_t;

static bool take_option(void *arg, size_t row, char *value) {
    up_t *up = arg;
    uint64_t number;
    bool good = true;
    switch ((enum option_id)row) {
    case OPTION_WORKERS:
        good = flk_option_uint(value, 1, FLK_CLUSTER_WORKERS_MAX, &number);
        up->cluster.workers = (unsigned)number;
        return good;
    case OPTION_DATA_DIR:
        up->cluster.data_dir = value;
        return true;
    case OPTION_HTTP:
        up->cluster.http = value;
        return true;
    case OPTION_PORTS:
        good = flk_option_uint(value + (value[0] == '+'), 1, OFFSET_MAX, &number);
        up->cluster.ports_offset = (unsigned)number;
        return good;
    case OPTION_CURVE:
        return up->cluster.curve = true;
    case OPTION_JSON:
        return up->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, up_t *up) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, up, &given, &rest);
    return status < 0 && rest[0] != NULL ? flk_options_wrong(&command_line, "'%s' is no option", rest[0]) : status;
}

/* The supervisor goes on although nobody reads its output. Takes `text`. */
static void say(char *text) {
    FLK_ASSERT(text != NULL);
    (void)!flk_write_within(STDOUT_FILENO, text, strlen(text), SAY_MS);
    free(text);
}

/* Takes `value`. */
static void say_json(json_t *value) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(12)), *line;
    FLK_ASSERT(text != NULL && asprintf(&line, "%s\n", text) > 0);
    say(line);
    free(text);
    json_decref(value);
}

static void say_where(const flk_cluster_t *cluster, uint64_t took_ms) {
    char *text;
    size_t bytes;
    FILE *out = open_memstream(&text, &bytes);
    FLK_ASSERT(out != NULL);
    flk_style_t style = flk_style_for(stdout);
    fprintf(out, "\n%sThe cluster is ready%s, %.1f s after its start.\n\n", style.green, style.end,
            (double)took_ms / 1000);
    fprintf(out, "  %sHTTP door%s    http://%s/v1/pcs/submit\n", style.bold, style.end, cluster->http);
    fprintf(out, "  %sZeroMQ door%s  %s\n", style.bold, style.end, cluster->zmq);
    fprintf(out, "  %sfeed%s         http://%s/v1/feed\n", style.bold, style.end, cluster->feed);
    if (cluster->keys[0] != '\0') {
        fprintf(out, "  %sits key%s      FLK_CURVE_DIR=%s FLK_CURVE_KEY_FILE=%s/agent.key\n", style.bold, style.end,
                cluster->keys, cluster->keys);
    }
    if (!cluster->is_signed) {
        fprintf(out, "  %ssigning%s      %soff: every client of a door is believed; see PCS_SIGN_ALG%s\n", style.bold,
                style.end, style.yellow, style.end);
    }
    fprintf(out, "  %sdata%s         %s\n", style.bold, style.end, cluster->data_dir);
    fprintf(out, "  %slogs%s         %s/logs/\n\n", style.bold, style.end, cluster->data_dir);
    fprintf(out, "  %s%-11s %8s   %s%s\n", style.dim, "process", "pid", "pages", style.end);
    for (size_t i = 0; i < cluster->children_len; i++) {
        const flk_child_t *child = &cluster->children[i];
        fprintf(out, "  %-11s %8ld   http://%s/metrics\n", child->name, (long)child->pid, child->address);
    }
    fprintf(out, "\nCtrl-C stops it. See how it does, from another terminal: %sflk status --data-dir %s%s\n\n",
            style.bold, cluster->data_dir, style.end);
    fclose(out);
    say(text);
}

static void say_where_json(const flk_cluster_t *cluster, uint64_t took_ms) {
    json_t *members = json_array();
    for (size_t i = 0; i < cluster->children_len; i++) {
        const flk_child_t *child = &cluster->children[i];
        json_array_append_new(members, json_pack("{s:s, s:s, s:I, s:s}", "name", child->name, "program", child->program,
                                                 "pid", (json_int_t)child->pid, "address", child->address));
    }
    say_json(json_pack("{s:s, s:I, s:s, s:s, s:b, s:s, s:s, s:o}", "event", "ready", "took_ms", (json_int_t)took_ms,
                       "http", cluster->http, "zmq", cluster->zmq, "signed", cluster->is_signed, "data_dir",
                       cluster->data_dir, "curve_dir", cluster->keys, "members", members));
}

static void say_stopping(bool json) {
    if (json) {
        say_json(json_pack("{s:s}", "event", "stopping"));
    } else {
        say(strdup("\nstopping: gateway, follow, workers, broker\n"));
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
        say_json(json_pack("{s:s, s:b}", "event", "stopped", "clean", clean));
    }
    flk_supervisor_destroy(&supervisor);
    if (err == FLK_OK && !clean) {
        flk_errmsg(errmsg, "some process did not stop and was killed");
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
    up_t up = {.cluster.workers = WORKERS_DEFAULT};
    int status = parse(argc, argv, &up);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_cluster_t *cluster;
    start_log();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    flk_err_t err = flk_cluster_plan(&up.cluster, &cluster, errmsg);
    status = err == FLK_OK ? run_cluster(cluster, up.json, errmsg) : flk_exit_status(err);
    if (errmsg[0] != '\0' && status != FLK_EXIT_OK) {
        fprintf(stderr, "flk up: %s\n", errmsg);
    }
    flk_cluster_destroy(&cluster);
    curl_global_cleanup();
    return status;
}
