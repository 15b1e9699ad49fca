/* SPDX-License-Identifier: MIT */
/* Entries with a segment's name that are no segment of this log, copies of a log, and a start that is told to stop. */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/wal/format.h"
#include "common/wal/path.h"
#include "tests/unit/rig/wal_fixture.h"

enum { SEGMENT_BYTES = 8192, IDS_MAX = 1024, COUNT = 100 };

static flk_wal_t *open_small(void) {
    return open_with((flk_wal_options_t){.segment_bytes_max = SEGMENT_BYTES});
}

static void make_log(void) {
    flk_wal_t *wal = open_small();
    for (uint64_t id = 1; id <= COUNT; id++) {
        append(wal, id);
    }
    flk_wal_close(&wal);
}

static const char *segment_path(uint64_t number) {
    char name[FLK_WAL_NAME_BYTES];
    flk_wal_file_name(number, name);
    return path_of(name);
}

static void assert_all_there(flk_wal_t *wal, size_t count) {
    uint64_t ids[IDS_MAX];
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), count);
    for (uint64_t i = 0; i < count; i++) {
        ck_assert_uint_eq(ids[i], i + 1);
    }
    ck_assert_uint_eq(stats_of(wal).damaged_records, 0);
}

/* ---- odd entries ---- */

static void make_fifo(const char *path) {
    ck_assert_int_eq(mkfifo(path, 0600), 0);
}

static void make_sparse(const char *path) {
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(ftruncate(fd, INT64_C(1) << 40), 0);
    close(fd);
}

static void make_symlink(const char *path) {
    ck_assert_int_eq(symlink("/dev/zero", path), 0);
}

static void make_dangling(const char *path) {
    ck_assert_int_eq(symlink("nowhere", path), 0);
}

static void make_directory(const char *path) {
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(path), sizeof address.sun_path);
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

/* As root only; else a FIFO once more. */
static void make_device(const char *path) {
    if (mknod(path, S_IFCHR | 0600, 0x103) != 0) { /* /dev/null */
        make_fifo(path);
    }
}

typedef void make_fn(const char *path);
static make_fn *const makers[] = {make_fifo,      make_sparse, make_symlink, make_dangling,
                                  make_directory, make_socket, make_device};

static uint64_t noted_strangers;

static bool note_stranger(void *arg, const flk_wal_item_t *item) {
    (void)arg;
    noted_strangers += item->type == FLK_WAL_ITEM_STRANGER;
    ck_assert_int_ne(item->type, FLK_WAL_ITEM_DAMAGE);
    return true;
}

