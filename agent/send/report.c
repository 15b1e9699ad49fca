/* SPDX-License-Identifier: MIT */
#include "agent/send/report.h"

#include <errno.h>
#include <string.h>

enum { STEPS_BITS = 5, STEPS = 1 << STEPS_BITS };

flk_err_t flk_report_init(flk_report_t *report, const char *results, char *errmsg) {
    memset(report, 0, sizeof *report);
    if (results == NULL) {
        return FLK_OK;
    }
    report->results = strcmp(results, "-") == 0 ? stdout : fopen(results, "we");
    if (report->results == NULL) {
        flk_errmsg(errmsg, "cannot write %s: %s", results, strerror(errno));
        return FLK_E_IO;
    }
    return FLK_OK;
}

flk_err_t flk_report_fini(flk_report_t *report, char *errmsg) {
    FILE *results = report->results;
    report->results = NULL;
    if (results == NULL) {
        return FLK_OK;
    }
    bool failed = ferror(results) != 0 || fflush(results) != 0;
    if (results != stdout) {
        failed = fclose(results) != 0 || failed;
    }
    if (failed) {
        flk_errmsg(errmsg, "cannot write the results: %s", strerror(errno));
    }
    return failed ? FLK_E_IO : FLK_OK;
}

/* ---- latencies ---- */

/* Microseconds below 32 have a bucket each; above, each octave has 32. */
static size_t bucket_of(uint64_t us) {
    if (us < STEPS) {
        return (size_t)us;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(us) - STEPS_BITS; /* 0 for 32..63 */
    return ((size_t)(octave + 1) << STEPS_BITS) + (size_t)((us >> octave) - STEPS);
}

/* The middle of a bucket. */
static double bucket_us(size_t bucket) {
    if (bucket < STEPS) {
        return (double)bucket;
    }
    uint64_t octave = (bucket >> STEPS_BITS) - 1;
    return ((double)((bucket & (STEPS - 1)) + STEPS) + 0.5) * (double)(UINT64_C(1) << octave);
}

double flk_report_latency_ms(const flk_report_t *report, double share) {
    uint64_t all = 0, below = 0;
    for (size_t i = 0; i < FLK_LATENCY_BUCKETS; i++) {
        all += report->latency[i];
    }
    for (size_t i = 0; i < FLK_LATENCY_BUCKETS && all > 0; i++) {
        below += report->latency[i];
        if ((double)below >= share * (double)all) {
            return bucket_us(i) / 1000;
        }
    }
    return 0;
}

/* ---- one parcel ---- */

static void print_reasons(FILE *out, const flk_reply_t *reply) {
    const char *comma = "", *reason;
    flk_reason_each_t each = {0};
    while ((reason = flk_reason_each(&each, reply->reasons, reply->rules)) != NULL) {
        fprintf(out, "%s\"%s\"", comma, reason);
        comma = ",";
    }
}

static void print_text_or_null(FILE *out, bool is_text, const char *text) {
    if (is_text) {
        flk_quoted_print(text, out);
    } else {
        fputs("null", out);
    }
}

static bool is_dead(const flk_reply_t *reply) {
    return reply->kind == FLK_REPLY_REFUSED || reply->kind == FLK_REPLY_EXPIRED;
}

static const char *truth(bool value) {
    return value ? "true" : "false";
}

static void print_result(FILE *out, const flk_parcel_t *parcel, const flk_reply_t *reply, double latency_ms) {
    fprintf(out, "{\"pcs_id\":\"%s\",\"outbox_seq\":%llu,\"status\":%u,\"duplicate\":%s,\"conflict\":%s,\"reasons\":[",
            parcel->pcs.id, (unsigned long long)parcel->lsn, reply->status, truth(reply->duplicate),
            truth(reply->conflict));
    print_reasons(out, reply);
    fprintf(out, "],\"latency_ms\":%.3f,\"tries\":%u,\"dead_letter\":", latency_ms, parcel->tries);
    print_text_or_null(out, is_dead(reply), reply->text);
    fputs(",\"pending\":", out);
    print_text_or_null(out, reply->kind != FLK_REPLY_VERDICT && !is_dead(reply), reply->text);
    fputs("}\n", out);
}

static void count_verdict(flk_report_t *report, const flk_reply_t *reply, uint64_t us) {
    report->latency[bucket_of(us)]++;
    report->conflicts += reply->conflict;
    if (reply->duplicate) {
        report->duplicates++;
        return;
    }
    report->accepted += reply->status == FLK_STATUS_ACCEPTED;
    report->escalated += reply->status == FLK_STATUS_ESCALATED;
    for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
        report->by_reason[reason] += reply->reasons >> reason & 1;
    }
}

