/* SPDX-License-Identifier: MIT */
#include "common/file_watch.h"

#include <string.h>

static void stamp(const flk_file_watch_t *watch, flk_file_stamp_t stamps[FLK_WATCHED_MAX]) {
    memset(stamps, 0, FLK_WATCHED_MAX * sizeof stamps[0]); /* also the padding: they are compared as bytes */
    for (size_t i = 0; i < watch->len; i++) {
        struct stat status;
        if (stat(watch->paths[i], &status) == 0) {
            stamps[i].device = status.st_dev;
            stamps[i].inode = status.st_ino;
            stamps[i].bytes = status.st_size;
            stamps[i].written = status.st_mtim;
            stamps[i].changed = status.st_ctim;
        }
    }
}

void flk_file_watch_init(flk_file_watch_t *watch, const char *const *paths, size_t paths_len) {
    FLK_ASSERT(paths_len <= FLK_WATCHED_MAX);
    memset(watch, 0, sizeof *watch);
    for (size_t i = 0; i < paths_len; i++) {
        watch->paths[i] = paths[i];
    }
    watch->len = paths_len;
    flk_file_watch_mark(watch);
}

void flk_file_watch_mark(flk_file_watch_t *watch) {
    stamp(watch, watch->taken);
    memcpy(watch->seen, watch->taken, sizeof watch->seen);
}

bool flk_file_watch_look(flk_file_watch_t *watch) {
    flk_file_stamp_t now[FLK_WATCHED_MAX];
    stamp(watch, now);
    bool settled = memcmp(now, watch->seen, sizeof now) == 0;
    bool changed = memcmp(now, watch->taken, sizeof now) != 0;
    memcpy(watch->seen, now, sizeof now);
    return settled && changed;
}
