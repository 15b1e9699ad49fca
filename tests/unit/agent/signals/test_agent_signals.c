/* SPDX-License-Identifier: MIT */
/* Box counts, coherence, compressibility and Merkle root against plain, slow references and worked values. */
#include "tests/unit/rig/agent_parts.h"

#include "agent/signals/boxcount.h"
#include "agent/signals/coherence.h"
#include "agent/signals/compress.h"
#include "agent/signals/merkle.h"

#include <math.h>
#include <sodium.h>
#include <zlib.h>

/* ---- points ---- */

typedef struct cloud {
    flk_points_t points;
    double *numbers;
} cloud_t;

typedef double cloud_number_fn(uint64_t *random);

static double any_number(uint64_t *random) {
    return agent_real(random) * 100;
}

/* Few values, so that cells and bins are shared and fall on edges. */
static double coarse_number(uint64_t *random) {
    return (double)agent_below(random, 9) / 4 - 1;
}

/* Very large and very small beside each other. */
static double wild_number(uint64_t *random) {
    return ldexp(agent_real(random), (int)agent_below(random, 40) - 20);
}

/* All on one side of zero. */
static double far_number(uint64_t *random) {
    return agent_real(random) + 1000;
}

enum { CLOUDS = 4 };
static cloud_number_fn *const cloud_numbers[CLOUDS] = {any_number, coarse_number, wild_number, far_number};

static cloud_t cloud_new(uint64_t *random, size_t len, size_t dims, cloud_number_fn *number) {
    cloud_t cloud = {.points = {.len = len, .dims = dims}, .numbers = calloc(len * dims + 1, sizeof(double))};
    for (size_t i = 0; i < len * dims; i++) {
        cloud.numbers[i] = number(random);
    }
    for (size_t axis = 0; axis < dims; axis++) {
        cloud.points.axis[axis] = cloud.numbers + axis * len;
    }
    return cloud;
}

/* ---- box counting ---- */

/* The definition of boxcount.h, word by word. */
static double cell_of(const flk_points_t *points, size_t axis, size_t i, flk_grid_t grid, double scale) {
    const double *x = points->axis[axis];
    if (grid == FLK_GRID_ABSOLUTE) {
        return floor(x[i] * scale);
    }
    double lo = x[0], hi = x[0];
    for (size_t j = 0; j < points->len; j++) {
        lo = fmin(lo, x[j]);
        hi = fmax(hi, x[j]);
    }
    return hi == lo ? 0 : fmin(floor((x[i] - lo) / (hi - lo) * scale), scale - 1);
}

static uint64_t count_slowly(const flk_points_t *points, flk_grid_t grid, uint64_t scale) {
    double *cells = calloc(points->len * points->dims + 1, sizeof *cells);
    for (size_t i = 0; i < points->len; i++) {
        for (size_t axis = 0; axis < points->dims; axis++) {
            cells[i * points->dims + axis] = cell_of(points, axis, i, grid, (double)scale);
        }
    }
    uint64_t distinct = 0;
    for (size_t i = 0; i < points->len; i++) {
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            first = memcmp(cells + i * points->dims, cells + j * points->dims, points->dims * sizeof *cells) != 0;
        }
        distinct += first;
    }
    free(cells);
    return distinct;
}

/* Any points, dimensions, scale and grid: as many cells as comparing every pair finds; one counter serves all
 * windows. */
START_TEST(test_boxcount_equals_brute_force) {
    static const uint64_t scales[] = {1, 2, 3, 4, 8, 10, 16, 32, 1000, 1 << 20, UINT64_C(1) << 33};
    uint64_t random = agent_seed();
    flk_boxcount_t *boxcount = flk_boxcount_new();
    for (int round = 0; round < 600; round++) {
        size_t len = 1 + agent_below(&random, 120), dims = 1 + agent_below(&random, round % 10 == 0 ? FLK_DIMS_MAX : 5);
        cloud_t cloud = cloud_new(&random, len, dims, cloud_numbers[agent_below(&random, CLOUDS)]);
        uint64_t scale = scales[agent_below(&random, FLK_COUNT_OF(scales))], cells;
        flk_grid_t grid = agent_below(&random, 2) == 0 ? FLK_GRID_UNIT : FLK_GRID_ABSOLUTE;
        ck_assert_int_eq(flk_box_count(boxcount, &cloud.points, grid, scale, &cells), FLK_OK);
        ck_assert_uint_eq(cells, count_slowly(&cloud.points, grid, scale));
        free(cloud.numbers);
    }
    flk_boxcount_destroy(&boxcount);
}
END_TEST

