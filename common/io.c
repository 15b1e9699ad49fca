/* SPDX-License-Identifier: MIT */
/* Each function: ask the fault hook, make the call (again after EINTR, or for the rest after a short count), turn errno
 * into an error and a line. close(2) is never repeated: on Linux the descriptor is gone after an error, too. */
#include "common/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static _Atomic(flk_io_fault_fn *) fault_hook;
static _Atomic(void *) fault_arg;

void flk_io_set_fault(flk_io_fault_fn *fault, void *arg) {
    atomic_store(&fault_arg, arg);
    atomic_store(&fault_hook, fault);
}

static int injected(flk_io_op_t op, const char *path) {
    flk_io_fault_fn *fault = atomic_load(&fault_hook);
    return fault == NULL ? 0 : fault(op, path, atomic_load(&fault_arg));
}

static flk_err_t err_from_errno(int code) {
    switch (code) {
    case 0:
        return FLK_OK;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: /* the limit of the process for a file */
        return FLK_E_NO_SPACE;
    case ENOENT:
        return FLK_E_NOT_FOUND;
    case EEXIST:
        return FLK_E_EXISTS;
    case ENOMEM:
        return FLK_E_NOMEM;
    default:
        return FLK_E_IO;
    }
}

static flk_err_t failed(const char *step, const char *path, int code, char *errmsg) {
    char text[128];
    flk_errmsg(errmsg, "cannot %s %s: %s", step, path, strerror_r(code, text, sizeof text));
    return err_from_errno(code);
}

/* The end of every simple operation: `code` 0 is success. */
static flk_err_t result(const char *step, const char *path, int code, char *errmsg) {
    return code == 0 ? FLK_OK : failed(step, path, code, errmsg);
}

static int open_retry(const char *path, int flags) {
    int fd;
    do {
        fd = open(path, flags | O_CLOEXEC, FLK_IO_MODE);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Without O_NONBLOCK the open of a pipe would wait for its other end. */
flk_err_t flk_io_open(const char *path, int flags, int *fd, char *errmsg) {
    struct stat status;
    int code = injected(FLK_IO_OPEN, path);
    if (code == 0) {
        *fd = open_retry(path, flags | O_NOFOLLOW | O_NONBLOCK);
        code = *fd < 0 || fstat(*fd, &status) != 0 ? errno : 0;
    }
    if (code == ENXIO || (code == 0 && !S_ISREG(status.st_mode))) {
        if (*fd >= 0) {
            close(*fd);
        }
        flk_errmsg(errmsg, "cannot open %s: no regular file", path);
        return FLK_E_IO;
    }
    return result(flags & O_CREAT ? "create" : "open", path, code, errmsg);
}

/* Drops the first `bytes` of the vector, which are written. */
static void iov_advance(struct iovec **iov, int *iov_len, size_t bytes) {
    while (*iov_len > 0 && bytes >= (*iov)->iov_len) {
        bytes -= (*iov)->iov_len;
        (*iov)++;
        (*iov_len)--;
    }
    if (bytes > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
        (*iov)->iov_len -= bytes;
    }
}

flk_err_t flk_io_pwritev(int fd, const char *path, struct iovec *iov, int iov_len, uint64_t offset, char *errmsg) {
    int code = injected(FLK_IO_WRITE, path);
    iov_advance(&iov, &iov_len, 0);
    while (code == 0 && iov_len > 0) {
        ssize_t wrote = pwritev(fd, iov, iov_len < IOV_MAX ? iov_len : IOV_MAX, (off_t)offset);
        if (wrote > 0) {
            offset += (uint64_t)wrote;
            iov_advance(&iov, &iov_len, (size_t)wrote);
        } else if (wrote == 0) {
            code = EIO;
        } else if (errno != EINTR) {
            code = errno;
        }
    }
    return result("write", path, code, errmsg);
}

flk_err_t flk_io_pread(int fd, const char *path, void *buffer, size_t size, uint64_t offset, size_t *got,
                       char *errmsg) {
    int code = injected(FLK_IO_READ, path);
    *got = 0;
    while (code == 0 && *got < size) {
        ssize_t bytes = pread(fd, (char *)buffer + *got, size - *got, (off_t)(offset + *got));
        if (bytes > 0) {
            *got += (size_t)bytes;
        } else if (bytes == 0) {
            break;
        } else if (errno != EINTR) {
            code = errno;
        }
    }
    return result("read", path, code, errmsg);
}

flk_err_t flk_io_sync(int fd, const char *path, char *errmsg) {
    int code = injected(FLK_IO_SYNC, path);
    if (code == 0 && fdatasync(fd) != 0) {
        code = errno; /* EINTR too: nobody knows which pages were written back, and a second call may lie */
    }
    return result("sync", path, code, errmsg);
}

flk_err_t flk_io_sync_dir(const char *dir, char *errmsg) {
    int code = injected(FLK_IO_SYNC_DIR, dir);
    if (code == 0) {
        int fd = open_retry(dir, O_RDONLY | O_DIRECTORY);
        if (fd < 0) {
            code = errno;
        } else {
            code = fsync(fd) == 0 ? 0 : errno;
            close(fd);
        }
    }
    return result("sync directory", dir, code, errmsg);
}

flk_err_t flk_io_allocate(int fd, const char *path, uint64_t size, char *errmsg) {
    int code = injected(FLK_IO_ALLOCATE, path);
    if (code == 0) {
        do {
            code = fallocate(fd, 0, 0, (off_t)size) == 0 ? 0 : errno;
        } while (code == EINTR);
        if (code == EOPNOTSUPP) {
            code = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
        }
    }
    return result("allocate space for", path, code, errmsg);
}

flk_err_t flk_io_truncate(int fd, const char *path, uint64_t size, char *errmsg) {
    int code = injected(FLK_IO_TRUNCATE, path);
    if (code == 0) {
        do {
            code = ftruncate(fd, (off_t)size) == 0 ? 0 : errno;
        } while (code == EINTR);
    }
    return result("truncate", path, code, errmsg);
}

flk_err_t flk_io_rename(const char *from, const char *to, char *errmsg) {
    int code = injected(FLK_IO_RENAME, from);
    if (code == 0 && rename(from, to) != 0) {
        code = errno;
    }
    return result("rename", from, code, errmsg);
}

flk_err_t flk_io_link(const char *from, const char *to, char *errmsg) {
    int code = injected(FLK_IO_LINK, to);
    if (code == 0 && link(from, to) != 0) {
        code = errno;
    }
    return result("link", to, code, errmsg);
}

flk_err_t flk_io_unlink(const char *path, char *errmsg) {
    int code = injected(FLK_IO_UNLINK, path);
    if (code == 0 && unlink(path) != 0) {
        code = errno;
    }
    return result("remove", path, code, errmsg);
}

flk_err_t flk_io_close(int fd, const char *path, char *errmsg) {
    int code = injected(FLK_IO_CLOSE, path);
    if (close(fd) != 0 && code == 0 && errno != EINTR) {
        code = errno;
    }
    return result("close", path, code, errmsg);
}

flk_err_t flk_io_size(int fd, const char *path, uint64_t *size, char *errmsg) {
    struct stat status;
    if (fstat(fd, &status) != 0) {
        return failed("stat", path, errno, errmsg);
    }
    *size = (uint64_t)status.st_size;
    return FLK_OK;
}

/* "." for a bare file name. */
static void parent_of(const char *path, char *dir) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        strcpy(dir, ".");
    } else if (slash == path) {
        strcpy(dir, "/");
    } else {
        memcpy(dir, path, (size_t)(slash - path));
        dir[slash - path] = '\0';
    }
}

