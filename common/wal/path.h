/* SPDX-License-Identifier: MIT */
/* Names and paths in the directory of a log. */
#ifndef FLK_COMMON_WAL_PATH_H
#define FLK_COMMON_WAL_PATH_H

#include <string.h>

#include "common/base.h"

enum {
    FLK_WAL_PATH_BYTES = 1024,
    FLK_WAL_NAME_BYTES = 64,
};

static inline void flk_wal_path(const char *dir, const char *name, char out[FLK_WAL_PATH_BYTES]) {
    size_t dir_len = strlen(dir), name_len = strlen(name);
    FLK_ASSERT(dir_len + 1 + name_len < FLK_WAL_PATH_BYTES);
    memcpy(out, dir, dir_len);
    out[dir_len] = '/';
    memcpy(out + dir_len + 1, name, name_len + 1);
}

/* FLK_WAL_NAME_BYTES long. */
void flk_wal_file_name(uint64_t number, char name[FLK_WAL_NAME_BYTES]);
/* False unless `name` has the form that flk_wal_file_name gives. */
bool flk_wal_file_number(const char *name, uint64_t *number);

#endif
