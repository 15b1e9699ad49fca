/* SPDX-License-Identifier: MIT */
/* Coordinates and paths of tiles (C2SP tlog-tiles). Pure functions, any thread.
 *
 * A tile of level L holds up to 256 hashes: those of level 0 are leaf hashes, each of level L + 1 is the tree hash of a
 * full tile of level L. A bundle holds the entries of a tile of level 0: each a big-endian u16 length and the data. The
 * last tile of a level may be partial: it has its width in its path, and none is there for width 0. */
#ifndef FLK_COMMON_TLOG_TILE_H
#define FLK_COMMON_TLOG_TILE_H

#include "common/tlog/hash.h"

enum {
    FLK_TLOG_TILE_HEIGHT = 8,
    FLK_TLOG_TILE_HASHES = 1 << FLK_TLOG_TILE_HEIGHT,
    FLK_TLOG_TILE_BYTES = FLK_TLOG_TILE_HASHES * FLK_SHA256_BYTES,
    FLK_TLOG_TILE_LEVELS = 8, /* of a tree of at most FLK_TLOG_SIZE_MAX leaves */
    FLK_TLOG_LEVELS = 64,     /* of its nodes */
    FLK_TLOG_PATH_BYTES = 64,
};
#define FLK_TLOG_SIZE_MAX ((UINT64_C(1) << 63) - 1)

typedef struct flk_tlog_tile {
    bool is_bundle; /* `level` is 0 */
    unsigned level;
    uint64_t index;
    unsigned width; /* 1 to FLK_TLOG_TILE_HASHES */
} flk_tlog_tile_t;

/* "tile/1/x001/234/067", "tile/entries/003.p/17". */
void flk_tlog_tile_path(const flk_tlog_tile_t *tile, char path[FLK_TLOG_PATH_BYTES]);

/* The tile of such a path; false for every other text. */
FLK_MUST_CHECK bool flk_tlog_tile_parse(const char *path, flk_tlog_tile_t *tile);

/* How many hashes tile `index` of `level` has in a tree of `size` leaves; 0: there is no such tile. */
unsigned flk_tlog_tile_width(unsigned level, uint64_t index, uint64_t size);

/* The hash of the complete subtree over `len` hashes; len is a power of two. */
void flk_tlog_tile_hash(const flk_tlog_hash_t *hashes, size_t len, flk_tlog_hash_t *hash);

/* Entry `index` of a bundle, borrowed from it; false when the bundle has no such entry or is cut. */
FLK_MUST_CHECK bool flk_tlog_bundle_entry(const uint8_t *bundle, size_t bundle_bytes, unsigned index,
                                          const uint8_t **entry, size_t *entry_bytes);

/* The leaf hashes of a bundle of exactly `width` entries; false when it is anything else. */
FLK_MUST_CHECK bool flk_tlog_bundle_hashes(const uint8_t *bundle, size_t bundle_bytes, unsigned width,
                                           flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES]);

#endif
