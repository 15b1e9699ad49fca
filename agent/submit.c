/* SPDX-License-Identifier: MIT */
/* One loop, one thread:
 *   1. source → outbox: one PCS a turn, while not too many wait for their sync (submit only).
 *   2. outbox → delivery loop: durable and unanswered PCS, oldest first, so those of an earlier run come first.
 *   3. a turn of the delivery loop: tries, replies. A verdict settles its record, a gateway's refusal makes it a dead
 *      letter, everything else leaves it to be tried again.
 * The end: no more input, nothing syncing, nothing durable left to read, nothing held by the delivery loop. Input
 * that fails (a bad row, a full disk) ends step 1 only: the outbox is still delivered, then the exit status tells. A
 * stop leaves everything where it is: durable, pending, for the next run. The run stops itself when going on would do
 * harm: when ENDPOINT is a gateway's but not where PCS go, and after SIGNATURES_MAX refused signatures in a row,
 * because a wrong key would make a dead letter of every PCS. */
#include "agent/submit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/check.h"
#include "agent/dead.h"
#include "agent/progress.h"
#include "agent/send/delivery_loop.h"
#include "agent/send/outbox.h"
#include "agent/send/report.h"
#include "agent/source.h"
#include "common/address.h"
#include "common/log.h"

enum { TURN_MS = 100, SIGNATURES_MAX = 20, FIRST_WARNING_MS = 10000, NEXT_WARNING_MS = 60000 };

typedef struct submit {
    const flk_agent_options_t *options;
    flk_outbox_t *outbox;
    flk_delivery_loop_t *loop;
    flk_security_t *security; /* of a ZeroMQ link */
    flk_source_t *source;     /* NULL: no (more) input */
    bool input_awaited;       /* the source has nothing now */
    bool fault_told;          /* an append failed, and the user knows */
    bool unread;              /* the outbox may have more than the loop got */
    const char *endpoint;
    const flk_signer_t *signer;
    bool stopped;                   /* the run stopped itself */
    uint32_t bad_signatures;        /* refused in a row */
    uint64_t selected, passed_over; /* dead letters that were asked for, and others */
    uint64_t warn_ms;               /* when to log that nothing is answered; monotonic */
    flk_source_pcs_t held;          /* computed, and refused by a full outbox */
    flk_source_stats_t source_stats;
    uint64_t backlog; /* unanswered when the run began */
    flk_report_t report;
    flk_progress_t progress;
    int status; /* exit status so far */
} submit_t;

/* Tells a failure; the first one decides the exit status. */
static void fail_run(submit_t *submit, int status, const char *what) {
    flk_progress_fini(&submit->progress);
    fprintf(stderr, "flk-agent: %s\n", what);
    submit->status = submit->status == FLK_EXIT_OK ? status : submit->status;
}

/* ---- source → outbox ---- */

static void end_input(submit_t *submit) {
    flk_source_stats(submit->source, &submit->source_stats);
    flk_source_destroy(&submit->source);
    free(submit->held.json);
    submit->held.json = NULL;
    submit->input_awaited = false;
}

static int status_of_input(flk_err_t err) {
    return err == FLK_E_CONFIG ? FLK_EXIT_USAGE : err == FLK_E_INVALID ? FLK_EXIT_BAD_ROW : FLK_EXIT_FAILED;
}

/* Gets the next PCS; false: there is none now. */
static bool read_source(submit_t *submit) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = flk_source_next(submit->source, &submit->held, errmsg);
    submit->input_awaited = err == FLK_E_AGAIN;
    if (err != FLK_OK && err != FLK_E_AGAIN) {
        end_input(submit);
        if (err != FLK_E_NOT_FOUND) {
            fail_run(submit, status_of_input(err), errmsg);
        }
    }
    return err == FLK_OK;
}

