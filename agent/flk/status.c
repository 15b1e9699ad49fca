/* SPDX-License-Identifier: MIT */
/* flk status: find the processes -> ask each twice, a second apart -> print one screen, or JSON; with --watch again and
 * again. */
#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "agent/flk/cluster/snapshot.h"
#include "agent/flk/command.h"
#include "agent/flk/members.h"
#include "agent/flk/table.h"
#include "common/program/options.h"
#include "common/terminal.h"

enum { BETWEEN_MS = 1000 };

typedef struct status {
    flk_members_t members;
    flk_member_snapshot_t before[FLK_CLUSTER_MEMBERS_MAX];
    flk_member_snapshot_t after[FLK_CLUSTER_MEMBERS_MAX];
} status_t;

static bool is_program(const status_t *status, size_t member, const char *program) {
    return strcmp(status->members.view.members[member].program, program) == 0;
}

static bool all_ready(const status_t *status) {
    bool ready = true;
    for (size_t i = 0; i < status->members.view.members_len; i++) {
        ready &= status->after[i].state == FLK_MEMBER_READY;
    }
    return ready;
}

static double verdict_rate(const status_t *status) {
    double sum = 0;
    for (size_t i = 0; i < status->members.view.members_len; i++) {
        sum += flk_snapshot_rate(&status->before[i], &status->after[i], FLK_SNAP_VERDICTS);
    }
    return sum;
}

/* ---- for people ---- */

typedef enum cell_kind { CELL_COUNT, CELL_SIZE, CELL_SECONDS, CELL_RATE, CELL_CORES } cell_kind_t;

/* A column's cells; its title and rank are the table's. The first two of each table are name and state. */
typedef struct figure {
    flk_snapshot_metric_t metric;
    cell_kind_t kind;
} figure_t;

/* program, title, rank (the highest one goes first where room is short), metric, kind */
#define GATEWAY_COLUMNS(X)                                                                                             \
    X("ingested", 5, INGEST, COUNT)                                                                                    \
    X("per s", 1, INGEST, RATE)                                                                                        \
    X("accepted", 2, ACCEPTED, COUNT)                                                                                  \
    X("escalated", 3, ESCALATED, COUNT)                                                                                \
    X("duplicates", 8, DUPLICATES, COUNT)                                                                              \
    X("in flight", 7, INFLIGHT, COUNT)                                                                                 \
    X("un-acked", 4, WAL_UNACKED, COUNT)                                                                               \
    X("log", 6, WAL_BYTES, SIZE)
#define BROKER_COLUMNS(X)                                                                                              \
    X("queued", 1, QUEUE_DEPTH, COUNT)                                                                                 \
    X("in flight", 5, BROKER_INFLIGHT, COUNT)                                                                          \
    X("oldest", 4, OLDEST_SECONDS, SECONDS)                                                                            \
    X("workers", 2, WORKERS, COUNT)                                                                                    \
    X("redelivered", 6, REDELIVERIES, COUNT)                                                                           \
    X("dead letters", 3, DEAD_LETTERS, COUNT)
#define WORKER_COLUMNS(X)                                                                                              \
    X("threads", 5, THREADS, COUNT)                                                                                    \
    X("verdicts", 2, VERDICTS, COUNT)                                                                                  \
    X("per s", 1, VERDICTS, RATE)                                                                                      \
    X("cores", 4, CPU_SECONDS, CORES)                                                                                  \
    X("memory", 3, RESIDENT_BYTES, SIZE)

#define FOLLOW_COLUMNS(X)                                                                                              \
    X("readers", 5, FEED_READERS, COUNT)                                                                               \
    X("events", 3, FEED_EVENTS, COUNT)                                                                                 \
    X("per s", 4, FEED_EVENTS, RATE)                                                                                   \
    X("sinks", 1, FOLLOW_SINKS, COUNT)                                                                                 \
    X("gaps", 2, FOLLOW_GAPS, COUNT)                                                                                   \
    X("failures", 6, FOLLOW_FAILURES, COUNT)                                                                           \
    X("memory", 7, RESIDENT_BYTES, SIZE)

