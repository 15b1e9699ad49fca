/* SPDX-License-Identifier: MIT */
/*   1. Each axis gives every point a cell number, counted from the axis' least cell; its width in bits is known then.
 *   2. The numbers of all axes are packed side by side into one 64-bit key a point. When the next axis no longer
 *      fits, the keys so far (or that axis) are renamed 0, 1, 2, … in order of appearance: points in one cell keep
 *      equal keys, others keep different ones, so the count stays exact.
 *   3. Distinct keys are counted in a bitmap when there are few possible ones, else in a hash table. */
#include "agent/signals/boxcount.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BITMAP_BITS_MAX = 26 }; /* 8 MiB */

typedef struct slot {
    uint64_t key;
    uint32_t name; /* 1 + order of appearance; 0 = free */
} slot_t;

struct flk_boxcount {
    uint64_t *keys, *cells; /* one a point */
    size_t points_max;
    slot_t *slots;
    size_t slots_max;
    uint64_t *bitmap;
    size_t bitmap_words;
};

flk_boxcount_t *flk_boxcount_new(void) {
    return flk_start_alloc(sizeof(flk_boxcount_t));
}

void flk_boxcount_destroy(flk_boxcount_t **boxcount) {
    if (*boxcount == NULL) {
        return;
    }
    free((*boxcount)->keys);
    free((*boxcount)->cells);
    free((*boxcount)->slots);
    free((*boxcount)->bitmap);
    free(*boxcount);
    *boxcount = NULL;
}

/* Makes *array hold at least `count` elements; its content is lost. */
static bool ensure(void **array, size_t *capacity, size_t count, size_t element_bytes) {
    if (*capacity >= count) {
        return true;
    }
    free(*array);
    *array = calloc(count, element_bytes);
    *capacity = *array == NULL ? 0 : count;
    return *array != NULL;
}

static unsigned bits_of(uint64_t greatest) {
    return greatest == 0 ? 0 : 64u - (unsigned)__builtin_clzll(greatest);
}

static void extent(const double *x, size_t len, double *lo, double *hi) {
    double least = x[0], greatest = x[0];
    for (size_t i = 1; i < len; i++) {
        least = x[i] < least ? x[i] : least;
        greatest = x[i] > greatest ? x[i] : greatest;
    }
    *lo = least;
    *hi = greatest;
}

/* Cell numbers of one axis in the unit cube; returns the greatest possible. */
static uint64_t unit_cells(const double *x, size_t len, uint64_t scale, uint64_t *cells) {
    double lo, hi;
    extent(x, len, &lo, &hi);
    if (lo == hi) {
        memset(cells, 0, len * sizeof *cells);
        return 0;
    }
    double width = hi - lo, per_cube = (double)scale;
    int64_t last = (int64_t)scale - 1;
    for (size_t i = 0; i < len; i++) {
        int64_t cell = (int64_t)((x[i] - lo) / width * per_cube); /* not negative: the cast is floor */
        cells[i] = (uint64_t)(cell < last ? cell : last);
    }
    return (uint64_t)last;
}

/* Cell numbers of one axis on the absolute grid, counted from its least one. */
static flk_err_t absolute_cells(const double *x, size_t len, uint64_t scale, uint64_t *cells, uint64_t *greatest) {
    double lo, hi, per_unit = (double)scale;
    extent(x, len, &lo, &hi);
    if (!(fabs(lo * per_unit) <= 0x1p53 && fabs(hi * per_unit) <= 0x1p53)) {
        return FLK_E_INVALID;
    }
    int64_t first = (int64_t)floor(lo * per_unit);
    for (size_t i = 0; i < len; i++) {
        cells[i] = (uint64_t)((int64_t)floor(x[i] * per_unit) - first);
    }
    *greatest = (uint64_t)((int64_t)floor(hi * per_unit) - first);
    return FLK_OK;
}

