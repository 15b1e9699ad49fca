/* SPDX-License-Identifier: MIT */
/* flk status: read cluster.json -> ask every process twice, a second apart -> print one screen, or JSON. */
#include <curl/curl.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/flk/command.h"
#include "agent/flk/snapshot.h"
#include "agent/flk/style.h"
#include "common/settings.h"

enum { BETWEEN_MS = 1000, CELL_BYTES = 64 };

static const char usage[] = "Usage: flk status [--json] [--data-dir DIR]\n\n"
                            "Shows the cluster that flk up runs in DIR (FLK_DATA_DIR): every process, the queue, the "
                            "log, verdicts per second.\n"
                            "With METRICS_USER and METRICS_PASS set for the cluster, set them here too.\n\n"
                            "Exit codes: 0 all ready, 1 some process is not, 2 wrong setting or argument, or no "
                            "cluster there.\n\n";

typedef struct status {
    flk_cluster_view_t view;
    flk_member_snapshot_t before[FLK_CLUSTER_WORKERS_MAX + 2];
    flk_member_snapshot_t after[FLK_CLUSTER_WORKERS_MAX + 2];
} status_t;

static bool is_program(const status_t *status, size_t member, const char *program) {
    return strcmp(status->view.members[member].program, program) == 0;
}

static bool all_ready(const status_t *status) {
    bool ready = true;
    for (size_t i = 0; i < status->view.members_len; i++) {
        ready &= status->after[i].state == FLK_MEMBER_READY;
    }
    return ready;
}

static double verdict_rate(const status_t *status) {
    double sum = 0;
    for (size_t i = 0; i < status->view.members_len; i++) {
        sum += flk_snapshot_rate(&status->before[i], &status->after[i], FLK_SNAP_VERDICTS);
    }
    return sum;
}

/* ---- for people ---- */

typedef enum cell_kind { CELL_COUNT, CELL_BYTES_SIZE, CELL_SECONDS, CELL_RATE, CELL_CORES } cell_kind_t;

typedef struct column {
    const char *title;
    flk_snapshot_metric_t metric;
    cell_kind_t kind;
} column_t;

static const column_t gateway_columns[] = {
    {"ingested", FLK_SNAP_INGEST, CELL_COUNT},       {"per s", FLK_SNAP_INGEST, CELL_RATE},
    {"accepted", FLK_SNAP_ACCEPTED, CELL_COUNT},     {"escalated", FLK_SNAP_ESCALATED, CELL_COUNT},
    {"duplicates", FLK_SNAP_DUPLICATES, CELL_COUNT}, {"in flight", FLK_SNAP_INFLIGHT, CELL_COUNT},
    {"un-acked", FLK_SNAP_WAL_UNACKED, CELL_COUNT},  {"log", FLK_SNAP_WAL_BYTES, CELL_BYTES_SIZE},
};
static const column_t broker_columns[] = {
    {"queued", FLK_SNAP_QUEUE_DEPTH, CELL_COUNT},       {"in flight", FLK_SNAP_BROKER_INFLIGHT, CELL_COUNT},
    {"oldest", FLK_SNAP_OLDEST_SECONDS, CELL_SECONDS},  {"workers", FLK_SNAP_WORKERS, CELL_COUNT},
    {"redelivered", FLK_SNAP_REDELIVERIES, CELL_COUNT}, {"dead letters", FLK_SNAP_DEAD_LETTERS, CELL_COUNT},
};
static const column_t worker_columns[] = {
    {"threads", FLK_SNAP_THREADS, CELL_COUNT},
    {"verdicts", FLK_SNAP_VERDICTS, CELL_COUNT},
    {"per s", FLK_SNAP_VERDICTS, CELL_RATE},
    {"cores", FLK_SNAP_CPU_SECONDS, CELL_CORES},
    {"memory", FLK_SNAP_RESIDENT_BYTES, CELL_BYTES_SIZE},
};

