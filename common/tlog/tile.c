/* SPDX-License-Identifier: MIT */
#include "common/tlog/tile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/bytes.h"

void flk_tlog_tile_path(const flk_tlog_tile_t *tile, char path[FLK_TLOG_PATH_BYTES]) {
    unsigned groups[8], groups_len = 0;
    uint64_t rest = tile->index;
    do {
        groups[groups_len++] = (unsigned)(rest % 1000);
        rest /= 1000;
    } while (rest > 0);
    int used = tile->is_bundle ? snprintf(path, FLK_TLOG_PATH_BYTES, "tile/entries")
                               : snprintf(path, FLK_TLOG_PATH_BYTES, "tile/%u", tile->level);
    while (groups_len-- > 0) {
        used += snprintf(path + used, (size_t)(FLK_TLOG_PATH_BYTES - used), "/%s%03u", groups_len > 0 ? "x" : "",
                         groups[groups_len]);
    }
    if (tile->width < FLK_TLOG_TILE_HASHES) {
        used += snprintf(path + used, (size_t)(FLK_TLOG_PATH_BYTES - used), ".p/%u", tile->width);
    }
    FLK_ASSERT(used < FLK_TLOG_PATH_BYTES);
}

/* One to three digits at *at. */
static bool take_small(const char **at, unsigned *value) {
    size_t len = strspn(*at, "0123456789");
    *value = 0;
    for (size_t i = 0; i < len && i < 3; i++) {
        *value = *value * 10 + (unsigned)(*(*at)++ - '0');
    }
    return len >= 1 && len <= 3;
}

/* Every text but the one of that tile is refused in the end, where its path is printed and compared. */
bool flk_tlog_tile_parse(const char *path, flk_tlog_tile_t *tile) {
    static const char entries[] = "tile/entries";
    const char *at = path + strlen("tile/");
    unsigned group;
    memset(tile, 0, sizeof *tile);
    tile->width = FLK_TLOG_TILE_HASHES;
    tile->is_bundle = strncmp(path, entries, strlen(entries)) == 0;
    if (tile->is_bundle) {
        at = path + strlen(entries);
    } else if (strncmp(path, "tile/", strlen("tile/")) != 0 || !take_small(&at, &tile->level)) {
        return false;
    }
    while (*at == '/') {
        at += at[1] == 'x' ? 2 : 1;
        if (tile->index > FLK_TLOG_SIZE_MAX / 1000 - 1 || !take_small(&at, &group)) {
            return false;
        }
        tile->index = tile->index * 1000 + group;
    }
    if (strncmp(at, ".p/", 3) == 0) {
        at += 3;
        if (!take_small(&at, &tile->width)) {
            return false;
        }
    }
    char again[FLK_TLOG_PATH_BYTES];
    if (tile->level >= FLK_TLOG_LEVELS || tile->width == 0 || tile->width > FLK_TLOG_TILE_HASHES) {
        return false;
    }
    flk_tlog_tile_path(tile, again);
    return strcmp(path, again) == 0;
}

unsigned flk_tlog_tile_width(unsigned level, uint64_t index, uint64_t size) {
    if (level >= FLK_TLOG_TILE_LEVELS) {
        return 0;
    }
    uint64_t hashes = size >> (level * FLK_TLOG_TILE_HEIGHT), full = hashes >> FLK_TLOG_TILE_HEIGHT;
    if (index < full) {
        return FLK_TLOG_TILE_HASHES;
    }
    return index == full ? (unsigned)(hashes % FLK_TLOG_TILE_HASHES) : 0;
}

void flk_tlog_tile_hash(const flk_tlog_hash_t *hashes, size_t len, flk_tlog_hash_t *hash) {
    flk_tlog_hash_t row[FLK_TLOG_TILE_HASHES];
    FLK_ASSERT(len > 0 && len <= FLK_TLOG_TILE_HASHES && (len & (len - 1)) == 0);
    memcpy(row, hashes, len * sizeof *row);
    for (; len > 1; len /= 2) {
        for (size_t i = 0; i < len / 2; i++) {
            flk_tlog_hash_node(&row[2 * i], &row[2 * i + 1], &row[i]);
        }
    }
    *hash = row[0];
}

/* Steps over one entry; false at the end or at a cut one. */
static bool next_entry(const uint8_t **at, const uint8_t *end, const uint8_t **entry, size_t *entry_bytes) {
    if (end - *at < 2 || end - *at - 2 < flk_get_be16(*at)) {
        return false;
    }
    *entry_bytes = flk_get_be16(*at);
    *entry = *at + 2;
    *at = *entry + *entry_bytes;
    return true;
}

bool flk_tlog_bundle_entry(const uint8_t *bundle, size_t bundle_bytes, unsigned index, const uint8_t **entry,
                           size_t *entry_bytes) {
    const uint8_t *at = bundle;
    for (unsigned i = 0; i <= index; i++) {
        if (!next_entry(&at, bundle + bundle_bytes, entry, entry_bytes)) {
            return false;
        }
    }
    return true;
}

bool flk_tlog_bundle_hashes(const uint8_t *bundle, size_t bundle_bytes, unsigned width,
                            flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES]) {
    const uint8_t *at = bundle, *entry;
    size_t entry_bytes;
    for (unsigned i = 0; i < width; i++) {
        if (!next_entry(&at, bundle + bundle_bytes, &entry, &entry_bytes)) {
            return false;
        }
        flk_tlog_hash_leaf(entry, entry_bytes, &hashes[i]);
    }
    return at == bundle + bundle_bytes;
}
