/* SPDX-License-Identifier: MIT */
/* A life of a log in which anything may fail: appends with rotation, acks, flushes, a compaction, a reopen. The log's
 * answers on the way are kept, and compared afterwards with the contents on a working disk. */
#ifndef FLK_TESTS_WAL_STORY_H
#define FLK_TESTS_WAL_STORY_H

#include "tests/unit/rig/wal_fixture.h"

typedef enum promise { NEVER_TRIED, REFUSED, PROMISED, SETTLED } promise_t;
enum { STORY_RECORDS = 60, STORY_PARTS = 2, STORY_PART_RECORDS = STORY_RECORDS / STORY_PARTS };

typedef struct story {
    promise_t promises[STORY_RECORDS];
    bool acked[STORY_RECORDS];
} story_t;

/* Lives it, as far as the log opens. */
void story_tell(story_t *story);

/* Nothing that was promised is lost, nothing settled comes back, nothing comes twice or out of nowhere. An ack that was
 * not flushed may be lost. */
void story_check(const story_t *story, const char *what, unsigned n);

void clear_dir(void);

#endif
