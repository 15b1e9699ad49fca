/* SPDX-License-Identifier: MIT */
/* A new segment comes into being in one order: made under a temporary name, given its space, its header written,
 * synced, renamed, directory synced. A failure in between leaves a temporary file, which the next attempt removes, or
 * under a final name a segment without items, which recovery removes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/io.h"
#include "common/wal/file.h"

enum { RESERVE_BYTES_MAX = 4 << 20, RESERVE_BYTES_MIN = 4096 };

static const char reserve_name[] = "reserve", new_name[] = "segment.tmp";

void flk_wal_file_name(uint64_t number, char name[FLK_WAL_NAME_BYTES]) {
    snprintf(name, FLK_WAL_NAME_BYTES, "wal-%016llx.seg", (unsigned long long)number);
}

bool flk_wal_file_number(const char *name, uint64_t *number) {
    char canonical[FLK_WAL_NAME_BYTES];
    unsigned long long value;
    if (sscanf(name, "wal-%16llx.seg", &value) != 1) {
        return false;
    }
    *number = value;
    flk_wal_file_name(value, canonical);
    return strcmp(name, canonical) == 0 && value <= FLK_WAL_NUMBER_MAX;
}

static flk_err_t remove_if_there(const char *path, char *errmsg) {
    flk_err_t err = flk_io_unlink(path, errmsg);
    return err == FLK_E_NOT_FOUND ? FLK_OK : err;
}

flk_err_t flk_wal_file_temporary(const flk_wal_config_t *config, const char *name, char path[FLK_WAL_PATH_BYTES],
                                 int *fd, char *errmsg) {
    flk_wal_path(config->dir, name, path);
    flk_err_t err = remove_if_there(path, errmsg);
    return err != FLK_OK ? err : flk_io_open(path, O_WRONLY | O_CREAT | O_EXCL, fd, errmsg);
}

static flk_err_t open_reserve(const flk_wal_config_t *config, char path[FLK_WAL_PATH_BYTES], int *fd,
                              uint64_t *file_bytes, char *errmsg) {
    flk_wal_path(config->dir, reserve_name, path);
    flk_err_t err = flk_io_open(path, O_WRONLY, fd, errmsg);
    if (err == FLK_OK) {
        err = flk_io_size(*fd, path, file_bytes, errmsg);
        if (err == FLK_OK && *file_bytes < RESERVE_BYTES_MIN) {
            flk_errmsg(errmsg, "%s holds no space: it is removed", path);
            err = FLK_E_NO_SPACE;
        }
        if (err != FLK_OK) {
            (void)!flk_io_close(*fd, path, NULL);
            (void)!flk_io_unlink(path, NULL);
        }
    }
    return err;
}

flk_err_t flk_wal_file_write_header(int fd, const char *path, const flk_wal_header_t *header, char *errmsg) {
    uint8_t bytes[FLK_WAL_SEGMENT_HEADER_BYTES];
    flk_wal_header_encode(header, bytes);
    struct iovec iov = {.iov_base = bytes, .iov_len = sizeof bytes};
    return flk_io_pwritev(fd, path, &iov, 1, 0, errmsg);
}

flk_err_t flk_wal_file_create(const flk_wal_config_t *config, const flk_wal_header_t *header, bool spend_reserve,
                              uint64_t *file_bytes, int *fd, char *errmsg) {
    char temporary[FLK_WAL_PATH_BYTES], path[FLK_WAL_PATH_BYTES], name[FLK_WAL_NAME_BYTES];
    flk_wal_file_name(header->number, name);
    flk_wal_path(config->dir, name, path);
    flk_err_t err = spend_reserve ? open_reserve(config, temporary, fd, file_bytes, errmsg)
                                  : flk_wal_file_temporary(config, new_name, temporary, fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (!spend_reserve) {
        err = flk_io_allocate(*fd, temporary, *file_bytes, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_wal_file_write_header(*fd, temporary, header, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_sync(*fd, temporary, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
        if (err == FLK_OK) {
            err = flk_io_sync_dir(config->dir, errmsg);
        }
    }
    if (err != FLK_OK) {
        (void)!flk_io_close(*fd, temporary, NULL);
        (void)!flk_io_unlink(temporary, NULL);
        (void)!flk_io_unlink(path, NULL);
    }
    return err;
}

flk_err_t flk_wal_file_make_reserve(const flk_wal_config_t *config, char *errmsg) {
    char temporary[FLK_WAL_PATH_BYTES], path[FLK_WAL_PATH_BYTES];
    int fd;
    flk_wal_path(config->dir, reserve_name, path);
    flk_err_t err = flk_wal_file_temporary(config, new_name, temporary, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    uint64_t bytes =
        config->options.segment_bytes_max < RESERVE_BYTES_MAX ? config->options.segment_bytes_max : RESERVE_BYTES_MAX;
    err = flk_io_allocate(fd, temporary, bytes, errmsg);
    if (err == FLK_OK) {
        err = flk_io_sync(fd, temporary, errmsg);
    }
    flk_err_t close_err = flk_io_close(fd, temporary, err == FLK_OK ? errmsg : NULL);
    err = err != FLK_OK ? err : close_err;
    if (err == FLK_OK) {
        err = flk_io_rename(temporary, path, errmsg);
    }
    if (err != FLK_OK) {
        (void)!flk_io_unlink(temporary, NULL);
    }
    return err;
}

static bool same_file(const char *a, const char *b) {
    struct stat of_a, of_b;
    return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

flk_err_t flk_wal_file_quarantine(const flk_wal_config_t *config, const char *name, char *errmsg) {
    char path[FLK_WAL_PATH_BYTES], aside_name[FLK_WAL_NAME_BYTES + 16], aside[FLK_WAL_PATH_BYTES];
    flk_wal_path(config->dir, name, path);
    flk_err_t err = FLK_E_EXISTS;
    for (int copy = 0; err == FLK_E_EXISTS && copy < 1000; copy++) {
        snprintf(aside_name, sizeof aside_name, copy == 0 ? "%s.damaged" : "%s.%d.damaged", name, copy);
        flk_wal_path(config->dir, aside_name, aside);
        err = flk_io_link(path, aside, errmsg);
        if (err == FLK_E_EXISTS && same_file(path, aside)) {
            return FLK_OK; /* an earlier start got this far */
        }
    }
    return err;
}
