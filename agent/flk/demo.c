/* SPDX-License-Identifier: MIT */
/* flk demo: events into a directory of its own -> a cluster -> PCS, signed -> half by HTTP, half by ZeroMQ, while one
 * worker is killed -> all of it again -> the report (demo_report.c).
 *
 * Everything is done by the real programs, as a user would run them, and kept in the directory. Any failure ends the
 * demo with one line, in the words of the program that failed, and the directory goes unless --keep is given. Children
 * end with us (they get SIGTERM when this process dies). */
#include <curl/curl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/flk/cluster/port.h"
#include "agent/flk/cluster/sibling.h"
#include "agent/flk/cluster/snapshot.h"
#include "agent/flk/command.h"
#include "agent/flk/demo_report.h"
#include "common/io.h"
#include "common/program/options.h"

enum {
    WORKERS = 3,
    FIRST_PORT = 18080,
    EVENTS_BYTES_MAX = 64 << 20,
    STEP_MS_MAX = 60000,
    POLL_MS = 2,
    KEY_BYTES = 32,
    DIRS_OPEN_MAX = 16
};

/* An agent whose policy is out of step with the cluster's: its PCS are escalated. */
static const char old_policy[] = "{\"version\": \"old-1\", \"base\": 0.15}\n";

typedef struct demo {
    flk_demo_facts_t facts;
    char zmq[FLK_CHILD_ADDRESS_BYTES], frontend[FLK_CHILD_ADDRESS_BYTES], backend[FLK_CHILD_ADDRESS_BYTES];
    char cluster_dir[PATH_MAX], key_file[PATH_MAX];
    flk_child_t cluster, agents[2]; /* HTTP, ZeroMQ */
    flk_cluster_view_t view;
} demo_t;

static void path_in(const demo_t *demo, const char *name, char path[PATH_MAX]) {
    FLK_ASSERT(snprintf(path, PATH_MAX, "%.3000s/%s", demo->facts.dir, name) < PATH_MAX);
}

static flk_err_t write_in(const demo_t *demo, const char *name, const void *data, size_t data_bytes, char *errmsg) {
    char path[PATH_MAX];
    path_in(demo, name, path);
    return flk_io_replace(path, data, data_bytes, errmsg);
}

static FILE *steps; /* where they are told: standard output, but for --json */

static void step(const char *format, ...) FLK_PRINTF(1, 2);
static void step(const char *format, ...) {
    flk_style_t style = flk_style_for(steps);
    va_list args;
    va_start(args, format);
    fprintf(steps, "  %s✓%s ", style.green, style.end);
    vfprintf(steps, format, args);
    fprintf(steps, "\n");
    fflush(steps);
    va_end(args);
}

/* ---- the directory and its files ---- */

