/* SPDX-License-Identifier: MIT */
/* A disk on orders: loaded before a program of ours (LD_PRELOAD), it stands between the program and the files under one
 * directory.
 *
 *   DISK_SHIM_DIR      the directory; everything else is left alone
 *   DISK_SHIM_JOURNAL  each change is appended to a file of this name and the process' number, with its data, for
 *                      crash images (disk/journal.py)
 *   DISK_SHIM_FAULTS   rules, one a line: CALL ACTION VALUE SKIP TIMES; looked at before every call, so that it can
 *                      be rewritten while the program runs. After the first SKIP calls since the file changed, the
 *                      next TIMES ones (0: all)
 *                        error N   fail with errno N          delay N   take N ms longer
 *                        short 0   do half of it              lie 0     a sync that does nothing and says it did
 *                        lose 0    fail a sync with EIO, and the writes since the last one become zeros
 *                        full 0    statvfs: nothing is free
 *                      CALL: open pwritev fdatasync fsync ftruncate fallocate rename link unlink statvfs
 *
 * Loop devices, device-mapper and mounts are not to be had everywhere; this is. It is for the release build: a
 * sanitizer's runtime wants to be loaded first itself. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RULES_MAX = 16, RULES_BYTES = 1024, FILES_MAX = 512, SPANS_MAX = 1024 };

typedef enum call {
    CALL_OPEN,
    CALL_PWRITEV,
    CALL_FDATASYNC,
    CALL_FSYNC,
    CALL_FTRUNCATE,
    CALL_FALLOCATE,
    CALL_RENAME,
    CALL_LINK,
    CALL_UNLINK,
    CALL_STATVFS,
    CALLS
} call_t;

static const char *const call_names[CALLS] = {"open",      "pwritev", "fdatasync", "fsync",  "ftruncate",
                                              "fallocate", "rename",  "link",      "unlink", "statvfs"};

typedef enum action {
    ACTION_NONE,
    ACTION_ERROR,
    ACTION_DELAY,
    ACTION_SHORT,
    ACTION_LIE,
    ACTION_LOSE,
    ACTION_FULL
} action_t;
static const char *const action_names[] = {"none", "error", "delay", "short", "lie", "lose", "full"};

typedef struct rule {
    call_t call;
    action_t action;
    int value;
    unsigned skip, times, seen;
} rule_t;

typedef struct decision {
    action_t action;
    int value;
} decision_t;

/* The writes to a file since its last sync, for "lose". */
typedef struct dirty {
    ino_t inode;
    size_t spans;
    struct {
        off_t offset;
        size_t bytes;
    } at[SPANS_MAX];
} dirty_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char rules_text[RULES_BYTES];
static rule_t rules[RULES_MAX];
static size_t rules_len;
static int journal_fd = -1;
static dirty_t dirty[FILES_MAX];

/* ---- the real calls ---- */

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_fdatasync)(int), (*real_fsync)(int);
static int (*real_ftruncate)(int, off_t);
static int (*real_fallocate)(int, int, off_t, off_t);
static int (*real_rename)(const char *, const char *), (*real_link)(const char *, const char *);
static int (*real_unlink)(const char *);
static int (*real_statvfs)(const char *, struct statvfs *);

/* Not as a constructor: those of other libraries open files before. */
static void load(void) {
    if (real_statvfs != NULL) {
        return;
    }
    *(void **)&real_open = dlsym(RTLD_NEXT, "open");
    *(void **)&real_pwritev = dlsym(RTLD_NEXT, "pwritev");
    *(void **)&real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    *(void **)&real_fsync = dlsym(RTLD_NEXT, "fsync");
    *(void **)&real_ftruncate = dlsym(RTLD_NEXT, "ftruncate");
    *(void **)&real_fallocate = dlsym(RTLD_NEXT, "fallocate");
    *(void **)&real_rename = dlsym(RTLD_NEXT, "rename");
    *(void **)&real_link = dlsym(RTLD_NEXT, "link");
    *(void **)&real_unlink = dlsym(RTLD_NEXT, "unlink");
    *(void **)&real_statvfs = dlsym(RTLD_NEXT, "statvfs");
}

