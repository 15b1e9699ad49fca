/* SPDX-License-Identifier: MIT */
/* Windows by count and by time: their edges, against a plain reference, and the PCS of a window. */
#include "tests/unit/rig/agent_parts.h"

#include "agent/signals/builder.h"
#include "agent/signals/window.h"
#include "common/pcs/keyring_load.h"
#include "common/pcs/verdict.h"

#include <time.h>

/* ---- windows ---- */

static flk_row_t make_row(double time_s, double value) {
    static flk_row_t row;
    flk_cell_t cell;
    row.number++;
    row.time_s = time_s;
    row.missing = 0;
    row.values[0] = value;
    ck_assert(flk_cell_from_double(value, &cell));
    memcpy(row.text, cell.text, cell.text_bytes);
    row.text_bytes = cell.text_bytes;
    return row;
}

/* Feeds rows with the given times (values 0, 1, 2, …) and writes "number:value,value …" for each window. Late rows are
 * written as "late". */
static void run_windows(const flk_window_options_t *options, const double *times, size_t len, char *out,
                        size_t out_bytes) {
    flk_windows_t *windows = flk_windows_new(options);
    size_t used = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i == len) {
            flk_windows_end(windows);
        } else {
            flk_row_t row = make_row(times[i], (double)i);
            double late_s = 0;
            flk_err_t err = flk_windows_push(windows, &row, &late_s);
            if (err == FLK_E_INVALID) {
                used += (size_t)snprintf(out + used, out_bytes - used, "late ");
                ck_assert_double_gt(late_s, 0);
            } else {
                ck_assert_int_eq(err, FLK_OK);
            }
        }
        flk_window_t window;
        while (flk_windows_next(windows, &window)) {
            used += (size_t)snprintf(out + used, out_bytes - used, "%llu:", (unsigned long long)window.number);
            for (size_t k = 0; k < window.rows_len; k++) {
                used += (size_t)snprintf(out + used, out_bytes - used, "%s%g", k == 0 ? "" : ",",
                                         window.rows[k]->values[0]);
            }
            used += (size_t)snprintf(out + used, out_bytes - used, " ");
            ck_assert_uint_lt(used, out_bytes);
        }
    }
    out[used] = '\0';
    flk_windows_destroy(&windows);
}

static void check_windows(bool by_time, uint64_t length, uint64_t slide, const double *times, size_t len,
                          const char *expected) {
    flk_window_options_t options = {.by_time = by_time, .length = length, .slide = slide, .dims = 1};
    char out[4096];
    run_windows(&options, times, len, out, sizeof out);
    ck_assert_str_eq(out, expected);
}

static const double ten[10] = {0};

/* By count: whole windows, a shorter last one, none when nothing new is left, sliding ones that overlap. */
START_TEST(test_window_by_count) {
    check_windows(false, 4, 4, ten, 10, "0:0,1,2,3 1:4,5,6,7 2:8,9 ");
    check_windows(false, 5, 5, ten, 10, "0:0,1,2,3,4 1:5,6,7,8,9 ");
    check_windows(false, 4, 2, ten, 7, "0:0,1,2,3 1:2,3,4,5 2:4,5,6 ");
    check_windows(false, 4, 2, ten, 6, "0:0,1,2,3 1:2,3,4,5 ");
    check_windows(false, 100, 1, ten, 3, "0:0,1,2 ");
    check_windows(false, 1, 1, ten, 2, "0:0 1:1 ");
    check_windows(false, 3, 3, ten, 0, "");
}
END_TEST

/* By time: starts are multiples of the slide, an end belongs to the next window, gaps have no windows. */
START_TEST(test_window_by_time) {
    static const double steps[] = {10, 11.5, 19.999, 20, 29, 30};
    check_windows(true, 10, 10, steps, 6, "10:0,1,2 20:3,4 30:5 ");
    check_windows(true, 20, 10, steps, 6, "10:0,1,2,3,4 20:3,4,5 ");
    static const double gap[] = {3, 100003, 100004, 200000};
    check_windows(true, 10, 5, gap, 4, "0:0 100000:1,2 200000:3 ");
    static const double one[] = {7};
    check_windows(true, 60, 60, one, 1, "0:0 ");
    /* A sliding window whose first stretch is empty would hold nothing that the next one lacks. */
    static const double sparse[] = {0, 25, 50};
    check_windows(true, 30, 10, sparse, 3, "0:0,1 20:1 50:2 ");
}
END_TEST

