/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/wal_follower.h"

enum { SEGMENT_BYTES = 8192, RECORDS = 150 };
static told_t followed, plain;

static void forget(void) {
    memset(&followed, 0, sizeof followed);
    memset(&plain, 0, sizeof plain);
}

/* All that settled is due at once. */
static flk_wal_t *open_due(uint64_t held_bytes_max) {
    return open_with((flk_wal_options_t){
        .segment_bytes_max = SEGMENT_BYTES, .retained_bytes_max = 1, .held_bytes_max = held_bytes_max});
}

static uint64_t lineage(void) {
    flk_wal_follow_status_t status;
    flk_wal_follow_t *follow = follow_from(0);
    flk_wal_follow_status(follow, &status);
    flk_wal_follow_close(&follow);
    return status.lineage;
}

static void hold_at(uint64_t lsn) {
    const flk_wal_hold_t hold = {.lsn = lsn, .lineage = lineage()};
    ck_assert_int_eq(flk_wal_hold_set(dir, "feed", hold, errmsg), FLK_OK);
}

/* Records with their acks behind them, but for the one numbered `stuck`. Returns the LSN of the last ack. */
static uint64_t live(flk_wal_t *wal, unsigned stuck) {
    for (unsigned i = 0; i < RECORDS; i++) {
        const uint64_t lsn = append(wal, i);
        if (i != stuck) {
            end_record(wal, lsn);
        }
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    return stats_of(wal).next_lsn - 1;
}

static void take_all(uint64_t after_lsn) {
    flk_wal_follow_t *follow = follow_from(after_lsn);
    followed.len = followed.gaps_len = 0;
    follow_take(follow, &followed, 0);
    flk_wal_follow_close(&follow);
}

static size_t without_body(void) {
    size_t count = 0;
    for (size_t i = 0; i < followed.len; i++) {
        count += followed.at[i].body_id == NO_BODY;
    }
    return count;
}

/* Twice: the first one notes in the checkpoint that a segment settled, then it may go. */
static void restart(uint64_t held_bytes_max) {
    for (int i = 0; i < 2; i++) {
        flk_wal_t *wal = open_due(held_bytes_max);
        flk_wal_close(&wal);
    }
}

/* A position is kept under a name, and no name leads out of the folder. */
START_TEST(test_holds_are_kept) {
    flk_wal_hold_t hold = {.lsn = 77, .lineage = 0xabcdef}, back;
    ck_assert_int_eq(flk_wal_hold_get(dir, "feed", &back, errmsg), FLK_E_NOT_FOUND);
    ck_assert_int_eq(flk_wal_hold_set(dir, "feed", hold, errmsg), FLK_OK);
    ck_assert_int_eq(flk_wal_hold_get(dir, "feed", &back, errmsg), FLK_OK);
    ck_assert(back.lsn == 77 && back.lineage == 0xabcdef);
    store_file("holds/feed", "77 0000000000abcdee \n", 21);
    ck_assert_int_eq(flk_wal_hold_get(dir, "feed", &back, errmsg), FLK_E_CORRUPT);
    const char *const bad[] = {"", "..", "../x", "feed.tmp", "Feed", "0123456789012345678901234567890123"};
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        ck_assert_msg(flk_wal_hold_set(dir, bad[i], hold, errmsg) == FLK_E_INVALID, "%s", bad[i]);
    }
}
END_TEST

/* Outcomes that a hold has not passed stay with all their records, a stuck record among them or not; once it passed,
 * all go. */
START_TEST(test_holds_keep_what_is_due) {
    const unsigned stuck = _i == 0 ? RECORDS : 3;
    flk_wal_t *wal = open_due(0);
    hold_at(0);
    const uint64_t last = live(wal, stuck);
    flk_wal_close(&wal);
    restart(0);
    plain_outcomes(&plain);
    take_all(0);
    ck_assert_uint_eq(plain.len, stuck == RECORDS ? RECORDS : RECORDS - 1);
    check_same(&followed, &plain, 0, "held");
    ck_assert(followed.gaps_len == 0 && without_body() == 0);
    hold_at(last);
    restart(0);
    take_all(0);
    ck_assert_uint_eq(followed.len, 0);
    ck_assert(followed.gaps_len > 0 && followed.gaps[0].from_lsn == 1 && followed.gaps[0].gap == FLK_WAL_GAP_RETIRED);
    ck_assert_uint_le(list_files(".seg").len, 1);
}
END_TEST