#define COLUMN(title, rank, metric, kind) {title, rank},
#define FIGURE(title, rank, metric, kind) {FLK_SNAP_##metric, CELL_##kind},
static const flk_table_column_t gateway_columns[] = {{"gateway", 0}, {"", 0}, GATEWAY_COLUMNS(COLUMN)};
static const flk_table_column_t broker_columns[] = {{"broker", 0}, {"", 0}, BROKER_COLUMNS(COLUMN)};
static const flk_table_column_t worker_columns[] = {{"worker", 0}, {"", 0}, WORKER_COLUMNS(COLUMN)};
static const flk_table_column_t follow_columns[] = {{"follow", 0}, {"", 0}, FOLLOW_COLUMNS(COLUMN)};
static const figure_t follow_figures[] = {FOLLOW_COLUMNS(FIGURE)};
static const figure_t gateway_figures[] = {GATEWAY_COLUMNS(FIGURE)};
static const figure_t broker_figures[] = {BROKER_COLUMNS(FIGURE)};
static const figure_t worker_figures[] = {WORKER_COLUMNS(FIGURE)};

static void format_cell(const status_t *status, size_t member, const figure_t *figure, char *cell) {
    const flk_member_snapshot_t *after = &status->after[member];
    double value = after->value[figure->metric];
    double rate = flk_snapshot_rate(&status->before[member], after, figure->metric);
    if (!after->has[figure->metric]) {
        snprintf(cell, FLK_TABLE_CELL_BYTES, "-");
        return;
    }
    switch (figure->kind) {
    case CELL_COUNT:
        flk_style_grouped(value, cell);
        break;
    case CELL_RATE:
        flk_style_grouped(rate, cell);
        break;
    case CELL_SIZE:
        flk_style_bytes(value, cell);
        break;
    case CELL_SECONDS:
        snprintf(cell, FLK_TABLE_CELL_BYTES, "%.1f s", value);
        break;
    case CELL_CORES:
        snprintf(cell, FLK_TABLE_CELL_BYTES, "%.2f", rate);
        break;
    }
}

static const char *state_colour(const flk_style_t *style, flk_member_state_t state) {
    return state == FLK_MEMBER_READY ? style->green : state == FLK_MEMBER_DOWN ? style->red : style->yellow;
}

static void add_member(flk_table_t *table, const status_t *status, size_t member, const figure_t *figures,
                       const flk_style_t *style) {
    const flk_cluster_member_t *process = &status->members.view.members[member];
    const flk_member_snapshot_t *after = &status->after[member];
    flk_table_row_t *row = flk_table_add(table);
    snprintf(row->cells[0], FLK_TABLE_CELL_BYTES, "%s", process->name);
    snprintf(row->cells[1], FLK_TABLE_CELL_BYTES, "%s", flk_member_state_name(after->state));
    row->state_colour = state_colour(style, after->state);
    for (size_t i = 2; i < table->columns_len; i++) {
        format_cell(status, member, &figures[i - 2], row->cells[i]);
    }
    int len = process->restarts == 0 ? 0
                                     : snprintf(row->note, sizeof row->note, "restarted %u time%s%s", process->restarts,
                                                process->restarts == 1 ? "" : "s", after->why[0] != '\0' ? "; " : "");
    const char *locked = "set METRICS_USER and METRICS_PASS as it has them";
    snprintf(row->note + len, sizeof row->note - (size_t)len, "%.200s",
             after->state == FLK_MEMBER_LOCKED ? locked : after->why);
}

static void print_table(const status_t *status, const char *program, const flk_table_column_t *columns,
                        size_t columns_len, const figure_t *figures, const flk_style_t *style) {
    flk_table_t table;
    flk_table_init(&table, columns, columns_len);
    for (size_t i = 0; i < status->members.view.members_len; i++) {
        if (is_program(status, i, program)) {
            add_member(&table, status, i, figures, style);
        }
    }
    if (table.rows_len > 0) {
        flk_table_print(&table, flk_terminal_columns(STDOUT_FILENO), style, stdout);
        printf("\n");
    }
    flk_table_fini(&table);
}