/* Rows out of order are put in order while their window is open; later ones are late, and do not disturb. */
START_TEST(test_window_disorder) {
    static const double disorder[] = {12, 18, 11, 18, 21, 19, 22, 31};
    check_windows(true, 10, 10, disorder, 8, "10:2,0,1,3 late 20:4,6 30:7 ");
    static const double overlapping[] = {12, 16, 21, 18, 31};
    check_windows(true, 10, 5, overlapping, 5, "10:0,1 late 15:1,2 20:2 30:4 ");
    static const double before_first[] = {12, 9, 13};
    check_windows(true, 10, 10, before_first, 3, "late 10:0,2 ");
}
END_TEST

static flk_err_t push_at(flk_windows_t *windows, double time_s, size_t number) {
    flk_row_t row = make_row(time_s, (double)number);
    double late_s;
    return flk_windows_push(windows, &row, &late_s);
}

static double cpu_s(void) {
    struct timespec now;
    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* The rows of one window in any order: newest first, shuffled, two streams in turn. Each comes out in time order, equal
 * times in input order, and a hundred thousand take no minute of CPU time, as by insertion, but a second or so. */
START_TEST(test_window_any_order) {
    enum { ROWS = 100000, CPU_S_MAX = 15 };
    uint64_t random = agent_seed();
    flk_window_options_t options = {.by_time = true, .length = 10 * ROWS, .slide = 10 * ROWS, .dims = 1};
    for (int order = 0; order < 3; order++) {
        double began_s = cpu_s();
        flk_windows_t *windows = flk_windows_new(&options);
        flk_window_t window;
        for (size_t i = 0; i < ROWS; i++) {
            double newest_first = (double)(ROWS - i), shuffled = (double)agent_below(&random, ROWS),
                   in_turn = (double)(i % 2 == 0 ? i : ROWS - i);
            double time_s = order == 0 ? newest_first : order == 1 ? shuffled : in_turn;
            ck_assert_int_eq(push_at(windows, time_s, i), FLK_OK);
            ck_assert(!flk_windows_next(windows, &window));
        }
        flk_windows_end(windows);
        ck_assert(flk_windows_next(windows, &window));
        ck_assert_uint_eq(window.rows_len, ROWS);
        for (size_t i = 1; i < ROWS; i++) {
            const flk_window_row_t *a = window.rows[i - 1], *b = window.rows[i];
            ck_assert(a->time_s < b->time_s || (a->time_s == b->time_s && a->order < b->order));
        }
        ck_assert(!flk_windows_next(windows, &window));
        flk_windows_destroy(&windows);
        ck_assert_double_lt(cpu_s() - began_s, CPU_S_MAX);
    }
}
END_TEST

/* Sliding windows over rows in some disorder hold the rows of the definition, without the late ones. */
START_TEST(test_window_disorder_slides) {
    uint64_t random = agent_seed();
    for (int round = 0; round < 300; round++) {
        flk_window_options_t options = {.by_time = true, .length = 1 + agent_below(&random, 12), .dims = 1};
        options.slide = 1 + agent_below(&random, options.length);
        flk_windows_t *windows = flk_windows_new(&options);
        double kept[200];
        size_t kept_len = 0;
        for (size_t i = 0; i <= 200; i++) {
            if (i < 200) {
                double time_s = (double)(i / 4 + agent_below(&random, 8));
                flk_err_t err = push_at(windows, time_s, i);
                ck_assert(err == FLK_OK || err == FLK_E_INVALID);
                kept[kept_len] = time_s;
                kept_len += err == FLK_OK;
            } else {
                flk_windows_end(windows);
            }
            flk_window_t window;
            while (flk_windows_next(windows, &window)) {
                double start = (double)window.number, end = start + (double)options.length;
                size_t inside = 0;
                for (size_t k = 0; k < kept_len; k++) {
                    inside += kept[k] >= start && kept[k] < end;
                }
                ck_assert_uint_eq(window.rows_len, inside);
                for (size_t k = 1; k < window.rows_len; k++) {
                    ck_assert(window.rows[k - 1]->time_s <= window.rows[k]->time_s);
                }
            }
        }
        flk_windows_destroy(&windows);
    }
}
END_TEST

/* A window is there as soon as the row that completes it, by time the first one at its end, and not before. */
START_TEST(test_window_completes) {
    static const double times[] = {10, 19, 20, 31};
    for (int by_time = 0; by_time < 2; by_time++) {
        flk_window_options_t options = {
            .by_time = by_time == 1, .length = by_time == 1 ? 10 : 3, .slide = 1, .dims = 1};
        options.slide = options.length;
        flk_windows_t *windows = flk_windows_new(&options);
        for (size_t i = 0; i < 3; i++) {
            flk_window_t window;
            flk_row_t row = make_row(times[i], 0);
            double late_s;
            ck_assert_int_eq(flk_windows_push(windows, &row, &late_s), FLK_OK);
            ck_assert_int_eq(flk_windows_next(windows, &window), i == 2);
        }
        flk_windows_destroy(&windows);
    }
}
END_TEST

/* The definition of window.h by looking at all rows at once; times are in order here. */
static void windows_slowly(const flk_window_options_t *options, const double *times, size_t len, char *out) {
    double last = len == 0 ? -1 : options->by_time ? times[len - 1] : (double)len - 1, covered = 0;
    size_t used = 0;
    out[0] = '\0';
    for (uint64_t number = 0; len > 0 && number <= (uint64_t)last; number += options->by_time ? options->slide : 1) {
        double start = options->by_time ? (double)number : (double)(number * options->slide);
        double end = start + (double)options->length, stretch = start + (double)options->slide;
        bool begins = false;
        char rows[2048] = "";
        size_t rows_used = 0;
        for (size_t i = 0; i < len; i++) {
            double place = options->by_time ? times[i] : (double)i;
            begins = begins || (place >= start && place < stretch);
            if (place >= start && place < end) {
                rows_used +=
                    (size_t)snprintf(rows + rows_used, sizeof rows - rows_used, "%s%zu", rows_used == 0 ? "" : ",", i);
            }
        }
        bool complete = options->by_time ? last >= end : last >= end - 1;
        if (begins && (complete || last >= covered)) {
            used += (size_t)snprintf(out + used, 65536 - used, "%llu:%s ", (unsigned long long)number, rows);
            covered = end;
        }
    }
}

/* Any lengths, slides and times in order give the windows of the definition. */
START_TEST(test_window_equals_reference) {
    uint64_t random = agent_seed();
    static char out[65536], expected[65536];
    for (int round = 0; round < 1500; round++) {
        double times[40], now = (double)agent_below(&random, 50);
        size_t len = agent_below(&random, 40);
        for (size_t i = 0; i < len; i++) {
            times[i] = now;
            now += (double)agent_below(&random, round % 3 == 0 ? 400 : 40) / 8;
        }
        flk_window_options_t options = {.by_time = round % 2 == 0, .length = 1 + agent_below(&random, 30), .dims = 1};
        options.slide = 1 + agent_below(&random, options.length);
        run_windows(&options, times, len, out, sizeof out);
        windows_slowly(&options, times, len, expected);
        ck_assert_str_eq(out, expected);
    }
}
END_TEST

/* ---- from a window to a PCS ---- */

static const flk_columns_t xy = {.len = 2, .names = {"x", "y size"}, .has_time = true, .time_name = "time"};

static flk_builder_options_t builder_options(void) {
    flk_builder_options_t options = {
        .shard_id = "shard-001", .scales = {2, 4, 8}, .scales_len = 3, .directions = 50, .bins = 20, .first_epoch = 7};
    flk_policy_default(&options.policy);
    return options;
}

/* Builds one PCS of CSV text with columns time, x, "y size". Caller frees with flk_pcs_fini. */
static void build(const flk_builder_options_t *options, const char *csv, const flk_signer_t *signer, flk_pcs_t *pcs) {
    flk_reader_options_t reader_options = {.columns = "x,y size"};
    flk_window_options_t window_options = {.length = 1000, .slide = 1000, .dims = 2};
    char path[64], errmsg[FLK_ERRMSG_BYTES];
    flk_reader_t *reader;
    static flk_row_t row;
    double late_s;
    agent_temp_file(path, ".csv", csv, strlen(csv));
    ck_assert_int_eq(flk_reader_open(path, &reader_options, &reader, errmsg), FLK_OK);
    unlink(path);
    flk_windows_t *windows = flk_windows_new(&window_options);
    while (flk_reader_next(reader, &row, errmsg) == FLK_OK) {
        ck_assert_int_eq(flk_windows_push(windows, &row, &late_s), FLK_OK);
    }
    flk_windows_end(windows);
    flk_window_t window;
    ck_assert(flk_windows_next(windows, &window));
    flk_builder_t *builder = flk_builder_new(options, &xy, signer);
    ck_assert_int_eq(flk_builder_build(builder, &window, pcs), FLK_OK);
    flk_builder_destroy(&builder);
    flk_windows_destroy(&windows);
    flk_reader_close(&reader);
}

static flk_signer_t *make_signer(flk_sign_alg_t alg) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_signer_t *signer;
    ck_assert_int_eq(flk_signer_new(alg, alg == FLK_SIGN_HMAC ? "testsecret" : "", "", &signer, errmsg), FLK_OK);
    return signer;
}

