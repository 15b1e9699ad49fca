/* SPDX-License-Identifier: MIT */
/* What tests of stores with a server look at: figures of the registry, log lines, time that a call took. */
#ifndef FLK_TESTS_STORE_PROBE_H
#define FLK_TESTS_STORE_PROBE_H

#include <unistd.h>

#include "tests/unit/rig/store_fixture.h"

static flk_metrics_t *registry; /* of the test; made by probe_setup */

/* The figure behind `series` in the registry, e.g. "flk_store_errors_total{kind=\"auth\"}". */
static inline uint64_t figure(const char *series) {
    char *text, line[160];
    size_t text_bytes;
    ck_assert_int_eq(flk_metrics_render(registry, &text, &text_bytes), FLK_OK);
    snprintf(line, sizeof line, "\n%s ", series);
    const char *at = strstr(text, line);
    ck_assert_msg(at != NULL, "no series %s", series);
    uint64_t value = strtoull(at + strlen(line), NULL, 10);
    free(text);
    return value;
}

/* ---- the log, which goes to a file while a test runs ---- */

static char log_path[96];
static int real_stderr = -1;

void __sanitizer_set_report_fd(void *fd) __attribute__((weak)); /* there in sanitizer builds only */

static inline void probe_setup(void) {
    registry = flk_metrics_new();
    snprintf(log_path, sizeof log_path, "%s/test.log", dir);
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    if (__sanitizer_set_report_fd != NULL) {
        __sanitizer_set_report_fd((void *)(intptr_t)real_stderr);
    }
    FILE *log = fopen(log_path, "a");
    ck_assert_ptr_nonnull(log);
    dup2(fileno(log), STDERR_FILENO);
    fclose(log);
}

static inline void probe_teardown(void) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    flk_metrics_destroy(&registry);
}

/* How many lines of the log hold all of the words (up to three; NULL ends). */
static inline unsigned logged(const char *a, const char *b, const char *c) {
    char line[2048];
    unsigned count = 0;
    FILE *log = fopen(log_path, "r");
    ck_assert_ptr_nonnull(log);
    while (fgets(line, sizeof line, log) != NULL) {
        count +=
            strstr(line, a) != NULL && (b == NULL || strstr(line, b) != NULL) && (c == NULL || strstr(line, c) != NULL);
    }
    fclose(log);
    return count;
}

/* ---- calls that may fail ---- */

static inline flk_err_t try_put(flk_store_t *store, uint64_t n, const char *value) {
    flk_store_item_t item = item_of(n, value), *at = &item;
    errmsg[0] = '\0';
    return flk_store_put(store, &at, 1, errmsg);
}

static inline flk_err_t try_lookup(flk_store_t *store, uint64_t n) {
    flk_store_item_t item = {0}, *at = &item;
    item_key(&item, n);
    errmsg[0] = '\0';
    return flk_store_lookup(store, &at, 1, errmsg);
}

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
