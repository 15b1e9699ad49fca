/* SPDX-License-Identifier: MIT */
#include "common/base.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/address.h"

static void (*_Atomic on_fatal)(void);

void flk_on_fatal(void (*before)(void)) {
    atomic_store(&on_fatal, before);
}

/* The last line of a process: where stderr has no reader it ends without. */
static void say_last(const char *line) {
    struct pollfd entry = {.fd = STDERR_FILENO, .events = POLLOUT};
    void (*before)(void) = atomic_load(&on_fatal);
    if (before != NULL) {
        before();
    }
    if (ppoll(&entry, 1, &(struct timespec){0}, NULL) == 1 && (entry.revents & POLLOUT) != 0) {
        (void)!write(STDERR_FILENO, line, strlen(line));
    }
}

void flk_assert_failed(const char *condition, const char *file, int line) {
    char text[512];
    snprintf(text, sizeof text, "flk: bug: assertion failed: %s (%s:%d)\n", condition, file, line);
    say_last(text);
    abort();
}

static uint64_t clock_ns(clockid_t clock) {
    struct timespec now;
    FLK_ASSERT(clock_gettime(clock, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t flk_mono_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t flk_thread_cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t flk_mono_ms(void) {
    return flk_mono_ns() / 1000000u;
}

int64_t flk_wall_ms(void) {
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000u);
}

void flk_start_out_of_memory(size_t size) {
    char text[64];
    snprintf(text, sizeof text, "flk: out of memory at start (%zu bytes)\n", size);
    say_last(text);
    exit(1);
}

void *flk_start_alloc(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        flk_start_out_of_memory(size);
    }
    return memory;
}

void flk_descriptors_raise(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t flk_random_u64(void) {
    uint64_t value;
    ssize_t got;
    do {
        got = getrandom(&value, sizeof value, 0);
    } while (got < 0 && errno == EINTR);
    FLK_ASSERT(got == (ssize_t)sizeof value);
    return value;
}

void flk_errmsg(char *errmsg, const char *format, ...) {
    if (errmsg == NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(errmsg, FLK_ERRMSG_BYTES, format, args);
    va_end(args);
    flk_address_hide_users(errmsg);
}

void flk_errmsg_prefix(char *errmsg, const char *step) {
    if (errmsg == NULL) {
        return;
    }
    char whole[FLK_ERRMSG_BYTES];
    int len = snprintf(whole, sizeof whole, "%s: %s", step, errmsg);
    memcpy(errmsg, whole, len < (int)sizeof whole ? (size_t)len + 1 : sizeof whole);
}
