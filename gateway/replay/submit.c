/* SPDX-License-Identifier: MIT */
/* replay: for each record that matches, oldest first, wait for its turn by the rate, submit it, note how far it got.
 * A body that is no valid PCS is left out: it could only be refused again.
 *
 * handover: the same with every un-acked record of a log that is locked meanwhile; each is acked there as it was
 * answered. A run that ends early has acked all records with an answer; the next one goes on with the others.
 *
 * The state file names the log and the last LSN up to which everything has an answer. A run that ends early (signal,
 * no gateway) leaves it so that the next one submits at most the few again that were under way; they are duplicates. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"
#include "gateway/replay/own.h"
#include "gateway/replay/print.h"
#include "gateway/replay/resend.h"
#include "gateway/replay/verbs.h"

enum { STATE_BYTES = 128, SAVE_MS = 1000, PROGRESS_MS = 200 };

typedef struct replay {
    const flk_replay_options_t *options;
    flk_resend_t *resend; /* NULL: dry run */
    flk_wal_t *own;       /* handover: the log itself */
    uint64_t left, dead;  /* handover: records without an answer, dead letters beside them */
    uint64_t log_id, done_lsn, seen_lsn;
    uint64_t matched, malformed, passed; /* passed: done by an earlier run */
    uint64_t next_ns, saved_ms, shown_ms;
    flk_err_t err;
    char *errmsg;
} replay_t;

/* ---- state ---- */

