/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/store_probe.h"

flk_metrics_t *registry; /* of the test; made by probe_setup */

uint64_t figure(const char *series) {
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

static char log_path[96];
static int real_stderr = -1;

void probe_setup(void) {
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

void probe_teardown(void) {
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    flk_metrics_destroy(&registry);
}

unsigned logged(const char *a, const char *b, const char *c) {
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

flk_err_t try_put(flk_store_t *store, uint64_t n, const char *value) {
    flk_store_item_t item = item_of(n, value), *at = &item;
    errmsg[0] = '\0';
    return flk_store_put(store, &at, 1, errmsg);
}

flk_err_t try_lookup(flk_store_t *store, uint64_t n) {
    flk_store_item_t item = {0}, *at = &item;
    item_key(&item, n);
    errmsg[0] = '\0';
    return flk_store_lookup(store, &at, 1, errmsg);
}