static void format_bytes(double bytes, char cell[CELL_BYTES]) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (bytes >= 1024 && unit + 1 < FLK_COUNT_OF(units)) {
        bytes /= 1024;
        unit++;
    }
    snprintf(cell, CELL_BYTES, "%.*f %s", unit == 0 ? 0 : 1, bytes, units[unit]);
}

static void format_cell(const status_t *status, size_t member, const column_t *column, char cell[CELL_BYTES]) {
    const flk_member_snapshot_t *after = &status->after[member];
    double value = after->value[column->metric];
    double rate = flk_snapshot_rate(&status->before[member], after, column->metric);
    if (!after->has[column->metric]) {
        snprintf(cell, CELL_BYTES, "-");
        return;
    }
    switch (column->kind) {
    case CELL_COUNT:
        flk_style_grouped(value, cell);
        break;
    case CELL_RATE:
        flk_style_grouped(rate, cell);
        break;
    case CELL_BYTES_SIZE:
        format_bytes(value, cell);
        break;
    case CELL_SECONDS:
        snprintf(cell, CELL_BYTES, "%.1f s", value);
        break;
    case CELL_CORES:
        snprintf(cell, CELL_BYTES, "%.2f", rate);
        break;
    }
}

static const char *state_colour(const flk_style_t *style, flk_member_state_t state) {
    return state == FLK_MEMBER_READY ? style->green : state == FLK_MEMBER_DOWN ? style->red : style->yellow;
}

static void print_member(const status_t *status, size_t member, const column_t *columns, size_t columns_len,
                         const flk_style_t *style) {
    const flk_cluster_member_t *who = &status->view.members[member];
    const flk_member_snapshot_t *after = &status->after[member];
    printf("  %-11s %s%-9s%s", who->name, state_colour(style, after->state), flk_member_state_name(after->state),
           style->end);
    for (size_t i = 0; i < columns_len; i++) {
        char cell[CELL_BYTES];
        format_cell(status, member, &columns[i], cell);
        printf(" %12s", cell);
    }
    if (who->restarts > 0) {
        printf("   %srestarted %u times%s", style->yellow, who->restarts, style->end);
    }
    printf("%s%s\n", after->why[0] != '\0' ? "   " : "", after->why);
}

static void print_table(const status_t *status, const char *program, const column_t *columns, size_t columns_len,
                        const flk_style_t *style) {
    printf("  %s%-11s %-9s", style->dim, program, "");
    for (size_t i = 0; i < columns_len; i++) {
        printf(" %12s", columns[i].title);
    }
    printf("%s\n", style->end);
    for (size_t i = 0; i < status->view.members_len; i++) {
        if (is_program(status, i, program)) {
            print_member(status, i, columns, columns_len, style);
        }
    }
    printf("\n");
}

static void print_screen(const status_t *status, const char *data_dir) {
    flk_style_t style = flk_style_for(stdout);
    char age[FLK_DURATION_BYTES], rate[FLK_GROUPED_BYTES];
    printf("%sflk%s %s in %s, up %s, %s%s verdicts/s%s\n\n", style.bold, style.end, FLK_VERSION, data_dir,
           flk_style_duration(flk_wall_ms() - status->view.started_ms, age), style.bold,
           flk_style_grouped(verdict_rate(status), rate), style.end);
    print_table(status, "gateway", gateway_columns, FLK_COUNT_OF(gateway_columns), &style);
    print_table(status, "broker", broker_columns, FLK_COUNT_OF(broker_columns), &style);
    print_table(status, "worker", worker_columns, FLK_COUNT_OF(worker_columns), &style);
    printf("  HTTP http://%s  ZeroMQ %s\n", status->view.http, status->view.zmq);
}

/* ---- for programs ---- */