/* An append that did not become durable is told, also when it was the last of the input. */
static void check_outbox(submit_t *submit) {
    flk_err_t fault = flk_outbox_fault(submit->outbox);
    if (fault == FLK_OK || submit->fault_told) {
        return;
    }
    char line[FLK_ERRMSG_BYTES];
    flk_errmsg(line, "the outbox cannot make PCS durable (%s): input stopped; durable PCS are delivered",
               flk_err_text(fault));
    submit->fault_told = true;
    fail_run(submit, FLK_EXIT_FAILED, line);
    if (submit->source != NULL) {
        end_input(submit);
    }
}

static void fill_outbox(submit_t *submit) {
    if (submit->source == NULL || (submit->held.json == NULL && !read_source(submit))) {
        return;
    }
    flk_err_t err = flk_outbox_append(submit->outbox, submit->held.ready ? FLK_RECORD_READY : FLK_RECORD_COMPUTED,
                                      submit->held.json, submit->held.json_bytes);
    if (err == FLK_OK) {
        submit->held.json = NULL;
    } else if (err != FLK_E_FULL) {
        end_input(submit);
        fail_run(submit, FLK_EXIT_FAILED, flk_err_text(err));
    }
}

/* ---- outbox → delivery loop → outbox ---- */

/* Hands one PCS on; false: there is none now. */
static bool move_parcel(submit_t *submit) {
    flk_parcel_t *parcel;
    flk_err_t err = flk_outbox_next(submit->outbox, &parcel, &submit->report.unreadable);
    if (err != FLK_OK) {
        submit->unread = err != FLK_E_NOT_FOUND; /* out of memory: at the next turn */
        return false;
    }
    if (submit->options->dead_letters && !flk_dead_selected(submit->options, parcel->pcs.id)) {
        submit->passed_over++;
        flk_parcel_destroy(&parcel);
        return true;
    }
    submit->selected++;
    if (submit->options->resign && flk_parcel_sign(parcel, submit->signer) != FLK_OK) {
        fail_run(submit, FLK_EXIT_FAILED, flk_err_text(FLK_E_NOMEM));
        flk_parcel_destroy(&parcel);
        return true;
    }
    flk_delivery_loop_take(submit->loop, parcel);
    return true;
}

static void fill_loop(submit_t *submit) {
    submit->unread = flk_outbox_woken(submit->outbox) || submit->unread;
    while (submit->unread && flk_delivery_loop_wants(submit->loop) && move_parcel(submit)) {
    }
}

static void stop_run(submit_t *submit, int status) {
    submit->stopped = true;
    fail_run(submit, status, submit->report.stopped);
}

static void stop_misplaced(submit_t *submit, const flk_reply_t *reply) {
    char shown[128];
    flk_address_show(submit->endpoint, shown, sizeof shown);
    flk_errmsg(submit->report.stopped, "stopped: ENDPOINT %s is no address for PCS (%.120s)", shown, reply->text);
    stop_run(submit, FLK_EXIT_USAGE);
}

static void stop_bad_key(submit_t *submit, const flk_reply_t *reply) {
    flk_errmsg(submit->report.stopped,
               "stopped: %d signatures in a row were refused (%.100s): correct PCS_SIGN_ALG or the key, then flk-agent "
               "drain --resign and flk-agent dead resign",
               SIGNATURES_MAX, reply->text);
    stop_run(submit, FLK_EXIT_BAD_KEY);
}

static void bury_parcel(submit_t *submit, const flk_parcel_t *parcel, const flk_reply_t *reply) {
    char errmsg[FLK_ERRMSG_BYTES], reason[FLK_REPLY_TEXT_BYTES + 32];
    snprintf(reason, sizeof reason, "%s (try %u)", reply->text, parcel->tries);
    if (flk_outbox_bury(submit->outbox, parcel, reason, reply->status, errmsg) != FLK_OK) {
        fail_run(submit, FLK_EXIT_FAILED, errmsg);
    }
}

static void take_refusal(submit_t *submit, const flk_parcel_t *parcel, const flk_reply_t *reply) {
    bury_parcel(submit, parcel, reply);
    submit->bad_signatures = reply->status == FLK_STATUS_BAD_SIGNATURE ? submit->bad_signatures + 1 : 0;
    if (submit->bad_signatures == SIGNATURES_MAX) {
        stop_bad_key(submit, reply);
    }
}