static flk_err_t load_state(replay_t *replay, char *errmsg) {
    const char *path = replay->options->state;
    char *text;
    size_t bytes;
    uint64_t log_id;
    flk_err_t err = path == NULL ? FLK_E_NOT_FOUND : flk_io_read_file(path, STATE_BYTES, &text, &bytes, errmsg);
    if (err != FLK_OK) {
        return err == FLK_E_NOT_FOUND ? FLK_OK : err;
    }
    int read = sscanf(text, "{\"log_id\":\"%16" SCNx64 "\",\"lsn\":%20" SCNu64 "}", &log_id, &replay->done_lsn);
    free(text);
    if (read != 2 || log_id != replay->log_id) {
        flk_errmsg(errmsg, "%s %s; remove it to begin anew", path,
                   read != 2 ? "is no state of a replay" : "belongs to another log");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}

static flk_err_t save_state(replay_t *replay, char *errmsg) {
    if (replay->options->state == NULL || replay->resend == NULL) {
        return FLK_OK;
    }
    uint64_t oldest = flk_resend_oldest(replay->resend);
    uint64_t lsn = oldest == UINT64_MAX ? replay->seen_lsn : oldest - 1;
    char text[STATE_BYTES];
    replay->done_lsn = lsn > replay->done_lsn ? lsn : replay->done_lsn;
    int bytes = snprintf(text, sizeof text, "{\"log_id\":\"%016" PRIx64 "\",\"lsn\":%" PRIu64 "}\n", replay->log_id,
                         replay->done_lsn);
    replay->saved_ms = flk_mono_ms();
    return flk_io_replace(replay->options->state, text, (size_t)bytes, errmsg);
}

/* ---- handing over ---- */

/* A status out of range leaves the record un-acked. */
static void settle(void *arg, uint64_t lsn, const flk_frame_t *verdict) {
    replay_t *replay = arg;
    if (verdict->status >= 100 && verdict->status <= 999) {
        const flk_wal_mark_t mark = {.status = (uint16_t)verdict->status, .flags = (uint16_t)verdict->flags};
        (void)flk_wal_ack(replay->own, lsn, mark);
    }
}

static bool count_dead(void *arg, const flk_journal_record_t *record) {
    (void)record;
    ++*(uint64_t *)arg;
    return true;
}

/* The end of the log would lose these: its dead letters too. */
static flk_err_t count_left(replay_t *replay, const char *dir) {
    char queue[4096];
    flk_wal_stats_t stats;
    flk_journal_t *journal;
    const flk_filter_t waiting = {.unacked = true};
    flk_err_t err = flk_wal_flush(replay->own, replay->errmsg);
    flk_wal_stats(replay->own, &stats);
    replay->left = stats.unacked;
    if (err != FLK_OK || !flk_replay_beside(dir, "inbox", "dlq", queue, sizeof queue) || access(queue, F_OK) != 0) {
        return err;
    }
    err = flk_journal_open(queue, &journal, replay->errmsg);
    if (err == FLK_OK) {
        err = flk_journal_each(journal, &waiting, false, count_dead, &replay->dead, replay->errmsg);
    }
    flk_journal_close(&journal);
    return err;
}

static flk_err_t end_handover(replay_t *replay, const char *dir) {
    flk_err_t err = count_left(replay, dir);
    if (err == FLK_OK && replay->left > 0) {
        flk_errmsg(replay->errmsg, "%" PRIu64 " records have no answer yet; run this again", replay->left);
        err = FLK_E_UNAVAILABLE;
    } else if (err == FLK_OK && replay->dead > 0) {
        flk_errmsg(replay->errmsg,
                   "%" PRIu64
                   " dead letters are left: put them back (flk dlq replay --all) and run this again, or purge "
                   "them (flk dlq purge)",
                   replay->dead);
        err = FLK_E_UNAVAILABLE;
    }
    return err;
}

/* ---- one record ---- */

static void show_progress(replay_t *replay) {
    uint64_t now_ms = flk_mono_ms();
    if (!isatty(STDERR_FILENO) || now_ms - replay->shown_ms < PROGRESS_MS) {
        return;
    }
    flk_resend_counts_t counts = flk_resend_counts(replay->resend);
    fprintf(stderr, "\rreplay: %" PRIu64 " sent, %" PRIu64 " answered, %" PRIu64 " duplicates ", counts.sent,
            counts.answered, counts.duplicates);
    replay->shown_ms = now_ms;
}

static flk_err_t wait_for_rate(replay_t *replay) {
    if (replay->options->rate == 0) {
        return FLK_OK;
    }
    flk_err_t err = FLK_OK;
    uint64_t now_ns;
    while (err == FLK_OK && (now_ns = flk_mono_ns()) < replay->next_ns) {
        err = flk_resend_turn(replay->resend, (uint32_t)((replay->next_ns - now_ns) / 1000000 + 1), replay->errmsg);
        show_progress(replay);
    }
    now_ns = flk_mono_ns();
    uint64_t since_ns = replay->next_ns == 0 || now_ns - replay->next_ns > 1000000000 ? now_ns : replay->next_ns;
    replay->next_ns = since_ns + 1000000000 / replay->options->rate;
    return err;
}

static bool take(void *arg, const flk_journal_record_t *record) {
    replay_t *replay = arg;
    if (record->lsn <= replay->done_lsn) {
        replay->passed++;
        return true;
    }
    replay->matched++;
    replay->malformed += record->pcs == NULL;
    if (replay->resend == NULL) {
        if (record->pcs != NULL && replay->options->json) {
            replay->err = flk_print_json(record, false);
        } else if (record->pcs != NULL) {
            flk_print_row(record);
        }
        return replay->err == FLK_OK;
    }
    if (record->pcs != NULL) {
        replay->err = wait_for_rate(replay);
        if (replay->err == FLK_OK) {
            replay->err = flk_resend_put(replay->resend, record->lsn, record->pcs, replay->errmsg);
        }
    }
    if (replay->err == FLK_OK) {
        replay->seen_lsn = record->lsn;
        show_progress(replay);
    }
    if (replay->err == FLK_OK && flk_mono_ms() - replay->saved_ms >= SAVE_MS) {
        replay->err = save_state(replay, replay->errmsg);
    }
    return replay->err == FLK_OK;
}

/* ---- the whole ---- */

static void print_summary(const replay_t *replay) {
    flk_resend_counts_t counts = {0};
    const bool json = replay->options->json;
    if (replay->resend != NULL) {
        counts = flk_resend_counts(replay->resend);
    }
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"matched", replay->matched},    {"malformed", replay->malformed}, {"passed_over", replay->passed},
        {"sent", counts.sent},           {"answered", counts.answered},    {"accepted", counts.accepted},
        {"escalated", counts.escalated}, {"refused", counts.refused},      {"duplicates", counts.duplicates},
        {"conflicts", counts.conflicts}, {"put_off", counts.put_off},      {"left", replay->left},
        {"dead_letters", replay->dead},
    };
    const size_t rows_len = FLK_COUNT_OF(rows) - (replay->own != NULL ? 0 : 2);
    const char *title = replay->own != NULL ? "handover:" : replay->resend == NULL ? "dry run:" : "replay:";
    printf(json ? "{\"type\":\"summary\",\"dry_run\":%s" : "%s",
           json ? (replay->resend == NULL ? "true" : "false") : title);
    for (size_t i = 0; i < rows_len; i++) {
        printf(json ? ",\"%s\":%" PRIu64 : " %s %" PRIu64, rows[i].name, rows[i].value);
    }
    puts(json ? "}" : "");
}

