/* SPDX-License-Identifier: MIT */
#include "common/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

enum { NAME_BYTES = 16, MS_PER_S = 1000, NS_PER_MS = 1000000, NS_PER_S = 1000000000 };

/* All but those that a fault raises in the thread itself: were they blocked, no handler could report the fault. */
static void block_signals(sigset_t *before) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    sigset_t blocked;
    sigfillset(&blocked);
    for (size_t i = 0; i < FLK_COUNT_OF(faults); i++) {
        sigdelset(&blocked, faults[i]);
    }
    FLK_ASSERT(pthread_sigmask(SIG_SETMASK, &blocked, before) == 0);
}

flk_err_t flk_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg, char *errmsg) {
    sigset_t before;
    FLK_ASSERT(strlen(name) < NAME_BYTES);
    block_signals(&before); /* the thread inherits the mask: it never runs without it */
    int failed = pthread_create(thread, NULL, run, arg);
    FLK_ASSERT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    if (failed != 0) {
        flk_errmsg(errmsg, "cannot start the thread %s: %s", name, strerror(failed));
        return FLK_E_NOMEM;
    }
    (void)pthread_setname_np(*thread, name);
    return FLK_OK;
}

void flk_cond_init(pthread_cond_t *cond) {
    pthread_condattr_t monotonic;
    FLK_ASSERT(pthread_condattr_init(&monotonic) == 0);
    FLK_ASSERT(pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0);
    FLK_ASSERT(pthread_cond_init(cond, &monotonic) == 0);
    pthread_condattr_destroy(&monotonic);
}

bool flk_cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t until_ms) {
    struct timespec until = {.tv_sec = (time_t)(until_ms / MS_PER_S),
                             .tv_nsec = (long)(until_ms % MS_PER_S) * NS_PER_MS};
    return pthread_cond_timedwait(cond, mutex, &until) != ETIMEDOUT;
}

struct timespec flk_time_in_ms(clockid_t clock, uint64_t ms) {
    struct timespec at;
    FLK_ASSERT(clock_gettime(clock, &at) == 0);
    at.tv_nsec += (long)(ms % MS_PER_S) * NS_PER_MS;
    at.tv_sec += (time_t)(ms / MS_PER_S) + at.tv_nsec / NS_PER_S;
    at.tv_nsec %= NS_PER_S;
    return at;
}
