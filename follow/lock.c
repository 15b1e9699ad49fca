/* SPDX-License-Identifier: MIT */
#include "follow/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "common/io.h"

flk_err_t flk_lock_take(flk_lock_t *lock, const char *data_dir, char *errmsg) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/follow.lock", data_dir) >= (int)sizeof path) {
        flk_errmsg(errmsg, "FLK_DATA_DIR: the path is too long");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_io_mkdirs(data_dir, errmsg);
    err = err != FLK_OK ? err : flk_io_open(path, O_RDWR | O_CREAT, &lock->fd, errmsg);
    if (err != FLK_OK) {
        lock->fd = -1;
        return err;
    }
    if (flock(lock->fd, LOCK_EX | LOCK_NB) != 0) {
        err = errno == EWOULDBLOCK ? FLK_E_LOCKED : FLK_E_IO;
        flk_errmsg(errmsg, "%s: %s", path,
                   err == FLK_E_LOCKED ? "another flk-follow drives the sinks here" : strerror(errno));
        flk_lock_drop(lock);
    }
    return err;
}

void flk_lock_drop(flk_lock_t *lock) {
    if (lock->fd >= 0) {
        (void)!flk_io_close(lock->fd, "follow.lock", NULL);
    }
    *lock = FLK_LOCK_NONE;
}
