/* SPDX-License-Identifier: MIT */
/* The items of a follower, kept, and compared with a plain read of the same directory. */
#ifndef FLK_TESTS_WAL_FOLLOWER_H
#define FLK_TESTS_WAL_FOLLOWER_H

#include "common/wal/follow/follow.h"
#include "common/wal/follow/hold.h"
#include "tests/unit/rig/wal_fixture.h"

enum { TOLD_MAX = 8192 };

typedef struct told_outcome {
    uint64_t lsn, record_lsn;
    uint64_t body_id; /* NO_BODY: the record was not there any more */
    uint16_t status;
    uint32_t detail;
} told_outcome_t;
#define NO_BODY UINT64_MAX

typedef struct told_gap {
    uint64_t from_lsn, lsn;
    flk_wal_gap_t gap;
} told_gap_t;

typedef struct told {
    told_outcome_t at[TOLD_MAX];
    size_t len;
    told_gap_t gaps[64];
    size_t gaps_len;
} told_t;

flk_wal_follow_t *follow_from(uint64_t after_lsn);
/* Takes items until nothing comes for `wait_ms`; the LSNs rise, the endings are those of end_record. */
void follow_take(flk_wal_follow_t *follow, told_t *told, uint32_t wait_ms);
/* The outcomes of a plain read: each record's first ack. */
void plain_outcomes(told_t *told);
/* The same outcomes behind `after_lsn`, from the first to the last. */
void check_same(const told_t *followed, const told_t *plain, uint64_t after_lsn, const char *what);

/* Records up to it have endings of format 1: a mark alone. */
extern uint64_t marks_alone_to_lsn;
/* Settles a record with an ending that follows from its LSN: every third has the mark alone. */
bool end_record(flk_wal_t *wal, uint64_t lsn);

#endif
