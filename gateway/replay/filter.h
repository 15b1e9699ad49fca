/* SPDX-License-Identifier: MIT */
/* Which records of a log are meant. An empty filter (all zero) means every one; conditions add up. */
#ifndef FLK_GATEWAY_REPLAY_FILTER_H
#define FLK_GATEWAY_REPLAY_FILTER_H

#include "gateway/replay/journal.h"

typedef struct flk_filter {
    int64_t since_ms, until_ms; /* wall clock of the record, [since, until); 0 = open */
    const char *id;             /* the first digits of the pcs_id, lowercase hex; NULL = any */
    const char *shard;          /* the whole shard_id; NULL = any */
    const char *segment;        /* file name; NULL = any but those that were set aside as *.damaged */
    uint16_t status;            /* of the recorded ack; 0 = any */
    bool unacked;               /* only records without an ack */
    uint32_t reasons;           /* one of these reasons was recorded; 0 = any */
    uint64_t lsn;               /* 0 = any */
} flk_filter_t;

/* The conditions that need no PCS; then the rest, which need record->pcs (NULL: not valid, matches no id). */
FLK_MUST_CHECK bool flk_filter_matches_outside(const flk_filter_t *filter, const flk_journal_record_t *record);
FLK_MUST_CHECK bool flk_filter_matches_inside(const flk_filter_t *filter, const flk_journal_record_t *record);
bool flk_filter_needs_pcs(const flk_filter_t *filter);
bool flk_filter_is_empty(const flk_filter_t *filter);

/* A moment: "2026-01-31", "2026-01-31T12:00:00Z", "…+02:00" (a fraction of a second is dropped), Unix seconds, or
 * how long before `now_ms`: "90s", "15m", "6h", "2d". False: none of these. */
FLK_MUST_CHECK bool flk_filter_parse_time(const char *text, int64_t now_ms, int64_t *time_ms);
/* "200", "unacked"; "dead_letter". False: nothing of that kind. */
FLK_MUST_CHECK bool flk_filter_parse_status(const char *text, flk_filter_t *filter);
FLK_MUST_CHECK bool flk_filter_parse_reason(const char *text, flk_filter_t *filter);

#endif
