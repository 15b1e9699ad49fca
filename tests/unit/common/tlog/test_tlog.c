/* SPDX-License-Identifier: MIT */
/* Trees, tiles and proofs, against vectors of golang.org/x/mod/sumdb/tlog (tests/tlog/vectors). */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tlog/edge.h"
#include "tests/unit/rig/suite.h"

enum { SIZES = 600, LEVELS = 10 };

static flk_tlog_hash_t stored[LEVELS][SIZES]; /* of each complete subtree */
static const flk_tlog_hash_t *const leaves = stored[0];
static json_t *vectors;

static void setup(void) {
    json_error_t error;
    vectors = json_load_file(FLK_TEST_DATA "/tlog/vectors.json", 0, &error);
    ck_assert_msg(vectors != NULL, "%s", error.text);
    for (unsigned i = 0; i < SIZES; i++) {
        char text[32];
        int bytes = snprintf(text, sizeof text, "leaf %u", i);
        flk_tlog_hash_leaf(text, (size_t)bytes, &stored[0][i]);
    }
    for (unsigned level = 1; level < LEVELS; level++) {
        for (unsigned i = 0; i < (unsigned)SIZES >> level; i++) {
            flk_tlog_hash_node(&stored[level - 1][2 * i], &stored[level - 1][2 * i + 1], &stored[level][i]);
        }
    }
}

static void teardown(void) {
    json_decref(vectors);
}

static flk_err_t read_stored(void *arg, unsigned level, uint64_t index, flk_tlog_hash_t *hash, char *errmsg) {
    (void)arg, (void)errmsg;
    ck_assert_uint_lt(level, LEVELS);
    ck_assert_uint_le((index + 1) << level, SIZES);
    *hash = stored[level][index];
    return FLK_OK;
}

static void root_of(uint64_t size, flk_tlog_hash_t *root) {
    ck_assert_int_eq(flk_tlog_root(size, read_stored, NULL, root, NULL), FLK_OK);
}