/* ---- which files ---- */

/* The path below the directory, or NULL for a path outside. */
static const char *inside(const char *path) {
    const char *dir = getenv("DISK_SHIM_DIR");
    size_t len = dir != NULL ? strlen(dir) : 0;
    if (len == 0 || strncmp(path, dir, len) != 0 || (path[len] != '/' && path[len] != '\0')) {
        return NULL;
    }
    return path[len] == '/' ? path + len + 1 : "";
}

static const char *inside_fd(int fd, char path[PATH_MAX]) {
    char link_path[64];
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link_path, path, PATH_MAX - 1);
    if (bytes <= 0) {
        return NULL;
    }
    path[bytes] = '\0';
    return inside(path);
}

static ino_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- rules ---- */

static int index_of(const char *const *names, size_t len, const char *name) {
    for (size_t i = 0; i < len; i++) {
        if (strcmp(names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void parse_rules(void) {
    char text[RULES_BYTES], *next = text, *line;
    strcpy(text, rules_text);
    rules_len = 0;
    while ((line = strsep(&next, "\n")) != NULL && rules_len < RULES_MAX) {
        char call[16], action[16];
        rule_t rule = {0};
        if (sscanf(line, "%15s %15s %d %u %u", call, action, &rule.value, &rule.skip, &rule.times) != 5) {
            continue;
        }
        int call_index = index_of(call_names, CALLS, call), action_index = index_of(action_names, 7, action);
        if (call_index < 0 || action_index < 0) {
            abort(); /* a trial that misspells a rule must not pass */
        }
        rule.call = (call_t)call_index;
        rule.action = (action_t)action_index;
        rules[rules_len++] = rule;
    }
}

static void read_rules(void) {
    const char *path = getenv("DISK_SHIM_FAULTS");
    char text[RULES_BYTES] = "";
    int fd = path != NULL ? real_open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        ssize_t bytes = pread(fd, text, sizeof text - 1, 0);
        text[bytes > 0 ? bytes : 0] = '\0';
        close(fd);
    }
    if (strcmp(text, rules_text) != 0) {
        strcpy(rules_text, text);
        parse_rules();
    }
}

static decision_t decide(call_t call) {
    decision_t decision = {ACTION_NONE, 0};
    pthread_mutex_lock(&lock);
    read_rules();
    for (size_t i = 0; i < rules_len; i++) {
        rule_t *rule = &rules[i];
        if (rule->call == call && rule->seen++ >= rule->skip &&
            (rule->times == 0 || rule->seen - rule->skip <= rule->times) && decision.action == ACTION_NONE) {
            decision = (decision_t){rule->action, rule->value};
        }
    }
    pthread_mutex_unlock(&lock);
    if (decision.action == ACTION_DELAY) {
        usleep((useconds_t)decision.value * 1000);
    }
    return decision;
}

/* ---- journal: header, names, data of writes; little-endian, as the machine has it ---- */

typedef struct entry {
    uint64_t began_ns, ended_ns, inode;
    uint64_t offset;           /* of a write; the new size; of a sync: the process */
    uint64_t bytes;            /* of a write; of a sync that failed: its errno */
    uint32_t call, name_bytes; /* the names: one, or two with a NUL between */
} entry_t;

static void note(entry_t entry, const char *name, const char *other, const struct iovec *iov, int iov_len) {
    const char *path = getenv("DISK_SHIM_JOURNAL");
    if (path == NULL) {
        return;
    }
    char names[2 * PATH_MAX];
    entry.name_bytes = (uint32_t)snprintf(names, sizeof names, "%s", name);
    if (other != NULL) {
        entry.name_bytes += 1 + (uint32_t)snprintf(names + entry.name_bytes + 1, PATH_MAX, "%s", other);
    }
    entry.ended_ns = now_ns();
    struct iovec head[2] = {{&entry, sizeof entry}, {names, entry.name_bytes}};
    pthread_mutex_lock(&lock);
    if (journal_fd < 0) {
        char own[PATH_MAX];
        snprintf(own, sizeof own, "%s.%d", path, getpid());
        journal_fd = real_open(own, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    ssize_t wrote = writev(journal_fd, head, 2);
    for (int i = 0; i < iov_len && wrote > 0; i++) {
        wrote = iov[i].iov_len == 0 ? 1 : write(journal_fd, iov[i].iov_base, iov[i].iov_len);
    }
    if (wrote <= 0) {
        abort();
    }
    pthread_mutex_unlock(&lock);
}

/* ---- the losses of a failed sync ---- */

static dirty_t *dirty_of(ino_t inode) {
    dirty_t *free_one = NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (dirty[i].inode == inode) {
            return &dirty[i];
        }
        free_one = free_one == NULL && dirty[i].spans == 0 ? &dirty[i] : free_one;
    }
    if (free_one == NULL) {
        abort();
    }
    free_one->inode = inode;
    return free_one;
}

static void remember(ino_t inode, off_t offset, size_t bytes) {
    pthread_mutex_lock(&lock);
    dirty_t *file = dirty_of(inode);
    if (file->spans < SPANS_MAX) {
        file->at[file->spans].offset = offset;
        file->at[file->spans++].bytes = bytes;
    }
    pthread_mutex_unlock(&lock);
}

/* As a disk that refused the write-back: the cache is dropped, and zeros were there before. */
static void forget(int fd, bool lose) {
    static const char zeros[65536];
    pthread_mutex_lock(&lock);
    dirty_t *file = dirty_of(inode_of(fd));
    for (size_t i = 0; lose && i < file->spans; i++) {
        for (size_t done = 0; done < file->at[i].bytes;) {
            size_t part = file->at[i].bytes - done < sizeof zeros ? file->at[i].bytes - done : sizeof zeros;
            if (pwrite(fd, zeros, part, file->at[i].offset + (off_t)done) != (ssize_t)part) {
                abort();
            }
            done += part;
        }
    }
    file->spans = 0;
    pthread_mutex_unlock(&lock);
}

/* ---- the calls ---- */

static int fail_with(int code) {
    errno = code;
    return -1;
}

__attribute__((visibility("default"))) int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    load();
    const char *name = inside(path);
    if (name == NULL) {
        return real_open(path, flags, mode);
    }
    decision_t decision = decide(CALL_OPEN);
    if (decision.action == ACTION_ERROR) {
        return fail_with(decision.value);
    }
    struct stat status;
    bool creates = flags & O_CREAT && stat(path, &status) != 0;
    uint64_t began = now_ns();
    int fd = real_open(path, flags, mode);
    if (fd >= 0 && creates) {
        note((entry_t){.began_ns = began, .call = CALL_OPEN, .inode = inode_of(fd)}, name, NULL, NULL, 0);
    }
    return fd;
}

__attribute__((visibility("default"))) ssize_t pwritev(int fd, const struct iovec *iov, int iov_len, off_t offset) {
    load();
    char path[PATH_MAX];
    const char *name = inside_fd(fd, path);
    if (name == NULL) {
        return real_pwritev(fd, iov, iov_len, offset);
    }
    decision_t decision = decide(CALL_PWRITEV);
    if (decision.action == ACTION_ERROR) {
        return fail_with(decision.value);
    }
    struct iovec part = iov[0];
    if (decision.action == ACTION_SHORT && part.iov_len > 1) {
        part.iov_len /= 2;
        iov = &part;
        iov_len = 1;
    }
    uint64_t began = now_ns();
    ssize_t wrote = real_pwritev(fd, iov, iov_len, offset);
    size_t bytes = 0;
    for (int i = 0; i < iov_len; i++) {
        bytes += iov[i].iov_len;
    }
    if (wrote > 0 && (size_t)wrote == bytes) {
        remember(inode_of(fd), offset, bytes);
        note((entry_t){.began_ns = began,
                       .call = CALL_PWRITEV,
                       .inode = inode_of(fd),
                       .offset = (uint64_t)offset,
                       .bytes = bytes},
             name, NULL, iov, iov_len);
    } else if (wrote > 0) {
        abort(); /* a local file took a part of it: the journal knows only whole writes */
    }
    return wrote;
}

static int sync_call(call_t call, int fd) {
    load();
    int (*real)(int) = call == CALL_FSYNC ? real_fsync : real_fdatasync;
    char path[PATH_MAX];
    const char *name = inside_fd(fd, path);
    if (name == NULL) {
        return real(fd);
    }
    uint64_t began = now_ns();
    decision_t decision = decide(call);
    if (decision.action == ACTION_LIE) {
        return 0;
    }
    if (decision.action == ACTION_ERROR || decision.action == ACTION_LOSE) {
        const int code = decision.action == ACTION_ERROR ? decision.value : EIO;
        forget(fd, decision.action == ACTION_LOSE);
        note((entry_t){.began_ns = began,
                       .call = (uint32_t)call,
                       .inode = inode_of(fd),
                       .offset = (uint64_t)getpid(),
                       .bytes = (uint64_t)code},
             name, NULL, NULL, 0);
        return fail_with(code);
    }
    int result = real(fd);
    if (result == 0) {
        forget(fd, false);
        note((entry_t){.began_ns = began, .call = (uint32_t)call, .inode = inode_of(fd), .offset = (uint64_t)getpid()},
             name, NULL, NULL, 0);
    }
    return result;
}

__attribute__((visibility("default"))) int fdatasync(int fd) {
    return sync_call(CALL_FDATASYNC, fd);
}

__attribute__((visibility("default"))) int fsync(int fd) {
    return sync_call(CALL_FSYNC, fd);
}

/* A call that either fails by rule, or is done and noted with `offset`. */
static int size_call(call_t call, int fd, off_t size, int mode) {
    load();
    char path[PATH_MAX];
    const char *name = inside_fd(fd, path);
    decision_t decision = name != NULL ? decide(call) : (decision_t){ACTION_NONE, 0};
    if (decision.action == ACTION_ERROR) {
        return fail_with(decision.value);
    }
    uint64_t began = now_ns();
    int result = call == CALL_FTRUNCATE ? real_ftruncate(fd, size) : real_fallocate(fd, mode, 0, size);
    if (result == 0 && name != NULL) {
        note((entry_t){.began_ns = began, .call = (uint32_t)call, .inode = inode_of(fd), .offset = (uint64_t)size},
             name, NULL, NULL, 0);
    }
    return result;
}

__attribute__((visibility("default"))) int ftruncate(int fd, off_t size) {
    return size_call(CALL_FTRUNCATE, fd, size, 0);
}

__attribute__((visibility("default"))) int fallocate(int fd, int mode, off_t offset, off_t size) {
    load();
    return offset != 0 || mode != 0 ? real_fallocate(fd, mode, offset, size)
                                    : size_call(CALL_FALLOCATE, fd, size, mode);
}

static int name_call(call_t call, const char *from, const char *to) {
    load();
    const char *name = inside(from), *other = to != NULL ? inside(to) : NULL;
    decision_t decision = name != NULL ? decide(call) : (decision_t){ACTION_NONE, 0};
    if (decision.action == ACTION_ERROR) {
        return fail_with(decision.value);
    }
    uint64_t began = now_ns();
    int result = call == CALL_UNLINK ? real_unlink(from)
                 : call == CALL_LINK ? real_link(from, to)
                                     : real_rename(from, to);
    if (result == 0 && name != NULL) {
        note((entry_t){.began_ns = began, .call = (uint32_t)call}, name, other, NULL, 0);
    }
    return result;
}

__attribute__((visibility("default"))) int rename(const char *from, const char *to) {
    return name_call(CALL_RENAME, from, to);
}

__attribute__((visibility("default"))) int link(const char *from, const char *to) {
    return name_call(CALL_LINK, from, to);
}

__attribute__((visibility("default"))) int unlink(const char *path) {
    return name_call(CALL_UNLINK, path, NULL);
}

__attribute__((visibility("default"))) int statvfs(const char *path, struct statvfs *status) {
    load();
    decision_t decision = inside(path) != NULL ? decide(CALL_STATVFS) : (decision_t){ACTION_NONE, 0};
    int result = decision.action == ACTION_ERROR ? fail_with(decision.value) : real_statvfs(path, status);
    if (decision.action == ACTION_FULL) {
        status->f_bavail = status->f_bfree = 0;
    }
    return result;
}
