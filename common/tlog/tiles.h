/* SPDX-License-Identifier: MIT */
/* A log read from its files, wherever they are: checkpoint, tiles, entries. A source fetches them by path: a directory
 * here, a web server in agent/flk. One thread. */
#ifndef FLK_COMMON_TLOG_TILES_H
#define FLK_COMMON_TLOG_TILES_H

#include "common/tlog/checkpoint.h"
#include "common/tlog/leaf.h"

enum { FLK_TLOG_BUNDLE_BYTES_MAX = (int)FLK_TLOG_TILE_HASHES * (2 + (int)FLK_TLOG_LEAF_BYTES_MAX) };
#define FLK_TLOG_CHECKPOINT_PATH "checkpoint"

/* Fetches a file of at most bytes_max; caller frees *data with free(). Errors: FLK_E_NOT_FOUND, FLK_E_TOO_LARGE,
 * FLK_E_NOMEM, FLK_E_IO, FLK_E_UNAVAILABLE, with the path in errmsg. */
typedef flk_err_t flk_tlog_fetch_fn(void *arg, const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                                    char *errmsg);

typedef struct flk_tlog_source {
    flk_tlog_fetch_fn *fetch;
    void *arg;
} flk_tlog_source_t;

/* Files of the directory `dir`, which must outlive the source. */
flk_tlog_source_t flk_tlog_source_dir(const char *dir);

/* Reads the hashes of a tree of `size` leaves from its tiles, and keeps the last tile of each level. */
typedef struct flk_tlog_tiles {
    flk_tlog_source_t source;
    uint64_t size;
    struct {
        uint64_t index;
        unsigned width; /* 0: none is kept */
        flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES];
    } kept[FLK_TLOG_TILE_LEVELS];
} flk_tlog_tiles_t;

void flk_tlog_tiles_init(flk_tlog_tiles_t *tiles, flk_tlog_source_t source, uint64_t size);

/* A flk_tlog_read_fn over flk_tlog_tiles_t. Its hashes are those of the tiles: the caller verifies the proof. Errors:
 * those of the source; FLK_E_CORRUPT: a tile of another length. */
flk_err_t flk_tlog_tiles_read(void *arg, unsigned level, uint64_t index, flk_tlog_hash_t *hash, char *errmsg);

/* All hashes of one tile; a flk_tlog_tile_read_fn over a flk_tlog_source_t. A partial tile that is no longer there is
 * taken from the full one. */
flk_err_t flk_tlog_tile_fetch(void *arg, const flk_tlog_tile_t *tile, flk_tlog_hash_t *hashes, char *errmsg);

/* A bundle, as it is; with the same remark. Caller frees *data with free(). */
FLK_MUST_CHECK flk_err_t flk_tlog_bundle_fetch(const flk_tlog_source_t *source, uint64_t index, unsigned width,
                                               char **data, size_t *data_bytes, char *errmsg);

/* The data of leaf `index` of a tree of `size` leaves. Errors: those of the source, FLK_E_CORRUPT, FLK_E_TOO_LARGE. */
FLK_MUST_CHECK flk_err_t flk_tlog_entry_fetch(const flk_tlog_source_t *source, uint64_t index, uint64_t size,
                                              uint8_t entry[FLK_TLOG_LEAF_BYTES_MAX], size_t *entry_bytes,
                                              char *errmsg);

#endif