/* A new directory is synced into its parent: otherwise durable files inside could vanish with it. */
static flk_err_t make_dir(const char *path, const char *whole, char *errmsg) {
    char parent[PATH_MAX];
    struct stat status;
    if (mkdir(path, 0700) == 0) {
        parent_of(path, parent);
        return flk_io_sync_dir(parent, errmsg);
    }
    int code = errno;
    if (code == EEXIST) {
        code = stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    }
    return result("create directory", whole, code, errmsg);
}

flk_err_t flk_io_mkdirs(const char *dir, char *errmsg) {
    char path[PATH_MAX];
    size_t len = strlen(dir);
    if (len == 0 || len >= sizeof path) {
        return failed("create directory", dir, len == 0 ? ENOENT : ENAMETOOLONG, errmsg);
    }
    memcpy(path, dir, len + 1);
    while (len > 1 && path[len - 1] == '/') {
        path[--len] = '\0';
    }
    for (char *slash = path + 1; *slash != '\0'; slash++) {
        if (*slash == '/') {
            *slash = '\0';
            flk_err_t err = make_dir(path, dir, errmsg);
            *slash = '/';
            if (err != FLK_OK) {
                return err;
            }
        }
    }
    return make_dir(path, dir, errmsg);
}

static flk_err_t space_of(const char *dir, struct statvfs *status, char *errmsg) {
    int code = injected(FLK_IO_FREE_BYTES, dir);
    *status = (struct statvfs){0};
    if (code == 0 && statvfs(dir, status) != 0) {
        code = errno;
    }
    return result("ask for the space of", dir, code, errmsg);
}

flk_err_t flk_io_check_dir(const char *dir, char *errmsg) {
    char path[PATH_MAX], parent[PATH_MAX];
    struct stat status;
    if (strlen(dir) == 0 || strlen(dir) >= sizeof path - NAME_MAX) {
        flk_errmsg(errmsg, "a directory of %zu bytes: 1 to %zu are allowed", strlen(dir), sizeof path - NAME_MAX - 1);
        return FLK_E_CONFIG;
    }
    strcpy(path, dir);
    while (stat(path, &status) != 0 && errno == ENOENT && strcmp(path, ".") != 0 && strcmp(path, "/") != 0) {
        parent_of(path, parent);
        strcpy(path, parent);
    }
    bool there = stat(path, &status) == 0;
    int code = !there ? errno : S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    if (code == 0 && faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0) {
        code = errno;
    }
    return result(there && strcmp(path, dir) == 0 ? "write in directory" : "create directory", dir, code, errmsg);
}

