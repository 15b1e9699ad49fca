/* SPDX-License-Identifier: MIT */
/* Every system call that touches the disk, and the one place where tests inject its faults.
 * All return FLK_OK, FLK_E_NO_SPACE (ENOSPC, EDQUOT, EFBIG), FLK_E_NOT_FOUND, FLK_E_EXISTS, FLK_E_NOMEM or FLK_E_IO,
 * with path and strerror in errmsg (may be NULL). Short reads and writes and EINTR are handled here. */
#ifndef FLK_COMMON_IO_H
#define FLK_COMMON_IO_H

#include <sys/types.h>
#include <sys/uio.h>

#include "common/err.h"

typedef enum flk_io_op {
    FLK_IO_OPEN,
    FLK_IO_READ,
    FLK_IO_WRITE,
    FLK_IO_SYNC,
    FLK_IO_SYNC_DIR,
    FLK_IO_ALLOCATE,
    FLK_IO_TRUNCATE,
    FLK_IO_RENAME,
    FLK_IO_UNLINK,
    FLK_IO_CLOSE,
    FLK_IO_LINK,
    FLK_IO_FREE_BYTES,
} flk_io_op_t;

/* Test hook: called before each operation when set; the operation fails with the errno that it returns (0: none),
 * untouched by the kernel; a failed close still closes, as close(2) does. Called from any thread. NULL in
 * production. */
typedef int flk_io_fault_fn(flk_io_op_t op, const char *path, void *arg);
void flk_io_set_fault(flk_io_fault_fn *fault, void *arg);

enum { FLK_IO_MODE = 0600 }; /* of files that are made here */

/* open(2) of a regular file, with O_CLOEXEC and O_NOFOLLOW added; FLK_IO_MODE. Waits for no pipe: FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_io_open(const char *path, int flags, int *fd, char *errmsg);
/* Writes all of iov at `offset`. `iov` is changed. */
FLK_MUST_CHECK flk_err_t flk_io_pwritev(int fd, const char *path, struct iovec *iov, int iov_len, uint64_t offset,
                                        char *errmsg);
/* Reads up to size bytes; *got < size only at the end of the file. */
FLK_MUST_CHECK flk_err_t flk_io_pread(int fd, const char *path, void *buffer, size_t size, uint64_t offset, size_t *got,
                                      char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_sync(int fd, const char *path, char *errmsg); /* fdatasync */
/* Makes names in `dir` durable: after a create, a rename, an unlink. */
FLK_MUST_CHECK flk_err_t flk_io_sync_dir(const char *dir, char *errmsg);
/* Gives the file `size` bytes that later writes find on the disk; without fallocate it becomes a sparse file. */
FLK_MUST_CHECK flk_err_t flk_io_allocate(int fd, const char *path, uint64_t size, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_truncate(int fd, const char *path, uint64_t size, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_rename(const char *from, const char *to, char *errmsg);
/* A second name for the same file. */
FLK_MUST_CHECK flk_err_t flk_io_link(const char *from, const char *to, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_size(int fd, const char *path, uint64_t *size, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_unlink(const char *path, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_close(int fd, const char *path, char *errmsg);
/* mkdir -p with mode 0700. */
FLK_MUST_CHECK flk_err_t flk_io_mkdirs(const char *dir, char *errmsg);
/* Whether it could be made and written in, with files below it, as far as can be told without doing so. Errors: the
 * same, and FLK_E_CONFIG: longer than a path may be. */
FLK_MUST_CHECK flk_err_t flk_io_check_dir(const char *dir, char *errmsg);
/* Bytes that an unprivileged writer may still use on dir's file system, and how many that has in all. */
FLK_MUST_CHECK flk_err_t flk_io_free_bytes(const char *dir, uint64_t *bytes, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_io_disk_bytes(const char *dir, uint64_t *bytes, char *errmsg);
/* Makes a small file that is not there yet, and syncs it; its name still wants flk_io_sync_dir. After an error other
 * than FLK_E_EXISTS there is none. */
FLK_MUST_CHECK flk_err_t flk_io_write_new(const char *path, const void *data, size_t data_bytes, mode_t mode,
                                          char *errmsg);
/* Writes a whole small file: temporary name, sync, rename, directory sync. */
FLK_MUST_CHECK flk_err_t flk_io_replace(const char *path, const void *data, size_t data_bytes, char *errmsg);
/* Reads a whole file of at most bytes_max; NUL-terminated. Follows links and reads pipes too: mounted secrets are
 * links. Caller frees *data with free(). FLK_E_TOO_LARGE above. */
FLK_MUST_CHECK flk_err_t flk_io_read_file(const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                                          char *errmsg);

/* The same of a file in a directory of ours, where a link or a pipe is an error: FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_io_read_own(const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                                         char *errmsg);

#endif
