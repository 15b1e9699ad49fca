/* SPDX-License-Identifier: MIT */
/* The right edge of a growing tree: the last tile of each level, as far as it is filled. It has all that is needed to
 * add leaves and to tell the root. Plain memory, 64 KiB; one thread. */
#ifndef FLK_COMMON_TLOG_EDGE_H
#define FLK_COMMON_TLOG_EDGE_H

#include "common/tlog/proof.h"

typedef struct flk_tlog_edge {
    uint64_t size;                                                     /* leaves */
    flk_tlog_hash_t tiles[FLK_TLOG_TILE_LEVELS][FLK_TLOG_TILE_HASHES]; /* widths follow from size */
} flk_tlog_edge_t;                                                     /* all zero: of the empty tree */

/* Takes each tile that a leaf has filled; `hashes` are borrowed until return. */
typedef flk_err_t flk_tlog_tile_full_fn(void *arg, const flk_tlog_tile_t *tile, const flk_tlog_hash_t *hashes,
                                        char *errmsg);

/* Adds a leaf. An error is that of `full`, after which the edge is of no more use. */
FLK_MUST_CHECK flk_err_t flk_tlog_edge_add(flk_tlog_edge_t *edge, const flk_tlog_hash_t *leaf,
                                           flk_tlog_tile_full_fn *full, void *arg, char *errmsg);

void flk_tlog_edge_root(const flk_tlog_edge_t *edge, flk_tlog_hash_t *root);

/* Reads the hashes of a tile, tile->width of them. Errors are those of _load. */
typedef flk_err_t flk_tlog_tile_read_fn(void *arg, const flk_tlog_tile_t *tile, flk_tlog_hash_t *hashes, char *errmsg);

/* The edge of the tree of `size` leaves, from its full tiles and, on level 0 alone, its partial one. The caller
 * compares the root. */
FLK_MUST_CHECK flk_err_t flk_tlog_edge_load(flk_tlog_edge_t *edge, uint64_t size, flk_tlog_tile_read_fn *read,
                                            void *arg, char *errmsg);

#endif
