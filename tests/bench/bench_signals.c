/* SPDX-License-Identifier: MIT */
/* The cost of the signals of one window: prints, for windows of 10^2 to 10^6 points in 3 dimensions, milliseconds of
 * coherence (100 directions, 20 bins), box counts (5 scales), compressibility, Merkle root, and reading the same rows
 * from CSV. Each figure is the best of several rounds. */
#include "agent/read/reader.h"
#include "agent/signals/boxcount.h"
#include "agent/signals/coherence.h"
#include "agent/signals/compress.h"
#include "agent/signals/merkle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DIMS = 3, POINTS_MAX = 1000000, ROW_BYTES = 48, SCALES = 5 };

static double numbers[DIMS][POINTS_MAX];
static char rows[POINTS_MAX][ROW_BYTES];
static size_t row_bytes[POINTS_MAX];
static char csv_path[] = "/tmp/flk-bench-XXXXXX.csv";
static volatile double sink; /* keeps results alive */

static void make_points(void) {
    uint64_t state = 1;
    for (size_t i = 0; i < POINTS_MAX; i++) {
        for (size_t axis = 0; axis < DIMS; axis++) {
            state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
            numbers[axis][i] = (double)(state >> 40) / 1e4 - 800;
        }
        row_bytes[i] =
            (size_t)snprintf(rows[i], ROW_BYTES, "%.4f,%.4f,%.4f", numbers[0][i], numbers[1][i], numbers[2][i]);
    }
}

static flk_points_t first_points(size_t len) {
    return (flk_points_t){.len = len, .dims = DIMS, .axis = {numbers[0], numbers[1], numbers[2]}};
}

static void step_coherence(size_t len) {
    flk_points_t points = first_points(len);
    flk_coherence_t coherence;
    FLK_ASSERT(flk_coherence(&points, &(flk_coherence_options_t){.seed = 42, .directions = 100, .bins = 20},
                             &coherence) == FLK_OK);
    sink = coherence.coh_star;
}

static void step_boxcount(size_t len) {
    static flk_boxcount_t *boxcount;
    flk_points_t points = first_points(len);
    boxcount = boxcount == NULL ? flk_boxcount_new() : boxcount;
    for (unsigned j = 1; j <= SCALES; j++) {
        uint64_t cells;
        FLK_ASSERT(flk_box_count(boxcount, &points, FLK_GRID_UNIT, UINT64_C(1) << j, &cells) == FLK_OK);
        sink = (double)cells;
    }
}

static void step_compress(size_t len) {
    static flk_compress_t *compress;
    compress = compress == NULL ? flk_compress_new() : compress;
    flk_compress_begin(compress);
    for (size_t i = 0; i < len; i++) {
        flk_compress_add(compress, rows[i], row_bytes[i]);
    }
    sink = flk_compress_ratio(compress);
}

static void step_merkle(size_t len) {
    flk_merkle_t merkle;
    flk_hash_t hash;
    flk_merkle_init(&merkle);
    for (size_t i = 0; i < len; i++) {
        flk_merkle_leaf(rows[i], row_bytes[i], &hash);
        flk_merkle_add(&merkle, &hash);
    }
    flk_merkle_root(&merkle, &hash);
    sink = hash.bytes[0];
}

static void write_csv(size_t len) {
    FILE *file = fopen(csv_path, "w");
    FLK_ASSERT(file != NULL);
    fputs("x,y,z\n", file);
    for (size_t i = 0; i < len; i++) {
        fprintf(file, "%.*s\n", (int)row_bytes[i], rows[i]);
    }
    FLK_ASSERT(fclose(file) == 0);
}

static void step_read(size_t len) {
    flk_reader_t *reader;
    static flk_row_t row;
    char errmsg[FLK_ERRMSG_BYTES];
    size_t count = 0;
    FLK_ASSERT(flk_reader_open(csv_path, &(flk_reader_options_t){0}, &reader, errmsg) == FLK_OK);
    while (flk_reader_next(reader, &row, errmsg) == FLK_OK) {
        count++;
    }
    FLK_ASSERT(count == len);
    flk_reader_close(&reader);
}

typedef void step_fn(size_t len);

static double best_ms(step_fn *step, size_t len) {
    double best = 0;
    for (int round = 0; round < (len < 100000 ? 20 : 3); round++) {
        uint64_t began_ns = flk_mono_ns();
        step(len);
        double ms = (double)(flk_mono_ns() - began_ns) / 1e6;
        best = round == 0 || ms < best ? ms : best;
    }
    return best;
}

int main(int argc, char **argv) {
    size_t len_max = argc > 1 ? strtoull(argv[1], NULL, 10) : POINTS_MAX;
    FLK_ASSERT(len_max <= POINTS_MAX);
    close(mkstemps(csv_path, 4));
    make_points();
    printf("%9s %12s %12s %12s %12s %12s\n", "points", "coherence", "boxcount", "compress", "merkle", "read");
    for (size_t len = 100; len <= len_max; len *= 10) {
        write_csv(len);
        printf("%9zu %9.3f ms %9.3f ms %9.3f ms %9.3f ms %9.3f ms\n", len, best_ms(step_coherence, len),
               best_ms(step_boxcount, len), best_ms(step_compress, len), best_ms(step_merkle, len),
               best_ms(step_read, len));
    }
    unlink(csv_path);
    return 0;
}
