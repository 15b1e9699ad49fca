/* SPDX-License-Identifier: MIT */
/* The records that the log gives up to make room, the time of that, and those that it never gives up. The disk and the
 * clock are this file's own: it defines statvfs and clock_gettime, and the program's calls come here. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>

#include "common/wal/format.h"
#include "tests/unit/rig/wal_fixture.h"

enum { SEGMENT_BYTES = 16384, LOW_WATER_BYTES = 100000, IDS_MAX = 4096 };

static _Atomic uint64_t disk_bytes;      /* 0: the real disk */
static _Atomic bool disk_frees_nothing;  /* a snapshot holds each block */
static _Atomic uint64_t disk_most_bytes; /* used so far */
static _Atomic int64_t clock_ahead_s;

/* Bytes of files that were removed from the directory and that this process has open. */
static uint64_t held_bytes(void) {
    uint64_t bytes = 0;
    DIR *stream = opendir("/proc/self/fd");
    for (const struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        char path[PATH_MAX];
        struct stat status;
        ssize_t len = readlinkat(dirfd(stream), entry->d_name, path, sizeof path - 1);
        path[len < 0 ? 0 : len] = '\0';
        if (strncmp(path, dir, strlen(dir)) == 0 && strstr(path, " (deleted)") != NULL) {
            bytes += fstat(atoi(entry->d_name), &status) == 0 ? (uint64_t)status.st_size : 0;
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return bytes;
}

static uint64_t used_bytes(void) {
    uint64_t bytes = held_bytes();
    DIR *stream = opendir(dir);
    for (const struct dirent *entry; stream != NULL && (entry = readdir(stream)) != NULL;) {
        struct stat status;
        bytes += fstatat(dirfd(stream), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode)
                     ? (uint64_t)status.st_size
                     : 0;
    }
    if (stream != NULL) {
        closedir(stream);
    }
    return bytes;
}

int statvfs(const char *restrict path, struct statvfs *restrict status) {
    (void)path;
    uint64_t total = disk_bytes, used = used_bytes();
    disk_most_bytes = used > disk_most_bytes ? used : disk_most_bytes;
    used = disk_frees_nothing ? disk_most_bytes : used;
    total = total == 0 ? UINT64_C(1) << 40 : total;
    *status = (struct statvfs){.f_frsize = 1, .f_blocks = total, .f_bavail = used < total ? total - used : 0};
    return 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) {
        now->tv_sec += clock_ahead_s;
    }
    return failed;
}

static void begin(void) {
    disk_bytes = disk_most_bytes = 0;
    disk_frees_nothing = false;
    clock_ahead_s = 0;
}

static flk_wal_t *open_small(void) {
    return open_with((flk_wal_options_t){.segment_bytes_max = SEGMENT_BYTES, .low_water_bytes = LOW_WATER_BYTES});
}

static void refuse_record(flk_wal_t *wal, uint64_t lsn) {
    flk_wal_ack(wal, lsn, (flk_wal_mark_t){.status = FLK_WAL_STATUS_REFUSED});
}

/* Appends, acks and waits a little now and then, as traffic does; each append must be taken. */
static void append_and_ack(flk_wal_t *wal, uint64_t from, uint64_t to) {
    for (uint64_t id = from; id < to; id++) {
        ack(wal, append(wal, id));
        if (id % 64 == 0) {
            usleep(2000);
        }
    }
}

/* ---- low water ---- */

/* A disk that is smaller than the records that pass through the log: settled segments go, oldest first, and no append
 * is ever refused. A record that is not acked stays deliverable through all of it. */
START_TEST(test_wal_space_settled_segments_go_before_work_is_refused) {
    uint64_t ids[IDS_MAX];
    disk_bytes = 400000;
    flk_wal_t *wal = open_small();
    append(wal, 1);
    append_and_ack(wal, 2, 6000); /* some 1.4 MB */
    ck_assert_uint_gt(stats_of(wal).given_up_bytes, 500000);
    ck_assert_int_eq(flk_wal_fault(wal), FLK_OK);
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), 1);
    ck_assert_uint_eq(ids[0], 1);
    flk_wal_close(&wal);
    wal = open_small();
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), 1);
    flk_wal_close(&wal);
}
END_TEST

/* When nothing settled is left, new work is refused for want of space; an un-acked record is never given up, and once
 * it settles the log takes work again. */