static void check_digest(const char *name, flk_sha256_t *sha) {
    uint8_t digest[FLK_SHA256_BYTES];
    char hex[2 * FLK_SHA256_BYTES + 1];
    flk_sha256_final(sha, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    ck_assert_str_eq(hex, json_string_value(json_object_get(json_object_get(vectors, "digests"), name)));
}

static void add_proof(flk_sha256_t *sha, const flk_tlog_proof_t *proof) {
    flk_sha256_update(sha, proof->hashes, proof->len * sizeof *proof->hashes);
}

/* Roots and proofs of every size to 600 are those of Go's sumdb/tlog. */
START_TEST(test_tlog_foreign_digests) {
    flk_sha256_t roots, inclusions, consistencies;
    flk_sha256_init(&roots);
    flk_sha256_init(&inclusions);
    flk_sha256_init(&consistencies);
    for (uint64_t size = 0; size <= SIZES; size++) {
        flk_tlog_hash_t root;
        flk_tlog_proof_t proof;
        root_of(size, &root);
        flk_sha256_update(&roots, root.bytes, sizeof root.bytes);
        for (uint64_t old = 0; old < size; old += 1 + size / 16) {
            ck_assert_int_eq(flk_tlog_inclusion(old, size, read_stored, NULL, &proof, NULL), FLK_OK);
            add_proof(&inclusions, &proof);
            ck_assert_int_eq(flk_tlog_consistency(old, size, read_stored, NULL, &proof, NULL), FLK_OK);
            add_proof(&consistencies, &proof);
        }
    }
    check_digest("root", &roots);
    check_digest("inclusion", &inclusions);
    check_digest("consistency", &consistencies);
}
END_TEST

static void load_proof(const json_t *item, uint64_t *old, uint64_t *size, flk_tlog_proof_t *proof) {
    const json_t *hashes = json_object_get(item, "hashes");
    *old = (uint64_t)json_integer_value(json_object_get(item, "old"));
    *size = (uint64_t)json_integer_value(json_object_get(item, "size"));
    proof->len = json_array_size(hashes);
    for (size_t i = 0; i < proof->len; i++) {
        const char *text = json_string_value(json_array_get(hashes, i));
        ck_assert(flk_tlog_hash_parse(text, strlen(text), &proof->hashes[i]));
    }
}

/* Proofs that Go made verify. */
START_TEST(test_tlog_foreign_proofs) {
    size_t i;
    json_t *item;
    uint64_t old, size;
    flk_tlog_proof_t proof;
    flk_tlog_hash_t root, old_root;
    json_array_foreach(json_object_get(vectors, "inclusion"), i, item) {
        load_proof(item, &old, &size, &proof);
        root_of(size, &root);
        ck_assert(flk_tlog_inclusion_verify(&proof, old, size, &leaves[old], &root));
    }
    json_array_foreach(json_object_get(vectors, "consistency"), i, item) {
        load_proof(item, &old, &size, &proof);
        root_of(size, &root);
        root_of(old, &old_root);
        ck_assert(flk_tlog_consistency_verify(&proof, old, size, &old_root, &root));
    }
}
END_TEST

static void check_inclusion(uint64_t index, uint64_t size) {
    flk_tlog_hash_t root;
    flk_tlog_proof_t proof;
    root_of(size, &root);
    ck_assert_int_eq(flk_tlog_inclusion(index, size, read_stored, NULL, &proof, NULL), FLK_OK);
    ck_assert(flk_tlog_inclusion_verify(&proof, index, size, &leaves[index], &root));
    ck_assert(!flk_tlog_inclusion_verify(&proof, size, size, &leaves[index], &root));
    ck_assert(size == 1 || !flk_tlog_inclusion_verify(&proof, index, size, &leaves[(index + 1) % size], &root));
    ck_assert(size == 1 || !flk_tlog_inclusion_verify(&proof, (index + 1) % size, size, &leaves[index], &root));
    for (size_t i = 0; i < proof.len; i++) {
        proof.hashes[i].bytes[(index + i) % 32] ^= (uint8_t)(1u << i % 8);
        ck_assert(!flk_tlog_inclusion_verify(&proof, index, size, &leaves[index], &root));
        proof.hashes[i].bytes[(index + i) % 32] ^= (uint8_t)(1u << i % 8);
    }
    proof.hashes[proof.len++] = root;
    ck_assert(!flk_tlog_inclusion_verify(&proof, index, size, &leaves[index], &root));
    proof.len -= proof.len > 1 ? 2 : 1;
    ck_assert(size == 1 || !flk_tlog_inclusion_verify(&proof, index, size, &leaves[index], &root));
}

static void check_consistency(uint64_t old, uint64_t size) {
    flk_tlog_hash_t root, old_root, other;
    flk_tlog_proof_t proof;
    root_of(size, &root);
    root_of(old, &old_root);
    ck_assert_int_eq(flk_tlog_consistency(old, size, read_stored, NULL, &proof, NULL), FLK_OK);
    ck_assert(flk_tlog_consistency_verify(&proof, old, size, &old_root, &root));
    other = old_root;
    other.bytes[old % 32] ^= 1;
    ck_assert(!flk_tlog_consistency_verify(&proof, old, size, &other, &root));
    ck_assert(old == 0 || size == old || !flk_tlog_consistency_verify(&proof, size, old, &root, &old_root));
    for (size_t i = 0; i < proof.len; i++) {
        proof.hashes[i].bytes[(old + i) % 32] ^= (uint8_t)(1u << i % 8);
        ck_assert(!flk_tlog_consistency_verify(&proof, old, size, &old_root, &root));
        proof.hashes[i].bytes[(old + i) % 32] ^= (uint8_t)(1u << i % 8);
    }
    proof.hashes[proof.len++] = root;
    ck_assert(!flk_tlog_consistency_verify(&proof, old, size, &old_root, &root));
    proof.len -= proof.len > 1 ? 2 : 1;
    ck_assert(old == 0 || old == size || !flk_tlog_consistency_verify(&proof, old, size, &old_root, &root));
}

/* For every size to 600, proofs verify; with a bit flipped, a hash more or less, another leaf or root they do not. */
START_TEST(test_tlog_proof_properties) {
    for (uint64_t size = 1; size <= SIZES; size++) {
        for (uint64_t at = 0; at < size; at += 1 + size / 9) {
            check_inclusion(at, size);
            check_consistency(at, size);
        }
        check_inclusion(size - 1, size);
        check_consistency(size, size);
    }
}
END_TEST

/* Full tiles, as an edge gives them. */
typedef struct kept {
    flk_tlog_hash_t tiles[2][3][FLK_TLOG_TILE_HASHES];
    unsigned calls;
} kept_t;

static flk_err_t keep_tile(void *arg, const flk_tlog_tile_t *tile, const flk_tlog_hash_t *hashes, char *errmsg) {
    kept_t *kept = arg;
    (void)errmsg;
    ck_assert_uint_lt(tile->level, 2);
    ck_assert_uint_lt(tile->index, 3);
    ck_assert_uint_eq(tile->width, FLK_TLOG_TILE_HASHES);
    memcpy(kept->tiles[tile->level][tile->index], hashes, FLK_TLOG_TILE_BYTES);
    kept->calls++;
    return FLK_OK;
}

static flk_err_t read_tile(void *arg, const flk_tlog_tile_t *tile, flk_tlog_hash_t *hashes, char *errmsg) {
    const kept_t *kept = arg;
    (void)errmsg;
    if (tile->width < FLK_TLOG_TILE_HASHES) {
        memcpy(hashes, &leaves[tile->index * FLK_TLOG_TILE_HASHES], tile->width * sizeof *hashes);
    } else {
        memcpy(hashes, kept->tiles[tile->level][tile->index], FLK_TLOG_TILE_BYTES);
    }
    return FLK_OK;
}

/* An edge has the root at every size, gives each full tile once, and is the same when loaded from tiles. */
START_TEST(test_tlog_edge_grows) {
    static kept_t kept;
    static flk_tlog_edge_t edge, loaded;
    memset(&edge, 0, sizeof edge);
    for (uint64_t size = 1; size <= SIZES; size++) {
        flk_tlog_hash_t root, wanted;
        ck_assert_int_eq(flk_tlog_edge_add(&edge, &leaves[size - 1], keep_tile, &kept, NULL), FLK_OK);
        flk_tlog_edge_root(&edge, &root);
        root_of(size, &wanted);
        ck_assert(flk_tlog_hash_equal(&root, &wanted));
        ck_assert_int_eq(flk_tlog_edge_load(&loaded, size, read_tile, &kept, NULL), FLK_OK);
        flk_tlog_edge_root(&loaded, &root);
        ck_assert(flk_tlog_hash_equal(&root, &wanted));
    }
    ck_assert_uint_eq(kept.calls, 2);
}
END_TEST

/* A tree of 3 million leaves, all the same: the loaded edge has the root of the grown one, level 2 too. */
START_TEST(test_tlog_edge_levels) {
    static flk_tlog_edge_t edge;
    memset(&edge, 0, sizeof edge);
    flk_tlog_hash_t full[3], root, again;
    full[0] = leaves[0];
    for (unsigned level = 0; level < 2; level++) { /* the hash of a full tile of each level */
        flk_tlog_hash_t row[FLK_TLOG_TILE_HASHES];
        for (unsigned i = 0; i < FLK_TLOG_TILE_HASHES; i++) {
            row[i] = full[level];
        }
        flk_tlog_tile_hash(row, FLK_TLOG_TILE_HASHES, &full[level + 1]);
    }
    edge.size = 45 * 65536 + 7 * 256 + 3;
    for (unsigned i = 0; i < FLK_TLOG_TILE_HASHES; i++) {
        edge.tiles[0][i] = full[0], edge.tiles[1][i] = full[1], edge.tiles[2][i] = full[2];
    }
    flk_tlog_edge_root(&edge, &root);
    flk_tlog_hash_node(&full[0], &full[0], &again);
    flk_tlog_hash_node(&again, &full[0], &again); /* 3 leaves */
    flk_tlog_hash_t four, two, sum;
    flk_tlog_hash_node(&full[1], &full[1], &two);
    flk_tlog_hash_node(&two, &two, &four);
    flk_tlog_hash_node(&full[1], &again, &again);
    flk_tlog_hash_node(&two, &again, &again);
    flk_tlog_hash_node(&four, &again, &again); /* 7 tiles */
    flk_tlog_tile_hash(edge.tiles[2], 1, &sum);
    flk_tlog_hash_node(&sum, &again, &again);
    flk_tlog_tile_hash(edge.tiles[2], 4, &sum);
    flk_tlog_hash_node(&sum, &again, &again);
    flk_tlog_tile_hash(edge.tiles[2], 8, &sum);
    flk_tlog_hash_node(&sum, &again, &again);
    flk_tlog_tile_hash(edge.tiles[2], 32, &sum);
    flk_tlog_hash_node(&sum, &again, &again); /* 45 = 32 + 8 + 4 + 1 */
    ck_assert(flk_tlog_hash_equal(&root, &again));
}
END_TEST

/* Paths are those of torchwood, and no other text is one. */
START_TEST(test_tlog_tile_paths) {
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(vectors, "paths"), path, item) {
        json_int_t level = json_integer_value(json_array_get(item, 0));
        flk_tlog_tile_t tile = {.is_bundle = level < 0, .level = level < 0 ? 0 : (unsigned)level}, read;
        char text[FLK_TLOG_PATH_BYTES];
        tile.index = (uint64_t)json_integer_value(json_array_get(item, 1));
        tile.width = (unsigned)json_integer_value(json_array_get(item, 2));
        flk_tlog_tile_path(&tile, text);
        ck_assert_str_eq(text, path);
        ck_assert(flk_tlog_tile_parse(path, &read));
        ck_assert(read.is_bundle == tile.is_bundle && read.level == tile.level && read.index == tile.index &&
                  read.width == tile.width);
    }
    static const char *const wrong[] = {
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/5",
        "tile/0/0005",
        "tile/00/005",
        "tile/64/005",
        "tile/0/x000/005",
        "tile/0/005/",
        "tile/0/005/006",
        "tile/0/x005",
        "tile/0/005.p/0",
        "tile/0/005.p/256",
        "tile/0/005.p/07",
        "tile/0/005.p/7/",
        "tile/0/../005",
        "tile/entries",
        "tile/entries5",
        "tile/entries/-05",
        "/tile/0/005",
        "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
        "checkpoint",
    };
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
        flk_tlog_tile_t tile;
        ck_assert_msg(!flk_tlog_tile_parse(wrong[i], &tile), "%s", wrong[i]);
    }
}
END_TEST

