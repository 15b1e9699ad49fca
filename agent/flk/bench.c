/* SPDX-License-Identifier: MIT */
/* flk bench: make PCS -> keep a number of them under way at a door -> count answers and their time, until the time or
 * the count is over. Each is tried once, so that a 503 of the door shows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/command.h"
#include "agent/flk/door.h"
#include "agent/flk/json_out.h"
#include "agent/flk/specimen.h"
#include "agent/flk/style.h"
#include "agent/progress.h"
#include "agent/send/report.h"
#include "common/address.h"
#include "common/log.h"
#include "common/program/options.h"

enum { TURN_MS = 100, SECONDS = 5, SECONDS_MAX = 600, COUNT_MAX = 10000000, PARALLEL = 64, PARALLEL_MAX = 1024 };

typedef struct bench {
    uint64_t seconds, count, parallel;
    const char *ca_file;
    bool json;
    flk_door_t *door;
    flk_report_t report;
    uint64_t seed, sent, put_off; /* put_off: answered 503 */
    uint64_t by_other[6];         /* without a verdict, by status / 100; 0 = no answer */
    flk_progress_t progress;
    double took_s;
} bench_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(SECONDS, "seconds", "N", "1 to 600", "5", "how long")                                                            \
    X(COUNT, "count", "N", "1 to 10000000", "", "end after so many PCS")                                               \
    X(PARALLEL, "parallel", "N", "1 to 1024", "64", "under way at once")                                               \
    X(CACERT, "cacert", "FILE", "", "the system's", "CA certificates that https:// is checked against")                \
    X(JSON, "json", NULL, "", "", "one JSON document")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk bench");

static void print_help(void) {
    printf("Usage: flk bench [OPTION...]\n\n"
           "Loads the door that ENDPOINT names with valid PCS of its own, signed when\n"
           "PCS_SIGN_ALG and a key are set, and tells how many were answered and how fast.\n"
           "They are real submissions: the log and the store keep them (shard bench-...).\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nExit codes: 0 every PCS got its verdict, 1 some did not, 2 wrong setting or\n"
           "argument.\n\n");
    flk_settings_print(FLK_PROGRAM_AGENT, stdout);
}

