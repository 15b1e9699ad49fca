/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/fail_nth.h"

struct failing failing;

static _Thread_local bool fail_exempt; /* in flk_start_alloc, whose contract is to end the process */

void fail_arm(fail_kind_t kind, unsigned at, unsigned times) {
    atomic_store(&failing.calls, 0);
    atomic_store(&failing.hits, 0);
    failing.at = at;
    failing.times = times;
    atomic_store(&failing.kind, kind);
}

unsigned fail_disarm(void) {
    atomic_store(&failing.kind, FAIL_NONE);
    return atomic_load(&failing.hits);
}

static bool fail_now(void) {
    unsigned call = atomic_fetch_add(&failing.calls, 1) + 1;
    bool now = call >= failing.at && call - failing.at < failing.times;
    atomic_fetch_add(&failing.hits, now);
    return now;
}

static int fail_call(bool interruptible) {
    switch ((fail_kind_t)atomic_load(&failing.kind)) {
    case FAIL_EIO:
        return fail_now() ? EIO : 0;
    case FAIL_ENOSPC:
        return fail_now() ? ENOSPC : 0;
    case FAIL_EINTR:
        return interruptible && fail_now() ? EINTR : 0;
    default:
        return 0;
    }
}

static bool fail_allocation(void) {
    return !fail_exempt && atomic_load(&failing.kind) == FAIL_ALLOCATION && fail_now();
}

static size_t fail_shorten(size_t bytes) {
    return atomic_load(&failing.kind) == FAIL_SHORT && bytes > 1 && fail_now() ? bytes / 2 : bytes;
}

int __real_fstat(int fd, struct stat *status);

static bool fail_bad_block(int fd, off_t offset, size_t bytes) {
    struct stat status;
    return atomic_load(&failing.bad_to) > 0 && __real_fstat(fd, &status) == 0 &&
           status.st_ino == atomic_load(&failing.bad_inode) && (uint64_t)offset < atomic_load(&failing.bad_to) &&
           (uint64_t)offset + bytes > atomic_load(&failing.bad_from);
}

#define FAIL_WRAP(type, name, parameters, arguments, interruptible)                                                    \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters {                                                                                    \
        int code = fail_call(interruptible);                                                                           \
        if (code != 0) {                                                                                               \
            errno = code;                                                                                              \
            return (type)-1;                                                                                           \
        }                                                                                                              \
        return __real_##name arguments;                                                                                \
    }

FAIL_WRAP(int, fdatasync, (int fd), (fd), true)
FAIL_WRAP(int, fsync, (int fd), (fd), true)
FAIL_WRAP(int, ftruncate, (int fd, off_t size), (fd, size), true)
FAIL_WRAP(int, fallocate, (int fd, int mode, off_t offset, off_t size), (fd, mode, offset, size), true)
FAIL_WRAP(int, rename, (const char *from, const char *to), (from, to), false)
FAIL_WRAP(int, link, (const char *from, const char *to), (from, to), false)
FAIL_WRAP(int, unlink, (const char *path), (path), false)
FAIL_WRAP(int, fstat, (int fd, struct stat *status), (fd, status), false)
FAIL_WRAP(int, stat, (const char *path, struct stat *status), (path, status), false)
FAIL_WRAP(int, statvfs, (const char *path, struct statvfs *status), (path, status), false)
FAIL_WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), false)
FAIL_WRAP(int, flock, (int fd, int operation), (fd, operation), false)
FAIL_WRAP(int, eventfd, (unsigned value, int flags), (value, flags), false)

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    int code = fail_call(true);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return __real_open(path, flags, mode);
}

/* The descriptor is gone after an error, too. */
int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd) {
    int code = fail_call(true), result = __real_close(fd);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return result;
}

ssize_t __real_pwritev(int fd, const struct iovec *iov, int iov_len, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int iov_len, off_t offset);
ssize_t __wrap_pwritev(int fd, const struct iovec *iov, int iov_len, off_t offset) {
    int code = fail_call(true);
    if (code != 0) {
        errno = code;
        return -1;
    }
    struct iovec first = iov[0];
    first.iov_len = fail_shorten(first.iov_len);
    if (first.iov_len < iov[0].iov_len) {
        return __real_pwritev(fd, &first, 1, offset);
    }
    return __real_pwritev(fd, iov, iov_len, offset);
}

/* A block whose read fails twice is a lost one: in a row of failures reads go through. */
ssize_t __real_pread(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __wrap_pread(int fd, void *buffer, size_t bytes, off_t offset) {
    int code = fail_bad_block(fd, offset, bytes) ? EIO : failing.times > 1 ? 0 : fail_call(true);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return __real_pread(fd, buffer, fail_shorten(bytes), offset);
}

ssize_t __real_read(int fd, void *buffer, size_t bytes);
ssize_t __wrap_read(int fd, void *buffer, size_t bytes);
ssize_t __wrap_read(int fd, void *buffer, size_t bytes) {
    int code = fail_call(true);
    if (code != 0) {
        errno = code;
        return -1;
    }
    return __real_read(fd, buffer, fail_shorten(bytes));
}

DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path) {
    int code = fail_call(false);
    if (code != 0) {
        errno = code;
        return NULL;
    }
    return __real_opendir(path);
}

struct dirent *__real_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir);
struct dirent *__wrap_readdir(DIR *dir) {
    int code = fail_call(false);
    if (code != 0) {
        errno = code;
        return NULL;
    }
    return __real_readdir(dir);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *arg) {
    return fail_call(false) != 0 || fail_allocation() ? EAGAIN : __real_pthread_create(thread, attr, run, arg);
}

void *__wrap_malloc(size_t size) {
    return fail_allocation() ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) {
    return fail_allocation() ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_realloc(void *old, size_t size) {
    return fail_allocation() ? NULL : __real_realloc(old, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size) {
    return fail_allocation() ? NULL : __real_aligned_alloc(alignment, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text) {
    return fail_allocation() ? NULL : __real_strdup(text);
}

void *__real_flk_start_alloc(size_t size);
void *__wrap_flk_start_alloc(size_t size);
void *__wrap_flk_start_alloc(size_t size) {
    fail_exempt = true;
    void *memory = __real_flk_start_alloc(size);
    fail_exempt = false;
    return memory;
}
