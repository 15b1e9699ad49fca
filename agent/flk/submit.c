/* SPDX-License-Identifier: MIT */
/* flk submit: read PCS, one a line -> sign those without a signature when there is a key -> send -> print each answer.
 *
 * For people and scripts: nothing is kept on the disk, unlike with `flk agent submit`, whose outbox outlives a crash.
 * A PCS without an answer within its tries is told, and the exit status says so. A line that is no PCS is told with its
 * number and left out; the others go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/flk/command.h"
#include "agent/flk/door.h"
#include "agent/progress.h"
#include "agent/send/report.h"
#include "agent/source.h"
#include "common/log.h"
#include "common/program/options.h"

enum { TURN_MS = 100, TRIES = 4, PARALLEL = 16, EXIT_UNANSWERED = 3, SILENCE_MS = 3000 };

typedef struct submit {
    const char *file, *ca_file;
    bool json;
    flk_door_t *door;
    flk_source_t *source;
    flk_report_t report;
    flk_progress_t progress;
    uint64_t taken;          /* PCS read so far */
    uint64_t quiet_since_ms; /* the last answer, or the start */
    uint64_t unanswered;
    bool told_silence;
    bool input_ended, input_awaited;
    int status;
} submit_t;

/* id, name, argument (NULL: none), limits, default, help */
#define OPTIONS(X)                                                                                                     \
    X(CACERT, "cacert", "FILE", "", "the system's", "CA certificates that https:// is checked against")                \
    X(JSON, "json", NULL, "", "", "one JSON object a PCS")

enum option_id { OPTIONS(FLK_OPTION_ID) };
static const flk_option_t rows[] = {OPTIONS(FLK_OPTION_ROW)};
FLK_COMMAND_LINE("flk submit");

static void print_help(void) {
    printf("Usage: flk submit [OPTION...] FILE|-\n\n"
           "Sends the PCS of FILE, one a line, to ENDPOINT and prints the answers as they\n"
           "come. A PCS without a signature is signed when PCS_SIGN_ALG and a key are set.\n"
           "Each is tried 4 times; for submissions that must outlive this process use\n"
           "flk agent submit.\n\n");
    flk_options_print(&command_line, 0, stdout);
    printf("\nExit codes: 0 all answered, 1 some line is no PCS or cannot be read, 2 wrong\n"
           "setting or argument, 3 some PCS was refused or got no answer.\n\n");
    flk_settings_print(FLK_PROGRAM_AGENT, stdout);
}

static bool take_option(void *arg, size_t row, char *value) {
    submit_t *submit = arg;
    switch ((enum option_id)row) {
    case OPTION_CACERT:
        submit->ca_file = value;
        return true;
    case OPTION_JSON:
        return submit->json = true;
    }
    FLK_ASSERT(false); /* every option has a case */
}

/* -1 to go on, or the exit status. */
static int parse(int argc, char **argv, submit_t *submit) {
    char **rest;
    uint64_t given;
    int status = flk_options_parse(&command_line, argc, argv, submit, &given, &rest);
    if (status < 0 && (rest[0] == NULL || rest[1] != NULL)) {
        return flk_options_wrong(&command_line, "give one FILE, or - for standard input");
    }
    submit->file = status < 0 ? rest[0] : NULL;
    return status;
}

static void say_answer(const flk_parcel_t *parcel, const flk_reply_t *reply) {
    printf("%s  ", parcel->pcs.id);
    if (reply->kind == FLK_REPLY_VERDICT) {
        const char *separator = ": ", *reason;
        flk_reason_each_t each = {0};
        printf("%u %s", reply->status, reply->status == FLK_STATUS_ACCEPTED ? "accepted" : "escalated");
        while ((reason = flk_reason_each(&each, reply->reasons, reply->rules)) != NULL) {
            printf("%s%s", separator, reason);
            separator = ", ";
        }
        printf("%s\n", reply->conflict    ? " (answered before, with other content: conflict)"
                       : reply->duplicate ? " (answered before)"
                                          : "");
    } else {
        printf("%u %s: %s\n", reply->status, reply->kind == FLK_REPLY_REFUSED ? "refused" : "no verdict", reply->text);
    }
}

static void on_done(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    submit_t *submit = arg;
    flk_progress_fini(&submit->progress);
    submit->told_silence = true;                    /* of the first answer only: from now on it is seen */
    flk_report_add(&submit->report, parcel, reply); /* prints the JSON line, when that was asked for */
    if (!submit->json) {
        say_answer(parcel, reply);
    }
    submit->unanswered += reply->kind != FLK_REPLY_VERDICT;
    if (reply->kind != FLK_REPLY_VERDICT && submit->status == FLK_EXIT_OK) {
        submit->status = EXIT_UNANSWERED;
    }
    fflush(stdout);
    flk_parcel_destroy(&parcel);
}

/* Signs the PCS of `line` in place when it has no signature and there is a key to sign with. */
static flk_err_t sign_line(submit_t *submit, flk_source_pcs_t *line) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    flk_err_t err = submit->door->signs ? flk_pcs_from_json(line->json, line->json_bytes, &pcs, &fault) : FLK_E_INVALID;
    if (err != FLK_OK) {
        return FLK_OK; /* not ours to judge: it goes as it is */
    }
    if (pcs.sig[0] == '\0') {
        flk_signer_sign(submit->door->signer, &pcs);
        free(line->json);
        line->json = NULL;
        err = flk_pcs_to_json(&pcs, &line->json, &line->json_bytes);
    }
    flk_pcs_fini(&pcs);
    return err;
}

static flk_err_t take_line(submit_t *submit, flk_source_pcs_t *line, char *errmsg) {
    flk_err_t err = sign_line(submit, line);
    if (err == FLK_OK) {
        err = flk_door_send(submit->door, line->json, line->json_bytes, errmsg);
    }
    submit->taken += err == FLK_OK;
    free(line->json);
    return err;
}

