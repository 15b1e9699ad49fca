/* SPDX-License-Identifier: MIT */
/* The dialer with played servers: its tries, the waits of its callers, and its remains. */
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "worker/store/dialer.h"

static atomic_int dials, hung_up, freed;
static atomic_bool reachable, stuck;       /* stuck: a dial does not return */
static atomic_bool closed;                 /* by the peer */
static atomic_int ending, dials_meanwhile; /* a hang-up under way takes so many ms; dials during one */
static atomic_bool hanging_up;
static flk_metrics_t *registry;
static flk_store_metrics_t metrics;
static char errmsg[FLK_ERRMSG_BYTES];
static flk_store_fault_t fault;
static int line; /* the target of a connection pointer */

static flk_err_t play_dial(void *arg, uint64_t timeout_ms, void **connection, flk_store_fault_t *out,
                           char *out_errmsg) {
    (void)arg;
    (void)timeout_ms;
    atomic_fetch_add(&dials, 1);
    atomic_fetch_add(&dials_meanwhile, atomic_load(&hanging_up));
    while (atomic_load(&stuck)) {
        poll(NULL, 0, 1);
    }
    if (atomic_load(&reachable)) {
        *connection = &line;
        return FLK_OK;
    }
    *out = FLK_FAULT_AUTH;
    flk_errmsg(out_errmsg, "nobody there");
    return FLK_E_UNAVAILABLE;
}

static void play_hang_up(void *connection, uint64_t timeout_ms) {
    (void)timeout_ms;
    ck_assert_ptr_eq(connection, &line);
    atomic_store(&hanging_up, true);
    poll(NULL, 0, atomic_load(&ending));
    atomic_store(&hanging_up, false);
    atomic_fetch_add(&hung_up, 1);
}

static bool play_is_closed(void *connection) {
    ck_assert_ptr_eq(connection, &line);
    return atomic_exchange(&closed, false);
}

static void play_free(void *arg) {
    free(arg);
    atomic_fetch_add(&freed, 1);
}

static const flk_dialer_ops_t ops = {
    .dial = play_dial, .hang_up = play_hang_up, .is_closed = play_is_closed, .free_arg = play_free};
static flk_dialer_t *dialer;

static void setup(void) {
    atomic_store(&dials, 0);
    atomic_store(&hung_up, 0);
    atomic_store(&freed, 0);
    atomic_store(&reachable, true);
    atomic_store(&stuck, false);
    atomic_store(&closed, false);
    atomic_store(&ending, 0);
    atomic_store(&dials_meanwhile, 0);
    registry = flk_metrics_new();
    flk_store_metrics_register(registry, &metrics);
    flk_dialer_options_t options = {.ops = &ops, .arg = malloc(1), .store = "played", .server = "s", .timeout_ms = 100};
    ck_assert_int_eq(flk_dialer_new(&options, &dialer, errmsg), FLK_OK);
}

static void teardown(void) {
    flk_dialer_destroy(&dialer, 1000);
    flk_metrics_destroy(&registry);
}

static flk_err_t get(uint64_t wait_ms) {
    void *connection = NULL;
    flk_err_t err = flk_dialer_get(dialer, &metrics, flk_mono_ms() + wait_ms, &connection, &fault, errmsg);
    ck_assert(err != FLK_OK || connection == &line);
    return err;
}

/* Nobody is dialled before somebody asks; then once, and the connection is kept. */
START_TEST(test_dialer_keeps_a_connection) {
    poll(NULL, 0, 20);
    ck_assert_int_eq(atomic_load(&dials), 0);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(get(1000), FLK_OK);
    }
    ck_assert_int_eq(atomic_load(&dials), 1);
    ck_assert_int_eq(flk_gauge_value(metrics.connected), 1);
    flk_dialer_destroy(&dialer, 1000);
    ck_assert_int_eq(atomic_load(&hung_up), 1);
    ck_assert_int_eq(atomic_load(&freed), 1);
    ck_assert_int_eq(flk_gauge_value(metrics.connected), 0);
    ck_assert_int_eq(flk_gauge_value(metrics.wanted), 0);
}
END_TEST

/* While no server is there, every caller is told why at once, and the server is tried some few times a second at first
 * and less and less often. */
START_TEST(test_dialer_backs_off) {
    atomic_store(&reachable, false);
    ck_assert_int_eq(get(1000), FLK_E_UNAVAILABLE);
    uint64_t began_ms = flk_mono_ms(), calls = 0;
    while (flk_mono_ms() - began_ms < 2000) {
        ck_assert_int_eq(get(1000), FLK_E_UNAVAILABLE);
        ck_assert_str_eq(errmsg, "nobody there");
        ck_assert_int_eq(fault, FLK_FAULT_AUTH);
        calls++;
        poll(NULL, 0, 1);
    }
    ck_assert_uint_ge(calls, 200);
    ck_assert_int_ge(atomic_load(&dials), 4);
    ck_assert_int_le(atomic_load(&dials), 12);
    atomic_store(&reachable, true);
    began_ms = flk_mono_ms();
    while (get(1000) != FLK_OK) {
        ck_assert_uint_le(flk_mono_ms() - began_ms, 5000);
        poll(NULL, 0, 5);
    }
}
END_TEST

