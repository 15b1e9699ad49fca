/* SPDX-License-Identifier: MIT */
#include "common/wal/follow/durable.h"

#include <fcntl.h>

#include "common/bytes.h"
#include "common/io.h"
#include "common/wal/path.h"

static const char file_name[] = "durable";
enum { FILE_BYTES = 16, READS_MAX = 8 };

static flk_err_t open_file(const char *dir, int flags, int *fd, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES];
    flk_wal_path(dir, file_name, path);
    flk_err_t err = flk_io_open(path, flags, fd, errmsg);
    *fd = err == FLK_OK ? *fd : -1;
    return err;
}

flk_err_t flk_wal_durable_make(const char *dir, int *fd, char *errmsg) {
    return open_file(dir, O_RDWR | O_CREAT, fd, errmsg);
}

flk_err_t flk_wal_durable_open(const char *dir, int *fd, char *errmsg) {
    return open_file(dir, O_RDONLY, fd, errmsg);
}

flk_err_t flk_wal_durable_write(int fd, uint64_t lsn) {
    uint8_t bytes[FILE_BYTES];
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    flk_put_le64(bytes, lsn);
    flk_put_le64(bytes + 8, ~lsn);
    return flk_io_pwritev(fd, file_name, &iov, 1, 0, NULL);
}

uint64_t flk_wal_durable_read(int fd) {
    uint8_t bytes[FILE_BYTES];
    size_t got = 0;
    for (int i = 0; i < READS_MAX; i++) {
        if (flk_io_pread(fd, file_name, bytes, sizeof bytes, 0, &got, NULL) != FLK_OK || got != sizeof bytes) {
            return 0;
        }
        if (flk_get_le64(bytes) == ~flk_get_le64(bytes + 8)) {
            return flk_get_le64(bytes);
        }
    }
    return 0;
}