/* No points have no cells, one point has one, equal points have one. */
START_TEST(test_boxcount_few_points) {
    static const double same[] = {7, 7, 7};
    flk_boxcount_t *boxcount = flk_boxcount_new();
    flk_points_t points = {.len = 0, .dims = 2, .axis = {same, same}};
    uint64_t cells = 9;
    ck_assert_int_eq(flk_box_count(boxcount, &points, FLK_GRID_UNIT, 4, &cells), FLK_OK);
    ck_assert_uint_eq(cells, 0);
    points.len = 3;
    ck_assert_int_eq(flk_box_count(boxcount, &points, FLK_GRID_UNIT, 4, &cells), FLK_OK);
    ck_assert_uint_eq(cells, 1);
    flk_boxcount_destroy(&boxcount);
}
END_TEST

/* An absolute grid whose cells a double cannot number is refused, not guessed. */
START_TEST(test_boxcount_grid_too_fine) {
    static const double far[] = {0, 1e16}, minus_far[] = {-1e16, 0};
    flk_boxcount_t *boxcount = flk_boxcount_new();
    flk_points_t points = {.len = 2, .dims = 1, .axis = {far}};
    uint64_t cells;
    ck_assert_int_eq(flk_box_count(boxcount, &points, FLK_GRID_ABSOLUTE, 16, &cells), FLK_E_INVALID);
    ck_assert_int_eq(flk_box_count(boxcount, &points, FLK_GRID_UNIT, 16, &cells), FLK_OK);
    ck_assert_uint_eq(cells, 2);
    points.axis[0] = minus_far;
    ck_assert_int_eq(flk_box_count(boxcount, &points, FLK_GRID_ABSOLUTE, 16, &cells), FLK_E_INVALID);
    flk_boxcount_destroy(&boxcount);
}
END_TEST

/* ---- coherence ---- */

/* The definition of coherence.h, one direction and one point at a time. */
static void coherence_slowly(const flk_points_t *points, const flk_coherence_options_t *options, double *coh_star,
                             double *v_star) {
    double *v = calloc(options->directions * points->dims, sizeof *v), *p = calloc(points->len, sizeof *p);
    uint32_t *counts = calloc(options->bins, sizeof *counts), most = 0;
    flk_directions(options->seed, options->directions, points->dims, v);
    for (uint32_t k = 0; k < options->directions; k++) {
        const double *direction = v + k * points->dims;
        double lo = HUGE_VAL, hi = -HUGE_VAL;
        for (size_t i = 0; i < points->len; i++) {
            volatile double sum = points->axis[0][i] * direction[0];
            for (size_t axis = 1; axis < points->dims; axis++) {
                volatile double product = points->axis[axis][i] * direction[axis];
                sum = sum + product;
            }
            p[i] = sum;
            lo = fmin(lo, sum);
            hi = fmax(hi, sum);
        }
        memset(counts, 0, options->bins * sizeof *counts);
        double f = options->bins / (hi - lo);
        for (size_t i = 0; i < points->len; i++) {
            counts[isfinite(f) ? (uint32_t)fmin(trunc((p[i] - lo) * f), options->bins - 1.0) : 0]++;
        }
        for (uint32_t bin = 0; bin < options->bins; bin++) {
            if (counts[bin] > most) {
                most = counts[bin];
                memcpy(v_star, direction, points->dims * sizeof *v_star);
            }
        }
    }
    *coh_star = flk_round9((double)most / (double)points->len);
    free(v);
    free(p);
    free(counts);
}

/* The tiled, vectorised search finds the same bits as the plain one. */
START_TEST(test_coherence_equals_reference) {
    uint64_t random = agent_seed();
    for (int round = 0; round < 200; round++) {
        size_t len = 1 + agent_below(&random, round % 10 == 0 ? 5000 : 60);
        size_t dims = 1 + agent_below(&random, 5);
        cloud_t cloud = cloud_new(&random, len, dims, cloud_numbers[agent_below(&random, CLOUDS)]);
        flk_coherence_options_t options = {.seed = agent_random(&random) & FLK_PCS_INTEGER_MAX,
                                           .directions = 1 + (uint32_t)agent_below(&random, 30),
                                           .bins = 1 + (uint32_t)agent_below(&random, 40)};
        flk_coherence_t coherence;
        double coh_star, v_star[FLK_DIMS_MAX];
        coherence_slowly(&cloud.points, &options, &coh_star, v_star);
        ck_assert_int_eq(flk_coherence(&cloud.points, &options, &coherence), FLK_OK);
        ck_assert_double_eq(coherence.coh_star, coh_star);
        ck_assert_mem_eq(coherence.v_star, v_star, dims * sizeof(double));
        free(cloud.numbers);
    }
}
END_TEST