static flk_err_t make_directory(demo_t *demo, char *errmsg) {
    const char *tmp = getenv("TMPDIR");
    snprintf(demo->facts.dir, sizeof demo->facts.dir, "%.2000s/flk-demo-XXXXXX",
             tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    if (mkdtemp(demo->facts.dir) == NULL) {
        flk_errmsg(errmsg, "cannot make the directory %.200s", demo->facts.dir);
        return FLK_E_IO;
    }
    path_in(demo, "cluster", demo->cluster_dir);
    path_in(demo, "key", demo->key_file);
    return FLK_OK;
}

static flk_err_t write_inputs(demo_t *demo, const char *events, char *errmsg) {
    char *text;
    size_t text_bytes;
    flk_err_t err = flk_io_read_file(events, EVENTS_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (size_t i = 0; i < text_bytes; i++) {
        demo->facts.events += text[i] == '\n';
    }
    demo->facts.events -= demo->facts.events > 0; /* the header */
    err = write_in(demo, "events.csv", text, text_bytes, errmsg);
    free(text);
    char key[KEY_BYTES + 1];
    snprintf(key, sizeof key, "%016llx%016llx", (unsigned long long)flk_random_u64(),
             (unsigned long long)flk_random_u64());
    if (err == FLK_OK) {
        err = write_in(demo, "key", key, KEY_BYTES, errmsg);
    }
    return err == FLK_OK ? write_in(demo, "old-policy.json", old_policy, strlen(old_policy), errmsg) : err;
}

/* ---- running programs ---- */

static void prepare(const demo_t *demo, flk_child_t *child, const char *program, const char *name,
                    const char *const *args, char *errmsg) {
    *child = (flk_child_t){.program = program, .args = args};
    char log_name[64];
    snprintf(child->name, sizeof child->name, "%s", name);
    snprintf(log_name, sizeof log_name, "%s.log", name);
    path_in(demo, log_name, child->log_path);
    flk_child_set(child, "PCS_SIGN_ALG", "hmac");
    unsetenv("PCS_HMAC_KEY");
    flk_child_set(child, "PCS_HMAC_KEY_FILE", demo->key_file);
    if (strcmp(program, "flk") == 0) {
        ssize_t len = readlink("/proc/self/exe", child->path, sizeof child->path - 1);
        child->path[len > 0 ? len : 0] = '\0';
    } else if (flk_sibling_path(program, child->path, sizeof child->path, errmsg) != FLK_OK) {
        child->path[0] = '\0'; /* the start's log tells */
    }
}

static void pause_briefly(void) {
    nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
}

/* True when it has ended; with a status but 0 that is an error. */
static bool has_ended(flk_child_t *child, flk_err_t *err, char *errmsg) {
    char how[32];
    if (!flk_child_reap(child, how)) {
        return false;
    }
    if (strcmp(how, "status 0") != 0) {
        char line[FLK_ERRMSG_BYTES];
        flk_child_last_line(child, line, sizeof line);
        flk_errmsg(errmsg, "%s ended with %s%s%.200s", child->name, how, line[0] != '\0' ? ": " : "", line);
        *err = FLK_E_UNAVAILABLE;
    }
    return true;
}

static flk_err_t wait_end(flk_child_t *child, char *errmsg) {
    uint64_t deadline_ms = flk_mono_ms() + STEP_MS_MAX;
    flk_err_t err = FLK_OK;
    while (child->pid != 0 && !has_ended(child, &err, errmsg)) {
        if (flk_mono_ms() > deadline_ms) {
            flk_errmsg(errmsg, "%s does not end", child->name);
            return FLK_E_TIMEOUT;
        }
        pause_briefly();
    }
    return err;
}

/* ---- the cluster ---- */

static flk_err_t pick_ports(demo_t *demo, char *errmsg) {
    char *const endpoints[] = {demo->facts.http, demo->zmq, demo->frontend, demo->backend};
    unsigned port = FIRST_PORT;
    for (size_t i = 0; i < FLK_COUNT_OF(endpoints); i++, port++) {
        port = flk_port_pick(port);
        if (port == 0) {
            flk_errmsg(errmsg, "there are no free ports");
            return FLK_E_LOCKED;
        }
        snprintf(endpoints[i], FLK_CHILD_ADDRESS_BYTES, "%s127.0.0.1:%u", i == 0 ? "" : "tcp://", port);
    }
    return FLK_OK;
}

static flk_err_t start_cluster(demo_t *demo, char *errmsg) {
    char workers[8];
    snprintf(workers, sizeof workers, "%d", WORKERS);
    const char *args[] = {"up",     "--workers",      workers, "--data-dir", demo->cluster_dir,
                          "--http", demo->facts.http, NULL};
    flk_err_t err = pick_ports(demo, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    prepare(demo, &demo->cluster, "flk", "cluster", args, errmsg);
    flk_child_set(&demo->cluster, "FLK_ZMQ_LISTEN", demo->zmq);
    flk_child_set(&demo->cluster, "FLK_FRONTENDS", demo->frontend);
    flk_child_set(&demo->cluster, "FLK_BACKENDS", demo->backend);
    flk_child_set(&demo->cluster, "DEDUP_BACKEND", "lmdb");
    err = flk_child_start(&demo->cluster, errmsg);
    uint64_t start_ms = flk_mono_ms();
    while (err == FLK_OK && flk_cluster_file_read(demo->cluster_dir, &demo->view, errmsg) != FLK_OK) {
        if (has_ended(&demo->cluster, &err, errmsg)) {
            return FLK_E_UNAVAILABLE;
        }
        if (flk_mono_ms() - start_ms > STEP_MS_MAX) {
            flk_errmsg(errmsg, "the cluster does not start");
            return FLK_E_UNAVAILABLE;
        }
        pause_briefly();
    }
    if (err == FLK_OK) {
        step("a gateway, a broker and %d workers run (%.1f s)", WORKERS, (double)(flk_mono_ms() - start_ms) / 1000);
    }
    return err;
}

static flk_err_t stop_cluster(demo_t *demo, char *errmsg) {
    flk_child_signal(&demo->cluster, SIGTERM);
    return wait_end(&demo->cluster, errmsg);
}

static const flk_cluster_member_t *member(const demo_t *demo, const char *name) {
    for (size_t i = 0; i < demo->view.members_len; i++) {
        if (strcmp(demo->view.members[i].name, name) == 0) {
            return &demo->view.members[i];
        }
    }
    return NULL;
}

static double ask_metric(const demo_t *demo, const char *name, flk_snapshot_metric_t metric) {
    flk_member_snapshot_t snapshot;
    const char *user = getenv("METRICS_USER"), *pass = getenv("METRICS_PASS");
    flk_snapshot_take(member(demo, name), user != NULL ? user : "", pass != NULL ? pass : "", &snapshot);
    return snapshot.value[metric];
}

/* ---- PCS ---- */

static flk_err_t compute(demo_t *demo, const char *out_name, const char *const *extra, char *errmsg) {
    char events[PATH_MAX], out[PATH_MAX];
    flk_child_t child;
    path_in(demo, "events.csv", events);
    path_in(demo, out_name, out);
    const char *args[FLK_CHILD_ARGS_MAX + 1] = {
        "compute", "--columns", "longitude,latitude,depth_km", "--window", "6h", "--quiet", "--out", out, events};
    size_t len = 9;
    for (; extra[len - 9] != NULL; len++) {
        args[len] = extra[len - 9];
    }
    prepare(demo, &child, "agent", "compute", args, errmsg);
    flk_err_t err = flk_child_start(&child, errmsg);
    return err == FLK_OK ? wait_end(&child, errmsg) : err;
}

/* Deals the lines of a file out to the two doors' files, in turn. */
static flk_err_t deal_out(demo_t *demo, const char *name, FILE *const doors[2], char *errmsg) {
    char path[PATH_MAX], *text;
    size_t text_bytes;
    path_in(demo, name, path);
    flk_err_t err = flk_io_read_file(path, EVENTS_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    for (char *line = text; *line != '\0';) {
        size_t line_len = strcspn(line, "\n");
        if (demo->facts.sent == 0) {
            demo->facts.example = strndup(line, line_len);
        }
        fprintf(doors[demo->facts.sent++ % 2], "%.*s\n", (int)line_len, line);
        line += line_len + (line[line_len] == '\n');
    }
    free(text);
    return FLK_OK;
}

static flk_err_t compute_all(demo_t *demo, char *errmsg) {
    char policy[PATH_MAX], paths[2][PATH_MAX];
    path_in(demo, "old-policy.json", policy);
    path_in(demo, "http.ndjson", paths[0]);
    path_in(demo, "zmq.ndjson", paths[1]);
    const char *const usual[] = {"--slide", "15m", "--shard", "usgs", NULL};
    const char *const outdated[] = {"--slide", "6h", "--shard", "usgs-old", "--policy", policy, NULL};
    flk_err_t err = compute(demo, "usual.ndjson", usual, errmsg);
    if (err == FLK_OK) {
        err = compute(demo, "outdated.ndjson", outdated, errmsg);
    }
    FILE *doors[2] = {fopen(paths[0], "we"), fopen(paths[1], "we")};
    if (err == FLK_OK && (doors[0] == NULL || doors[1] == NULL)) {
        flk_errmsg(errmsg, "cannot write to %.200s", demo->facts.dir);
        err = FLK_E_IO;
    }
    if (err == FLK_OK) {
        err = deal_out(demo, "usual.ndjson", doors, errmsg);
        demo->facts.usual = demo->facts.sent;
    }
    if (err == FLK_OK) {
        err = deal_out(demo, "outdated.ndjson", doors, errmsg);
    }
    for (size_t i = 0; i < 2; i++) {
        if (doors[i] != NULL && fclose(doors[i]) != 0 && err == FLK_OK) {
            flk_errmsg(errmsg, "cannot write %.200s", paths[i]);
            err = FLK_E_IO;
        }
    }
    if (err == FLK_OK) {
        step("%zu events became %zu signed PCS, and %zu more from an agent with an outdated policy", demo->facts.events,
             demo->facts.usual, demo->facts.sent - demo->facts.usual);
    }
    return err;
}

/* ---- sending ---- */

typedef struct agent_paths {
    char input[PATH_MAX], results[PATH_MAX], outbox[PATH_MAX], endpoint[FLK_CHILD_ADDRESS_BYTES + 32];
    const char *args[8];
} agent_paths_t;

static flk_err_t start_agent(demo_t *demo, size_t door, int round, agent_paths_t *paths, char *errmsg) {
    const char *name = flk_demo_doors[door];
    char file[64], log_name[FLK_CHILD_NAME_BYTES];
    snprintf(file, sizeof file, "%s.ndjson", name);
    path_in(demo, file, paths->input);
    snprintf(file, sizeof file, "%s-%d.results", name, round);
    path_in(demo, file, paths->results);
    snprintf(file, sizeof file, "outbox-%s", name);
    path_in(demo, file, paths->outbox);
    snprintf(paths->endpoint, sizeof paths->endpoint, door == 0 ? "http://%s/v1/pcs/submit" : "%s",
             door == 0 ? demo->facts.http : demo->zmq);
    const char *const args[] = {"submit",    "--pcs",        "--json",     "--quiet",
                                "--results", paths->results, paths->input, NULL};
    memcpy(paths->args, args, sizeof args);
    snprintf(log_name, sizeof log_name, "%s-%d", name, round);
    prepare(demo, &demo->agents[door], "agent", log_name, paths->args, errmsg);
    flk_child_set(&demo->agents[door], "ENDPOINT", paths->endpoint);
    flk_child_set(&demo->agents[door], "FLK_DATA_DIR", paths->outbox);
    return flk_child_start(&demo->agents[door], errmsg);
}

/* Kills worker-2 once a third of all is answered, so that it dies with work in hand. */
static void kill_worker_in_the_middle(demo_t *demo) {
    const flk_cluster_member_t *victim = member(demo, "worker-2");
    double answered = 0;
    while (answered < (double)demo->facts.sent / 3 && demo->agents[0].pid != 0) {
        answered = ask_metric(demo, "gateway", FLK_SNAP_ACCEPTED) + ask_metric(demo, "gateway", FLK_SNAP_ESCALATED);
        char how[32];
        flk_child_reap(&demo->agents[0], how);
    }
    kill((pid_t)victim->pid, SIGKILL);
    demo->facts.killed_after = answered;
}

static flk_err_t send_round(demo_t *demo, int round, char *errmsg) {
    agent_paths_t *paths = flk_start_alloc(2 * sizeof *paths);
    flk_demo_round_t *facts = &demo->facts.rounds[round - 1];
    flk_err_t err = FLK_OK;
    uint64_t start_ms = flk_mono_ms();
    for (size_t door = 0; door < 2 && err == FLK_OK; door++) {
        err = start_agent(demo, door, round, &paths[door], errmsg);
    }
    if (round == 1 && err == FLK_OK) {
        kill_worker_in_the_middle(demo);
    }
    for (size_t door = 0; door < 2 && err == FLK_OK; door++) {
        err = wait_end(&demo->agents[door], errmsg);
    }
    facts->took_s = (double)(flk_mono_ms() - start_ms) / 1000;
    for (size_t door = 0; door < 2 && err == FLK_OK; door++) {
        err = flk_answers_load(&facts->answers, paths[door].results, errmsg);
        if (err == FLK_OK) {
            err = flk_demo_read_summary(demo->agents[door].log_path, &facts->latency[door], errmsg);
        }
    }
    flk_answers_sort(&facts->answers);
    free(paths);
    return err;
}

static flk_err_t send_all(demo_t *demo, char *errmsg) {
    flk_err_t err = send_round(demo, 1, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    step("half went by HTTP, half by ZeroMQ (%.1f s); kill -9 of worker-2 after %.0f answers",
         demo->facts.rounds[0].took_s, demo->facts.killed_after);
    err = send_round(demo, 2, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    step("all of it went again (%.1f s)", demo->facts.rounds[1].took_s);
    demo->facts.redeliveries = ask_metric(demo, "broker", FLK_SNAP_REDELIVERIES);
    flk_probe_t probe;
    err = flk_probe_post(demo->facts.http, "/v1/pcs/submit", demo->facts.example, STEP_MS_MAX, &probe);
    if (err == FLK_OK) {
        demo->facts.example_status = probe.status;
        demo->facts.example_answer = strdup(probe.body);
    }
    flk_probe_fini(&probe);
    return err;
}

/* ---- the command ---- */

static flk_err_t run_demo(demo_t *demo, const char *events, char *errmsg) {
    flk_err_t err = make_directory(demo, errmsg);
    if (err == FLK_OK) {
        err = write_inputs(demo, events, errmsg);
    }
    if (err == FLK_OK) {
        err = start_cluster(demo, errmsg);
    }
    if (err == FLK_OK) {
        err = compute_all(demo, errmsg);
    }
    if (err == FLK_OK) {
        err = send_all(demo, errmsg);
    }
    char stop_errmsg[FLK_ERRMSG_BYTES];
    flk_err_t stop_err = stop_cluster(demo, stop_errmsg);
    if (err == FLK_OK && stop_err != FLK_OK) {
        flk_errmsg(errmsg, "%s", stop_errmsg);
        err = stop_err;
    }
    return err;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

/* After a failure: ends the programs that still run, and removes the directory. */
static void discard(demo_t *demo, bool keep) {
    char errmsg[FLK_ERRMSG_BYTES];
    for (size_t i = 0; i < 2; i++) {
        flk_child_signal(&demo->agents[i], SIGTERM);
        flk_err_t err = wait_end(&demo->agents[i], errmsg);
        (void)err; /* it is the failure's consequence */
    }
    if (!keep && demo->cluster_dir[0] != '\0') {
        nftw(demo->facts.dir, remove_entry, DIRS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
    }
}

static void fini(demo_t *demo) {
    for (size_t i = 0; i < 2; i++) {
        flk_answers_fini(&demo->facts.rounds[i].answers);
    }
    free(demo->facts.example);
    free(demo->facts.example_answer);
    free(demo);
}

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(KEEP, "keep", NULL, "", "", "the directory stays also when the demo failed, with every log")                     \
    X(JSON, "json", NULL, "", "", "the report as one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk demo");

static void print_help(void) {
    printf("Usage: flk demo [OPTION...] EVENTS.csv\n\n"
           "Shows the whole of flk on real events (tests/data/earthquakes.csv): a cluster of\n"
           "three worker processes, signed PCS over both doors, a worker killed in the\n"
           "middle, everything sent twice, a report. Takes a few seconds; its files stay\n"
           "in a directory under $TMPDIR or /tmp.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nExit codes: 0 nothing was lost and no answer changed, 1 it failed, 2 wrong\n"
           "argument.\n");
}

typedef struct demo_options {
    bool json, keep;
    const char *events;
} demo_options_t;

static bool take_option(void *arg, size_t row, char *value) {
    demo_options_t *options = arg;
    (void)value;
    return row == OPTION_KEEP ? (options->keep = true) : (options->json = true);
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, demo_options_t *options) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, options, &given, &rest);
    if (status < 0 && (rest[0] == NULL || rest[1] != NULL)) {
        return flk_options_wrong(&command_line, "give one file of events");
    }
    options->events = status < 0 ? rest[0] : NULL;
    return status;
}

int flk_command_demo(int argc, char **argv) {
    demo_options_t options = {0};
    int status = parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    demo_t *demo = flk_start_alloc(sizeof *demo);
    bool good = false;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    steps = options.json ? stderr : stdout;
    fprintf(steps, "\n");
    if (run_demo(demo, options.events, errmsg) == FLK_OK) {
        good = (options.json ? flk_demo_report_json : flk_demo_report)(&demo->facts, options.events);
    } else {
        fprintf(stderr, "flk demo: %s%s%s%s\n", errmsg, options.keep ? " (everything it made is in " : "",
                options.keep ? demo->facts.dir : "", options.keep ? ")" : "");
        discard(demo, options.keep);
    }
    fini(demo);
    curl_global_cleanup();
    return good ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}
