/* SPDX-License-Identifier: MIT */
/* One loop, one thread:
 *   1. source → outbox: one PCS a turn, while not too many wait for their sync (submit only).
 *   2. outbox → courier: what is durable and unanswered, oldest first, so what an earlier run left comes first.
 *   3. a turn of the courier: tries, replies; a verdict settles its record, a refusal or a last failed try makes it a
 *      dead letter.
 * The end: no more input, nothing syncing, nothing durable left to read, nothing held by the courier. Input that goes
 * wrong (a bad row, a full disk) ends step 1 only: what is in the outbox is still delivered, then the exit status
 * tells. A stop leaves everything where it is: durable, pending, for the next run. */
#include "agent/submit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/progress.h"
#include "agent/send/delivery_loop.h"
#include "agent/send/outbox.h"
#include "agent/send/report.h"
#include "agent/source.h"
#include "agent/stop.h"

enum { TURN_MS = 100 };

typedef struct ship {
    const flk_agent_options_t *options;
    flk_outbox_t *outbox;
    flk_courier_t *courier;
    flk_security_t *security; /* of a ZeroMQ link */
    flk_source_t *source;     /* NULL: no (more) input */
    bool input_awaited;       /* the source has nothing now */
    bool fault_told;          /* an append failed, and the user knows */
    bool unread;              /* the outbox may have more than the courier got */
    flk_source_pcs_t held;    /* computed, and refused by a full outbox */
    flk_source_stats_t source_stats;
    uint64_t backlog; /* unanswered when the run began */
    flk_report_t report;
    flk_progress_t progress;
    int status; /* exit status so far */
} ship_t;

/* The first thing that goes wrong decides the exit status and is told. */
static void fail(ship_t *ship, int status, const char *what) {
    flk_progress_fini(&ship->progress);
    fprintf(stderr, "flk-agent: %s\n", what);
    ship->status = ship->status == FLK_EXIT_OK ? status : ship->status;
}

/* ---- source → outbox ---- */

static void end_input(ship_t *ship) {
    flk_source_stats(ship->source, &ship->source_stats);
    flk_source_destroy(&ship->source);
    free(ship->held.json);
    ship->held.json = NULL;
    ship->input_awaited = false;
}

static int status_of_input(flk_err_t err) {
    return err == FLK_E_CONFIG ? FLK_EXIT_USAGE : err == FLK_E_INVALID ? FLK_EXIT_BAD_ROW : FLK_EXIT_FAILED;
}

/* Gets the next PCS; false: there is none now. */
static bool read_source(ship_t *ship) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = flk_source_next(ship->source, &ship->held, errmsg);
    ship->input_awaited = err == FLK_E_AGAIN;
    if (err != FLK_OK && err != FLK_E_AGAIN) {
        end_input(ship);
        if (err != FLK_E_NOT_FOUND) {
            fail(ship, status_of_input(err), errmsg);
        }
    }
    return err == FLK_OK;
}

/* An append that did not become durable is told, also when it was the last of the input. */
static void check_outbox(ship_t *ship) {
    flk_err_t fault = flk_outbox_fault(ship->outbox);
    if (fault == FLK_OK || ship->fault_told) {
        return;
    }
    char line[FLK_ERRMSG_BYTES];
    flk_errmsg(line, "the outbox cannot make PCS durable (%s): input stopped; what is durable is delivered",
               flk_err_text(fault));
    ship->fault_told = true;
    fail(ship, FLK_EXIT_FAILED, line);
    if (ship->source != NULL) {
        end_input(ship);
    }
}

static void fill_outbox(ship_t *ship) {
    if (ship->source == NULL || (ship->held.json == NULL && !read_source(ship))) {
        return;
    }
    flk_err_t err = flk_outbox_append(ship->outbox, ship->held.ready ? FLK_RECORD_READY : FLK_RECORD_COMPUTED,
                                      ship->held.json, ship->held.json_bytes);
    if (err == FLK_OK) {
        ship->held.json = NULL;
    } else if (err != FLK_E_FULL) {
        end_input(ship);
        fail(ship, FLK_EXIT_FAILED, flk_err_text(err));
    }
}

/* ---- outbox → courier → outbox ---- */

static void fill_courier(ship_t *ship) {
    ship->unread = flk_outbox_woken(ship->outbox) || ship->unread;
    while (ship->unread && flk_courier_wants(ship->courier)) {
        flk_parcel_t *parcel;
        flk_err_t err = flk_outbox_next(ship->outbox, &parcel, &ship->report.unreadable);
        if (err == FLK_OK) {
            flk_courier_take(ship->courier, parcel);
        } else if (err == FLK_E_NOT_FOUND) {
            ship->unread = false;
        } else {
            break; /* out of memory: at the next turn */
        }
    }
}

static void on_done(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    ship_t *ship = arg;
    char errmsg[FLK_ERRMSG_BYTES];
    if (reply->kind == FLK_REPLY_VERDICT) {
        flk_outbox_settle(ship->outbox, parcel, reply->status);
    } else {
        char reason[FLK_REPLY_TEXT_BYTES + 32];
        snprintf(reason, sizeof reason, "%s (try %u)", reply->text, parcel->tries);
        if (flk_outbox_bury(ship->outbox, parcel, reason, reply->status, errmsg) != FLK_OK) {
            fail(ship, FLK_EXIT_FAILED, errmsg);
        }
    }
    flk_report_add(&ship->report, parcel, reply);
    flk_parcel_destroy(&parcel);
}