/* A PCS of four points, every number worked out by hand or by Python; it reads back, verifies, and is accepted. */
START_TEST(test_builder_worked_pcs) {
    flk_builder_options_t options = builder_options();
    flk_signer_t *signer = make_signer(FLK_SIGN_HMAC);
    flk_pcs_t pcs, again;
    build(&options, "time,x,y size\n1,0,0\n2,1,1\n3,2.0,2\n4,4,4\n", signer, &pcs);
    ck_assert_str_eq(pcs.merkle_root, "eb99867b86c0e6031854b248a554bb84e72f3840cd4b7bcaa22b09cf94fa412c");
    ck_assert_uint_eq(pcs.epoch, 7);
    ck_assert_uint_eq(pcs.counts_len, 3);
    ck_assert_uint_eq(pcs.counts[0].cells, 2);
    ck_assert_uint_eq(pcs.counts[1].cells, 4);
    ck_assert_uint_eq(pcs.counts[2].cells, 4);
    ck_assert_double_eq(pcs.d_hat, 0.5);
    ck_assert(!pcs.degraded);
    ck_assert_uint_eq(pcs.fallbacks_len, 0);

    char *json;
    size_t json_bytes;
    flk_pcs_fault_t fault;
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
    ck_assert_int_eq(flk_pcs_from_json(json, json_bytes, &again, &fault), FLK_OK);
    free(json);
    flk_keyring_t *keyring;
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    char errmsg[FLK_ERRMSG_BYTES];
    ck_assert_int_eq(
        flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_HMAC, .hmac_key = "testsecret"}, &keyring, errmsg),
        FLK_OK);
    ck_assert_int_eq(flk_keyring_verify(keyring, &again, 0, digest, &signature), FLK_OK);
    flk_outcome_t outcome;
    flk_verdict(&again, &options.policy, &outcome);
    ck_assert_uint_eq(outcome.status, FLK_STATUS_ACCEPTED);
    flk_keyring_destroy(&keyring);
    flk_signer_destroy(&signer);
    flk_pcs_fini(&pcs);
    flk_pcs_fini(&again);
}
END_TEST

