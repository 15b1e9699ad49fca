/* SPDX-License-Identifier: MIT */
#include "agent/flk/demo_report.h"

#include <stdlib.h>
#include <string.h>

#include "agent/flk/json_out.h"
#include "common/io.h"

enum { LOG_BYTES_MAX = 1 << 20, LINE_WIDTH = 100, INDENT = 14 };

const char *const flk_demo_doors[2] = {"http", "zmq"};

flk_err_t flk_demo_read_summary(const char *log_path, flk_demo_latency_t *latency, char *errmsg) {
    char *text;
    size_t text_bytes;
    flk_err_t err = flk_io_read_file(log_path, LOG_BYTES_MAX, &text, &text_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const char *line = strstr(text, "{\"answered\"");
    json_t *summary = line != NULL ? json_loadb(line, strcspn(line, "\n"), 0, NULL) : NULL;
    if (summary == NULL) {
        flk_errmsg(errmsg, "%.200s holds no summary", log_path);
        err = FLK_E_CORRUPT;
    }
    latency->p50_ms = json_number_value(json_object_get(summary, "p50_ms"));
    latency->p99_ms = json_number_value(json_object_get(summary, "p99_ms"));
    json_decref(summary);
    free(text);
    return err;
}

/* Prints JSON with breaks behind commas where a line is full; `"sig"` and the like stay whole. */
static void print_wrapped(const char *title, const char *json) {
    printf("  %-*s", INDENT - 2, title);
    size_t column = INDENT;
    for (const char *piece = json; *piece != '\0' && *piece != '\n';) {
        size_t bytes = strcspn(piece, ",\n");
        bytes += piece[bytes] == ',';
        if (column + bytes > LINE_WIDTH && column > INDENT) {
            printf("\n%*s", INDENT, "");
            column = INDENT;
        }
        printf("%.*s", (int)bytes, piece);
        column += bytes;
        piece += bytes;
    }
    printf("\n");
}

static void print_row(const char *title, double first, double again, const char *remark) {
    char a[FLK_GROUPED_BYTES], b[FLK_GROUPED_BYTES];
    printf("  %-24s %10s %10s%s%s\n", title, flk_style_grouped(first, a), flk_style_grouped(again, b),
           remark[0] != '\0' ? "   " : "", remark);
}

static void print_latency(const char *title, const flk_demo_facts_t *facts, size_t door) {
    const flk_demo_latency_t *first = &facts->rounds[0].latency[door], *again = &facts->rounds[1].latency[door];
    printf("  %-24s %4.1f /%5.1f %4.1f /%5.1f   ms\n", title, first->p50_ms, first->p99_ms, again->p50_ms,
           again->p99_ms);
}

static void print_table(const flk_demo_facts_t *facts, size_t lost, size_t changed) {
    flk_style_t style = flk_style_for(stdout);
    flk_answers_count_t first, again;
    flk_answers_count(&facts->rounds[0].answers, &first);
    flk_answers_count(&facts->rounds[1].answers, &again);
    bool good = lost == 0 && changed == 0;
    printf("\n  %s%-24s %10s %10s%s\n", style.dim, "", "first time", "again", style.end);
    print_row("PCS sent", (double)facts->sent, (double)facts->sent, "");
    print_row("accepted", (double)first.accepted, (double)again.accepted, "");
    print_row("escalated", (double)first.escalated, (double)again.escalated, first.reasons);
    print_row("answered from the store", (double)first.duplicates, (double)again.duplicates, "");
    print_latency("p50 / p99 by HTTP", facts, 0);
    print_latency("p50 / p99 by ZeroMQ", facts, 1);
    printf("  %-24s %10.0f\n", "redelivered", facts->redeliveries);
    printf("  %s%s%-24s %10zu%s\n", style.bold, good ? style.green : style.red, "lost", lost, style.end);
    printf("  %s%s%-24s %10zu%s\n\n", style.bold, good ? style.green : style.red, "answers that changed", changed,
           style.end);
}

/* The PCS that had a verdict and lost it, and those that never got one. */
static size_t count_lost(const flk_demo_facts_t *facts, const flk_answers_diff_t *diff) {
    flk_answers_count_t first;
    flk_answers_count(&facts->rounds[0].answers, &first);
    size_t answered = first.accepted + first.escalated;
    return diff->lost + (facts->sent > answered ? facts->sent - answered : 0);
}

static json_t *round_to_json(const flk_demo_round_t *round) {
    flk_answers_count_t count;
    flk_answers_count(&round->answers, &count);
    return json_pack("{s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "accepted", (json_int_t)count.accepted, "escalated",
                     (json_int_t)count.escalated, "duplicates", (json_int_t)count.duplicates, "seconds", round->took_s,
                     "http_p50_ms", round->latency[0].p50_ms, "http_p99_ms", round->latency[0].p99_ms, "zmq_p50_ms",
                     round->latency[1].p50_ms, "zmq_p99_ms", round->latency[1].p99_ms);
}

bool flk_demo_report_json(const flk_demo_facts_t *facts, const char *events) {
    flk_answers_diff_t diff;
    flk_answers_compare(&facts->rounds[0].answers, &facts->rounds[1].answers, &diff);
    size_t lost = count_lost(facts, &diff);
    flk_json_out(json_pack("{s:s, s:s, s:I, s:I, s:o, s:o, s:f, s:I, s:I}", "events_file", events, "directory",
                           facts->dir, "events", (json_int_t)facts->events, "sent", (json_int_t)facts->sent, "first",
                           round_to_json(&facts->rounds[0]), "again", round_to_json(&facts->rounds[1]), "redelivered",
                           facts->redeliveries, "lost", (json_int_t)lost, "changed", (json_int_t)diff.changed));
    return lost == 0 && diff.changed == 0 && facts->example_answer != NULL;
}

bool flk_demo_report(const flk_demo_facts_t *facts, const char *events) {
    flk_style_t style = flk_style_for(stdout);
    flk_answers_diff_t diff;
    flk_answers_compare(&facts->rounds[0].answers, &facts->rounds[1].answers, &diff);
    size_t lost = count_lost(facts, &diff);

    print_table(facts, lost, diff.changed);
    if (facts->example != NULL && facts->example_answer != NULL) {
        char title[32];
        snprintf(title, sizeof title, "answer %ld", facts->example_status);
        print_wrapped("one PCS", facts->example);
        print_wrapped(title, facts->example_answer);
    }
    printf("\n  Everything is in %s: events, PCS, results, the cluster's log and store.\n\n", facts->dir);
    printf("  %sTry next%s, the last two from another terminal:\n", style.bold, style.end);
    printf("    build/bin/flk up --workers 3\n");
    printf("    build/bin/flk agent submit --columns longitude,latitude,depth_km --window 6h --slide 15m %s\n", events);
    printf("    build/bin/flk status\n\n");
    return lost == 0 && diff.changed == 0 && facts->example_answer != NULL;
}
