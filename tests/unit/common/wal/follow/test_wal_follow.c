/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>
#include <xxhash.h>

#include "common/bytes.h"
#include "common/wal/format.h"
#include "tests/unit/rig/wal_follower.h"

static told_t followed, plain;

static void forget(void) {
    memset(&followed, 0, sizeof followed);
    memset(&plain, 0, sizeof plain);
}

static flk_wal_t *open_small(void) {
    return open_with((flk_wal_options_t){.segment_bytes_max = 8192});
}

/* Records with their acks some behind them; every 17th stays without. */
static void live(flk_wal_t *wal, unsigned records) {
    uint64_t lsns[5] = {0};
    for (unsigned i = 0; i < records; i++) {
        const size_t at = i % FLK_COUNT_OF(lsns);
        if (lsns[at] != 0 && i % 17 != 0) {
            end_record(wal, lsns[at]);
        }
        lsns[at] = append(wal, i);
        if (i % 10 == 9) {
            ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
        }
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
}

/* From every position on the same outcomes come as in a plain read, over many segments, with their records. */
START_TEST(test_follow_from_any_position) {
    flk_wal_t *wal = open_small();
    live(wal, 300);
    plain_outcomes(&plain);
    ck_assert_uint_gt(plain.len, 250);
    for (size_t i = 0; i < plain.len; i += i % 10 == 0 ? 1 : 9) {
        const uint64_t after_lsn = i == 0 ? 0 : plain.at[i].lsn - (i % 2);
        flk_wal_follow_t *follow = follow_from(after_lsn);
        followed.len = 0;
        follow_take(follow, &followed, 0);
        check_same(&followed, &plain, after_lsn, "position");
        ck_assert_uint_eq(followed.gaps_len, 0);
        flk_wal_follow_close(&follow);
    }
    flk_wal_close(&wal);
}
END_TEST

/* ---- a writer that is killed ---- */

static unsigned kill_at, ops_done;

static int kill_myself(flk_io_op_t op, const char *path, void *arg) {
    (void)op, (void)path, (void)arg;
    if (++ops_done == kill_at) {
        kill(getpid(), SIGKILL);
    }
    return 0;
}

static pid_t start_writer(unsigned at) {
    const pid_t pid = fork();
    if (pid == 0) {
        kill_at = at;
        flk_io_set_fault(kill_myself, NULL);
        flk_wal_t *wal = open_small();
        live(wal, 60);
        flk_wal_close(&wal);
        _exit(0);
    }
    ck_assert_int_gt(pid, 0);
    return pid;
}

static bool ended(pid_t pid) {
    return waitpid(pid, NULL, WNOHANG) == pid;
}

/* The writer is killed between any two of its system calls and started again, and so on: a follower all along has the
 * outcomes of a plain read in the end, and so has one that came later. */
START_TEST(test_follow_a_writer_that_is_killed) {
    flk_wal_close(&(flk_wal_t *){open_small()});
    flk_wal_follow_t *follow = follow_from(0), *later = NULL;
    static told_t told_later;
    told_later.len = 0;
    uint64_t after_lsn = 0;
    for (unsigned n = 3; n < 300; n += 7) {
        for (pid_t pid = start_writer(n); !ended(pid);) {
            follow_take(follow, &followed, 1);
        }
        if (later == NULL && n > 150) {
            after_lsn = followed.len == 0 ? 0 : followed.at[followed.len / 2].lsn;
            later = follow_from(after_lsn);
        }
    }
    flk_wal_close(&(flk_wal_t *){open_small()});
    follow_take(follow, &followed, 0);
    follow_take(later, &told_later, 0);
    plain_outcomes(&plain);
    ck_assert_uint_gt(plain.len, 100);
    check_same(&followed, &plain, 0, "all along");
    check_same(&told_later, &plain, after_lsn, "later");
    ck_assert_uint_eq(followed.gaps_len, 0);
    flk_wal_follow_close(&follow);
    flk_wal_follow_close(&later);
}
END_TEST

/* ---- groups that fail ---- */

static unsigned syncs_done;

/* Every 5th sync of a segment fails, each 20th time the next one too, and no poisoned segment can be cut: its last
 * group stays in its file. */
static int fail_syncs(flk_io_op_t op, const char *path, void *arg) {
    (void)arg;
    if (strstr(path, ".seg") == NULL) {
        return 0;
    }
    const bool failing = op == FLK_IO_SYNC && (++syncs_done % 5 == 0 || syncs_done % 20 == 1);
    return failing || op == FLK_IO_TRUNCATE ? EIO : 0;
}

/* The items of a group that failed are never handed out, whether the group was written again or given up. */
START_TEST(test_follow_passes_over_groups_that_failed) {
    flk_wal_t *wal = open_small();
    flk_wal_follow_t *follow = follow_from(0);
    syncs_done = 0;
    flk_io_set_fault(fail_syncs, NULL);
    for (unsigned i = 0; i < 120; i++) {
        uint64_t lsn;
        if (try_append(wal, i, &lsn) == FLK_OK) {
            end_record(wal, lsn);
        }
        if (i % 7 == 0) {
            (void)!flk_wal_flush(wal, errmsg);
        }
        follow_take(follow, &followed, 0);
    }
    flk_io_set_fault(NULL, NULL);
    ck_assert_uint_gt(stats_of(wal).sync_failures, 3);
    flk_wal_close(&wal);
    follow_take(follow, &followed, 0);
    plain_outcomes(&plain);
    ck_assert_uint_gt(plain.len, 10);
    check_same(&followed, &plain, 0, "failed groups");
    ck_assert_uint_eq(followed.gaps_len, 0);
    flk_wal_follow_close(&follow);
}
END_TEST

/* ---- formats ---- */

/* As a program of format 1 wrote it: it knew acks with a mark alone. */
static void make_format_1(const char *name) {
    uint8_t *data;
    const size_t bytes = load_file(name, &data);
    flk_wal_header_t header;
    ck_assert(flk_wal_header_decode(data, &header) && header.version == FLK_WAL_VERSION);
    data[8] = 1;
    flk_put_le64(data + FLK_WAL_SEGMENT_HEADER_BYTES - 8, XXH3_64bits(data, FLK_WAL_SEGMENT_HEADER_BYTES - 8));
    store_file(name, data, bytes);
    free(data);
}

/* A log that a program of before wrote is read, goes on in a new segment of format 2, and both give their outcomes. */
START_TEST(test_follow_both_formats) {
    flk_wal_t *wal = open_small();
    uint64_t left = 0;
    for (unsigned i = 0; i < 30; i++) {
        left = append(wal, i);
        if (i < 29) {
            flk_wal_ack(wal, left,
                        (flk_wal_mark_t){.status = left % 5 == 0 ? 202 : 200, .flags = 3, .detail = (uint32_t)left});
        }
    }
    flk_wal_close(&wal);
    const names_t old = list_files(".seg");
    for (size_t i = 0; i < old.len; i++) {
        make_format_1(old.at[i]);
    }
    wal = open_small();
    ck_assert_uint_eq(stats_of(wal).unacked, 1);
    ck_assert(end_record(wal, left));
    live(wal, 60);
    flk_wal_close(&wal);
    plain_outcomes(&plain);
    flk_wal_follow_t *follow = follow_from(0);
    marks_alone_to_lsn = left - 1;
    follow_take(follow, &followed, 0);
    marks_alone_to_lsn = 0;
    check_same(&followed, &plain, 0, "both formats");
    ck_assert(plain.len > 80 && followed.gaps_len == 0);
    flk_wal_follow_close(&follow);
}
END_TEST

/* ---- waiting ---- */

/* At the head a follower waits: until an outcome comes, or the time is over. */
START_TEST(test_follow_waits_at_the_head) {
    flk_wal_t *wal = open_small();
    flk_wal_follow_item_t item;
    flk_wal_follow_t *follow = follow_from(0);
    ck_assert_int_eq(flk_wal_follow_next(follow, 5, &item, errmsg), FLK_E_AGAIN);
    end_record(wal, append(wal, 1));
    ck_assert_int_eq(flk_wal_follow_next(follow, DEADLINE_MS, &item, errmsg), FLK_OK);
    ck_assert(item.lsn == 2 && item.record.lsn == 1 && item.log_id == flk_wal_id(wal));
    flk_wal_follow_status_t status;
    flk_wal_follow_status(follow, &status);
    ck_assert(status.position == 2 && status.durable_lsn == 2 && status.first_lsn == 1 && status.lineage != 0);
    flk_wal_follow_close(&follow);
    flk_wal_close(&wal);
}
END_TEST

/* A position that the log never reached is refused, as is a directory without a log. */
START_TEST(test_follow_refuses_a_position_ahead) {
    flk_wal_follow_t *follow;
    ck_assert_int_eq(flk_wal_follow_open(dir, 0, &follow, errmsg), FLK_E_NOT_FOUND);
    flk_wal_t *wal = open_small();
    end_record(wal, append(wal, 1));
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    ck_assert_int_eq(flk_wal_follow_open(dir, 3, &follow, errmsg), FLK_E_INVALID);
    ck_assert_ptr_null(follow);
    ck_assert_ptr_nonnull(strstr(errmsg, "ends at LSN 2, before the position 3"));
    follow = follow_from(2);
    flk_wal_follow_close(&follow);
    flk_wal_close(&wal);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("follow");
    tcase_add_checked_fixture(tcase, forget, NULL);
    tcase_add_test(tcase, test_follow_from_any_position);
    tcase_add_test(tcase, test_follow_a_writer_that_is_killed);
    tcase_add_test(tcase, test_follow_passes_over_groups_that_failed);
    tcase_add_test(tcase, test_follow_both_formats);
    tcase_add_test(tcase, test_follow_waits_at_the_head);
    tcase_add_test(tcase, test_follow_refuses_a_position_ahead);
    return run_suite(tcase);
}
