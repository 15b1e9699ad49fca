/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/metrics.h"
#include "tests/unit/suite.h"

static flk_metrics_t *metrics;
static char *text;

static void setup(void) {
    metrics = flk_metrics_new();
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

/* A histogram's buckets are cumulative, a bound belongs to its bucket, and what is above all bounds or no number is
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

/* Every process tells its memory, files, CPU time, threads, start and version, with plausible numbers. */
START_TEST(test_metrics_process) {
    render();
    static const char *const names[] = {"process_resident_memory_bytes ", "process_open_fds ", "process_max_fds ",
                                        "process_threads ", "process_start_time_seconds "};
    for (size_t i = 0; i < FLK_COUNT_OF(names); i++) {
        char line_start[64];
        snprintf(line_start, sizeof line_start, "\n%s", names[i]);
        const char *line = strstr(text, line_start);
        ck_assert_msg(line != NULL, "%s is missing", names[i]);
        ck_assert_double_gt(strtod(line + strlen(line_start), NULL), 0);
    }
    assert_has("\nprocess_cpu_seconds_total 0");
    assert_has("flk_build_info{version=\"" FLK_VERSION "\"} 1\n");
    const char *start = strstr(text, "\nprocess_start_time_seconds ") + strlen("\nprocess_start_time_seconds ");
    double age = (double)flk_wall_ms() / 1000 - strtod(start, NULL);
    ck_assert_msg(age > -1 && age < 600, "started %f s ago", age);
}
END_TEST

enum { THREADS = 4, UPDATES = 20000 };
static flk_counter_t *shared_counter;
static flk_gauge_t *shared_gauge;
static flk_histogram_t *shared_histogram;

static void *update_all(void *arg) {
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
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, update_all, NULL), 0);
    }
    for (int i = 0; i < 20; i++) {
        render();
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    ck_assert_uint_eq(flk_counter_value(shared_counter), THREADS * UPDATES);
    ck_assert_int_eq(flk_gauge_value(shared_gauge), 0);
    render();
    assert_has("flk_t_seconds_sum 40000\nflk_t_seconds_count 80000\n");
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