/* ---- the loop ---- */

static void draw_progress(ship_t *ship) {
    uint64_t done = flk_report_answered(&ship->report) + ship->report.dead;
    uint64_t all = ship->backlog + ship->source_stats.pcs;
    double share = all == 0 ? 0 : (double)done / (double)all;
    if (ship->source != NULL) {
        flk_source_stats(ship->source, &ship->source_stats);
        double total = (double)ship->source_stats.bytes_total;
        share = total > 0 ? share * (double)ship->source_stats.bytes_read / total : -1;
    }
    flk_progress_draw(&ship->progress, share, flk_report_answered(&ship->report), ship->report.dead,
                      all > done ? all - done : 0);
}

static void loop(ship_t *ship) {
    while (!flk_stop_asked()) {
        fill_outbox(ship);
        /* In this order: what the log's writer does after the first question is seen by those below it. */
        bool all_synced = ship->source == NULL && flk_outbox_syncing(ship->outbox) == 0;
        check_outbox(ship);
        fill_courier(ship);
        if (all_synced && !ship->unread && flk_courier_held(ship->courier) == 0) {
            return;
        }
        int fds[2] = {flk_outbox_fd(ship->outbox)};
        size_t fds_len = 1;
        if (ship->input_awaited) {
            fds[fds_len++] = flk_source_fd(ship->source);
        }
        bool more_input = ship->source != NULL && !ship->input_awaited && ship->held.json == NULL;
        flk_courier_turn(ship->courier, more_input ? 0 : TURN_MS, fds, fds_len);
        draw_progress(ship);
    }
}

/* Everything that was promised is made durable and counted. */
static void settle(ship_t *ship) {
    char errmsg[FLK_ERRMSG_BYTES];
    if (ship->source != NULL) {
        end_input(ship);
    }
    if (flk_outbox_flush(ship->outbox, errmsg) != FLK_OK) {
        fail(ship, FLK_EXIT_FAILED, errmsg);
    }
    flk_report_t *report = &ship->report;
    report->pending = flk_outbox_unanswered(ship->outbox) + flk_outbox_syncing(ship->outbox);
    report->retries = flk_courier_retries(ship->courier);
    report->rows = ship->source_stats.rows;
    report->bad_rows = ship->source_stats.bad_rows;
    if (ship->status == FLK_EXIT_OK && report->dead + report->unreadable + report->pending > 0) {
        ship->status = FLK_EXIT_UNDELIVERED;
    }
}

static void tell(ship_t *ship) {
    flk_progress_fini(&ship->progress);
    if (ship->options->json) {
        flk_report_print(&ship->report, true, stdout);
    } else if (!ship->options->quiet) {
        flk_report_print(&ship->report, false, stderr);
        if (flk_stop_asked() && ship->report.pending > 0) {
            fprintf(stderr, "flk-agent: stopped; flk-agent drain delivers what is pending\n");
        }
    }
}

static flk_err_t open_parts(ship_t *ship, const flk_settings_t *settings, const flk_signer_t *signer, char *errmsg) {
    const flk_agent_options_t *options = ship->options;
    flk_err_t err = flk_security_load(settings, FLK_ROLE_GATEWAY, 0, &ship->security, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_sender_options_t sender = {.endpoint = flk_settings_str(settings, FLK_SET_ENDPOINT),
                                   .ca_file = options->ca_file,
                                   .security = ship->security,
                                   .heartbeat_ms = (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
                                   .parallel = options->parallel,
                                   .timeout_ms = options->timeout_ms};
    err = flk_courier_new(&sender, options->tries, on_done, ship, &ship->courier, errmsg);
    if (err == FLK_OK) {
        err = flk_outbox_open(settings, options->dead_letters ? FLK_OUTBOX_DEAD : FLK_OUTBOX_PENDING, &ship->outbox,
                              errmsg);
    }
    if (err == FLK_OK) {
        err = flk_report_init(&ship->report, options->results, errmsg);
    }
    if (err == FLK_OK && options->command == FLK_COMMAND_SUBMIT) {
        ship->source = flk_source_new(options, signer);
    }
    return err;
}

int flk_ship_run(const flk_agent_options_t *options, const flk_settings_t *settings, const flk_signer_t *signer) {
    ship_t *ship = flk_start_alloc(sizeof *ship);
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ship->options = options;
    ship->unread = true;
    flk_err_t err = open_parts(ship, settings, signer, errmsg);
    if (err == FLK_OK) {
        flk_progress_init(&ship->progress, options->quiet);
        ship->backlog = flk_outbox_unanswered(ship->outbox);
        loop(ship);
        settle(ship);
        if (flk_report_fini(&ship->report, errmsg) != FLK_OK) {
            fail(ship, FLK_EXIT_FAILED, errmsg);
        }
        tell(ship);
    } else {
        fail(ship, err == FLK_E_CONFIG ? FLK_EXIT_USAGE : FLK_EXIT_FAILED, errmsg);
    }
    flk_source_destroy(&ship->source);
    flk_courier_destroy(&ship->courier);
    flk_security_destroy(&ship->security);
    flk_outbox_close(&ship->outbox);
    int status = ship->status;
    free(ship);
    return status;
}