/* The directions are those that an independent program (Python, from the header's text) draws from the same seeds. */
START_TEST(test_coherence_directions_are_the_documented_ones) {
    static const double seed_42[] = {0.351325445, 0.552911986, -0.755551962, 0.661497998, -0.720329217, 0.208677306};
    static const double seed_7[] = {0.994441723, 0.105288457};
    double v[6];
    flk_directions(42, 2, 3, v);
    ck_assert_mem_eq(v, seed_42, sizeof seed_42);
    flk_directions(7, 1, 2, v);
    ck_assert_mem_eq(v, seed_7, sizeof seed_7);
}
END_TEST

/* Points in one place, and one point alone, are wholly coherent. */
START_TEST(test_coherence_zero_width) {
    static const double same[] = {3, 3, 3};
    flk_points_t points = {.len = 3, .dims = 2, .axis = {same, same}};
    flk_coherence_options_t options = {.seed = 1, .directions = 5, .bins = 20};
    flk_coherence_t coherence;
    ck_assert_int_eq(flk_coherence(&points, &options, &coherence), FLK_OK);
    ck_assert_double_eq(coherence.coh_star, 1.0);
    points.len = 1;
    ck_assert_int_eq(flk_coherence(&points, &options, &coherence), FLK_OK);
    ck_assert_double_eq(coherence.coh_star, 1.0);
}
END_TEST

/* Points in a thin slab are found coherent once a direction lies near its normal; points all over are not. */
START_TEST(test_coherence_tells_slab_from_ball) {
    uint64_t random = agent_seed();
    cloud_t cloud = cloud_new(&random, 4000, 3, any_number);
    flk_coherence_options_t options = {.seed = 5, .directions = 400, .bins = 20};
    flk_coherence_t ball, slab;
    ck_assert_int_eq(flk_coherence(&cloud.points, &options, &ball), FLK_OK);
    for (size_t i = 0; i < cloud.points.len; i++) {
        cloud.numbers[i] *= i % 50 == 0 ? 1 : 1e-3; /* axis 0: nearly all in a slab, a few outside */
    }
    ck_assert_int_eq(flk_coherence(&cloud.points, &options, &slab), FLK_OK);
    ck_assert_double_lt(ball.coh_star, 0.2);
    ck_assert_double_gt(slab.coh_star, 0.5);
    ck_assert_double_gt(fabs(slab.v_star[0]), 0.9);
    free(cloud.numbers);
}
END_TEST

/* ---- compressibility ---- */

/* r is the size that zlib's own one-call compression gives, for rows of any sizes. */
START_TEST(test_compress_equals_one_call) {
    uint64_t random = agent_seed();
    flk_compress_t *compress = flk_compress_new();
    static uint8_t raw[400000], packed[500000];
    for (int round = 0; round < 30; round++) {
        size_t rows = 1 + agent_below(&random, 2000), raw_bytes = 0;
        flk_compress_begin(compress);
        for (size_t i = 0; i < rows; i++) {
            size_t bytes = agent_below(&random, 150), first;
            raw_bytes += i > 0;
            raw[raw_bytes - (i > 0)] = i > 0 ? '\n' : raw[0];
            first = raw_bytes;
            for (size_t k = 0; k < bytes; k++) {
                raw[raw_bytes++] = (uint8_t)('0' + agent_below(&random, 1 + (uint64_t)round));
            }
            flk_compress_add(compress, raw + first, bytes);
        }
        uLongf packed_bytes = sizeof packed;
        ck_assert_int_eq(compress2(packed, &packed_bytes, raw, raw_bytes, 6), Z_OK);
        double expected = raw_bytes == 0 ? 1 : fmin(1, (double)packed_bytes / (double)raw_bytes);
        ck_assert_double_eq(flk_compress_ratio(compress), flk_round9(expected));
    }
    flk_compress_destroy(&compress);
}
END_TEST

