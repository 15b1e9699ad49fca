/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"
#include "common/metrics_process.h"
#include "tests/unit/rig/suite.h"

static flk_metrics_t *metrics;
static char *text;

static void setup(void) {
    metrics = flk_metrics_new();
    flk_metrics_add_process(metrics);
    text = NULL;
}

static void teardown(void) {
    free(text);
    flk_metrics_destroy(&metrics);
    ck_assert_ptr_null(metrics);
}

static const char *render(void) {
    size_t bytes;
    free(text);
    ck_assert_int_eq(flk_metrics_render(metrics, &text, &bytes), FLK_OK);
    ck_assert_uint_eq(strlen(text), bytes);
    return text;
}

static void assert_has(const char *part) {
    ck_assert_msg(strstr(text, part) != NULL, "'%s' is not in:\n%s", part, text);
}

/* A counter, a gauge and their labels appear under one HELP and TYPE line each. */
START_TEST(test_metrics_render_groups_series) {
    flk_counter_add(flk_metrics_counter(metrics, "flk_t_total", "code=\"500\"", "Answers."), 2);
    flk_gauge_set(flk_metrics_gauge(metrics, "flk_t_depth", NULL, "Depth."), -7);
    flk_counter_add(flk_metrics_counter(metrics, "flk_t_total", "code=\"200\"", "Answers."), 40);
    render();
    assert_has("# HELP flk_t_depth Depth.\n# TYPE flk_t_depth gauge\nflk_t_depth -7\n"
               "# HELP flk_t_total Answers.\n# TYPE flk_t_total counter\n"
               "flk_t_total{code=\"200\"} 40\nflk_t_total{code=\"500\"} 2\n");
}
END_TEST

/* Registering the same name and labels again gives the same metric. */
START_TEST(test_metrics_register_twice_is_one) {
    flk_counter_t *first = flk_metrics_counter(metrics, "flk_t_total", "a=\"1\"", "Help.");
    ck_assert_ptr_eq(first, flk_metrics_counter(metrics, "flk_t_total", "a=\"1\"", "Help."));
    ck_assert_ptr_ne(first, flk_metrics_counter(metrics, "flk_t_total", "a=\"2\"", "Help."));
}
END_TEST

/* A histogram's buckets are cumulative, a bound belongs to its bucket, and a value above all bounds, or no number, is
 * counted in +Inf. */
START_TEST(test_metrics_histogram_buckets) {
    static const double bounds[] = {0.1, 2.5};
    flk_histogram_t *histogram = flk_metrics_histogram(metrics, "flk_t_seconds", "op=\"x\"", "Time.", bounds, 2);
    flk_histogram_observe(histogram, 0.1);
    flk_histogram_observe(histogram, 1.5);
    flk_histogram_observe(histogram, 3);
    render();
    assert_has("# TYPE flk_t_seconds histogram\n"
               "flk_t_seconds_bucket{op=\"x\",le=\"0.1\"} 1\n"
               "flk_t_seconds_bucket{op=\"x\",le=\"2.5\"} 2\n"
               "flk_t_seconds_bucket{op=\"x\",le=\"+Inf\"} 3\n"
               "flk_t_seconds_sum{op=\"x\"} 4.6\n"
               "flk_t_seconds_count{op=\"x\"} 3\n");
}
END_TEST

static double read_half(void *arg) {
    return *(double *)arg / 2;
}

/* A metric with a callback is asked at each scrape; a help text with a newline stays one line. */
START_TEST(test_metrics_callback_and_help_escape) {
    double value = 5;
    flk_metrics_gauge_fn(metrics, "flk_t_ratio", NULL, "One\nline \\ only.", read_half, &value);
    render();
    assert_has("# HELP flk_t_ratio One\\nline \\\\ only.\n# TYPE flk_t_ratio gauge\nflk_t_ratio 2.5\n");
    value = 1;
    render();
    assert_has("flk_t_ratio 0.5\n");
}
END_TEST

static double metric(const char *name) {
    char line_start[64];
    snprintf(line_start, sizeof line_start, "\n%s ", name);
    const char *line = strstr(text, line_start);
    ck_assert_msg(line != NULL, "%s is missing", name);
    return strtod(line + strlen(line_start), NULL);
}

static double resident_bytes_by_status(void) {
    FILE *status = fopen("/proc/self/status", "re");
    char line[256];
    double kib = 0;
    while (fgets(line, sizeof line, status) != NULL && sscanf(line, "VmRSS: %lf", &kib) != 1) {
    }
    fclose(status);
    return kib * 1024;
}

/* Every process tells its memory, files, CPU time, threads, start and version, with plausible numbers. */
START_TEST(test_metrics_process) {
    render();
    double resident_bytes = resident_bytes_by_status();
    ck_assert_double_ge(metric("process_resident_memory_bytes"), resident_bytes * 0.7);
    ck_assert_double_le(metric("process_resident_memory_bytes"), resident_bytes * 1.3);
    ck_assert_double_ge(metric("process_open_fds"), 3);
    ck_assert_double_ge(metric("process_max_fds"), metric("process_open_fds"));
    ck_assert_double_ge(metric("process_threads"), 1);
    assert_has("\nprocess_cpu_seconds_total 0");
    assert_has("flk_build_info{version=\"" FLK_VERSION "\",commit=\""); /* "unknown" when it is built from a tarball */
    double age = (double)flk_wall_ms() / 1000 - metric("process_start_time_seconds");
    ck_assert_msg(age > -1 && age < 600, "started %f s ago", age);
}
END_TEST

enum { THREADS = 4, UPDATES = 100000 };
static flk_counter_t *shared_counter;
static flk_gauge_t *shared_gauge;
static flk_histogram_t *shared_histogram;
static pthread_barrier_t all_started;

static void *update_all(void *arg) {
    pthread_barrier_wait(&all_started);
    for (int i = 0; i < UPDATES; i++) {
        flk_counter_add(shared_counter, 1);
        flk_gauge_add(shared_gauge, i % 2 == 0 ? 1 : -1);
        flk_histogram_observe(shared_histogram, 0.5);
    }
    return arg;
}

/* Updates of several threads add up exactly while another thread scrapes. */
START_TEST(test_metrics_threads_lose_no_update) {
    static const double bounds[] = {1};
    shared_counter = flk_metrics_counter(metrics, "flk_t_total", NULL, "Help.");
    shared_gauge = flk_metrics_gauge(metrics, "flk_t_level", NULL, "Help.");
    shared_histogram = flk_metrics_histogram(metrics, "flk_t_seconds", NULL, "Help.", bounds, 1);
    pthread_t threads[THREADS];
    ck_assert_int_eq(pthread_barrier_init(&all_started, NULL, THREADS), 0);
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, update_all, NULL), 0);
    }
    for (int i = 0; i < 20; i++) {
        render();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&all_started);
    ck_assert_uint_eq(flk_counter_value(shared_counter), THREADS * UPDATES);
    ck_assert_int_eq(flk_gauge_value(shared_gauge), 0);
    render();
    assert_has("flk_t_seconds_sum 200000\nflk_t_seconds_count 400000\n");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("metrics");
    TCase *tests = tcase_create("metrics");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_metrics_render_groups_series);
    tcase_add_test(tests, test_metrics_register_twice_is_one);
    tcase_add_test(tests, test_metrics_histogram_buckets);
    tcase_add_test(tests, test_metrics_callback_and_help_escape);
    tcase_add_test(tests, test_metrics_process);
    tcase_add_test(tests, test_metrics_threads_lose_no_update);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
