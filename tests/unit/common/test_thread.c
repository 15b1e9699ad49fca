/* SPDX-License-Identifier: MIT */
#include "common/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

typedef struct seen {
    char name[16];
    sigset_t blocked;
} seen_t;

static void *look(void *arg) {
    seen_t *seen = arg;
    for (int tries = 0; tries < 1000 && strcmp(seen->name, "flk-test") != 0; tries++) { /* its starter names it */
        ck_assert_int_eq(pthread_getname_np(pthread_self(), seen->name, sizeof seen->name), 0);
        sched_yield();
    }
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &seen->blocked), 0);
    return NULL;
}

/* A thread has its name, and signals go past it: but a fault of its own still reaches a handler. */
START_TEST(test_thread_has_a_name_and_no_signals) {
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGCHLD, SIGPIPE},
                     open[] = {SIGSEGV, SIGBUS, SIGABRT};
    seen_t seen = {0};
    pthread_t thread;
    sigset_t before, after;
    pthread_sigmask(SIG_BLOCK, NULL, &before);
    ck_assert_int_eq(flk_thread_start(&thread, "flk-test", look, &seen, NULL), FLK_OK);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    ck_assert_str_eq(seen.name, "flk-test");
    for (size_t i = 0; i < FLK_COUNT_OF(blocked); i++) {
        ck_assert(sigismember(&seen.blocked, blocked[i]));
        ck_assert_int_eq(sigismember(&after, blocked[i]), sigismember(&before, blocked[i]));
    }
    for (size_t i = 0; i < FLK_COUNT_OF(open); i++) {
        ck_assert(!sigismember(&seen.blocked, open[i]));
    }
}
END_TEST

/* A wait that nobody ends is over at its time, and not before it. */
START_TEST(test_thread_wait_ends_at_its_time) {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    flk_cond_init(&cond);
    uint64_t until_ms = flk_mono_ms() + 30;
    pthread_mutex_lock(&mutex);
    while (flk_cond_wait_until(&cond, &mutex, until_ms)) {
    }
    pthread_mutex_unlock(&mutex);
    ck_assert_uint_ge(flk_mono_ms(), until_ms);
    pthread_cond_destroy(&cond);
}
END_TEST

/* A time in the future carries its nanoseconds over into seconds. */
START_TEST(test_thread_time_in_ms) {
    struct timespec before = flk_time_in_ms(CLOCK_MONOTONIC, 0), later = flk_time_in_ms(CLOCK_MONOTONIC, 1999);
    int64_t apart_ms = (later.tv_sec - before.tv_sec) * 1000 + (later.tv_nsec - before.tv_nsec) / 1000000;
    ck_assert_int_ge(later.tv_nsec, 0);
    ck_assert_int_lt(later.tv_nsec, 1000000000);
    ck_assert_int_ge(apart_ms, 1998);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("thread");
    TCase *tcase = tcase_create("thread");
    tcase_add_test(tcase, test_thread_has_a_name_and_no_signals);
    tcase_add_test(tcase, test_thread_wait_ends_at_its_time);
    tcase_add_test(tcase, test_thread_time_in_ms);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