/* A worked value: Python's zlib.compress(level 6) makes 1305 bytes of these 5064. No rows give 1, no more than 1
 * ever. */
START_TEST(test_compress_worked_values) {
    flk_compress_t *compress = flk_compress_new();
    flk_compress_begin(compress);
    ck_assert_double_eq(flk_compress_ratio(compress), 1.0);
    flk_compress_begin(compress);
    flk_compress_add(compress, "x", 1);
    ck_assert_double_eq(flk_compress_ratio(compress), 1.0);
    flk_compress_begin(compress);
    for (int i = 0; i < 500; i++) {
        char row[32];
        int bytes = snprintf(row, sizeof row, "%d.0,%d.5", i, i * i % 17);
        flk_compress_add(compress, row, (size_t)bytes);
    }
    ck_assert_double_eq(flk_compress_ratio(compress), 0.257701422);
    flk_compress_destroy(&compress);
}
END_TEST

/* ---- Merkle tree ---- */

static void root_of(const flk_hash_t *leaves, size_t len, flk_hash_t *root) {
    flk_merkle_t merkle;
    flk_merkle_init(&merkle);
    for (size_t i = 0; i < len; i++) {
        flk_merkle_add(&merkle, &leaves[i]);
    }
    flk_merkle_root(&merkle, root);
}

/* Roots of the first n of eight rows, worked out by an independent program from RFC 9162, 2.1.1. */
START_TEST(test_merkle_worked_values) {
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {{"", 0},
                {"\x00", 1},
                {"\x10", 1},
                {"\x20\x21", 2},
                {"\x30\x31", 2},
                {"\x40\x41\x42\x43", 4},
                {"\x50\x51\x52\x53\x54\x55\x56\x57", 8},
                {"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f", 16}};
    static const char *const roots[] = {"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                                        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                                        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
                                        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
                                        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                                        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
                                        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
                                        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
                                        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"};
    flk_hash_t leaves[8], root;
    for (size_t i = 0; i < 8; i++) {
        flk_merkle_leaf(rows[i].bytes, rows[i].len, &leaves[i]);
    }
    for (size_t len = 0; len <= 8; len++) {
        char hex[FLK_HASH_HEX + 1];
        root_of(leaves, len, &root);
        sodium_bin2hex(hex, sizeof hex, root.bytes, sizeof root.bytes);
        ck_assert_str_eq(hex, roots[len]);
    }
}
END_TEST

/* The recursive definition: split at the largest power of two below the number of leaves. */
static void root_slowly(const flk_hash_t *leaves, size_t len, flk_hash_t *root) {
    if (len == 1) {
        *root = leaves[0];
        return;
    }
    size_t split = 1;
    while (split * 2 < len) {
        split *= 2;
    }
    uint8_t node[65] = {0x01};
    flk_hash_t left, right;
    root_slowly(leaves, split, &left);
    root_slowly(leaves + split, len - split, &right);
    memcpy(node + 1, left.bytes, 32);
    memcpy(node + 33, right.bytes, 32);
    crypto_hash_sha256(root->bytes, node, sizeof node);
}

/* Adding leaf by leaf gives the root of the recursive definition for every number of leaves. */
START_TEST(test_merkle_equals_recursive_definition) {
    static flk_hash_t leaves[300];
    for (size_t i = 0; i < FLK_COUNT_OF(leaves); i++) {
        flk_merkle_leaf(&i, sizeof i, &leaves[i]);
    }
    for (size_t len = 1; len <= FLK_COUNT_OF(leaves); len++) {
        flk_hash_t root, expected;
        root_of(leaves, len, &root);
        root_slowly(leaves, len, &expected);
        ck_assert_mem_eq(&root, &expected, sizeof root);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_signals");
    TCase *tests = tcase_create("signals");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, test_boxcount_equals_brute_force);
    tcase_add_test(tests, test_boxcount_few_points);
    tcase_add_test(tests, test_boxcount_grid_too_fine);
    tcase_add_test(tests, test_coherence_equals_reference);
    tcase_add_test(tests, test_coherence_directions_are_the_documented_ones);
    tcase_add_test(tests, test_coherence_zero_width);
    tcase_add_test(tests, test_coherence_tells_slab_from_ball);
    tcase_add_test(tests, test_compress_equals_one_call);
    tcase_add_test(tests, test_compress_worked_values);
    tcase_add_test(tests, test_merkle_worked_values);
    tcase_add_test(tests, test_merkle_equals_recursive_definition);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