/* Missing cells degrade, by name; their row counts for the root and r, but is no point. */
START_TEST(test_builder_missing_cells) {
    flk_builder_options_t options = builder_options();
    flk_signer_t *signer = make_signer(FLK_SIGN_NONE);
    flk_pcs_t whole, holed;
    build(&options, "time,x,y size\n1,0,0\n2,1,1\n3,2,2\n4,4,4\n", signer, &whole);
    build(&options, "time,x,y size\n1,0,0\n2,1,1\n,2,\n4,4,4\n", signer, &holed);
    ck_assert(holed.degraded);
    ck_assert_uint_eq(holed.fallbacks_len, 2);
    ck_assert_str_eq(holed.fallbacks[0], "missing:time");
    ck_assert_str_eq(holed.fallbacks[1], "missing:y_size");
    ck_assert_uint_eq(holed.counts[2].cells, 3);
    ck_assert_str_ne(holed.merkle_root, whole.merkle_root);
    flk_signer_destroy(&signer);
    flk_pcs_fini(&whole);
    flk_pcs_fini(&holed);
}
END_TEST

static bool has_fallback(const flk_pcs_t *pcs, const char *text) {
    bool found = false;
    for (uint32_t i = 0; i < pcs->fallbacks_len; i++) {
        found = found || strcmp(pcs->fallbacks[i], text) == 0;
    }
    return found;
}