/* After a stop only verdicts count: all else stays pending. */
static void on_done(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    submit_t *submit = arg;
    bool counts = reply->kind == FLK_REPLY_VERDICT || !submit->stopped;
    if (counts) {
        flk_report_add(&submit->report, parcel, reply);
    }
    if (reply->kind == FLK_REPLY_VERDICT) {
        flk_outbox_settle(submit->outbox, parcel, reply->status);
        submit->bad_signatures = 0;
        submit->warn_ms = flk_mono_ms() + FIRST_WARNING_MS;
    } else if (counts && reply->kind == FLK_REPLY_REFUSED) {
        take_refusal(submit, parcel, reply);
    } else if (counts && reply->kind == FLK_REPLY_EXPIRED) {
        bury_parcel(submit, parcel, reply);
    } else if (counts && reply->kind == FLK_REPLY_MISPLACED) {
        stop_misplaced(submit, reply);
    }
    flk_parcel_destroy(&parcel);
}

/* ---- the loop ---- */

static void draw_progress(submit_t *submit) {
    uint64_t answered = flk_report_answered(&submit->report), done = answered + submit->report.dead;
    uint64_t all = submit->backlog + submit->source_stats.pcs;
    double share = all == 0 ? 0 : (double)done / (double)all;
    if (submit->source != NULL) {
        flk_source_stats(submit->source, &submit->source_stats);
        double total = (double)submit->source_stats.bytes_total;
        share = total > 0 ? share * (double)submit->source_stats.bytes_read / total : -1;
    }
    flk_progress_draw(&submit->progress, &(flk_progress_state_t){.share = share,
                                                                 .answered = answered,
                                                                 .waiting = all > done ? all - done : 0,
                                                                 .dead = submit->report.dead,
                                                                 .why = flk_delivery_loop_why(submit->loop)});
}

/* Without a terminal a log line tells that nothing is answered, and why. */
static void warn_waiting(submit_t *submit) {
    const char *why = flk_delivery_loop_why(submit->loop);
    uint64_t now_ms = flk_mono_ms();
    if (submit->progress.shown || why[0] == '\0' || now_ms < submit->warn_ms) {
        return;
    }
    submit->warn_ms = now_ms + NEXT_WARNING_MS;
    flk_log(FLK_LOG_WARN, "waiting", FLK_U("pcs", flk_outbox_unanswered(submit->outbox)), FLK_S("why", why));
}

static void run_submit(submit_t *submit) {
    while (!flk_program_stop_asked() && !submit->stopped) {
        fill_outbox(submit);
        /* In this order: a change by the log's writer after the first question is seen by the questions below it. */
        bool all_synced = submit->source == NULL && flk_outbox_syncing(submit->outbox) == 0;
        check_outbox(submit);
        fill_loop(submit);
        if (all_synced && !submit->unread && flk_delivery_loop_held(submit->loop) == 0) {
            return;
        }
        int fds[2] = {flk_outbox_fd(submit->outbox)};
        size_t fds_len = 1;
        if (submit->input_awaited) {
            fds[fds_len++] = flk_source_fd(submit->source);
        }
        bool more_input = submit->source != NULL && !submit->input_awaited && submit->held.json == NULL;
        flk_delivery_loop_turn(submit->loop, more_input ? 0 : TURN_MS, fds, fds_len);
        draw_progress(submit);
        warn_waiting(submit);
    }
}

/* Dead letters that were refused again, or not asked for, are no longer on their way. */
static uint64_t count_pending(const submit_t *submit) {
    uint64_t left = flk_outbox_unanswered(submit->outbox) + flk_outbox_syncing(submit->outbox);
    uint64_t dead = submit->options->dead_letters ? submit->report.dead + submit->passed_over : 0;
    return left > dead ? left - dead : 0;
}

