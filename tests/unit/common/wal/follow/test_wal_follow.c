/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/wait.h>

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

/* The writer is killed between any two of its system calls and started again, and so on: whoever followed it all along
 * has what a plain read has in the end, and so has whoever came later. */
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

/* ---- waiting ---- */

static void *wake_soon(void *follow) {
    usleep(20000);
    flk_wal_follow_wake(follow);
    return NULL;
}

/* At the head a follower waits: until an outcome comes, until the time is over, until it is woken. */
START_TEST(test_follow_waits_at_the_head) {
    flk_wal_t *wal = open_small();
    flk_wal_follow_item_t item;
    flk_wal_follow_t *follow = follow_from(0);
    ck_assert_int_eq(flk_wal_follow_next(follow, 5, &item, errmsg), FLK_E_AGAIN);
    end_record(wal, append(wal, 1));
    ck_assert_int_eq(flk_wal_follow_next(follow, DEADLINE_MS, &item, errmsg), FLK_OK);
    ck_assert(item.lsn == 2 && item.record.lsn == 1 && item.log_id == flk_wal_id(wal));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, wake_soon, follow), 0);
    const uint64_t began_ms = flk_mono_ms();
    ck_assert_int_eq(flk_wal_follow_next(follow, DEADLINE_MS, &item, errmsg), FLK_E_AGAIN);
    ck_assert_uint_lt(flk_mono_ms() - began_ms, DEADLINE_MS);
    pthread_join(thread, NULL);
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
    tcase_add_test(tcase, test_follow_waits_at_the_head);
    tcase_add_test(tcase, test_follow_refuses_a_position_ahead);
    return run_suite(tcase);
}
