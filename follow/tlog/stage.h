/* SPDX-License-Identifier: MIT */
/* Files of a log on their way to the disk: written under temporary names at once, given their names together. After a
 * crash each file is there as a whole or not at all, and a file of `commit` that succeeded is there. One thread. */
#ifndef FLK_FOLLOW_TLOG_STAGE_H
#define FLK_FOLLOW_TLOG_STAGE_H

#include "common/err.h"
#include "common/tlog/tile.h"

enum { FLK_STAGE_FILES_MAX = 1100 };

typedef struct flk_stage {
    const char *dir; /* kept */
    size_t files_len;
    char (*files)[FLK_TLOG_PATH_BYTES]; /* of tiles: relative to dir */
} flk_stage_t;

/* `dir` must outlive the stage. Out of memory ends the process: this is for start-up. */
void flk_stage_init(flk_stage_t *stage, const char *dir);
void flk_stage_fini(flk_stage_t *stage);

/* Writes a file, whose directories are made. Errors: those of common/io.h; FLK_E_FULL (commit first). */
FLK_MUST_CHECK flk_err_t flk_stage_write(flk_stage_t *stage, const flk_tlog_tile_t *tile, const void *data,
                                         size_t data_bytes, char *errmsg);

/* Syncs all files, names them, syncs their directories. After an error none may be there, or some; `drop` forgets the
 * rest. */
FLK_MUST_CHECK flk_err_t flk_stage_commit(flk_stage_t *stage, char *errmsg);
void flk_stage_drop(flk_stage_t *stage);

/* Removes the partial tiles of a tile that is full now. Failures leave files that do no harm. */
void flk_stage_remove_partials(const char *dir, const flk_tlog_tile_t *tile);

#endif
