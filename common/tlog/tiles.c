/* SPDX-License-Identifier: MIT */
#include "common/tlog/tiles.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io.h"

static flk_err_t fetch_from_dir(void *arg, const char *path, size_t bytes_max, char **data, size_t *data_bytes,
                                char *errmsg) {
    char full[PATH_MAX];
    if (snprintf(full, sizeof full, "%s/%s", (const char *)arg, path) >= (int)sizeof full) {
        flk_errmsg(errmsg, "the directory's name is too long");
        return FLK_E_IO;
    }
    return flk_io_read_own(full, bytes_max, data, data_bytes, errmsg);
}

flk_tlog_source_t flk_tlog_source_dir(const char *dir) {
    return (flk_tlog_source_t){.fetch = fetch_from_dir, .arg = (void *)(uintptr_t)dir};
}

void flk_tlog_tiles_init(flk_tlog_tiles_t *tiles, flk_tlog_source_t source, uint64_t size) {
    memset(tiles, 0, sizeof *tiles);
    tiles->source = source;
    tiles->size = size;
}

/* The file of a tile, or that of the full one where the partial one has gone since. */
static flk_err_t fetch_tile(const flk_tlog_source_t *source, const flk_tlog_tile_t *tile, size_t bytes_max, char **data,
                            size_t *data_bytes, char path[FLK_TLOG_PATH_BYTES], char *errmsg) {
    char full_path[FLK_TLOG_PATH_BYTES];
    flk_tlog_tile_path(tile, path);
    flk_err_t err = source->fetch(source->arg, path, bytes_max, data, data_bytes, errmsg);
    if (err == FLK_E_NOT_FOUND && tile->width < FLK_TLOG_TILE_HASHES) {
        flk_tlog_tile_t full = *tile;
        full.width = FLK_TLOG_TILE_HASHES;
        flk_tlog_tile_path(&full, full_path);
        if (source->fetch(source->arg, full_path, bytes_max, data, data_bytes, NULL) == FLK_OK) {
            strcpy(path, full_path);
            err = FLK_OK;
        }
    }
    return err;
}

flk_err_t flk_tlog_tile_fetch(void *arg, const flk_tlog_tile_t *tile, flk_tlog_hash_t *hashes, char *errmsg) {
    char path[FLK_TLOG_PATH_BYTES], *data;
    size_t data_bytes, wanted = tile->width * sizeof *hashes;
    flk_err_t err = fetch_tile(arg, tile, FLK_TLOG_TILE_BYTES, &data, &data_bytes, path, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (data_bytes == wanted || data_bytes == FLK_TLOG_TILE_BYTES) {
        memcpy(hashes, data, wanted);
    } else {
        flk_errmsg(errmsg, "%s has %zu bytes, not %zu", path, data_bytes, wanted);
        err = FLK_E_CORRUPT;
    }
    free(data);
    return err;
}

flk_err_t flk_tlog_tiles_read(void *arg, unsigned level, uint64_t index, flk_tlog_hash_t *hash, char *errmsg) {
    flk_tlog_tiles_t *tiles = arg;
    unsigned tile_level = level / FLK_TLOG_TILE_HEIGHT, height = level % FLK_TLOG_TILE_HEIGHT;
    uint64_t first = index << height;
    flk_tlog_tile_t tile = {.level = tile_level, .index = first / FLK_TLOG_TILE_HASHES};
    tile.width = flk_tlog_tile_width(tile_level, tile.index, tiles->size);
    FLK_ASSERT(first % FLK_TLOG_TILE_HASHES + ((uint64_t)1 << height) <= tile.width);
    if (tiles->kept[tile_level].width != tile.width || tiles->kept[tile_level].index != tile.index) {
        tiles->kept[tile_level].width = 0;
        flk_err_t err = flk_tlog_tile_fetch(&tiles->source, &tile, tiles->kept[tile_level].hashes, errmsg);
        if (err != FLK_OK) {
            return err;
        }
        tiles->kept[tile_level].width = tile.width;
        tiles->kept[tile_level].index = tile.index;
    }
    flk_tlog_tile_hash(&tiles->kept[tile_level].hashes[first % FLK_TLOG_TILE_HASHES], (size_t)1 << height, hash);
    return FLK_OK;
}

flk_err_t flk_tlog_bundle_fetch(const flk_tlog_source_t *source, uint64_t index, unsigned width, char **data,
                                size_t *data_bytes, char *errmsg) {
    char path[FLK_TLOG_PATH_BYTES];
    flk_tlog_tile_t tile = {.is_bundle = true, .index = index, .width = width};
    return fetch_tile(source, &tile, FLK_TLOG_BUNDLE_BYTES_MAX, data, data_bytes, path, errmsg);
}

flk_err_t flk_tlog_entry_fetch(const flk_tlog_source_t *source, uint64_t index, uint64_t size,
                               uint8_t entry[FLK_TLOG_LEAF_BYTES_MAX], size_t *entry_bytes, char *errmsg) {
    char *bundle;
    size_t bundle_bytes;
    uint64_t tile = index / FLK_TLOG_TILE_HASHES;
    flk_err_t err =
        flk_tlog_bundle_fetch(source, tile, flk_tlog_tile_width(0, tile, size), &bundle, &bundle_bytes, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    const uint8_t *found;
    if (!flk_tlog_bundle_entry((const uint8_t *)bundle, bundle_bytes, (unsigned)(index % FLK_TLOG_TILE_HASHES), &found,
                               entry_bytes)) {
        flk_errmsg(errmsg, "the bundle of leaf %llu is cut", (unsigned long long)index);
        err = FLK_E_CORRUPT;
    } else if (*entry_bytes > FLK_TLOG_LEAF_BYTES_MAX) {
        flk_errmsg(errmsg, "leaf %llu has %zu bytes, more than %d", (unsigned long long)index, *entry_bytes,
                   FLK_TLOG_LEAF_BYTES_MAX);
        err = FLK_E_TOO_LARGE;
    } else {
        memcpy(entry, found, *entry_bytes);
    }
    free(bundle);
    return err;
}
