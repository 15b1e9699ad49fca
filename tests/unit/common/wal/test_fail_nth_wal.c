/* SPDX-License-Identifier: MIT */
/* The log when the n-th system call or allocation fails, and when a block of the disk cannot be read. */
#include "tests/unit/rig/fail_nth.h"
#include "tests/unit/rig/wal_story.h"

/* Fails each call in turn until a run passes without a hit; returns how many there were. `times`: so many in a row. */
static unsigned fail_each(fail_kind_t kind, unsigned times, const char *what) {
    unsigned n = 0, hits = 1;
    while (hits > 0) {
        story_t story = {0};
        n++;
        fail_arm(kind, n, times);
        story_tell(&story);
        hits = fail_disarm();
        story_check(&story, what, n);
        clear_dir();
    }
    printf("%s: %u calls failed in turn\n", what, n - 1);
    return n - 1;
}

/* Whichever system call fails, with an error, without space, interrupted or half done: promises are kept. */
START_TEST(test_wal_any_call_may_fail) {
    ck_assert_uint_gt(fail_each(FAIL_EIO, 1, "EIO"), 200);
    ck_assert_uint_gt(fail_each(FAIL_EINTR, 1, "EINTR"), 100);
    ck_assert_uint_gt(fail_each(FAIL_SHORT, 1, "half done"), 50);
}
END_TEST

/* The same when several in a row fail, so that the second attempt fails as well. A read that fails twice is another
 * matter: its bytes count as unreadable. */
START_TEST(test_wal_any_calls_in_a_row_may_fail) {
    ck_assert_uint_gt(fail_each(FAIL_EIO, 3, "EIO three times"), 200);
    ck_assert_uint_gt(fail_each(FAIL_ENOSPC, 8, "ENOSPC eight times"), 200);
}
END_TEST

/* Whichever allocation fails: promises are kept, an ack without memory counts as lost. */
START_TEST(test_wal_any_allocation_may_fail) {
    ck_assert_uint_gt(fail_each(FAIL_ALLOCATION, 1, "no memory"), 50);
    ck_assert_uint_gt(fail_each(FAIL_ALLOCATION, 4, "no memory four times"), 50);
}
END_TEST

/* ---- a block that cannot be read ---- */

enum { RECORDS = 300, BLOCK_BYTES = 4096 };

typedef struct segment {
    const char *name;
    uint64_t from, to; /* of the bad block */
    bool lost[RECORDS];
    size_t damage; /* as flk_wal_read tells it */
} segment_t;

static bool note_lost(void *arg, const flk_wal_item_t *item) {
    segment_t *segment = arg;
    if (item->type == FLK_WAL_ITEM_RECORD && strcmp(item->segment, segment->name) == 0 && item->offset < segment->to &&
        item->offset + item->bytes > segment->from) {
        segment->lost[body_id(item->record.body, item->record.body_bytes)] = true;
    }
    segment->damage += item->type == FLK_WAL_ITEM_DAMAGE && strstr(item->segment, ".damaged") == NULL;
    return true;
}

static void try_bad_block(segment_t *segment) {
    uint64_t ids[RECORDS], again[RECORDS];
    struct stat status;
    ck_assert_int_eq(flk_wal_read(dir, note_lost, segment, errmsg), FLK_OK);
    ck_assert_uint_eq(segment->damage, 0);
    ck_assert_int_eq(__real_stat(path_of(segment->name), &status), 0);
    atomic_store(&failing.bad_inode, status.st_ino);
    atomic_store(&failing.bad_from, segment->from);
    atomic_store(&failing.bad_to, segment->to);

    ck_assert_int_eq(flk_wal_read(dir, note_lost, segment, errmsg), FLK_OK);
    ck_assert_uint_ge(segment->damage, 1);
    flk_wal_t *wal = open_log();
    size_t count = unacked_ids(wal, ids, RECORDS), at = 0;
    ck_assert_uint_ge(stats_of(wal).damaged_records, 1);
    ck_assert_uint_eq(stats_of(wal).quarantined, 1);
    for (uint64_t id = 0; id < RECORDS; id++) {
        if (at < count && ids[at] == id) {
            ck_assert(!segment->lost[id]);
            at++;
        } else {
            ck_assert_msg(segment->lost[id], "block at %d: record %d lost", (int)segment->from, (int)id);
        }
    }
    flk_wal_close(&wal);
    wal = open_log(); /* the block is still bad: it belongs to the file that was set aside */
    ck_assert_uint_eq(unacked_ids(wal, again, RECORDS), count);
    ck_assert_mem_eq(ids, again, count * sizeof ids[0]);
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    flk_wal_close(&wal);
    atomic_store(&failing.bad_to, 0);
}

static void write_records(void) {
    clear_dir();
    flk_wal_t *wal = open_log();
    for (uint64_t id = 0; id < RECORDS; id++) {
        append(wal, id);
    }
    flk_wal_close(&wal);
}

/* A block that the disk does not give, wherever it is in a segment: the log opens, loses the contents of the block and
 * nothing else, sets the file aside and says so; the next start finds the same and no new damage. */
START_TEST(test_wal_salvages_around_an_unreadable_block) {
    char name[64];
    write_records();
    strcpy(name, list_files(".seg").at[0]);
    struct stat status;
    ck_assert_int_eq(__real_stat(path_of(name), &status), 0);
    for (uint64_t from = 0; from < (uint64_t)status.st_size; from += BLOCK_BYTES) {
        segment_t segment = {.name = name, .from = from, .to = from + BLOCK_BYTES};
        try_bad_block(&segment);
        write_records();
    }
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("fail the n-th");
    tcase_add_test(tcase, test_wal_any_call_may_fail);
    tcase_add_test(tcase, test_wal_any_calls_in_a_row_may_fail);
    tcase_add_test(tcase, test_wal_any_allocation_may_fail);
    tcase_add_test(tcase, test_wal_salvages_around_an_unreadable_block);
    return run_suite(tcase);
}
