/* SPDX-License-Identifier: MIT */
/* The results of one run: counts, latencies, the --results file, the summary. Constant memory. One
 * thread. */
#ifndef FLK_AGENT_SEND_REPORT_H
#define FLK_AGENT_SEND_REPORT_H

#include <stdio.h>

#include "agent/send/causes.h"
#include "agent/send/parcel.h"
#include "agent/send/reply.h"

enum { FLK_LATENCY_BUCKETS = 64 * 32 };

typedef struct flk_report {
    FILE *results;                        /* NULL = none */
    uint64_t accepted, escalated;         /* answered for the first time */
    uint64_t by_reason[FLK_REASON_COUNT]; /* of those escalated */
    uint64_t duplicates;                  /* answered before, with either outcome */
    uint64_t conflicts;                   /* duplicates whose first submission had other content */
    uint64_t dead;                        /* refused or expired in this run: now in the dead-letter queue */
    flk_causes_t dead_causes;
    uint64_t unreadable;                    /* records of the outbox that could not be sent */
    uint64_t retries;                       /* set by the owner at the end, as all below */
    uint64_t pending;                       /* still in the log that was read */
    char pending_why[FLK_REPLY_TEXT_BYTES]; /* "" = unknown, or nothing is pending */
    char stopped[FLK_ERRMSG_BYTES];         /* why the run ended early; "" = it did not */
    uint64_t rows, bad_rows;
    uint64_t latency[FLK_LATENCY_BUCKETS]; /* answers by time of their try: 32 steps an octave of microseconds */
} flk_report_t;

/* `results` is a path, "-" (standard output) or NULL. Errors: FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_report_init(flk_report_t *report, const char *results, char *errmsg);
/* Closes the results file. Errors: FLK_E_IO: it is not complete. */
FLK_MUST_CHECK flk_err_t flk_report_fini(flk_report_t *report, char *errmsg);

/* Counts one parcel's end and writes its line of results: {"pcs_id","outbox_seq","status","duplicate","conflict",
 * "reasons","latency_ms","tries","dead_letter","pending"}; outbox_seq is the record's LSN, latency_ms the last try's
 * round trip, dead_letter the reason of a refusal or null, pending the reason why a PCS got no answer or null, status
 * 0 when no answer came. */
void flk_report_add(flk_report_t *report, const flk_parcel_t *parcel, const flk_reply_t *reply);

/* accepted + escalated + duplicates */
uint64_t flk_report_answered(const flk_report_t *report);

/* Milliseconds below which `share` (0..1) of the answers came, to 3 %; 0 without answers. */
double flk_report_latency_ms(const flk_report_t *report, double share);

void flk_report_print(const flk_report_t *report, bool json, FILE *out); /* one line */

#endif
