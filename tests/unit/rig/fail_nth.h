/* SPDX-License-Identifier: MIT */
/* The n-th system call or allocation fails: for n = 1, 2, 3, … until a run passes without a hit. The programs that
 * include this are linked with --wrap for each name below (tests/unit/CMakeLists.txt), so that every call of our own
 * code comes through here; those of the libraries do not. */
#ifndef FLK_TESTS_FAIL_NTH_H
#define FLK_TESTS_FAIL_NTH_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/base.h"

typedef enum fail_kind {
    FAIL_NONE,
    FAIL_EIO,
    FAIL_ENOSPC,
    FAIL_EINTR, /* of calls that a signal may interrupt */
    FAIL_SHORT, /* reads and writes do half of their bytes */
    FAIL_ALLOCATION,
} fail_kind_t;

extern struct failing {
    atomic_int kind;
    atomic_uint calls, hits;
    unsigned at, times;                        /* which calls fail: [at, at + times) */
    atomic_ullong bad_inode, bad_from, bad_to; /* reads that touch these bytes always fail */
} failing;

void fail_arm(fail_kind_t kind, unsigned at, unsigned times);

/* Returns how often something failed. */
unsigned fail_disarm(void);

/* For tests that call past the faults, or hand an allocator to a library. */
void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
int __real_stat(const char *path, struct stat *status);

#endif
