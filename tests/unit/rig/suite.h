/* SPDX-License-Identifier: MIT */
/* The end of every unit test's main. */
#ifndef FLK_TESTS_SUITE_H
#define FLK_TESTS_SUITE_H

#include <check.h>

/* Takes the suite, runs its cases, and gives the status to exit with. CK_VERBOSITY says how much is printed. */
int suite_run(Suite *suite);

#endif