/* A hold of another log, and a file that is no hold, keep nothing. */
START_TEST(test_holds_of_others_keep_nothing) {
    flk_wal_t *wal = open_due(0);
    const flk_wal_hold_t other = {.lsn = 0, .lineage = 1};
    ck_assert_int_eq(flk_wal_hold_set(dir, "other", other, errmsg), FLK_OK);
    store_file("holds/junk", "junk\n", 5);
    live(wal, RECORDS);
    flk_wal_close(&wal);
    restart(0);
    ck_assert_uint_eq(list_files(".seg").len, 0);
}
END_TEST

/* More than the limit is not held: the oldest goes, the hold is broken and counted, its reader meets a gap and misses
 * nothing else. It holds again once it moved. */
START_TEST(test_holds_break_at_their_limit) {
    flk_wal_t *wal = open_due(2 * SEGMENT_BYTES);
    hold_at(0);
    live(wal, RECORDS);
    WAIT_FOR(stats_of(wal).holds_broken == 1);
    plain_outcomes(&plain);
    take_all(0);
    ck_assert_uint_ge(followed.gaps_len, 1);
    ck_assert(followed.gaps[0].from_lsn == 1 && followed.gaps[0].lsn < followed.at[0].lsn);
    check_same(&followed, &plain, followed.gaps[0].lsn, "behind the gap");
    hold_at(followed.gaps[0].lsn);
    const size_t segments = list_files(".seg").len;
    flk_wal_close(&wal);
    restart(2 * SEGMENT_BYTES);
    ck_assert_uint_le(list_files(".seg").len, segments);
    wal = open_due(2 * SEGMENT_BYTES);
    ck_assert_uint_le(stats_of(wal).held_bytes, 2 * SEGMENT_BYTES);
    flk_wal_close(&wal);
}
END_TEST

static int no_space(flk_io_op_t op, const char *path, void *arg) {
    (void)arg;
    return op == FLK_IO_ALLOCATE && strstr(path, "segment.tmp") != NULL && list_files(".seg").len > 3 ? ENOSPC : 0;
}

/* Before work is refused for want of space, held segments go. */
START_TEST(test_holds_give_way_to_new_records) {
    flk_wal_t *wal = open_due(0);
    hold_at(0);
    flk_wal_close(&wal);
    wal = open_due(0);
    flk_io_set_fault(no_space, NULL);
    for (unsigned i = 0; i < RECORDS; i++) {
        end_record(wal, append(wal, i));
    }
    ck_assert_uint_ge(stats_of(wal).holds_broken, 1);
    flk_io_set_fault(NULL, NULL);
    flk_wal_close(&wal);
}
END_TEST

/* Refused records lose their bodies when every hold has passed their acks, and not before. */
START_TEST(test_holds_keep_refused_records) {
    const bool passed = _i == 1;
    flk_wal_t *wal = open_with((flk_wal_options_t){.segment_bytes_max = SEGMENT_BYTES});
    hold_at(0);
    for (unsigned i = 0; i < RECORDS; i++) {
        flk_wal_ack(wal, append(wal, i), (flk_wal_mark_t){.status = FLK_WAL_STATUS_REFUSED});
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    if (passed) {
        const uint64_t bytes = stats_of(wal).bytes;
        hold_at(stats_of(wal).next_lsn - 1);
        WAIT_FOR(stats_of(wal).bytes < bytes);
    }
    flk_wal_close(&wal);
    size_t bodies = 0, outcomes = 0;
    flk_wal_follow_item_t item;
    flk_wal_follow_t *follow = follow_from(0);
    for (; flk_wal_follow_next(follow, 0, &item, errmsg) == FLK_OK; outcomes++) {
        ck_assert(!item.is_gap && item.ending.mark.status == FLK_WAL_STATUS_REFUSED);
        bodies += item.record.body != NULL;
    }
    flk_wal_follow_close(&follow);
    ck_assert_uint_eq(outcomes, RECORDS);
    ck_assert(passed ? bodies < RECORDS : bodies == RECORDS);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("holds");
    tcase_add_checked_fixture(tcase, forget, NULL);
    tcase_add_test(tcase, test_holds_are_kept);
    tcase_add_loop_test(tcase, test_holds_keep_what_is_due, 0, 2);
    tcase_add_test(tcase, test_holds_of_others_keep_nothing);
    tcase_add_test(tcase, test_holds_break_at_their_limit);
    tcase_add_test(tcase, test_holds_give_way_to_new_records);
    tcase_add_loop_test(tcase, test_holds_keep_refused_records, 0, 2);
    return run_suite(tcase);
}
