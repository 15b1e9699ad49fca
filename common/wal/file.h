/* SPDX-License-Identifier: MIT */
/* Makes, replaces and quarantines segment files. The writer's, or a start's. Errors: those of common/io.h. */
#ifndef FLK_COMMON_WAL_FILE_H
#define FLK_COMMON_WAL_FILE_H

#include "common/wal/state.h"

/* Makes the file of a new segment, durable with its directory entry, and opens it for writing. `spend_reserve`: takes
 * the prepared file, which needs no space, and its size for file_bytes. */
FLK_MUST_CHECK flk_err_t flk_wal_file_create(const flk_wal_config_t *config, const flk_wal_header_t *header,
                                             bool spend_reserve, uint64_t *file_bytes, int *fd, char *errmsg);
/* Sets space aside for the time when the disk is full. */
FLK_MUST_CHECK flk_err_t flk_wal_file_make_reserve(const flk_wal_config_t *config, char *errmsg);
/* Makes a temporary file of that name anew and opens it for writing. */
FLK_MUST_CHECK flk_err_t flk_wal_file_temporary(const flk_wal_config_t *config, const char *name,
                                                char path[FLK_WAL_PATH_BYTES], int *fd, char *errmsg);
/* Writes a segment's header at offset 0; not synced. */
FLK_MUST_CHECK flk_err_t flk_wal_file_write_header(int fd, const char *path, const flk_wal_header_t *header,
                                                   char *errmsg);
/* Gives the file a second name, *.damaged, under which it stays when the first one is replaced or removed. */
FLK_MUST_CHECK flk_err_t flk_wal_file_quarantine(const flk_wal_config_t *config, const char *name, char *errmsg);

#endif
