/* SPDX-License-Identifier: MIT */
/* The findings of the demo, and their report. */
#ifndef FLK_AGENT_FLK_DEMO_REPORT_H
#define FLK_AGENT_FLK_DEMO_REPORT_H

#include "agent/flk/answers.h"
#include "agent/flk/cluster/cluster_file.h"
#include "agent/flk/cluster/probe.h"
#include "agent/flk/style.h"

extern const char *const flk_demo_doors[2]; /* "http", "zmq": also the names of files */

typedef struct flk_demo_latency {
    double p50_ms, p99_ms;
} flk_demo_latency_t;

typedef struct flk_demo_round {
    flk_answers_t answers; /* sorted */
    flk_demo_latency_t latency[2];
    double took_s;
} flk_demo_round_t;

typedef struct flk_demo_facts {
    char dir[PATH_MAX];
    char http[FLK_CHILD_ADDRESS_BYTES];
    size_t events, usual, sent; /* usual: PCS of the agent whose policy is the cluster's; sent: all */
    flk_demo_round_t rounds[2];
    double killed_after, redeliveries;
    char *example, *example_answer; /* JSON; NULL without one */
    long example_status;
} flk_demo_facts_t;

/* Reads p50_ms and p99_ms from the line of JSON that the agent printed into its log. Errors: FLK_E_CORRUPT (no
 * such line), and those of flk_io_read_file. */
FLK_MUST_CHECK flk_err_t flk_demo_read_summary(const char *log_path, flk_demo_latency_t *latency, char *errmsg);

/* Prints the report. True when nothing was lost and no answer changed. `events` is the file as the user named it. */
bool flk_demo_report(const flk_demo_facts_t *facts, const char *events);
bool flk_demo_report_json(const flk_demo_facts_t *facts, const char *events); /* the same as one JSON document */

#endif
