/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/wal_story.h"

/* Of the last records of a part all are acked: their segments settle, and those before them are compacted. */
static bool story_acks(uint64_t id) {
    return id % 3 != 0 || id % STORY_PART_RECORDS >= 20;
}

static void story_part(story_t *story, flk_wal_t *wal, uint64_t from, uint64_t to) {
    for (uint64_t id = from; id < to; id++) {
        uint64_t lsn;
        story->promises[id] = try_append(wal, id, &lsn) == FLK_OK ? PROMISED : REFUSED;
        if (story->promises[id] == PROMISED && story_acks(id)) {
            story->acked[id] = flk_wal_ack(wal, lsn, (flk_wal_mark_t){.status = 200});
        }
        if (id % 10 == 9 && flk_wal_flush(wal, errmsg) == FLK_OK) {
            for (uint64_t i = from; i <= id; i++) {
                story->promises[i] = story->acked[i] && story->promises[i] == PROMISED ? SETTLED : story->promises[i];
            }
        }
    }
}

void story_tell(story_t *story) {
    flk_wal_options_t options = {.dir = dir, .segment_bytes_max = 4096, .low_water_bytes = 1, .retained_bytes_max = 1};
    for (uint64_t part = 0; part < STORY_PARTS; part++) {
        flk_wal_t *wal;
        if (flk_wal_open(&options, &wal, errmsg) == FLK_OK) {
            story_part(story, wal, part * STORY_PART_RECORDS, (part + 1) * STORY_PART_RECORDS);
            flk_wal_close(&wal);
        }
    }
}

void story_check(const story_t *story, const char *what, unsigned n) {
    uint64_t ids[STORY_RECORDS * 2];
    bool delivered[STORY_RECORDS] = {false};
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_bytes_max = 4096});
    size_t count = unacked_ids(wal, ids, FLK_COUNT_OF(ids));
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_lt(ids[i], STORY_RECORDS);
        ck_assert_msg(!delivered[ids[i]], "%s %u: record %d came twice", what, n, (int)ids[i]);
        delivered[ids[i]] = true;
    }
    for (size_t id = 0; id < STORY_RECORDS; id++) {
        promise_t promise = story->promises[id];
        ck_assert_msg(!delivered[id] || promise == PROMISED || promise == REFUSED,
                      "%s %u: record %zu came back, promise %d", what, n, id, promise);
        ck_assert_msg(delivered[id] || promise != PROMISED || story->acked[id], "%s %u: record %zu was lost", what, n,
                      id);
    }
    ck_assert_msg(stats_of(wal).damaged_records == 0, "%s %u: damage", what, n);
    flk_wal_close(&wal);
}

void clear_dir(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    ck_assert_int_eq(system(command), 0);
}