static flk_err_t submit_all(replay_t *replay, flk_journal_t *journal) {
    flk_filter_t filter = replay->options->filter;
    filter.unacked |= replay->own != NULL;
    flk_err_t err = flk_journal_each(journal, &filter, true, take, replay, replay->errmsg);
    err = err == FLK_OK ? replay->err : err;
    if (err == FLK_OK && replay->resend != NULL) {
        err = flk_resend_drain(replay->resend, replay->errmsg);
    }
    if (err == FLK_OK) {
        return save_state(replay, replay->errmsg);
    }
    if (save_state(replay, NULL) != FLK_OK) { /* the first fault is the one to tell */
        (void)!flk_replay_failed("the state file was not written");
    }
    return err;
}

static flk_err_t open_log(replay_t *replay, const char *dir, flk_journal_t **journal) {
    const flk_replay_options_t *options = replay->options;
    flk_err_t err = options->verb != FLK_VERB_HANDOVER
                        ? FLK_OK
                        : flk_replay_own(dir, options->wait_ms, &replay->own, replay->errmsg);
    return err == FLK_OK ? flk_journal_open(dir, journal, replay->errmsg) : err;
}

int flk_replay_submit(const flk_replay_options_t *options, const flk_settings_t *settings, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_journal_t *journal = NULL;
    flk_security_t *security = NULL;
    const char *to = options->to != NULL ? options->to : flk_settings_str(settings, FLK_SET_ZMQ_LISTEN);
    replay_t replay = {.options = options, .errmsg = errmsg, .saved_ms = flk_mono_ms()};
    flk_program_catch_stop();
    flk_err_t err = open_log(&replay, dir, &journal);
    if (err == FLK_OK) {
        replay.log_id = flk_journal_log_id(journal);
        err = load_state(&replay, errmsg);
        replay.seen_lsn = replay.done_lsn;
    }
    if (err == FLK_OK && !options->dry_run) {
        err = flk_security_load(settings, FLK_ROLE_GATEWAY, 0, &security, errmsg);
        if (err == FLK_OK) {
            err = flk_resend_open(to, security, &replay.resend, errmsg);
        }
        if (err == FLK_OK && replay.own != NULL) {
            flk_resend_on_answer(replay.resend, settle, &replay);
        }
    }
    if (err == FLK_OK) {
        err = submit_all(&replay, journal);
        err = err == FLK_OK && replay.own != NULL ? end_handover(&replay, dir) : err;
        if (replay.shown_ms != 0) {
            fputc('\n', stderr);
        }
        print_summary(&replay);
    }
    flk_resend_close(&replay.resend);
    flk_security_destroy(&security);
    flk_journal_close(&journal);
    flk_wal_close(&replay.own);
    if (err == FLK_E_CONFIG) {
        (void)!flk_replay_failed(errmsg);
        return FLK_EXIT_USAGE;
    }
    return err != FLK_OK ? flk_replay_failed(errmsg[0] != '\0' ? errmsg : flk_err_text(err)) : FLK_EXIT_OK;
}