flk_err_t flk_io_free_bytes(const char *dir, uint64_t *bytes, char *errmsg) {
    struct statvfs status;
    flk_err_t err = space_of(dir, &status, errmsg);
    *bytes = (uint64_t)status.f_bavail * status.f_frsize;
    return err;
}

flk_err_t flk_io_disk_bytes(const char *dir, uint64_t *bytes, char *errmsg) {
    struct statvfs status;
    flk_err_t err = space_of(dir, &status, errmsg);
    *bytes = (uint64_t)status.f_blocks * status.f_frsize;
    return err;
}

flk_err_t flk_io_write_new(const char *path, const void *data, size_t data_bytes, mode_t mode, char *errmsg) {
    int fd;
    flk_err_t err = flk_io_open(path, O_WRONLY | O_CREAT | O_EXCL, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = data_bytes};
    err = flk_io_pwritev(fd, path, &iov, 1, 0, errmsg);
    if (err == FLK_OK && mode != FLK_IO_MODE && fchmod(fd, mode) != 0) {
        err = failed("set the mode of", path, errno, errmsg);
    }
    err = err == FLK_OK ? flk_io_sync(fd, path, errmsg) : err;
    flk_err_t closed = flk_io_close(fd, path, err == FLK_OK ? errmsg : NULL);
    err = err == FLK_OK ? closed : err;
    if (err != FLK_OK) {
        (void)!flk_io_unlink(path, NULL);
    }
    return err;
}

flk_err_t flk_io_replace(const char *path, const void *data, size_t data_bytes, char *errmsg) {
    char temporary[PATH_MAX], dir[PATH_MAX];
    if (strlen(path) + sizeof ".tmp" > sizeof temporary) {
        return failed("replace", path, ENAMETOOLONG, errmsg);
    }
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    parent_of(path, dir);
    flk_err_t err = flk_io_unlink(temporary, errmsg); /* left by a crash */
    if (err != FLK_OK && err != FLK_E_NOT_FOUND) {
        return err;
    }
    err = flk_io_write_new(temporary, data, data_bytes, FLK_IO_MODE, errmsg);
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
    }
    if (err != FLK_OK) {
        (void)!flk_io_unlink(temporary, NULL);
        return err;
    }
    return flk_io_sync_dir(dir, errmsg);
}

static flk_err_t read_to_end(int fd, const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                             char *errmsg) {
    size_t capacity = bytes_max < 4096 ? bytes_max + 1 : 4096, got = 0;
    char *buffer = malloc(capacity + 1);
    while (buffer != NULL) {
        ssize_t bytes = read(fd, buffer + got, capacity - got);
        if (bytes < 0 && errno == EINTR) {
            continue;
        }
        if (bytes < 0) {
            int code = errno;
            free(buffer);
            return failed("read", path, code, errmsg);
        }
        got += (size_t)bytes;
        if (got > bytes_max) {
            free(buffer);
            flk_errmsg(errmsg, "%s is larger than the limit of %zu bytes", path, bytes_max);
            return FLK_E_TOO_LARGE;
        }
        if (bytes == 0) {
            buffer[got] = '\0';
            *data = buffer;
            *data_bytes = got;
            return FLK_OK;
        }
        if (got == capacity) {
            capacity = capacity * 2 < bytes_max ? capacity * 2 : bytes_max + 1;
            char *larger = realloc(buffer, capacity + 1);
            if (larger == NULL) {
                free(buffer);
            }
            buffer = larger;
        }
    }
    flk_errmsg(errmsg, "cannot read %s: out of memory", path);
    return FLK_E_NOMEM;
}

flk_err_t flk_io_read_own(const char *path, size_t bytes_max, char **data, size_t *data_bytes, char *errmsg) {
    int fd;
    flk_err_t err = flk_io_open(path, O_RDONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = result("read", path, injected(FLK_IO_READ, path), errmsg);
    err = err != FLK_OK ? err : read_to_end(fd, path, bytes_max, data, data_bytes, errmsg);
    close(fd);
    return err;
}

flk_err_t flk_io_read_file(const char *path, size_t bytes_max, char **data, size_t *data_bytes, char *errmsg) {
    int code = injected(FLK_IO_OPEN, path);
    int fd = -1;
    if (code == 0) {
        fd = open_retry(path, O_RDONLY);
        code = fd < 0 ? errno : injected(FLK_IO_READ, path);
    }
    flk_err_t err = result("read", path, code, errmsg);
    if (err == FLK_OK) {
        err = read_to_end(fd, path, bytes_max, data, data_bytes, errmsg);
    }
    if (fd >= 0) {
        close(fd);
    }
    return err;
}