static bool take_option(void *arg, size_t row, char *value) {
    bench_t *bench = arg;
    switch ((enum option_id)row) {
    case OPTION_SECONDS:
        return flk_option_uint(value, 1, SECONDS_MAX, &bench->seconds);
    case OPTION_COUNT:
        return flk_option_uint(value, 1, COUNT_MAX, &bench->count);
    case OPTION_PARALLEL:
        return flk_option_uint(value, 1, PARALLEL_MAX, &bench->parallel);
    case OPTION_CACERT:
        bench->ca_file = value;
        return true;
    case OPTION_JSON:
        return bench->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, bench_t *bench) {
    char **rest;
    uint64_t given;
    bench->seconds = SECONDS;
    bench->count = COUNT_MAX;
    bench->parallel = PARALLEL;
    int status = flk_options_parse(&command_line, argc, argv, bench, &given, &rest);
    return status < 0 && rest[0] != NULL ? flk_options_wrong(&command_line, "'%s' is no option", rest[0]) : status;
}

static void on_done(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    bench_t *bench = arg;
    flk_report_add(&bench->report, parcel, reply);
    if (reply->kind != FLK_REPLY_VERDICT) {
        bench->put_off += reply->status == 503;
        bench->by_other[reply->status < 600 ? reply->status / 100 : 0]++;
    }
    flk_parcel_destroy(&parcel);
}

static flk_err_t send_one(bench_t *bench, char *errmsg) {
    static flk_pcs_t pcs;
    char *json;
    size_t json_bytes;
    flk_specimen_fill(&pcs, bench->sent, bench->seed);
    flk_signer_sign(bench->door->signer, &pcs);
    flk_err_t err = flk_pcs_to_json(&pcs, &json, &json_bytes);
    flk_pcs_fini(&pcs);
    if (err != FLK_OK) {
        flk_errmsg(errmsg, "%s", flk_err_text(err));
        return err;
    }
    err = flk_door_send(bench->door, json, json_bytes, errmsg);
    free(json);
    bench->sent += err == FLK_OK;
    return err;
}

static void draw_progress(bench_t *bench, uint64_t start_ns) {
    double by_time = (double)(flk_mono_ns() - start_ns) * 1e-9 / (double)bench->seconds;
    double by_count = (double)bench->sent / (double)bench->count;
    double share = by_time > by_count ? by_time : by_count;
    flk_progress_draw(&bench->progress, &(flk_progress_state_t){.share = share < 1 ? share : 1,
                                                                .answered = flk_report_answered(&bench->report),
                                                                .waiting = flk_delivery_loop_held(bench->door->loop),
                                                                .dead = bench->report.dead,
                                                                .why = flk_delivery_loop_why(bench->door->loop)});
}

static flk_err_t load_door(bench_t *bench, char *errmsg) {
    uint64_t start_ns = flk_mono_ns();
    uint64_t end_ns = start_ns + bench->seconds * UINT64_C(1000000000);
    flk_err_t err = FLK_OK;
    bool over = false;
    while (err == FLK_OK && (!over || flk_delivery_loop_held(bench->door->loop) > 0)) {
        over = over || flk_program_stop_asked() || flk_mono_ns() >= end_ns || bench->sent >= bench->count;
        while (!over && err == FLK_OK && bench->sent < bench->count &&
               flk_delivery_loop_held(bench->door->loop) < bench->parallel) {
            err = send_one(bench, errmsg);
        }
        flk_delivery_loop_turn(bench->door->loop, TURN_MS, NULL, 0);
        draw_progress(bench, start_ns);
    }
    flk_progress_fini(&bench->progress);
    bench->took_s = (double)(flk_mono_ns() - start_ns) * 1e-9;
    return err;
}

static void tell_json(const bench_t *bench, double rate) {
    const flk_report_t *report = &bench->report;
    char endpoint[200];
    flk_address_show(bench->door->transport.endpoint, endpoint, sizeof endpoint);
    flk_json_out(json_pack("{s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "endpoint",
                           endpoint, "seconds", bench->took_s, "sent", (json_int_t)bench->sent, "answered",
                           (json_int_t)flk_report_answered(report), "accepted", (json_int_t)report->accepted,
                           "escalated", (json_int_t)report->escalated, "no_answer", (json_int_t)bench->by_other[0],
                           "status_4xx", (json_int_t)bench->by_other[4], "status_5xx", (json_int_t)bench->by_other[5],
                           "status_503", (json_int_t)bench->put_off, "rate_per_s", rate, "p50_ms",
                           flk_report_latency_ms(report, 0.50), "p95_ms", flk_report_latency_ms(report, 0.95), "p99_ms",
                           flk_report_latency_ms(report, 0.99)));
}

static void tell_text(const bench_t *bench, double rate) {
    const flk_report_t *report = &bench->report;
    char answered[FLK_GROUPED_BYTES], rate_text[FLK_GROUPED_BYTES];
    printf("%s answers in %.1f s: %s/s; p50 %.2f ms, p95 %.2f ms, p99 %.2f ms\n",
           flk_style_grouped((double)flk_report_answered(report), answered), bench->took_s,
           flk_style_grouped(rate, rate_text), flk_report_latency_ms(report, 0.50), flk_report_latency_ms(report, 0.95),
           flk_report_latency_ms(report, 0.99));
    if (report->dead > 0) {
        printf("without a verdict: %llu (%llu no answer, %llu 4xx, %llu 5xx)\n", (unsigned long long)report->dead,
               (unsigned long long)bench->by_other[0], (unsigned long long)bench->by_other[4],
               (unsigned long long)bench->by_other[5]);
    }
}

static int run_bench(bench_t *bench, char *errmsg) {
    flk_door_options_t options = {.parallel = (uint32_t)bench->parallel,
                                  .ca_file = bench->ca_file,
                                  .tries = 1,
                                  .on_done = on_done,
                                  .on_done_arg = bench};
    if (flk_door_open(&options, &bench->door, errmsg) != FLK_OK) {
        return FLK_EXIT_USAGE;
    }
    bench->seed = flk_random_u64();
    flk_progress_init(&bench->progress, bench->json);
    if (load_door(bench, errmsg) != FLK_OK) {
        return FLK_EXIT_FAILED;
    }
    double rate = (double)flk_report_answered(&bench->report) / bench->took_s;
    (bench->json ? tell_json : tell_text)(bench, rate);
    return flk_report_answered(&bench->report) == bench->sent ? FLK_EXIT_OK : FLK_EXIT_FAILED;
}

int flk_command_bench(int argc, char **argv) {
    bench_t *bench = flk_start_alloc(sizeof *bench);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    int status = parse(argc, argv, bench);
    if (status < 0) {
        flk_log_init("flk", FLK_LOG_ERROR, FLK_LOG_TEXT);
        flk_program_catch_stop();
        status = run_bench(bench, errmsg);
    }
    if (errmsg[0] != '\0') {
        fprintf(stderr, "flk bench: %s\n", errmsg);
    }
    flk_door_close(&bench->door);
    free(bench);
    return status;
}