START_TEST(test_wal_space_unacked_records_are_never_given_up) {
    uint64_t ids[IDS_MAX], lsns[IDS_MAX] = {0};
    size_t count = 0;
    disk_bytes = 400000;
    flk_wal_t *wal = open_small();
    for (flk_err_t err = FLK_OK; err == FLK_OK && count < IDS_MAX; usleep(200)) {
        err = try_append(wal, count, &lsns[count]);
        count += err == FLK_OK;
    }
    ck_assert_uint_lt(count, IDS_MAX);
    ck_assert_int_eq(flk_wal_fault(wal), FLK_E_NO_SPACE);
    ck_assert_uint_eq(stats_of(wal).given_up_bytes, 0);
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), count);
    for (size_t i = 0; i < count; i++) {
        ack(wal, lsns[i]);
    }
    WAIT_FOR(try_append(wal, count, NULL) == FLK_OK);
    ck_assert_uint_gt(stats_of(wal).given_up_bytes, 0);
    flk_wal_close(&wal);
}
END_TEST

/* A disk on which a removal frees nothing (a snapshot holds the blocks): the history is not given up in vain. */
START_TEST(test_wal_space_is_not_given_up_in_vain) {
    disk_bytes = 1 << 20;
    flk_wal_t *wal = open_small();
    append_and_ack(wal, 1, 2000);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    disk_frees_nothing = true;
    disk_bytes = used_bytes() + LOW_WATER_BYTES / 2;
    WAIT_FOR(flk_wal_fault(wal) == FLK_E_NO_SPACE);
    uint64_t given_up_bytes = stats_of(wal).given_up_bytes;
    ck_assert_uint_gt(given_up_bytes, 0);
    usleep(500000); /* five looks at the space */
    ck_assert_uint_eq(stats_of(wal).given_up_bytes, given_up_bytes);
    flk_wal_close(&wal);
}
END_TEST

/* A reader that keeps the oldest segment open, as the re-drive does: its removal frees nothing, those behind it go all
 * the same, and no append is refused. */
START_TEST(test_wal_space_held_segment_does_not_stop_the_others) {
    flk_wal_cursor_t *cursor;
    flk_wal_record_t record;
    disk_bytes = 400000;
    flk_wal_t *wal = open_small();
    uint64_t lsn = append(wal, 1);
    ck_assert_int_eq(flk_wal_cursor_new(wal, &cursor), FLK_OK);
    ck_assert_int_eq(flk_wal_cursor_next(cursor, &record, errmsg), FLK_OK);
    ack(wal, lsn);
    append_and_ack(wal, 2, 3000);
    ck_assert_uint_ge(held_bytes(), SEGMENT_BYTES / 2); /* it went, and is held */
    ck_assert_int_eq(flk_wal_fault(wal), FLK_OK);
    flk_wal_cursor_destroy(&cursor);
    flk_wal_close(&wal);
}
END_TEST

/* By itself the log takes a quarter of its disk for settled records. */
START_TEST(test_wal_space_cap_is_a_quarter_of_the_disk) {
    disk_bytes = 1 << 21;
    flk_wal_options_t options = {.segment_bytes_max = SEGMENT_BYTES, .retained_bytes_max = FLK_WAL_RETAINED_AUTO};
    flk_wal_t *wal = open_with(options);
    append_and_ack(wal, 1, 3500);
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    WAIT_FOR(stats_of(wal).bytes < (1 << 19) + 2 * SEGMENT_BYTES);
    ck_assert_uint_gt(stats_of(wal).bytes, 1 << 18);
    ck_assert_uint_eq(stats_of(wal).given_up_bytes, 0);
    flk_wal_close(&wal);
}
END_TEST

/* A limit of the process for its files is a full disk, not a broken one. */
START_TEST(test_wal_space_file_size_limit_is_a_full_disk) {
    struct rlimit before, little = {.rlim_cur = SEGMENT_BYTES / 2};
    signal(SIGXFSZ, SIG_IGN);
    flk_wal_t *wal = open_small();
    append(wal, 1);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &before), 0);
    little.rlim_max = before.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    flk_err_t err = FLK_OK;
    for (uint64_t id = 2; err == FLK_OK && id < 1000; id++) {
        err = try_append(wal, id, NULL);
    }
    flk_err_t fault = flk_wal_fault(wal);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &before), 0);
    ck_assert_int_eq(err, FLK_E_NO_SPACE);
    ck_assert_int_eq(fault, FLK_E_NO_SPACE);
    WAIT_FOR(try_append(wal, 1000, NULL) == FLK_OK);
    flk_wal_close(&wal);
}
END_TEST

/* ---- refused records ---- */

typedef struct count {
    uint64_t records, refused, acks, faults;
} count_t;

static bool count_item(void *arg, const flk_wal_item_t *item) {
    count_t *count = arg;
    if (item->type == FLK_WAL_ITEM_RECORD) {
        count->records++;
        count->refused += body_id(item->record.body, item->record.body_bytes) % 2;
    } else if (item->type == FLK_WAL_ITEM_ACK) {
        count->acks++;
    } else {
        count->faults++;
    }
    return true;
}

