/* SPDX-License-Identifier: MIT */
/* The frame of sinks, over a real log, with a sink that fails now and then. */
#include "common/wal/follow/hold.h"
#include "follow/sink.h"
#include "tests/unit/rig/wal_fixture.h"

enum { EVENTS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t taken[EVENTS], taken_len, durable_len; /* LSNs of records */
static uint64_t durable_lsn, newest_lsn;
static unsigned takes, resumes;

static flk_err_t make(const flk_settings_t *settings, flk_metrics_t *metrics, void **sink, char *why) {
    (void)settings, (void)metrics, (void)why;
    *sink = &taken_len;
    return FLK_OK;
}

static void release(void **sink) {
    *sink = NULL;
}

static flk_err_t resume(void *sink, uint64_t lineage, uint64_t *after, char *why) {
    (void)sink, (void)why;
    ck_assert_uint_ne(lineage, 0);
    pthread_mutex_lock(&lock);
    resumes++;
    taken_len = durable_len;
    *after = durable_lsn;
    pthread_mutex_unlock(&lock);
    return FLK_OK;
}

/* Each seventh call fails, each fifth wants a commit first. */
static flk_err_t take(void *sink, const flk_event_t *event, char *why) {
    (void)sink;
    pthread_mutex_lock(&lock);
    flk_err_t err = ++takes % 7 == 0 ? FLK_E_IO : takes % 5 == 0 ? FLK_E_FULL : FLK_OK;
    if (err == FLK_OK && taken_len < EVENTS) {
        taken[taken_len++] = event->record_lsn;
        newest_lsn = event->lsn;
    }
    pthread_mutex_unlock(&lock);
    flk_errmsg(why, "the disk of the test is full");
    return err;
}

static flk_err_t gap(void *sink, const flk_gap_t *gone, char *why) {
    (void)sink, (void)gone, (void)why;
    return FLK_OK;
}

static flk_err_t commit(void *sink, uint64_t *after, char *why) {
    (void)sink, (void)why;
    pthread_mutex_lock(&lock);
    durable_len = taken_len;
    durable_lsn = taken_len > 0 ? newest_lsn : durable_lsn;
    *after = durable_lsn;
    pthread_mutex_unlock(&lock);
    return FLK_OK;
}

static const flk_sink_ops_t ops = {.name = "fake",
                                   .commit_ms = 20,
                                   .make = make,
                                   .free = release,
                                   .resume = resume,
                                   .take = take,
                                   .gap = gap,
                                   .commit = commit};

static uint64_t durable_events(void) {
    pthread_mutex_lock(&lock);
    uint64_t len = durable_len;
    pthread_mutex_unlock(&lock);
    return len;
}

/* A sink that fails, and one that is full, gets every event in order and none twice between commits; its hold stands at
 * the position that it made durable. */
START_TEST(test_sink_gets_every_event_once) {
    static const flk_sink_ops_t *const all[] = {&ops};
    flk_sinks_t *sinks;
    flk_metrics_t *metrics = flk_metrics_new();
    flk_wal_t *wal = open_log();
    ck_assert_int_eq(flk_sinks_make(all, 1, NULL, dir, metrics, &sinks, errmsg), FLK_OK);
    ck_assert_uint_eq(flk_sinks_len(sinks), 1);
    ck_assert_int_eq(flk_sinks_start(sinks, errmsg), FLK_OK);
    for (uint64_t i = 0; i < EVENTS; i++) {
        ack(wal, append(wal, i));
    }
    WAIT_FOR(durable_events() == EVENTS);
    flk_sinks_stop(&sinks);
    for (uint64_t i = 1; i < EVENTS; i++) {
        ck_assert_uint_gt(taken[i], taken[i - 1]);
    }
    ck_assert_uint_gt(resumes, 1);
    flk_wal_hold_t hold;
    ck_assert_int_eq(flk_wal_hold_get(dir, "fake", &hold, errmsg), FLK_OK);
    ck_assert_uint_eq(hold.lsn, durable_lsn);
    flk_wal_close(&wal);
    flk_metrics_destroy(&metrics);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sink");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_sink_gets_every_event_once);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