static void print_screen(const status_t *status) {
    const flk_cluster_view_t *view = &status->members.view;
    flk_style_t style = flk_style_for(stdout);
    char age[FLK_DURATION_BYTES] = "", rate[FLK_GROUPED_BYTES];
    if (view->started_ms > 0) {
        flk_style_duration(flk_wall_ms() - view->started_ms, age);
    }
    printf("%sflk%s %s %s%s%s, %s%s verdicts/s%s\n\n", style.bold, style.end, FLK_VERSION, status->members.source,
           age[0] != '\0' ? ", up " : "", age, style.bold, flk_style_grouped(verdict_rate(status), rate), style.end);
    print_table(status, "gateway", gateway_columns, FLK_COUNT_OF(gateway_columns), gateway_figures, &style);
    print_table(status, "broker", broker_columns, FLK_COUNT_OF(broker_columns), broker_figures, &style);
    print_table(status, "worker", worker_columns, FLK_COUNT_OF(worker_columns), worker_figures, &style);
    print_table(status, "follow", follow_columns, FLK_COUNT_OF(follow_columns), follow_figures, &style);
    if (view->http[0] != '\0') {
        printf("  HTTP http://%s  ZeroMQ %s\n", view->http, view->zmq);
    }
}

/* ---- for programs ---- */

static json_t *member_to_json(const status_t *status, size_t member) {
    const flk_cluster_member_t *process = &status->members.view.members[member];
    const flk_member_snapshot_t *after = &status->after[member];
    json_t *metrics = json_object();
    for (unsigned i = 0; i < FLK_SNAPSHOT_LEN; i++) {
        if (after->has[i]) {
            json_object_set_new(metrics, flk_snapshot_metric_name((flk_snapshot_metric_t)i),
                                json_real(after->value[i]));
        }
    }
    double rate = flk_snapshot_rate(&status->before[member], after, FLK_SNAP_VERDICTS);
    return json_pack("{s:s, s:s, s:o, s:s, s:s, s:s, s:I, s:f, s:o}", "name", process->name, "program",
                     process->program, "pid", process->pid >= 0 ? json_integer(process->pid) : json_null(), "address",
                     process->address, "state", flk_member_state_name(after->state), "reason", after->why, "restarts",
                     (json_int_t)process->restarts, "verdicts_per_second", rate, "metrics", metrics);
}

