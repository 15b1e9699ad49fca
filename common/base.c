/* SPDX-License-Identifier: MIT */
#include "common/base.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>

#include "common/address.h"

void flk_assert_failed(const char *condition, const char *file, int line) {
    fprintf(stderr, "flk: bug: assertion failed: %s (%s:%d)\n", condition, file, line);
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

uint64_t flk_mono_ms(void) {
    return flk_mono_ns() / 1000000u;
}

int64_t flk_wall_ms(void) {
    return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000u);
}

void *flk_start_alloc(size_t size) {
    void *memory = calloc(1, size);
    if (memory == NULL) {
        fprintf(stderr, "flk: out of memory at start (%zu bytes)\n", size);
        exit(1);
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
