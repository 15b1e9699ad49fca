/* SPDX-License-Identifier: MIT */
/* The memory store's table as one file.
 *
 *   offset 0   8 bytes  "FLKMEM01"                 another layout is another number
 *              then for each entry
 *              8        expiry, ms since the Unix epoch
 *              2        value_bytes
 *              32       key
 *              …        value
 *   end - 16   8        number of entries
 *   end - 8    8        XXH3-64 of all bytes before it
 *
 * Integers are big-endian. The file is replaced by rename after a sync, so a crash leaves the old one or the new
 * one. */
#ifndef FLK_WORKER_STORE_MEMORY_SNAPSHOT_H
#define FLK_WORKER_STORE_MEMORY_SNAPSHOT_H

#include "worker/store/memory/table.h"

/* Writes path, through path.tmp; dir is its directory. Shards are copied one after the other while others go on
 * putting: every outcome put before the call is in the file. Errors: FLK_E_NOMEM, FLK_E_NO_SPACE, FLK_E_IO. */
FLK_MUST_CHECK flk_err_t flk_snapshot_write(flk_table_t *table, const char *dir, const char *path, char *errmsg);

/* Puts the file's outcomes that have not expired into an empty table. Errors: FLK_E_NOT_FOUND (no file), FLK_E_CORRUPT,
 * FLK_E_NOMEM, FLK_E_IO; after one the table may hold a part of it and must not be used. */
FLK_MUST_CHECK flk_err_t flk_snapshot_load(flk_table_t *table, const char *path, int64_t now_ms, char *errmsg);

#endif