static void print_json(const status_t *status, bool watched) {
    json_t *members = json_array();
    for (size_t i = 0; i < status->members.view.members_len; i++) {
        json_array_append_new(members, member_to_json(status, i));
    }
    json_t *root =
        json_pack("{s:s, s:b, s:I, s:s, s:s, s:f, s:o}", "version", FLK_VERSION, "ready", all_ready(status),
                  "started_ms", (json_int_t)status->members.view.started_ms, "http", status->members.view.http, "zmq",
                  status->members.view.zmq, "verdicts_per_second", verdict_rate(status), "members", members);
    json_dumpf(root, stdout, (watched ? JSON_COMPACT : JSON_INDENT(2)) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(root);
}

/* ---- the command ---- */

typedef struct status_options {
    flk_members_options_t members;
    bool json, watch;
} status_options_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(DATA_DIR, "data-dir", "DIR", "", "FLK_DATA_DIR", "the cluster that flk up runs there")                           \
    X(UNITS, "units", NULL, "", "", "the units that a target of this host wants; root and the group flk may")          \
    X(GATEWAY, "gateway", "ADDRESS", "", "",                                                                           \
      "a gateway's HTTP door, HOST[:PORT] or a URL; a name with several addresses is as many")                         \
    X(BROKER, "broker", "ADDRESS", "", "", "the pages of a broker, alike")                                             \
    X(WORKER, "worker", "ADDRESS", "", "", "the pages of a worker, alike")                                             \
    X(FOLLOW, "follow", "ADDRESS", "", "", "the pages of an flk-follow, alike")                                        \
    X(WATCH, "watch", NULL, "", "", "again each second, until Ctrl-C")                                                 \
    X(JSON, "json", NULL, "", "", "one JSON document; with --watch one a line")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk status");

static void print_help(void) {
    printf("Usage: flk status [OPTION...]\n\n"
           "Shows a cluster: every process, the queue, the log, verdicts a second. Without an\n"
           "option that says which: the one that flk up runs, else the units of this host.\n"
           "Addresses may be given several times. On a terminal the columns that do not fit\n"
           "are left out.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nWhere METRICS_USER and METRICS_PASS are set for the cluster, set them here too.\n"
           "Exit codes: 0 all ready, 1 some process is not, or no cluster is there, 2 wrong\n"
           "setting or argument.\n\n");
    flk_settings_print(FLK_PROGRAM_FLK, stdout);
}

/* False: too many. */
static bool add_place(flk_members_options_t *members, const char *program, const char *address) {
    bool fits = members->places_len < FLK_COUNT_OF(members->places);
    if (fits) {
        members->places[members->places_len++] = (flk_members_place_t){flk_daemon_named(program), address};
    }
    return fits;
}

static bool take_option(void *arg, size_t row, char *value) {
    status_options_t *options = arg;
    switch ((enum option_id)row) {
    case OPTION_DATA_DIR:
        options->members.data_dir = value;
        return true;
    case OPTION_UNITS:
        return options->members.units = true;
    case OPTION_GATEWAY:
    case OPTION_BROKER:
    case OPTION_WORKER:
    case OPTION_FOLLOW:
        return add_place(&options->members, rows[row].name, value);
    case OPTION_WATCH:
        return options->watch = true;
    case OPTION_JSON:
        return options->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, status_options_t *options) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, options, &given, &rest);
    return status < 0 && rest[0] != NULL ? flk_options_wrong(&command_line, "'%s' is no option", rest[0]) : status;
}

static void take_all(const status_t *status, flk_member_snapshot_t *snapshots) {
    for (size_t i = 0; i < status->members.view.members_len; i++) {
        flk_snapshot_take(&status->members.view.members[i], status->members.user, status->members.pass, &snapshots[i]);
    }
}

static void show_once(status_t *status, const status_options_t *options) {
    nanosleep(&(struct timespec){.tv_sec = BETWEEN_MS / 1000, .tv_nsec = BETWEEN_MS % 1000 * 1000000}, NULL);
    take_all(status, status->after);
    if (options->json) {
        print_json(status, options->watch);
    } else {
        if (options->watch && flk_terminal_columns(STDOUT_FILENO) > 0) {
            printf("\033[H\033[2J");
        }
        print_screen(status);
    }
    fflush(stdout);
}

static int show(const status_options_t *options, char *errmsg) {
    status_t *status = flk_start_alloc(sizeof *status);
    flk_err_t err = flk_members_find(&options->members, &status->members, errmsg);
    int exit_status = flk_exit_status(err);
    if (err == FLK_OK) {
        errmsg[0] = '\0';
        take_all(status, status->before);
        show_once(status, options);
        while (options->watch && !flk_program_stop_asked() && !ferror(stdout)) {
            memcpy(status->before, status->after, sizeof status->before);
            show_once(status, options);
        }
        exit_status = all_ready(status) ? FLK_EXIT_OK : FLK_EXIT_FAILED;
    }
    free(status);
    return exit_status;
}

int flk_command_status(int argc, char **argv) {
    status_options_t *options = flk_start_alloc(sizeof *options);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    int status = parse(argc, argv, options);
    if (status < 0) {
        curl_global_init(CURL_GLOBAL_DEFAULT);
        flk_program_catch_stop();
        status = show(options, errmsg);
        curl_global_cleanup();
    }
    if (errmsg[0] != '\0') {
        fprintf(stderr, "flk status: %s\n", errmsg);
    }
    free(options);
    return status;
}