/* The example of the specification: 70,000 leaves. */
START_TEST(test_tlog_tile_widths) {
    ck_assert_uint_eq(flk_tlog_tile_width(0, 272, 70000), 256);
    ck_assert_uint_eq(flk_tlog_tile_width(0, 273, 70000), 112);
    ck_assert_uint_eq(flk_tlog_tile_width(0, 274, 70000), 0);
    ck_assert_uint_eq(flk_tlog_tile_width(1, 0, 70000), 256);
    ck_assert_uint_eq(flk_tlog_tile_width(1, 1, 70000), 17);
    ck_assert_uint_eq(flk_tlog_tile_width(2, 0, 70000), 1);
    ck_assert_uint_eq(flk_tlog_tile_width(3, 0, 70000), 0);
    ck_assert_uint_eq(flk_tlog_tile_width(8, 0, 70000), 0);
}
END_TEST

/* A bundle gives its entries, and one that is cut or too long gives none of its hashes. */
START_TEST(test_tlog_bundles) {
    static const uint8_t bundle[] = {0, 6, 'l', 'e', 'a', 'f', ' ', '0', 0, 0, 0, 6, 'l', 'e', 'a', 'f', ' ', '1'};
    flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES], nothing;
    const uint8_t *entry;
    size_t bytes;
    flk_tlog_hash_leaf("", 0, &nothing);
    ck_assert(flk_tlog_bundle_hashes(bundle, sizeof bundle, 3, hashes));
    ck_assert(flk_tlog_hash_equal(&hashes[0], &leaves[0]) && flk_tlog_hash_equal(&hashes[1], &nothing) &&
              flk_tlog_hash_equal(&hashes[2], &leaves[1]));
    ck_assert(!flk_tlog_bundle_hashes(bundle, sizeof bundle, 2, hashes));
    ck_assert(!flk_tlog_bundle_hashes(bundle, sizeof bundle, 4, hashes));
    for (size_t cut = 0; cut < sizeof bundle; cut++) {
        ck_assert(!flk_tlog_bundle_hashes(bundle, cut, 3, hashes));
    }
    ck_assert(flk_tlog_bundle_entry(bundle, sizeof bundle, 2, &entry, &bytes));
    ck_assert(bytes == 6 && memcmp(entry, "leaf 1", 6) == 0);
    ck_assert(!flk_tlog_bundle_entry(bundle, sizeof bundle, 3, &entry, &bytes));
    ck_assert(!flk_tlog_bundle_entry(bundle, sizeof bundle - 1, 2, &entry, &bytes));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tlog");
    TCase *tcase = tcase_create("tree");
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_tlog_foreign_digests);
    tcase_add_test(tcase, test_tlog_foreign_proofs);
    tcase_add_test(tcase, test_tlog_proof_properties);
    tcase_add_test(tcase, test_tlog_edge_grows);
    tcase_add_test(tcase, test_tlog_edge_levels);
    tcase_add_test(tcase, test_tlog_tile_paths);
    tcase_add_test(tcase, test_tlog_tile_widths);
    tcase_add_test(tcase, test_tlog_bundles);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
