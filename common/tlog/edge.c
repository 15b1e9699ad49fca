/* SPDX-License-Identifier: MIT */
#include "common/tlog/edge.h"

#include <string.h>

flk_err_t flk_tlog_edge_add(flk_tlog_edge_t *edge, const flk_tlog_hash_t *leaf, flk_tlog_tile_full_fn *full, void *arg,
                            char *errmsg) {
    flk_tlog_hash_t hash = *leaf;
    uint64_t index = edge->size++;
    for (unsigned level = 0; level < FLK_TLOG_TILE_LEVELS; level++, index >>= FLK_TLOG_TILE_HEIGHT) {
        flk_tlog_hash_t *tile = edge->tiles[level];
        unsigned at = (unsigned)(index % FLK_TLOG_TILE_HASHES);
        tile[at] = hash;
        if (at + 1 < FLK_TLOG_TILE_HASHES) {
            break;
        }
        flk_tlog_tile_t filled = {
            .level = level, .index = index >> FLK_TLOG_TILE_HEIGHT, .width = FLK_TLOG_TILE_HASHES};
        flk_err_t err = full(arg, &filled, tile, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        flk_tlog_tile_hash(tile, FLK_TLOG_TILE_HASHES, &hash);
    }
    return FLK_OK;
}

/* The root asks for complete subtrees that end at the edge alone, and each of them lies in the edge's tile of its
 * level. */
static flk_err_t read_edge(void *arg, unsigned level, uint64_t index, flk_tlog_hash_t *hash, char *errmsg) {
    const flk_tlog_edge_t *edge = arg;
    unsigned height = level % FLK_TLOG_TILE_HEIGHT;
    uint64_t first = (index << height) % FLK_TLOG_TILE_HASHES;
    flk_tlog_tile_hash(&edge->tiles[level / FLK_TLOG_TILE_HEIGHT][first], (size_t)1 << height, hash);
    (void)errmsg;
    return FLK_OK;
}

void flk_tlog_edge_root(const flk_tlog_edge_t *edge, flk_tlog_hash_t *root) {
    flk_err_t err = flk_tlog_root(edge->size, read_edge, (void *)(uintptr_t)edge, root, NULL);
    FLK_ASSERT(err == FLK_OK);
}

flk_err_t flk_tlog_edge_load(flk_tlog_edge_t *edge, uint64_t size, flk_tlog_tile_read_fn *read, void *arg,
                             char *errmsg) {
    flk_tlog_hash_t below[FLK_TLOG_TILE_HASHES];
    memset(edge, 0, sizeof *edge);
    edge->size = size;
    for (unsigned level = 0; level < FLK_TLOG_TILE_LEVELS && size > 0; level++, size >>= FLK_TLOG_TILE_HEIGHT) {
        flk_tlog_tile_t tile = {
            .level = level, .index = size >> FLK_TLOG_TILE_HEIGHT, .width = (unsigned)(size % FLK_TLOG_TILE_HASHES)};
        flk_err_t err = FLK_OK;
        if (level == 0 && tile.width > 0) {
            err = read(arg, &tile, edge->tiles[0], errmsg);
        }
        for (unsigned i = 0; err == FLK_OK && level > 0 && i < tile.width; i++) {
            flk_tlog_tile_t full = {
                .level = level - 1, .index = (tile.index << FLK_TLOG_TILE_HEIGHT) + i, .width = FLK_TLOG_TILE_HASHES};
            err = read(arg, &full, below, errmsg);
            flk_tlog_tile_hash(below, FLK_TLOG_TILE_HASHES, &edge->tiles[level][i]);
        }
        if (err != FLK_OK) {
            return err;
        }
    }
    return FLK_OK;
}
