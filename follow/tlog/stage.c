/* SPDX-License-Identifier: MIT */
#include "follow/tlog/stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/io.h"

#define TEMPORARY ".new"

enum { DIRS_MAX = 64 };

void flk_stage_init(flk_stage_t *stage, const char *dir) {
    stage->dir = dir;
    stage->files_len = 0;
    stage->files = flk_start_alloc(FLK_STAGE_FILES_MAX * sizeof *stage->files);
}

void flk_stage_fini(flk_stage_t *stage) {
    free(stage->files);
    stage->files = NULL;
}

static void full_path(const char *dir, const char *path, const char *suffix, char full[PATH_MAX]) {
    int used = snprintf(full, PATH_MAX, "%s/%s%s", dir, path, suffix);
    FLK_ASSERT(used < PATH_MAX); /* the log's directory is checked when it is opened */
}

static flk_err_t make_parent(const char *full, char *errmsg) {
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", full);
    *strrchr(parent, '/') = '\0';
    return flk_io_mkdirs(parent, errmsg);
}

/* The directory is there nearly always: it is made when a file in it cannot be. */
static flk_err_t open_new(const char *full, int *fd, char *errmsg) {
    flk_err_t err = flk_io_open(full, O_WRONLY | O_CREAT | O_TRUNC, fd, errmsg);
    if (err == FLK_E_NOT_FOUND) {
        err = make_parent(full, errmsg);
        err = err != FLK_OK ? err : flk_io_open(full, O_WRONLY | O_CREAT | O_TRUNC, fd, errmsg);
    }
    return err;
}

flk_err_t flk_stage_write(flk_stage_t *stage, const flk_tlog_tile_t *tile, const void *data, size_t data_bytes,
                          char *errmsg) {
    char full[PATH_MAX];
    int fd;
    if (stage->files_len == FLK_STAGE_FILES_MAX) {
        flk_errmsg(errmsg, "%d files wait to be synced", FLK_STAGE_FILES_MAX);
        return FLK_E_FULL;
    }
    char *path = stage->files[stage->files_len];
    flk_tlog_tile_path(tile, path);
    full_path(stage->dir, path, TEMPORARY, full);
    flk_err_t err = open_new(full, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    struct iovec iov = {(void *)(uintptr_t)data, data_bytes};
    err = flk_io_pwritev(fd, full, &iov, 1, 0, errmsg);
    flk_err_t closed = flk_io_close(fd, full, err == FLK_OK ? errmsg : NULL);
    err = err != FLK_OK ? err : closed;
    stage->files_len += err == FLK_OK ? 1 : 0;
    return err;
}

static flk_err_t sync_file(const char *full, char *errmsg) {
    int fd;
    flk_err_t err = flk_io_open(full, O_RDONLY, &fd, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    err = flk_io_sync(fd, full, errmsg);
    flk_err_t closed = flk_io_close(fd, full, err == FLK_OK ? errmsg : NULL);
    return err != FLK_OK ? err : closed;
}

typedef struct dirs {
    size_t len;
    char names[DIRS_MAX][FLK_TLOG_PATH_BYTES]; /* relative to the log's directory */
} dirs_t;

/* Adds all directories above `path`. False: there is no room. */
static bool add_dirs(dirs_t *dirs, const char *path) {
    char name[FLK_TLOG_PATH_BYTES];
    snprintf(name, sizeof name, "%s", path);
    for (char *slash; (slash = strrchr(name, '/')) != NULL;) {
        *slash = '\0';
        size_t i = 0;
        while (i < dirs->len && strcmp(dirs->names[i], name) != 0) {
            i++;
        }
        if (i == DIRS_MAX) {
            return false;
        }
        if (i == dirs->len) {
            memcpy(dirs->names[dirs->len++], name, sizeof name);
        }
    }
    return true;
}

static flk_err_t sync_dirs(const flk_stage_t *stage, dirs_t *dirs, char *errmsg) {
    char full[PATH_MAX];
    flk_err_t err = FLK_OK;
    for (size_t i = 0; err == FLK_OK && i < dirs->len; i++) {
        full_path(stage->dir, dirs->names[i], "", full);
        err = flk_io_sync_dir(full, errmsg);
    }
    dirs->len = 0;
    return err != FLK_OK ? err : flk_io_sync_dir(stage->dir, errmsg);
}

flk_err_t flk_stage_commit(flk_stage_t *stage, char *errmsg) {
    char from[PATH_MAX], to[PATH_MAX];
    dirs_t dirs = {.len = 0};
    flk_err_t err = FLK_OK;
    for (size_t i = 0; err == FLK_OK && i < stage->files_len; i++) {
        full_path(stage->dir, stage->files[i], TEMPORARY, from);
        err = sync_file(from, errmsg);
    }
    for (size_t i = 0; err == FLK_OK && i < stage->files_len; i++) {
        full_path(stage->dir, stage->files[i], TEMPORARY, from);
        full_path(stage->dir, stage->files[i], "", to);
        err = flk_io_rename(from, to, errmsg);
        if (err == FLK_OK && !add_dirs(&dirs, stage->files[i])) {
            err = sync_dirs(stage, &dirs, errmsg);
            FLK_ASSERT(add_dirs(&dirs, stage->files[i]));
        }
    }
    err = err != FLK_OK || stage->files_len == 0 ? err : sync_dirs(stage, &dirs, errmsg);
    stage->files_len = err == FLK_OK ? 0 : stage->files_len;
    return err;
}

void flk_stage_drop(flk_stage_t *stage) {
    char full[PATH_MAX];
    for (size_t i = 0; i < stage->files_len; i++) {
        full_path(stage->dir, stage->files[i], TEMPORARY, full);
        (void)!flk_io_unlink(full, NULL);
    }
    stage->files_len = 0;
}

void flk_stage_remove_partials(const char *dir, const flk_tlog_tile_t *tile) {
    char path[FLK_TLOG_PATH_BYTES], full[PATH_MAX], file[PATH_MAX];
    flk_tlog_tile_path(tile, path);
    full_path(dir, path, ".p", full);
    DIR *list = opendir(full);
    for (struct dirent *entry; list != NULL && (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] != '.' && snprintf(file, sizeof file, "%s/%s", full, entry->d_name) < (int)sizeof file) {
            (void)!flk_io_unlink(file, NULL);
        }
    }
    if (list != NULL) {
        closedir(list);
        rmdir(full);
    }
}
