/* SPDX-License-Identifier: MIT */
/* Probes for tests of stores with a server: figures of the registry, log lines, time that a call took. */
#ifndef FLK_TESTS_STORE_PROBE_H
#define FLK_TESTS_STORE_PROBE_H

#include <unistd.h>

#include "tests/unit/rig/store_fixture.h"

extern flk_metrics_t *registry; /* of the test; made by probe_setup */

/* The figure behind `series` in the registry, e.g. "flk_store_errors_total{kind=\"auth\"}". */
uint64_t figure(const char *series);

/* ---- the log, which goes to a file while a test runs ---- */

void __sanitizer_set_report_fd(void *fd) __attribute__((weak)); /* there in sanitizer builds only */

void probe_setup(void);

void probe_teardown(void);

/* How many lines of the log hold all of the words (up to three; NULL ends). */
unsigned logged(const char *a, const char *b, const char *c);

/* ---- calls that may fail ---- */

flk_err_t try_put(flk_store_t *store, uint64_t n, const char *value);

flk_err_t try_lookup(flk_store_t *store, uint64_t n);

/* The call must say UNAVAILABLE within the store timeout, with some slack for a loaded machine. */
#define ck_unavailable(call, timeout_ms)                                                                               \
    do {                                                                                                               \
        uint64_t began_ms = flk_mono_ms();                                                                             \
        ck_assert_int_eq((call), FLK_E_UNAVAILABLE);                                                                   \
        uint64_t took_ms = flk_mono_ms() - began_ms;                                                                   \
        ck_assert_msg(took_ms <= (timeout_ms) + 300, "it took %llu ms", (unsigned long long)took_ms);                  \
        ck_assert_msg(errmsg[0] != '\0', "no line");                                                                   \
    } while (0)

#endif