/* A server that takes connections, which then break, is dialled no more often than one that takes none. */
START_TEST(test_dialer_backs_off_from_a_server_that_breaks) {
    uint64_t began_ms = flk_mono_ms();
    while (flk_mono_ms() - began_ms < 2000) {
        if (get(0) == FLK_OK) {
            flk_dialer_drop(dialer, FLK_DIALER_FAILED, FLK_FAULT_READ_ONLY, "it broke");
            ck_assert_int_eq(get(1000), FLK_E_UNAVAILABLE);
            ck_assert_str_eq(errmsg, "it broke");
            ck_assert_int_eq(fault, FLK_FAULT_READ_ONLY);
        }
        poll(NULL, 0, 1);
    }
    ck_assert_int_ge(atomic_load(&dials), 4);
    ck_assert_int_le(atomic_load(&dials), 12);
    ck_assert_int_ge(atomic_load(&hung_up), atomic_load(&dials) - 1);
}
END_TEST

/* A connection that served and that its peer closed while it was idle is replaced at once, however young it is: no
 * caller is refused. */
START_TEST(test_dialer_replaces_what_was_closed) {
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(get(1000), FLK_OK);
        ck_assert_int_eq(get(1000), FLK_OK);
        ck_assert_int_eq(atomic_load(&dials), i + 1);
        if (i % 2 == 0) {
            atomic_store(&closed, true);
        } else { /* the close and the use crossed */
            flk_dialer_drop(dialer, FLK_DIALER_CLOSED, FLK_FAULT_UNAVAILABLE, "closed");
        }
    }
    ck_assert_int_eq(flk_gauge_value(metrics.connected), 0);
}
END_TEST

/* A server that closes each connection before it answers anything is dialled no more often than one that is away. */
START_TEST(test_dialer_backs_off_from_a_server_that_closes) {
    uint64_t began_ms = flk_mono_ms();
    while (flk_mono_ms() - began_ms < 2000) {
        if (get(0) == FLK_OK) {
            flk_dialer_drop(dialer, FLK_DIALER_CLOSED, FLK_FAULT_UNAVAILABLE, "closed");
        }
        poll(NULL, 0, 1);
    }
    ck_assert_int_ge(atomic_load(&dials), 4);
    ck_assert_int_le(atomic_load(&dials), 12);
}
END_TEST

/* The work of a server for a dropped connection is ended before it is dialled again, and nobody's call waits for that
 * beyond its deadline. */
START_TEST(test_dialer_ends_the_old_before_the_new) {
    ck_assert_int_eq(get(1000), FLK_OK);
    atomic_store(&ending, 300);
    uint64_t began_ms = flk_mono_ms();
    flk_dialer_drop(dialer, FLK_DIALER_FAILED, FLK_FAULT_TIMEOUT, "late");
    ck_assert_uint_le(flk_mono_ms() - began_ms, 200);
    ck_assert_int_eq(get(100), FLK_E_UNAVAILABLE);
    while (get(100) != FLK_OK) {
        ck_assert_uint_le(flk_mono_ms() - began_ms, 10000);
        poll(NULL, 0, 1);
    }
    ck_assert_int_eq(atomic_load(&hung_up), 1);
    ck_assert_int_eq(atomic_load(&dials), 2);
    ck_assert_int_eq(atomic_load(&dials_meanwhile), 0);
    atomic_store(&ending, 0);
}
END_TEST

/* A caller during the first attempt waits for it, until the deadline and no longer. */
START_TEST(test_dialer_waits_for_the_first_attempt) {
    atomic_store(&stuck, true);
    uint64_t began_ms = flk_mono_ms();
    ck_assert_int_eq(get(100), FLK_E_UNAVAILABLE);
    ck_assert_int_eq(fault, FLK_FAULT_TIMEOUT);
    ck_assert_uint_ge(flk_mono_ms() - began_ms, 100);
    ck_assert_uint_le(flk_mono_ms() - began_ms, 1000);
    atomic_store(&stuck, false);
    ck_assert_int_eq(get(1000), FLK_OK);
}
END_TEST

/* An attempt that does not end does not hold its store up; when it ends, its remains are freed, its connection too. */
START_TEST(test_dialer_leaves_a_stuck_attempt) {
    atomic_store(&stuck, true);
    ck_assert_int_eq(get(10), FLK_E_UNAVAILABLE);
    uint64_t began_ms = flk_mono_ms();
    flk_dialer_destroy(&dialer, 50);
    ck_assert_uint_le(flk_mono_ms() - began_ms, 1000);
    ck_assert_int_eq(atomic_load(&freed), 0);
    flk_metrics_destroy(&registry); /* as when the process ends; the attempt must not touch it any more */
    atomic_store(&stuck, false);
    while (atomic_load(&freed) == 0) {
        ck_assert_uint_le(flk_mono_ms() - began_ms, 10000);
        poll(NULL, 0, 1);
    }
    ck_assert_int_eq(atomic_load(&hung_up), 1);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dialer");
    TCase *tcase = tcase_create("dialer");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_dialer_keeps_a_connection);
    tcase_add_test(tcase, test_dialer_backs_off);
    tcase_add_test(tcase, test_dialer_replaces_what_was_closed);
    tcase_add_test(tcase, test_dialer_backs_off_from_a_server_that_closes);
    tcase_add_test(tcase, test_dialer_ends_the_old_before_the_new);
    tcase_add_test(tcase, test_dialer_backs_off_from_a_server_that_breaks);
    tcase_add_test(tcase, test_dialer_waits_for_the_first_attempt);
    tcase_add_test(tcase, test_dialer_leaves_a_stuck_attempt);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
