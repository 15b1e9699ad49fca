/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "tests/unit/rig/suite.h"

static char dir[64];
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    strcpy(dir, "/tmp/flk-io-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void) {
    flk_io_set_fault(NULL, NULL);
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

static const char *path_of(const char *name) {
    static char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

typedef struct fault_on {
    flk_io_op_t op;
    int code;
} fault_on_t;

static int fault(flk_io_op_t op, const char *path, void *arg) {
    const fault_on_t *on = arg;
    (void)path;
    return op == on->op ? on->code : 0;
}

static int open_new(const char *path) {
    int fd;
    ck_assert_int_eq(flk_io_open(path, O_RDWR | O_CREAT | O_EXCL, &fd, errmsg), FLK_OK);
    return fd;
}

/* A gather write of more pieces than IOV_MAX, empty ones among them, comes back whole from where it was put. */
START_TEST(test_io_pwritev_writes_every_piece) {
    enum { PIECES = IOV_MAX * 2 + 7 };
    static struct iovec iov[PIECES];
    static char text[PIECES], back[PIECES + 16];
    size_t bytes = 0;
    for (int i = 0; i < PIECES; i++) {
        text[i] = (char)('a' + i % 26);
        iov[i] = (struct iovec){.iov_base = text + bytes, .iov_len = i % 5 == 0 ? 0 : 1};
        bytes += iov[i].iov_len;
    }
    int fd = open_new(path_of("pieces"));
    ck_assert_int_eq(flk_io_pwritev(fd, "pieces", iov, PIECES, 10, errmsg), FLK_OK);
    size_t got;
    ck_assert_int_eq(flk_io_pread(fd, "pieces", back, sizeof back, 10, &got, errmsg), FLK_OK);
    ck_assert_uint_eq(got, bytes);
    ck_assert_mem_eq(back, text, bytes);
    close(fd);
}
END_TEST

/* A replaced file holds the new content, has mode 0600, and leaves no temporary name; a stale one is no obstacle. */
START_TEST(test_io_replace_swaps_whole_files) {
    char *data;
    size_t bytes;
    close(open_new(path_of("state.tmp")));
    ck_assert_int_eq(flk_io_replace(path_of("state"), "first", 5, errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_replace(path_of("state"), "second", 6, errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_read_file(path_of("state"), 100, &data, &bytes, errmsg), FLK_OK);
    ck_assert_uint_eq(bytes, 6);
    ck_assert_str_eq(data, "second");
    free(data);
    struct stat status;
    ck_assert_int_eq(stat(path_of("state"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0600);
    ck_assert_int_ne(access(path_of("state.tmp"), F_OK), 0);
}
END_TEST

/* Whichever step of a replacement fails, the old content stands until the rename and the failure is reported. */
START_TEST(test_io_replace_keeps_the_old_content_on_failure) {
    ck_assert_int_eq(flk_io_replace(path_of("state"), "old", 3, errmsg), FLK_OK);
    const flk_io_op_t before_rename[] = {FLK_IO_OPEN, FLK_IO_WRITE, FLK_IO_SYNC, FLK_IO_CLOSE, FLK_IO_RENAME};
    for (size_t i = 0; i < FLK_COUNT_OF(before_rename); i++) {
        fault_on_t on = {before_rename[i], ENOSPC};
        flk_io_set_fault(fault, &on);
        ck_assert_int_eq(flk_io_replace(path_of("state"), "new", 3, errmsg), FLK_E_NO_SPACE);
        flk_io_set_fault(NULL, NULL);
        char *data;
        size_t bytes;
        ck_assert_int_eq(flk_io_read_file(path_of("state"), 100, &data, &bytes, errmsg), FLK_OK);
        ck_assert_str_eq(data, "old");
        free(data);
        ck_assert_int_ne(access(path_of("state.tmp"), F_OK), 0);
    }
}
END_TEST

/* A file at the limit is read, one byte more is refused, a missing one is told apart. */
START_TEST(test_io_read_file_keeps_its_limit) {
    static char content[10000];
    memset(content, 'x', sizeof content);
    ck_assert_int_eq(flk_io_replace(path_of("file"), content, sizeof content, errmsg), FLK_OK);
    char *data;
    size_t bytes;
    ck_assert_int_eq(flk_io_read_file(path_of("file"), sizeof content, &data, &bytes, errmsg), FLK_OK);
    ck_assert_uint_eq(bytes, sizeof content);
    free(data);
    ck_assert_int_eq(flk_io_read_file(path_of("file"), sizeof content - 1, &data, &bytes, errmsg), FLK_E_TOO_LARGE);
    ck_assert_int_eq(flk_io_read_file(path_of("none"), 10, &data, &bytes, errmsg), FLK_E_NOT_FOUND);
}
END_TEST

/* A symbolic link is not followed when a file is opened, but is when a whole file (a mounted secret) is read. */
START_TEST(test_io_open_does_not_follow_links) {
    ck_assert_int_eq(flk_io_replace(path_of("target"), "t", 1, errmsg), FLK_OK);
    char link_path[PATH_MAX];
    strcpy(link_path, path_of("link"));
    ck_assert_int_eq(symlink("target", link_path), 0);
    int fd;
    ck_assert_int_eq(flk_io_open(link_path, O_RDONLY, &fd, errmsg), FLK_E_IO);
    char *data;
    size_t bytes;
    ck_assert_int_eq(flk_io_read_file(link_path, 10, &data, &bytes, errmsg), FLK_OK);
    free(data);
}
END_TEST

/* A pipe in the place of a file is an error at once: neither its reader nor its writer is waited for. */
START_TEST(test_io_waits_for_no_pipe) {
    static const int flags[] = {O_RDONLY, O_WRONLY, O_WRONLY | O_CREAT | O_TRUNC, O_RDWR | O_CREAT};
    char *data, pipe_path[PATH_MAX];
    size_t bytes;
    int fd;
    strcpy(pipe_path, path_of("pipe"));
    ck_assert_int_eq(mkfifo(pipe_path, 0600), 0);
    for (size_t i = 0; i < FLK_COUNT_OF(flags); i++) {
        ck_assert_int_eq(flk_io_open(pipe_path, flags[i], &fd, errmsg), FLK_E_IO);
        ck_assert_ptr_nonnull(strstr(errmsg, "regular file"));
    }
    ck_assert_int_eq(flk_io_read_own(pipe_path, 10, &data, &bytes, errmsg), FLK_E_IO);
}
END_TEST

/* Nested directories appear with mode 0700; a file in the way is an error that names the path. */
START_TEST(test_io_mkdirs_makes_the_whole_path) {
    struct stat status;
    ck_assert_int_eq(flk_io_mkdirs(path_of("a/b/c"), errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_mkdirs(path_of("a/b/c/"), errmsg), FLK_OK);
    ck_assert_int_eq(stat(path_of("a/b"), &status), 0);
    ck_assert_int_eq(status.st_mode & 0777, 0700);
    close(open_new(path_of("file")));
    ck_assert_int_eq(flk_io_mkdirs(path_of("file/x"), errmsg), FLK_E_IO);
    ck_assert_ptr_nonnull(strstr(errmsg, "file/x"));
}
END_TEST

/* Allocated space reads as zeros, truncation cuts it, free space is known, a second hard link is told as EXISTS. */
START_TEST(test_io_size_operations) {
    int fd = open_new(path_of("file"));
    uint64_t size;
    ck_assert_int_eq(flk_io_allocate(fd, "file", 65536, errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_size(fd, "file", &size, errmsg), FLK_OK);
    ck_assert_uint_eq(size, 65536);
    ck_assert_int_eq(flk_io_truncate(fd, "file", 100, errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_size(fd, "file", &size, errmsg), FLK_OK);
    ck_assert_uint_eq(size, 100);
    ck_assert_int_eq(flk_io_close(fd, "file", errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_free_bytes(dir, &size, errmsg), FLK_OK);
    char from[PATH_MAX];
    strcpy(from, path_of("file"));
    ck_assert_int_eq(flk_io_link(from, path_of("second"), errmsg), FLK_OK);
    ck_assert_int_eq(flk_io_link(from, path_of("second"), errmsg), FLK_E_EXISTS);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("io");
    TCase *tcase = tcase_create("io");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_io_pwritev_writes_every_piece);
    tcase_add_test(tcase, test_io_replace_swaps_whole_files);
    tcase_add_test(tcase, test_io_replace_keeps_the_old_content_on_failure);
    tcase_add_test(tcase, test_io_read_file_keeps_its_limit);
    tcase_add_test(tcase, test_io_open_does_not_follow_links);
    tcase_add_test(tcase, test_io_waits_for_no_pipe);
    tcase_add_test(tcase, test_io_mkdirs_makes_the_whole_path);
    tcase_add_test(tcase, test_io_size_operations);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
