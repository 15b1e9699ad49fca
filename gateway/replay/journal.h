/* SPDX-License-Identifier: MIT */
/* A gateway's log read from outside: each record together with the ack that settled it, if any. Nothing is written and
 * no lock is taken; the log may be live or a copy. Memory: 32 bytes an ack. One thread. */
#ifndef FLK_GATEWAY_REPLAY_JOURNAL_H
#define FLK_GATEWAY_REPLAY_JOURNAL_H

#include "common/wal/read.h"
#include "proto/body.h"

typedef struct flk_filter flk_filter_t;
typedef struct flk_journal flk_journal_t; /* Opaque; fields are commented in journal.c. */

typedef struct flk_journal_record {
    uint64_t lsn, offset;
    int64_t time_ms;
    const char *segment;
    uint8_t kind; /* flk_body_kind_t */
    uint32_t body_bytes;
    const void *body;

    bool acked;
    int64_t acked_ms;
    flk_wal_mark_t
        mark; /* status, FLK_FLAG_*, and for a 202 its reasons as bits (0 in logs of before they were kept) */

    const flk_pcs_t *pcs; /* NULL: not a valid PCS, parse_err and fault say why; or not asked for */
    flk_err_t parse_err;
    flk_pcs_fault_t fault;
} flk_journal_record_t;

/* Gets one record, kept until it returns; false stops. */
typedef bool flk_journal_visit_fn(void *arg, const flk_journal_record_t *record);

/* Reads the acks. Errors as flk_wal_read. Caller frees with flk_journal_close. */
FLK_MUST_CHECK flk_err_t flk_journal_open(const char *dir, flk_journal_t **journal, char *errmsg);
void flk_journal_close(flk_journal_t **journal);

/* Visits the records that match, by segment and LSN, up to the last one there was when the journal was opened, so
 * without those that a replay adds to a live log. `pcs` asks for the PCS to be read. Errors as flk_wal_read. */
FLK_MUST_CHECK flk_err_t flk_journal_each(flk_journal_t *journal, const flk_filter_t *filter, bool pcs,
                                          flk_journal_visit_fn *visit, void *arg, char *errmsg);

size_t flk_journal_damage(const flk_journal_t *journal); /* places that could not be read, seen at opening */
uint64_t flk_journal_log_id(const flk_journal_t *journal);

#endif
