/* SPDX-License-Identifier: MIT */
#include "common/program/nearest.h"

#include <string.h>

enum { NAME_BYTES = 64, DISTANCE_MAX = 4, LETTERS_A_FAULT = 3, BEGINNING_MIN = 2 };

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Levenshtein distance of two names of fewer than NAME_BYTES bytes, or `enough` when it is no less. */
static size_t edit_distance(const char *a, const char *b, size_t enough) {
    size_t b_len = strlen(b);
    size_t row[NAME_BYTES];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0], least = i;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = min_size(substituted, min_size(row[j], row[j - 1]) + 1);
            least = min_size(least, row[j]);
        }
        if (least >= enough) { /* no later row has less */
            return enough;
        }
    }
    return min_size(row[b_len], enough);
}

const char *flk_nearest(const char *name, flk_nearest_fn *name_of, const void *list) {
    size_t len = strlen(name);
    size_t best = min_size(DISTANCE_MAX, (len + 1) / LETTERS_A_FAULT) + 1;
    const char *nearest = NULL, *begun = NULL, *known;
    size_t begun_len = 0; /* names that begin so */
    for (size_t i = 0; len < NAME_BYTES && (known = name_of(list, i)) != NULL; i++) {
        size_t known_len = strlen(known), gap = known_len > len ? known_len - len : len - known_len;
        if (len >= BEGINNING_MIN && strncmp(known, name, len) == 0) {
            begun = known;
            begun_len++;
        }
        size_t distance = gap < best && known_len < NAME_BYTES ? edit_distance(name, known, best) : best;
        if (distance < best) {
            best = distance;
            nearest = known;
        }
    }
    return nearest != NULL ? nearest : begun_len == 1 ? begun : NULL;
}