static json_t *member_to_json(const status_t *status, size_t member) {
    const flk_cluster_member_t *who = &status->view.members[member];
    const flk_member_snapshot_t *after = &status->after[member];
    json_t *metrics = json_object();
    for (unsigned i = 0; i < FLK_SNAPSHOT_LEN; i++) {
        if (after->has[i]) {
            json_object_set_new(metrics, flk_snapshot_metric_name((flk_snapshot_metric_t)i),
                                json_real(after->value[i]));
        }
    }
    double rate = flk_snapshot_rate(&status->before[member], after, FLK_SNAP_VERDICTS);
    return json_pack("{s:s, s:s, s:I, s:s, s:s, s:s, s:I, s:f, s:o}", "name", who->name, "program", who->program, "pid",
                     (json_int_t)who->pid, "address", who->address, "state", flk_member_state_name(after->state),
                     "reason", after->why, "restarts", (json_int_t)who->restarts, "verdicts_per_second", rate,
                     "metrics", metrics);
}

static void print_json(const status_t *status) {
    json_t *members = json_array();
    for (size_t i = 0; i < status->view.members_len; i++) {
        json_array_append_new(members, member_to_json(status, i));
    }
    json_t *root = json_pack("{s:s, s:b, s:I, s:s, s:s, s:f, s:o}", "version", FLK_VERSION, "ready", all_ready(status),
                             "started_ms", (json_int_t)status->view.started_ms, "http", status->view.http, "zmq",
                             status->view.zmq, "verdicts_per_second", verdict_rate(status), "members", members);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(root);
}

/* ---- the command ---- */

typedef struct status_options {
    const char *data_dir;
    bool json;
} status_options_t;

static int parse(int argc, char **argv, status_options_t *options) {
    static const struct option known[] = {{"json", no_argument, NULL, 'j'},
                                          {"data-dir", required_argument, NULL, 'd'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    *options = (status_options_t){0};
    int option;
    while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
        switch (option) {
        case 'j':
            options->json = true;
            break;
        case 'd':
            options->data_dir = optarg;
            break;
        case 'h':
            fputs(usage, stdout);
            flk_settings_print(FLK_PROGRAM_FLK, stdout);
            return FLK_FRONT_OK;
        default:
            return FLK_FRONT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "flk: status: '%s' is not an option; see flk status --help\n", argv[optind]);
        return FLK_FRONT_USAGE;
    }
    return -1;
}

static void take_all(const status_t *status, const flk_settings_t *settings, flk_member_snapshot_t *snapshots) {
    for (size_t i = 0; i < status->view.members_len; i++) {
        flk_snapshot_take(&status->view.members[i], flk_settings_str(settings, FLK_SET_METRICS_USER),
                          flk_settings_str(settings, FLK_SET_METRICS_PASS), &snapshots[i]);
    }
}

static int show(const status_options_t *options, const flk_settings_t *settings, char *errmsg) {
    const char *data_dir = options->data_dir != NULL ? options->data_dir : flk_settings_str(settings, FLK_SET_DATA_DIR);
    status_t *status = flk_start_alloc(sizeof *status);
    int exit_status = FLK_FRONT_USAGE;
    if (flk_cluster_file_read(data_dir, &status->view, errmsg) == FLK_OK) {
        take_all(status, settings, status->before);
        nanosleep(&(struct timespec){.tv_sec = BETWEEN_MS / 1000, .tv_nsec = BETWEEN_MS % 1000 * 1000000}, NULL);
        take_all(status, settings, status->after);
        if (options->json) {
            print_json(status);
        } else {
            print_screen(status, data_dir);
        }
        exit_status = all_ready(status) ? FLK_FRONT_OK : FLK_FRONT_FAILED;
    }
    free(status);
    return exit_status;
}

int flk_command_status(int argc, char **argv) {
    status_options_t options;
    int status = parse(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_settings_t *settings;
    status = FLK_FRONT_USAGE;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (flk_settings_load(FLK_PROGRAM_FLK, &settings, errmsg) == FLK_OK) {
        status = show(&options, settings, errmsg);
    }
    if (errmsg[0] != '\0') {
        fprintf(stderr, "flk: %s\n", errmsg);
    }
    flk_settings_destroy(&settings);
    curl_global_cleanup();
    return status;
}
