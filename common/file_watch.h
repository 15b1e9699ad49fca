/* SPDX-License-Identifier: MIT */
/* Tells when one of a few files has changed: written, replaced, or a link to it turned to another. By looking, so
 * that it works on every file system and with mounted secrets. One thread. */
#ifndef FLK_COMMON_FILE_WATCH_H
#define FLK_COMMON_FILE_WATCH_H

#include <sys/stat.h>

#include "common/base.h"

enum { FLK_WATCHED_MAX = 32 };

typedef struct flk_file_stamp {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec written, changed;
} flk_file_stamp_t; /* all zero: there is no such file */

typedef struct flk_file_watch {
    const char *paths[FLK_WATCHED_MAX];
    size_t len;
    flk_file_stamp_t taken[FLK_WATCHED_MAX]; /* as they were at the last mark */
    flk_file_stamp_t seen[FLK_WATCHED_MAX];  /* as they were at the last look */
} flk_file_watch_t;

/* Keeps the paths until the end; further ones than FLK_WATCHED_MAX are a bug. Ends with a mark. */
void flk_file_watch_init(flk_file_watch_t *watch, const char *const *paths, size_t paths_len);
/* Takes the files as they are now for the known state: call it before they are read. */
void flk_file_watch_mark(flk_file_watch_t *watch);
/* True when some file differs from the mark, and all are as at the look before: nobody is in the middle of writing. */
FLK_MUST_CHECK bool flk_file_watch_look(flk_file_watch_t *watch);

#endif