/* Everything that was promised is made durable and counted. */
static void settle_run(submit_t *submit) {
    char errmsg[FLK_ERRMSG_BYTES];
    if (submit->source != NULL) {
        end_input(submit);
    }
    if (flk_outbox_flush(submit->outbox, errmsg) != FLK_OK) {
        fail_run(submit, FLK_EXIT_FAILED, errmsg);
    }
    flk_report_t *report = &submit->report;
    report->pending = count_pending(submit);
    snprintf(report->pending_why, sizeof report->pending_why, "%s", flk_delivery_loop_why(submit->loop));
    report->retries = flk_delivery_loop_retries(submit->loop);
    report->rows = submit->source_stats.rows;
    report->bad_rows = submit->source_stats.bad_rows;
    if (submit->options->ids_len > 0 && submit->selected == 0) {
        fail_run(submit, FLK_EXIT_UNDELIVERED, "no dead letter has that id; flk-agent dead list shows them");
    }
    if (submit->status == FLK_EXIT_OK && report->dead + report->unreadable + report->pending > 0) {
        submit->status = FLK_EXIT_UNDELIVERED;
    }
}

static void tell_run(submit_t *submit) {
    flk_progress_fini(&submit->progress);
    if (submit->options->json) {
        flk_report_print(&submit->report, true, stdout);
    } else if (!submit->options->quiet) {
        flk_report_print(&submit->report, false, stderr);
        if (submit->report.pending > 0 && !submit->stopped) {
            fprintf(stderr, "flk-agent: %sflk-agent drain delivers pending PCS\n",
                    flk_program_stop_asked() ? "stopped; " : "");
        }
    }
}

static flk_err_t open_parts(submit_t *submit, const flk_settings_t *settings, const flk_signer_t *signer,
                            char *errmsg) {
    const flk_agent_options_t *options = submit->options;
    flk_err_t err = flk_security_load(settings, FLK_ROLE_GATEWAY, 0, &submit->security, errmsg);
    err = err != FLK_OK ? err : flk_check_settings(options, settings, submit->security, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_transport_options_t transport = {.endpoint = flk_settings_str(settings, FLK_SET_ENDPOINT),
                                         .ca_file = options->ca_file,
                                         .security = submit->security,
                                         .heartbeat_ms = (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
                                         .parallel = options->parallel,
                                         .timeout_ms = options->timeout_ms};
    flk_delivery_limits_t limits = {.tries = options->tries,
                                    .age_ms = flk_settings_uint(settings, FLK_SET_OUTBOX_MAX_AGE_S) * 1000};
    err = flk_delivery_loop_new(&transport, limits, on_done, submit, &submit->loop, errmsg);
    if (err == FLK_OK) {
        err = flk_outbox_open(settings, options->dead_letters ? FLK_OUTBOX_DEAD : FLK_OUTBOX_PENDING, &submit->outbox,
                              errmsg);
    }
    if (err == FLK_OK) {
        err = flk_report_init(&submit->report, options->results, errmsg);
    }
    if (err == FLK_OK && options->command == FLK_COMMAND_SUBMIT) {
        submit->source = flk_source_new(options, signer);
    }
    return err;
}

int flk_submit_run(const flk_agent_options_t *options, const flk_settings_t *settings, const flk_signer_t *signer) {
    submit_t *submit = flk_start_alloc(sizeof *submit);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    submit->options = options;
    submit->unread = true;
    submit->endpoint = flk_settings_str(settings, FLK_SET_ENDPOINT);
    submit->signer = signer;
    submit->warn_ms = flk_mono_ms() + FIRST_WARNING_MS;
    flk_err_t err = open_parts(submit, settings, signer, errmsg);
    if (err == FLK_OK) {
        flk_progress_init(&submit->progress, options->quiet);
        submit->backlog = flk_outbox_unanswered(submit->outbox);
        run_submit(submit);
        settle_run(submit);
        if (flk_report_fini(&submit->report, errmsg) != FLK_OK) {
            fail_run(submit, FLK_EXIT_FAILED, errmsg);
        }
        tell_run(submit);
    } else {
        fail_run(submit, err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED, errmsg);
    }
    flk_source_destroy(&submit->source);
    flk_delivery_loop_destroy(&submit->loop);
    flk_security_destroy(&submit->security);
    flk_outbox_close(&submit->outbox);
    int status = submit->status;
    free(submit);
    return status;
}
