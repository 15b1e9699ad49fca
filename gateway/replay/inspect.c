/* SPDX-License-Identifier: MIT */
/* Verbs that only show: list, export, show, stats. */
#include <stdio.h>
#include <string.h>

#include "gateway/replay/print.h"
#include "gateway/replay/verbs.h"
#include "proto/inbox_format.h"

int flk_replay_failed(const char *errmsg) {
    fprintf(stderr, "%s: %s\n", flk_replay_title(), errmsg);
    return FLK_EXIT_FAILED;
}

/* An unreadable place cannot be shown: say so, and go on with the rest. */
static void warn_of_damage(const flk_journal_t *journal) {
    if (flk_journal_damage(journal) > 0) {
        fprintf(stderr, "%s: %zu damaged places were passed over; verify names them\n", flk_replay_title(),
                flk_journal_damage(journal));
    }
}

typedef struct shown {
    const flk_replay_options_t *options;
    uint64_t records;
    flk_err_t err;
} shown_t;

static bool show_one(void *arg, const flk_journal_record_t *record) {
    shown_t *shown = arg;
    const flk_replay_options_t *options = shown->options;
    const bool exports = options->verb == FLK_VERB_EXPORT;
    const bool shows = options->verb == FLK_VERB_SHOW || options->verb == FLK_VERB_DLQ_SHOW;
    if (exports && options->bare) {
        shown->err = flk_print_pcs(record);
    } else if (exports || options->json) {
        shown->err = flk_print_json(record, exports || shows);
    } else if (shows) {
        shown->err = flk_print_page(record);
    } else {
        flk_print_row(record);
    }
    shown->records++;
    return shown->err == FLK_OK && !ferror(stdout);
}

static int show_all(const flk_replay_options_t *options, const char *dir, uint64_t *records) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_journal_t *journal;
    shown_t shown = {.options = options};
    if (flk_journal_open(dir, &journal, errmsg) != FLK_OK) {
        return flk_replay_failed(errmsg);
    }
    warn_of_damage(journal);
    if (!options->json && (options->verb == FLK_VERB_LIST || options->verb == FLK_VERB_DLQ_LIST)) {
        flk_print_table_head();
    }
    flk_err_t err = flk_journal_each(journal, &options->filter, true, show_one, &shown, errmsg);
    flk_journal_close(&journal);
    *records = shown.records;
    if (shown.err != FLK_OK) {
        return flk_replay_failed(flk_err_text(shown.err));
    }
    return err != FLK_OK ? flk_replay_failed(errmsg) : FLK_EXIT_OK;
}

int flk_replay_list(const flk_replay_options_t *options, const char *dir) {
    uint64_t records;
    return show_all(options, dir, &records);
}

int flk_replay_show(const flk_replay_options_t *options, const char *dir) {
    uint64_t records = 0;
    int status = show_all(options, dir, &records);
    if (status == FLK_EXIT_OK && records == 0) {
        fprintf(stderr, "%s: there is no record %s in %s\n", flk_replay_title(), options->what, dir);
        return FLK_EXIT_FAILED;
    }
    return status;
}

/* ---- stats ---- */

enum { STATUSES = 1000, SEGMENTS_NAME = 128 };

typedef struct stats {
    uint64_t records, unacked, body_bytes, segments;
    uint64_t kinds[3], statuses[STATUSES]; /* kinds[0]: neither JSON nor msgpack */
    uint64_t duplicates, conflicts, dead_letters;
    int64_t first_ms, last_ms;
    char segment[SEGMENTS_NAME]; /* of the record before */
} stats_t;

static bool count_one(void *arg, const flk_journal_record_t *record) {
    stats_t *stats = arg;
    stats->records++;
    stats->unacked += !record->acked;
    stats->body_bytes += record->body_bytes;
    const uint8_t kind = record->kind == FLK_DEAD_LETTER_UNSETTLED ? FLK_BODY_MSGPACK : record->kind;
    stats->kinds[kind <= FLK_BODY_MSGPACK ? kind : 0]++;
    if (record->acked) {
        stats->statuses[record->mark.status < STATUSES ? record->mark.status : 0]++;
        stats->duplicates += (record->mark.flags & FLK_FLAG_DUPLICATE) != 0;
        stats->conflicts += (record->mark.flags & FLK_FLAG_CONFLICT) != 0;
        stats->dead_letters += (record->mark.flags & FLK_FLAG_DEAD_LETTER) != 0;
    }
    if (stats->first_ms == 0 || record->time_ms < stats->first_ms) {
        stats->first_ms = record->time_ms;
    }
    stats->last_ms = record->time_ms > stats->last_ms ? record->time_ms : stats->last_ms;
    if (strncmp(stats->segment, record->segment, sizeof stats->segment - 1) != 0) {
        stats->segments++;
        snprintf(stats->segment, sizeof stats->segment, "%s", record->segment);
    }
    return true;
}

static void print_stats(const stats_t *stats, size_t damage, bool json) {
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"records", stats->records},       {"unacked", stats->unacked},       {"json", stats->kinds[1]},
        {"msgpack", stats->kinds[2]},      {"body_bytes", stats->body_bytes}, {"segments", stats->segments},
        {"duplicates", stats->duplicates}, {"conflicts", stats->conflicts},   {"dead_letters", stats->dead_letters},
        {"damaged_places", damage},
    };
    char first[FLK_TIME_BYTES], last[FLK_TIME_BYTES];
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        printf(json ? "%s\"%s\":%llu" : "%s%-16s %llu\n",
               !json    ? ""
               : i == 0 ? "{"
                        : ",",
               rows[i].name, (unsigned long long)rows[i].value);
    }
    const char *separator = "";
    fputs(json ? ",\"statuses\":{" : "", stdout);
    for (unsigned status = 0; status < STATUSES; status++) {
        if (stats->statuses[status] > 0) {
            printf(json ? "%s\"%u\":%llu" : "%sstatus %-9u %llu\n", separator, status,
                   (unsigned long long)stats->statuses[status]);
            separator = json ? "," : "";
        }
    }
    fputs(json ? "}" : "", stdout);
    if (stats->records > 0) {
        printf(json ? ",\"first\":\"%s\",\"last\":\"%s\"" : "first            %s\nlast             %s\n",
               flk_print_time(stats->first_ms, first), flk_print_time(stats->last_ms, last));
    }
    fputs(json ? "}\n" : "", stdout);
}

int flk_replay_stats(const flk_replay_options_t *options, const char *dir) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_journal_t *journal;
    stats_t stats = {0};
    if (flk_journal_open(dir, &journal, errmsg) != FLK_OK) {
        return flk_replay_failed(errmsg);
    }
    size_t damage = flk_journal_damage(journal);
    flk_err_t err = flk_journal_each(journal, &options->filter, false, count_one, &stats, errmsg);
    flk_journal_close(&journal);
    if (err != FLK_OK) {
        return flk_replay_failed(errmsg);
    }
    print_stats(&stats, damage, options->json);
    return FLK_EXIT_OK;
}
