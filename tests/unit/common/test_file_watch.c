/* SPDX-License-Identifier: MIT */
#include "common/file_watch.h"

#include "tests/unit/rig/suite.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[32], a[64], b[64], fresh[64];
static flk_file_watch_t watch;

static void put(const char *path, const char *text) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void setup(void) {
    strcpy(dir, "/tmp/flk-watch-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(a, sizeof a, "%s/a", dir);
    snprintf(b, sizeof b, "%s/b", dir);
    snprintf(fresh, sizeof fresh, "%s/fresh", dir);
    put(a, "one");
    const char *paths[] = {a, b};
    flk_file_watch_init(&watch, paths, 2);
}

static void teardown(void) {
    unlink(a);
    unlink(b);
    unlink(fresh);
    rmdir(dir);
}

/* A change shows once it has stood still from one look to the next, and until it is marked. */
static void expect_change(void) {
    ck_assert(!flk_file_watch_look(&watch));
    ck_assert(flk_file_watch_look(&watch));
    ck_assert(flk_file_watch_look(&watch));
    flk_file_watch_mark(&watch);
    ck_assert(!flk_file_watch_look(&watch));
    ck_assert(!flk_file_watch_look(&watch));
}

/* Written, appeared, replaced by a rename, a link turned, gone: each is a change. */
START_TEST(test_file_watch_changes) {
    ck_assert(!flk_file_watch_look(&watch));
    put(a, "three");
    expect_change();
    put(b, "new");
    expect_change();
    put(fresh, "new"); /* same size, and maybe the same time: another inode */
    ck_assert_int_eq(rename(fresh, b), 0);
    expect_change();
    unlink(b);
    expect_change();
    ck_assert_int_eq(symlink("a", b), 0);
    expect_change();
    put(fresh, "three");
    unlink(b);
    ck_assert_int_eq(symlink("fresh", b), 0);
    expect_change();
}
END_TEST

/* While somebody writes, nothing shows. */
START_TEST(test_file_watch_waits_for_the_end) {
    char text[16] = "";
    for (int i = 0; i < 5; i++) {
        strcat(text, "x");
        put(a, text);
        ck_assert(!flk_file_watch_look(&watch));
    }
    ck_assert(flk_file_watch_look(&watch));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file_watch");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_file_watch_changes);
    tcase_add_test(tcase, test_file_watch_waits_for_the_end);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
