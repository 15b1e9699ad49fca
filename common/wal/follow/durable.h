/* SPDX-License-Identifier: MIT */
/* File `durable` of a log: the last LSN that its writer has synced, for those that follow it. Written after each sync
 * and never synced itself: after a power cut it may lag, which is safe.
 *
 *    0  8  LSN, little-endian
 *    8  8  the same, every bit turned: a reader that meets a half-written one reads again
 *
 * Written as any file is. A mapping would save the call, and would end the gateway by SIGBUS where the page cannot be
 * written back: a full disk under a copy-on-write file system. */
#ifndef FLK_COMMON_WAL_FOLLOW_DURABLE_H
#define FLK_COMMON_WAL_FOLLOW_DURABLE_H

#include "common/err.h"

/* Opens the file in a log's directory, made if missing, for the writer; for a reader FLK_E_NOT_FOUND without one.
 * Closed with flk_io_close. Errors: those of common/io.h. */
FLK_MUST_CHECK flk_err_t flk_wal_durable_make(const char *dir, int *fd, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_wal_durable_open(const char *dir, int *fd, char *errmsg);
/* Errors: those of common/io.h. Nothing depends on it: a follower learns later. */
FLK_MUST_CHECK flk_err_t flk_wal_durable_write(int fd, uint64_t lsn);
/* The LSN; 0 when the file holds none. */
uint64_t flk_wal_durable_read(int fd);

#endif