/* A signal that cannot be computed is told, not invented, and the PCS is still one that the cluster takes (and
 * escalates). */
START_TEST(test_builder_nothing_to_compute) {
    flk_signer_t *signer = make_signer(FLK_SIGN_NONE);
    flk_builder_options_t options = builder_options();
    static const struct {
        const char *csv, *fallback;
        size_t scales;
        flk_grid_t grid;
    } cases[] = {{"time,x,y size\n1,,2\n2,3,\n", "points:none", 3, FLK_GRID_UNIT},
                 {"time,x,y size\n1,1,2\n2,3,4\n", "D_hat:scales", 1, FLK_GRID_UNIT},
                 {"time,x,y size\n1,1e90,2\n2,3,4\n", "scale:4", 3, FLK_GRID_ABSOLUTE}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_pcs_t pcs, again;
        flk_pcs_fault_t fault = {{0}, {0}};
        flk_outcome_t outcome;
        char *json;
        size_t json_bytes;
        options.scales_len = cases[i].scales;
        options.grid = cases[i].grid;
        build(&options, cases[i].csv, signer, &pcs);
        ck_assert(pcs.degraded);
        ck_assert_msg(has_fallback(&pcs, cases[i].fallback), "%s", cases[i].fallback);
        ck_assert_double_eq(pcs.d_hat, 0);
        ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
        ck_assert_msg(flk_pcs_from_json(json, json_bytes, &again, &fault) == FLK_OK, "%s %s", fault.field,
                      fault.reason);
        flk_verdict(&again, &options.policy, &outcome);
        ck_assert_uint_eq(outcome.status, FLK_STATUS_ESCALATED);
        free(json);
        flk_pcs_fini(&pcs);
        flk_pcs_fini(&again);
    }
    flk_signer_destroy(&signer);
}
END_TEST

/* The same rows give the same PCS, the seed comes from their root; a given seed is used as it is. */
START_TEST(test_builder_repeats) {
    flk_builder_options_t options = builder_options();
    flk_signer_t *signer = make_signer(FLK_SIGN_NONE);
    const char *csv = "time,x,y size\n1,0,0.5\n2,1,1\n3,2,9\n4,4,4\n5,3,7\n";
    flk_pcs_t first, second, seeded;
    build(&options, csv, signer, &first);
    build(&options, csv, signer, &second);
    options.has_seed = true;
    options.seed = 42;
    build(&options, csv, signer, &seeded);
    ck_assert_str_eq(first.id, second.id);
    ck_assert_uint_eq(first.seed, second.seed);
    ck_assert_double_eq(first.coh_star, second.coh_star);
    ck_assert_mem_eq(first.v_star, second.v_star, 2 * sizeof(double));
    char prefix[17];
    snprintf(prefix, sizeof prefix, "%.16s", first.merkle_root);
    ck_assert_uint_eq(first.seed, strtoull(prefix, NULL, 16) & FLK_PCS_INTEGER_MAX);
    ck_assert_uint_eq(seeded.seed, 42);
    ck_assert_str_eq(seeded.id, first.id);
    flk_signer_destroy(&signer);
    flk_pcs_fini(&first);
    flk_pcs_fini(&second);
    flk_pcs_fini(&seeded);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_window");
    TCase *tests = tcase_create("window");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_window_by_count);
    tcase_add_test(tests, test_window_by_time);
    tcase_add_test(tests, test_window_disorder);
    tcase_add_test(tests, test_window_any_order);
    tcase_add_test(tests, test_window_disorder_slides);
    tcase_add_test(tests, test_window_completes);
    tcase_add_test(tests, test_window_equals_reference);
    tcase_add_test(tests, test_builder_worked_pcs);
    tcase_add_test(tests, test_builder_missing_cells);
    tcase_add_test(tests, test_builder_nothing_to_compute);
    tcase_add_test(tests, test_builder_repeats);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