/* Reads until the delivery loop has enough, the input ends, or it must be waited for. */
static void fill(submit_t *submit) {
    submit->input_awaited = false;
    while (!submit->input_ended && !submit->input_awaited && flk_delivery_loop_wants(submit->door->loop)) {
        char errmsg[FLK_ERRMSG_BYTES];
        flk_source_pcs_t line;
        flk_err_t err = flk_source_next(submit->source, &line, errmsg);
        if (err == FLK_OK) {
            err = take_line(submit, &line, errmsg);
        }
        submit->input_awaited = err == FLK_E_AGAIN;
        submit->input_ended = err != FLK_OK && err != FLK_E_AGAIN;
        if (submit->input_ended && err != FLK_E_NOT_FOUND) {
            flk_progress_fini(&submit->progress);
            fprintf(stderr, "flk submit: %s\n", errmsg);
            submit->status = flk_exit_status(err);
        }
    }
}

static void draw_progress(submit_t *submit) {
    uint64_t held = flk_delivery_loop_held(submit->door->loop);
    flk_source_stats_t stats;
    flk_source_stats(submit->source, &stats);
    double share = submit->taken > 0 ? (double)(submit->taken - held) / (double)submit->taken : 0;
    if (!submit->input_ended) {
        share = stats.bytes_total > 0 ? share * (double)stats.bytes_read / (double)stats.bytes_total : -1;
    }
    flk_progress_draw(&submit->progress, &(flk_progress_state_t){.share = share,
                                                                 .answered = flk_report_answered(&submit->report),
                                                                 .waiting = held,
                                                                 .dead = submit->report.dead,
                                                                 .why = flk_delivery_loop_why(submit->door->loop)});
}

/* Once, when nothing has come back for a while: the door, and a hint at a missing key. */
static void tell_silence(submit_t *submit) {
    if (!submit->told_silence && flk_mono_ms() - submit->quiet_since_ms >= SILENCE_MS &&
        flk_delivery_loop_held(submit->door->loop) > 0) {
        submit->told_silence = true;
        flk_progress_fini(&submit->progress);
        fprintf(stderr, "flk submit: no answer yet from the door that ENDPOINT names%s\n", flk_door_hint(submit->door));
    }
}

static void loop_until_answered(submit_t *submit) {
    while (!flk_program_stop_asked()) {
        fill(submit);
        if (submit->input_ended && flk_delivery_loop_held(submit->door->loop) == 0) {
            return;
        }
        int fd = submit->input_awaited ? flk_source_fd(submit->source) : -1;
        bool more = !submit->input_ended && !submit->input_awaited && flk_delivery_loop_wants(submit->door->loop);
        flk_delivery_loop_turn(submit->door->loop, more ? 0 : TURN_MS, &fd, fd >= 0 ? 1 : 0);
        draw_progress(submit);
        tell_silence(submit);
    }
    submit->status = FLK_EXIT_FAILED;
}

static void tell_summary(const submit_t *submit) {
    const flk_report_t *report = &submit->report;
    fprintf(
        stderr,
        "flk submit: %llu answered: %llu accepted, %llu escalated, %llu answered before (%llu conflict); %llu without "
        "a verdict\n",
        (unsigned long long)flk_report_answered(report), (unsigned long long)report->accepted,
        (unsigned long long)report->escalated, (unsigned long long)report->duplicates,
        (unsigned long long)report->conflicts, (unsigned long long)submit->unanswered);
}

static int submit_all(submit_t *submit, char *errmsg) {
    char *const files[] = {(char *)submit->file};
    flk_agent_options_t input = {
        .command = FLK_COMMAND_SUBMIT, .files = files, .files_len = 1, .ready = true, .skip_bad_rows = true};
    flk_door_options_t options = {
        .parallel = PARALLEL, .ca_file = submit->ca_file, .tries = TRIES, .on_done = on_done, .on_done_arg = submit};
    if (flk_door_open(&options, &submit->door, errmsg) != FLK_OK) {
        return FLK_EXIT_USAGE;
    }
    flk_err_t err = flk_report_init(&submit->report, submit->json ? "-" : NULL, errmsg);
    FLK_ASSERT(err == FLK_OK); /* no file is opened */
    submit->source = flk_source_new(&input, submit->door->signer);
    flk_progress_init(&submit->progress, submit->json);
    submit->quiet_since_ms = flk_mono_ms();
    loop_until_answered(submit);
    flk_progress_fini(&submit->progress);
    flk_source_stats_t stats;
    flk_source_stats(submit->source, &stats);
    if (stats.bad_rows > 0) {
        submit->status = FLK_EXIT_FAILED;
    }
    flk_source_destroy(&submit->source);
    if (!submit->json && flk_report_answered(&submit->report) + submit->unanswered > 1) {
        tell_summary(submit);
    }
    if (flk_report_fini(&submit->report, errmsg) != FLK_OK) {
        submit->status = FLK_EXIT_FAILED;
        return submit->status;
    }
    errmsg[0] = '\0';
    return submit->status;
}

int flk_command_submit(int argc, char **argv) {
    submit_t *submit = flk_start_alloc(sizeof *submit);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    int status = parse(argc, argv, submit);
    if (status < 0) {
        flk_log_init("flk", FLK_LOG_WARN, FLK_LOG_TEXT);
        flk_program_catch_stop();
        status = submit_all(submit, errmsg);
    }
    if (errmsg[0] != '\0') {
        fprintf(stderr, "flk submit: %s\n", errmsg);
    }
    flk_door_close(&submit->door);
    free(submit);
    return status;
}
