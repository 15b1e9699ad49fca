/* SPDX-License-Identifier: MIT */
/* The lock of the process that drives the sinks of one data directory: two would each move the positions. It ends with
 * the process. */
#ifndef FLK_FOLLOW_LOCK_H
#define FLK_FOLLOW_LOCK_H

#include "common/err.h"

typedef struct flk_lock {
    int fd;
} flk_lock_t;

#define FLK_LOCK_NONE ((flk_lock_t){.fd = -1})

/* Locks DIR/follow.lock, which is made. Errors: FLK_E_LOCKED (another process has it), and those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_lock_take(flk_lock_t *lock, const char *data_dir, char *errmsg);
void flk_lock_drop(flk_lock_t *lock); /* one that is not held is fine */

#endif
