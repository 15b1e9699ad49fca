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

static void print_reasons(FILE *out, uint32_t reasons) {
    const char *comma = "";
    for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if ((reasons >> reason & 1) != 0) {
            fprintf(out, "%s\"%s\"", comma, flk_reason_name((flk_reason_t)reason));
            comma = ",";
        }
    }
}

/* A reply's text is printable ASCII, so only two characters need an escape. */
static void print_quoted(FILE *out, const char *text) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') {
            putc('\\', out);
        }
        putc(*text, out);
    }
    putc('"', out);
}

static void print_result(FILE *out, const flk_parcel_t *parcel, const flk_reply_t *reply, double latency_ms) {
    fprintf(out, "{\"pcs_id\":\"%s\",\"outbox_seq\":%llu,\"status\":%u,\"duplicate\":%s,\"reasons\":[", parcel->pcs.id,
            (unsigned long long)parcel->lsn, reply->status, reply->duplicate ? "true" : "false");
    print_reasons(out, reply->reasons);
    fprintf(out, "],\"latency_ms\":%.3f,\"tries\":%u,\"dead_letter\":", latency_ms, parcel->tries);
    if (reply->kind == FLK_REPLY_VERDICT) {
        fputs("null", out);
    } else {
        print_quoted(out, reply->text);
    }
    fputs("}\n", out);
}

void flk_report_add(flk_report_t *report, const flk_parcel_t *parcel, const flk_reply_t *reply) {
    uint64_t ns = flk_mono_ns() - parcel->try_began_ns;
    if (reply->kind == FLK_REPLY_VERDICT) {
        report->accepted += reply->status == FLK_STATUS_ACCEPTED;
        report->escalated += reply->status == FLK_STATUS_ESCALATED;
        report->duplicates += reply->duplicate;
        for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
            report->by_reason[reason] += reply->reasons >> reason & 1;
        }
        report->latency[bucket_of(ns / 1000)]++;
    } else {
        report->dead++;
    }
    if (report->results != NULL) {
        print_result(report->results, parcel, reply, (double)ns / 1e6);
    }
}

uint64_t flk_report_answered(const flk_report_t *report) {
    return report->accepted + report->escalated;
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
    fprintf(out,
            "},\"duplicates\":%llu,\"retries\":%llu,\"dead\":%llu,\"unreadable\":%llu,\"pending\":%llu,\"rows\":%llu,"
            "\"bad_rows\":%llu,\"p50_ms\":%.3f,\"p99_ms\":%.3f}\n",
            (unsigned long long)report->duplicates, (unsigned long long)report->retries,
            (unsigned long long)report->dead, (unsigned long long)report->unreadable,
            (unsigned long long)report->pending, (unsigned long long)report->rows, (unsigned long long)report->bad_rows,
            flk_report_latency_ms(report, 0.50), flk_report_latency_ms(report, 0.99));
}

static void print_text(const flk_report_t *report, FILE *out) {
    fprintf(out, "flk-agent: %llu PCS answered: %llu accepted, %llu escalated",
            (unsigned long long)flk_report_answered(report), (unsigned long long)report->accepted,
            (unsigned long long)report->escalated);
    const char *before = " (";
    for (int reason = 0; reason < FLK_REASON_COUNT; reason++) {
        if (report->by_reason[reason] > 0) {
            fprintf(out, "%s%s %llu", before, flk_reason_name((flk_reason_t)reason),
                    (unsigned long long)report->by_reason[reason]);
            before = ", ";
        }
    }
    fprintf(out, "%s, %llu duplicates; %llu retries, %llu dead letters, %llu pending; p50 %.2f ms, p99 %.2f ms",
            before[0] == ',' ? ")" : "", (unsigned long long)report->duplicates, (unsigned long long)report->retries,
            (unsigned long long)report->dead, (unsigned long long)report->pending, flk_report_latency_ms(report, 0.50),
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
