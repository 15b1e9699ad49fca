/* SPDX-License-Identifier: MIT */
/* The progress line at every width. */
#include "agent/progress.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

static const flk_progress_state_t throttled = {
    .share = 0.42, .answered = 1234, .waiting = 567, .dead = 3, .why = "HTTP 429: over the rate limit"};

/* No line is as wide as its terminal, from one column to five hundred. */
START_TEST(test_progress_fits) {
    for (unsigned columns = 1; columns <= 500; columns++) {
        char line[FLK_PROGRESS_BYTES];
        flk_progress_print(&throttled, 60, columns, line);
        ck_assert_msg(strlen(line) < columns || columns == 1, "%u columns: %s", columns, line);
        ck_assert_msg(columns < 120 || strstr(line, throttled.why) != NULL, "%u columns: %s", columns, line);
        ck_assert_msg(columns < 20 || strstr(line, "42%") != NULL, "%u columns: %s", columns, line);
    }
}
END_TEST

/* The whole line on a usual terminal: bar, share, time that is left, counts, the reason of those that wait. */
START_TEST(test_progress_words) {
    char line[FLK_PROGRESS_BYTES];
    flk_progress_print(&throttled, 60, 130, line);
    ck_assert_str_eq(line,
                     "[##########--------------]  42%  ETA 1:22  1234 answered  21/s  3 dead  567 waiting: HTTP 429: "
                     "over the rate limit");
    flk_progress_state_t unknown = {.share = -1, .answered = 10, .why = ""};
    flk_progress_print(&unknown, 2, 80, line);
    ck_assert_str_eq(line, "10 answered  5/s  0 waiting");
    flk_progress_state_t slow = {.share = 0.01, .answered = 1, .waiting = 99, .why = ""};
    flk_progress_print(&slow, 60, 80, line);
    ck_assert_ptr_nonnull(strstr(line, "ETA 1:39:00"));
    flk_progress_state_t begun = {.share = 0, .why = ""};
    flk_progress_print(&begun, 0, 80, line);
    ck_assert_ptr_null(strstr(line, "ETA"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_terminal");
    TCase *tests = tcase_create("terminal");
    tcase_add_test(tests, test_progress_fits);
    tcase_add_test(tests, test_progress_words);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
