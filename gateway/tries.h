/* SPDX-License-Identifier: MIT */
/* How often old records were tried in vain: a record that can never settle must not be driven, and hold its log
 * segment, for ever.
 *
 * A try counts when the record is older than the bound, and the trouble is its own: either its verdict was one that
 * does not fit, or other records were settled since its last try. So an outage, however long, counts nothing. One
 * owner thread. */
#ifndef FLK_GATEWAY_TRIES_H
#define FLK_GATEWAY_TRIES_H

#include "common/base.h"

enum { FLK_TRIES_PLACES = 4096 }; /* power of two */

/* Made by flk_tries_init; nothing to free. */
typedef struct flk_tries {
    uint32_t tries_max;
    uint64_t age_ms_max;
    uint64_t since_ms; /* monotonic, of _init */
    uint64_t settled;  /* records, counted by flk_tries_settled */
    struct flk_tries_place {
        uint64_t lsn; /* 0: free */
        uint32_t tries;
        uint64_t settled;       /* … at its last try */
    } places[FLK_TRIES_PLACES]; /* by the low bits of the LSN; a record that finds its place taken waits until it is
                                   free */
} flk_tries_t;

void flk_tries_init(flk_tries_t *tries, uint32_t tries_max, uint64_t age_ms_max, uint64_t now_ms);
/* A record, written at `time_ms` by the wall clock, has its verdict. */
void flk_tries_settled(flk_tries_t *tries, uint64_t lsn);
/* One that has none yet was tried in vain; `unfit`: its verdict does not fit. True: that was the last try, and its
 * place is free. */
FLK_MUST_CHECK bool flk_tries_failed(flk_tries_t *tries, uint64_t lsn, int64_t time_ms, bool unfit, uint64_t now_ms);

#endif