/* Spreads a key over the table (the finaliser of SplitMix64: every bit of the key reaches every bit of the result). */
static uint64_t mix(uint64_t key) {
    key = (key ^ (key >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    key = (key ^ (key >> 27)) * UINT64_C(0x94d049bb133111eb);
    return key ^ (key >> 31);
}

/* Counts the distinct keys; with `rename` each key becomes its order of appearance, 0, 1, 2, … */
static flk_err_t hash_keys(flk_boxcount_t *boxcount, uint64_t *keys, size_t len, bool rename, uint64_t *distinct) {
    size_t size = (size_t)1 << bits_of(2 * len - 1);
    if (!ensure((void **)&boxcount->slots, &boxcount->slots_max, size, sizeof(slot_t))) {
        return FLK_E_NOMEM;
    }
    memset(boxcount->slots, 0, size * sizeof(slot_t));
    uint32_t names = 0;
    for (size_t i = 0; i < len; i++) {
        size_t at = mix(keys[i]) & (size - 1);
        while (boxcount->slots[at].name != 0 && boxcount->slots[at].key != keys[i]) {
            at = (at + 1) & (size - 1);
        }
        if (boxcount->slots[at].name == 0) {
            boxcount->slots[at] = (slot_t){.key = keys[i], .name = ++names};
        }
        keys[i] = rename ? boxcount->slots[at].name - 1 : keys[i];
    }
    *distinct = names;
    return FLK_OK;
}

static flk_err_t bitmap_count(flk_boxcount_t *boxcount, const uint64_t *keys, size_t len, unsigned bits,
                              uint64_t *distinct) {
    size_t words = bits <= 6 ? 1 : (size_t)1 << (bits - 6);
    if (!ensure((void **)&boxcount->bitmap, &boxcount->bitmap_words, words, sizeof(uint64_t))) {
        return FLK_E_NOMEM;
    }
    memset(boxcount->bitmap, 0, words * sizeof(uint64_t));
    for (size_t i = 0; i < len; i++) {
        boxcount->bitmap[keys[i] >> 6] |= UINT64_C(1) << (keys[i] & 63);
    }
    uint64_t count = 0;
    for (size_t i = 0; i < words; i++) {
        count += (uint64_t)__builtin_popcountll(boxcount->bitmap[i]);
    }
    *distinct = count;
    return FLK_OK;
}

/* Puts one axis into the keys. *bits is the width of the keys before and after. */
static flk_err_t pack(flk_boxcount_t *boxcount, size_t len, uint64_t greatest, unsigned *bits) {
    unsigned cell_bits = bits_of(greatest);
    flk_err_t err = FLK_OK;
    if (*bits + cell_bits > 64 && cell_bits > 32) {
        uint64_t distinct = 0;
        err = hash_keys(boxcount, boxcount->cells, len, true, &distinct);
        cell_bits = bits_of(distinct);
    }
    if (err == FLK_OK && *bits + cell_bits > 64) {
        uint64_t distinct = 0;
        err = hash_keys(boxcount, boxcount->keys, len, true, &distinct);
        *bits = bits_of(distinct);
    }
    if (err != FLK_OK) {
        return err;
    }
    FLK_ASSERT(*bits + cell_bits <= 64);
    for (size_t i = 0; i < len; i++) {
        boxcount->keys[i] = *bits == 0 ? boxcount->cells[i] : boxcount->keys[i] | boxcount->cells[i] << *bits;
    }
    *bits += cell_bits;
    return FLK_OK;
}

flk_err_t flk_box_count(flk_boxcount_t *boxcount, const flk_points_t *points, flk_grid_t grid, uint64_t scale,
                        uint64_t *cells) {
    FLK_ASSERT(points->len < UINT32_MAX && scale >= 1 && scale < UINT64_C(1) << 53);
    *cells = 0;
    if (points->len == 0) {
        return FLK_OK;
    }
    size_t keys_max = boxcount->points_max;
    if (!ensure((void **)&boxcount->keys, &keys_max, points->len, sizeof(uint64_t)) ||
        !ensure((void **)&boxcount->cells, &boxcount->points_max, points->len, sizeof(uint64_t))) {
        boxcount->points_max = 0;
        return FLK_E_NOMEM;
    }
    unsigned bits = 0;
    for (size_t i = 0; i < points->dims; i++) {
        uint64_t greatest = 0;
        flk_err_t err = FLK_OK;
        if (grid == FLK_GRID_UNIT) {
            greatest = unit_cells(points->axis[i], points->len, scale, boxcount->cells);
        } else {
            err = absolute_cells(points->axis[i], points->len, scale, boxcount->cells, &greatest);
        }
        err = err == FLK_OK ? pack(boxcount, points->len, greatest, &bits) : err;
        if (err != FLK_OK) {
            return err;
        }
    }
    return bits <= BITMAP_BITS_MAX ? bitmap_count(boxcount, boxcount->keys, points->len, bits, cells)
                                   : hash_keys(boxcount, boxcount->keys, points->len, false, cells);
}