void flk_report_add(flk_report_t *report, const flk_parcel_t *parcel, const flk_reply_t *reply) {
    uint64_t ns = flk_mono_ns() - parcel->try_began_ns;
    if (reply->kind == FLK_REPLY_VERDICT) {
        count_verdict(report, reply, ns / 1000);
    } else if (is_dead(reply)) {
        report->dead++;
        flk_causes_add(&report->dead_causes, reply->text, strlen(reply->text));
    }
    if (report->results != NULL) {
        print_result(report->results, parcel, reply, (double)ns / 1e6);
    }
}

uint64_t flk_report_answered(const flk_report_t *report) {
    return report->accepted + report->escalated + report->duplicates;
}

/* ---- summary ---- */

static void print_json(const flk_report_t *report, FILE *out) {
    fprintf(out, "{\"answered\":%llu,\"accepted\":%llu,\"escalated\":%llu,\"escalated_by_reason\":{",
            (unsigned long long)flk_report_answered(report), (unsigned long long)report->accepted,
            (unsigned long long)report->escalated);
    const char *comma = "";
    for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (report->by_reason[reason] > 0) {
            fprintf(out, "%s\"%s\":%llu", comma, flk_reason_name((flk_reason_t)reason),
                    (unsigned long long)report->by_reason[reason]);
            comma = ",";
        }
    }
    fprintf(out, "},\"duplicates\":%llu,\"conflicts\":%llu,\"retries\":%llu,\"dead\":%llu,\"dead_reasons\":",
            (unsigned long long)report->duplicates, (unsigned long long)report->conflicts,
            (unsigned long long)report->retries, (unsigned long long)report->dead);
    flk_causes_print_json(&report->dead_causes, out);
    fprintf(out, ",\"unreadable\":%llu,\"pending\":%llu,\"pending_reason\":", (unsigned long long)report->unreadable,
            (unsigned long long)report->pending);
    print_text_or_null(out, report->pending > 0 && report->pending_why[0] != '\0', report->pending_why);
    fputs(",\"stopped\":", out);
    print_text_or_null(out, report->stopped[0] != '\0', report->stopped);
    fprintf(out, ",\"rows\":%llu,\"bad_rows\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
            (unsigned long long)report->rows, (unsigned long long)report->bad_rows, flk_report_latency_ms(report, 0.50),
            flk_report_latency_ms(report, 0.99));
}

static void print_escalated(const flk_report_t *report, FILE *out) {
    fprintf(out, "%llu escalated", (unsigned long long)report->escalated);
    const char *before = " (";
    for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (report->by_reason[reason] > 0) {
            fprintf(out, "%s%s %llu", before, flk_reason_name((flk_reason_t)reason),
                    (unsigned long long)report->by_reason[reason]);
            before = ", ";
        }
    }
    fputs(before[0] == ',' ? ")" : "", out);
}

static void print_text(const flk_report_t *report, FILE *out) {
    fprintf(out, "flk-agent: %llu PCS answered: %llu accepted, ", (unsigned long long)flk_report_answered(report),
            (unsigned long long)report->accepted);
    print_escalated(report, out);
    fprintf(out, ", %llu duplicates", (unsigned long long)report->duplicates);
    if (report->conflicts > 0) {
        fprintf(out, " (%llu with other content than at first)", (unsigned long long)report->conflicts);
    }
    fprintf(out, "; %llu retries, %llu dead letters", (unsigned long long)report->retries,
            (unsigned long long)report->dead);
    flk_causes_print(&report->dead_causes, " (", ", ", " ", out);
    fprintf(out, "%s, %llu pending", report->dead > 0 ? ")" : "", (unsigned long long)report->pending);
    if (report->pending > 0 && report->pending_why[0] != '\0') {
        fprintf(out, " (%s)", report->pending_why);
    }
    fprintf(out, "; p50 %.2f ms, p99 %.2f ms", flk_report_latency_ms(report, 0.50),
            flk_report_latency_ms(report, 0.99));
    if (report->unreadable > 0) {
        fprintf(out, "; %llu records unreadable", (unsigned long long)report->unreadable);
    }
    if (report->bad_rows > 0) {
        fprintf(out, "; %llu bad rows skipped", (unsigned long long)report->bad_rows);
    }
    putc('\n', out);
}

void flk_report_print(const flk_report_t *report, bool json, FILE *out) {
    (json ? print_json : print_text)(report, out);
}