static count_t count_items(void) {
    count_t count = {0};
    ck_assert_int_eq(flk_wal_read(dir, count_item, &count, errmsg), FLK_OK);
    return count;
}

/* Half of the records are refused: they go from the segments that settled, and nothing else does, also not when a
 * start reads everything again. */
START_TEST(test_wal_space_refused_records_are_dropped) {
    enum { COUNT = 600 };
    flk_wal_t *wal = open_small();
    for (uint64_t id = 0; id < COUNT; id++) {
        uint64_t lsn = append(wal, id);
        if (id % 2 == 1) {
            refuse_record(wal, lsn);
        } else {
            ack(wal, lsn);
        }
    }
    ck_assert_int_eq(flk_wal_flush(wal, errmsg), FLK_OK);
    const uint64_t before_bytes = stats_of(wal).bytes;
    WAIT_FOR(count_items().refused < COUNT / 8);
    ck_assert_uint_lt(stats_of(wal).bytes, before_bytes);
    flk_wal_close(&wal);
    for (int round = 0; round < 2; round++) {
        wal = open_small();
        ck_assert_uint_eq(stats_of(wal).recovered, 0);
        ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
        flk_wal_close(&wal);
        count_t count = count_items();
        ck_assert_uint_eq(count.records - count.refused, COUNT / 2);
        ck_assert_uint_eq(count.acks, COUNT);
        ck_assert_uint_eq(count.faults, 0);
        ck_assert_int_eq(unlink(path_of("checkpoint")), 0);
    }
}
END_TEST

/* A few refused records among many are not worth a rewrite. */
START_TEST(test_wal_space_few_refused_records_stay) {
    enum { COUNT = 600 };
    flk_wal_t *wal = open_small();
    for (uint64_t id = 0; id < COUNT; id++) {
        uint64_t lsn = append(wal, id * 2 + (id % 20 == 0));
        if (id % 20 == 0) {
            refuse_record(wal, lsn);
        } else {
            ack(wal, lsn);
        }
    }
    flk_wal_close(&wal);
    ck_assert_uint_eq(count_items().records, COUNT);
}
END_TEST

/* ---- age ---- */

/* The clock was ahead for a while: a record of that time is as old as those written after it, and holds up neither
 * itself nor them. */
START_TEST(test_wal_space_clock_ahead_does_not_stop_retention) {
    flk_wal_options_t options = {.segment_bytes_max = SEGMENT_BYTES, .retention_ms = 60 * 1000};
    flk_wal_t *wal = open_with(options);
    append_and_ack(wal, 1, 200);
    clock_ahead_s = 10 * 365 * 86400;
    append_and_ack(wal, 200, 400);
    clock_ahead_s = 0;
    append_and_ack(wal, 400, 600);
    flk_wal_close(&wal);
    ck_assert_uint_gt(list_files(".seg").len, 6);
    clock_ahead_s = 120;
    wal = open_with(options);
    flk_wal_close(&wal);
    ck_assert_uint_eq(list_files(".seg").len, 0);
}
END_TEST

/* A segment in front from a time to come keeps nothing behind it either, and is not taken for an old one. */
START_TEST(test_wal_space_times_to_come_are_not_old) {
    flk_wal_options_t options = {.segment_bytes_max = SEGMENT_BYTES, .retention_ms = 60 * 1000};
    clock_ahead_s = 10 * 365 * 86400;
    flk_wal_t *wal = open_with(options);
    append_and_ack(wal, 1, 200);
    flk_wal_close(&wal);
    size_t segments = list_files(".seg").len;
    clock_ahead_s = 0;
    wal = open_with(options);
    append_and_ack(wal, 200, 300);
    flk_wal_close(&wal);
    ck_assert_uint_gt(list_files(".seg").len, segments);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("space");
    tcase_add_checked_fixture(tcase, begin, NULL);
    tcase_add_test(tcase, test_wal_space_settled_segments_go_before_work_is_refused);
    tcase_add_test(tcase, test_wal_space_unacked_records_are_never_given_up);
    tcase_add_test(tcase, test_wal_space_is_not_given_up_in_vain);
    tcase_add_test(tcase, test_wal_space_held_segment_does_not_stop_the_others);
    tcase_add_test(tcase, test_wal_space_cap_is_a_quarter_of_the_disk);
    tcase_add_test(tcase, test_wal_space_file_size_limit_is_a_full_disk);
    tcase_add_test(tcase, test_wal_space_refused_records_are_dropped);
    tcase_add_test(tcase, test_wal_space_few_refused_records_stay);
    tcase_add_test(tcase, test_wal_space_clock_ahead_does_not_stop_retention);
    tcase_add_test(tcase, test_wal_space_times_to_come_are_not_old);
    return run_suite(tcase);
}