static void assert_odd_is_left_alone(make_fn *make, uint64_t number) {
    struct stat before, after;
    make(segment_path(number));
    ck_assert_int_eq(lstat(segment_path(number), &before), 0);
    noted_strangers = 0;
    ck_assert_int_eq(flk_wal_read(dir, note_stranger, NULL, errmsg), FLK_OK);
    ck_assert_uint_eq(noted_strangers, 1);
    flk_wal_t *wal = open_small();
    assert_all_there(wal, COUNT);
    ck_assert_uint_eq(stats_of(wal).strangers, 1);
    ck_assert_uint_eq(stats_of(wal).quarantined, 0);
    flk_wal_close(&wal);
    ck_assert_int_eq(lstat(segment_path(number), &after), 0);
    ck_assert(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
    ck_assert_int_eq(remove(segment_path(number)), 0);
}

/* A FIFO, a sparse file of a terabyte, links, a directory, a socket or a device with a segment's name: told and left
 * alone, never opened, before and behind the log's own segments and under the next one's name. */
START_TEST(test_wal_strangers_odd_entries_are_left_alone) {
    make_log();
    for (size_t i = 0; i < FLK_COUNT_OF(makers); i++) {
        assert_odd_is_left_alone(makers[i], 0);
        assert_odd_is_left_alone(makers[i], list_files(".seg").len + 1);
        assert_odd_is_left_alone(makers[i], 5000);
    }
}
END_TEST

/* A FIFO under any other name that the log reads, also one of a segment that was set aside: nothing waits for it. */
START_TEST(test_wal_strangers_pipes_under_other_names) {
    static const char *const names[] = {"checkpoint", "reserve", "wal-0000000000000001.seg.damaged", "segment.tmp",
                                        "rewrite.tmp"};
    make_log();
    for (size_t i = 0; i < FLK_COUNT_OF(names); i++) {
        unlink(path_of(names[i]));
        make_fifo(path_of(names[i]));
        ck_assert_int_eq(flk_wal_read(dir, note_stranger, NULL, errmsg), FLK_OK);
        flk_wal_t *wal = open_small();
        assert_all_there(wal, COUNT);
        flk_wal_close(&wal);
    }
}
END_TEST

/* An entry with the highest number there is does not lead new segments to names that no start can read. */
START_TEST(test_wal_strangers_do_not_use_up_the_numbers) {
    make_log();
    make_fifo(segment_path(FLK_WAL_NUMBER_MAX));
    store_file("wal-3fffffffffffffff.seg", "junk", 4);
    for (uint64_t round = 0; round < 2; round++) {
        flk_wal_t *wal = open_small();
        assert_all_there(wal, COUNT + round);
        append(wal, COUNT + 1 + round);
        flk_wal_close(&wal);
    }
    ck_assert_int_eq(unlink(segment_path(FLK_WAL_NUMBER_MAX)), 0);
}
END_TEST

/* ---- copies ---- */

static void copy_log(const char *to) {
    char command[256];
    snprintf(command, sizeof command, "cp -r %s %s", dir, to);
    ck_assert_int_eq(system(command), 0);
}

typedef struct names_seen {
    uint64_t ids[IDS_MAX];
    size_t len;
} names_seen_t;

static bool note_name(void *arg, const flk_wal_item_t *item) {
    names_seen_t *names = arg;
    if (item->type == FLK_WAL_ITEM_RECORD && item->record.lsn < IDS_MAX) {
        names->ids[item->record.lsn] = item->log_id;
    }
    return true;
}

/* A copy draws a number of its own, keeps it, and delivers the records that it brought along; LSNs go on rising. The
 * original keeps its number, and so does a directory that is only renamed. Tools see which number was whose. */
START_TEST(test_wal_strangers_copy_draws_a_new_number) {
    static names_seen_t names;
    char original[sizeof dir], copy[sizeof dir + 8];
    uint64_t ids[IDS_MAX];
    make_log();
    strcpy(original, dir);
    snprintf(copy, sizeof copy, "%s-copy", dir);
    copy_log(copy);
    flk_wal_t *wal = open_small();
    const uint64_t first = flk_wal_id(wal), next_lsn = stats_of(wal).next_lsn;
    append(wal, COUNT + 1);
    flk_wal_close(&wal);

    ck_assert_uint_lt(strlen(copy), sizeof dir);
    strcpy(dir, copy);
    wal = open_small();
    const uint64_t second = flk_wal_id(wal);
    ck_assert_uint_ne(second, first);
    assert_all_there(wal, COUNT);
    const uint64_t lsn = append(wal, COUNT + 1);
    ck_assert_uint_ge(lsn, next_lsn);
    flk_wal_close(&wal);
    strcat(dir, "2");
    ck_assert_int_eq(rename(copy, dir), 0);
    wal = open_small();
    ck_assert_uint_eq(flk_wal_id(wal), second);
    assert_all_there(wal, COUNT + 1);
    ck_assert_uint_eq(unacked_ids(wal, ids, IDS_MAX), COUNT + 1);
    flk_wal_close(&wal);
    ck_assert_int_eq(flk_wal_read(dir, note_name, &names, errmsg), FLK_OK);
    ck_assert_uint_eq(names.ids[1], first);
    ck_assert_uint_eq(names.ids[lsn], second);
    teardown();

    strcpy(dir, original);
    wal = open_small();
    ck_assert_uint_eq(flk_wal_id(wal), first);
    flk_wal_close(&wal);
}
END_TEST

/* Without its lock file, or with a damaged one, a log takes itself for a copy; with an empty one it is of an older
 * version and keeps its number. */
START_TEST(test_wal_strangers_lock_file_tells_the_place) {
    make_log();
    flk_wal_t *wal = open_small();
    uint64_t number = flk_wal_id(wal);
    flk_wal_close(&wal);
    store_file("lock", "", 0);
    for (int round = 0; round < 2; round++) {
        wal = open_small();
        ck_assert_uint_eq(flk_wal_id(wal), number);
        flk_wal_close(&wal);
    }
    for (int round = 0; round < 2; round++) {
        if (round == 0) {
            ck_assert_int_eq(unlink(path_of("lock")), 0);
        } else {
            store_file("lock", "nonsense", 8);
        }
        wal = open_small();
        ck_assert_uint_ne(flk_wal_id(wal), number);
        number = flk_wal_id(wal);
        assert_all_there(wal, COUNT);
        flk_wal_close(&wal);
        wal = open_small();
        ck_assert_uint_eq(flk_wal_id(wal), number);
        flk_wal_close(&wal);
    }
}
END_TEST

/* ---- stop ---- */

static unsigned asked;

static bool stop_at_the_third(void) {
    return ++asked >= 3;
}

/* A start that is told to stop ends within a read, and leaves the log as it was. */
START_TEST(test_wal_strangers_start_listens_to_a_stop) {
    make_log();
    flk_wal_options_t options = {.dir = dir, .stop_asked = stop_at_the_third, .low_water_bytes = 1};
    flk_wal_t *wal = NULL;
    ck_assert_int_eq(flk_wal_open(&options, &wal, errmsg), FLK_E_CLOSED);
    ck_assert_uint_eq(asked, 3);
    wal = open_small();
    assert_all_there(wal, COUNT);
    flk_wal_close(&wal);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("strangers");
    tcase_add_test(tcase, test_wal_strangers_odd_entries_are_left_alone);
    tcase_add_test(tcase, test_wal_strangers_pipes_under_other_names);
    tcase_add_test(tcase, test_wal_strangers_do_not_use_up_the_numbers);
    tcase_add_test(tcase, test_wal_strangers_copy_draws_a_new_number);
    tcase_add_test(tcase, test_wal_strangers_lock_file_tells_the_place);
    tcase_add_test(tcase, test_wal_strangers_start_listens_to_a_stop);
    return run_suite(tcase);
}
