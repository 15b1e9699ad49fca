/* SPDX-License-Identifier: MIT */
/* The end of every unit test's main. */
#ifndef FLK_TESTS_SUITE_H
#define FLK_TESTS_SUITE_H

#include <check.h>

/* Takes the suite, runs its cases, and gives the status to exit with. CK_VERBOSITY says how much is printed. */
static inline int suite_run(Suite *suite) {
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}

#endif
