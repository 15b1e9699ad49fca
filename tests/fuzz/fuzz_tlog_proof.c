/* SPDX-License-Identifier: MIT */
/* A .tlog-proof, a leaf and a tile's path of strangers: refused with one line, or printed again as they were; none
 * verifies under a key of ours. */
#include "common/tlog/proof_file.h"
#include "tests/fuzz/fuzz.h"

static void check_leaf(const uint8_t *data, size_t data_bytes) {
    char errmsg[FLK_ERRMSG_BYTES] = "", again[FLK_TLOG_LEAF_BYTES_MAX];
    flk_tlog_leaf_t leaf;
    if (flk_tlog_leaf_parse((const char *)data, data_bytes, &leaf, errmsg) == FLK_OK) {
        FLK_ASSERT(flk_tlog_leaf_print(&leaf, again) == data_bytes && memcmp(again, data, data_bytes) == 0);
    } else {
        fuzz_check_text(errmsg);
    }
}

static void check_bundle(const uint8_t *data, size_t data_bytes) {
    static flk_tlog_hash_t hashes[FLK_TLOG_TILE_HASHES];
    const uint8_t *entry;
    size_t entry_bytes;
    for (unsigned width = 1; width <= 8; width++) {
        bool whole = flk_tlog_bundle_hashes(data, data_bytes, width, hashes);
        FLK_ASSERT(!whole || flk_tlog_bundle_entry(data, data_bytes, width - 1, &entry, &entry_bytes));
    }
}

static void check_path(const uint8_t *data, size_t data_bytes) {
    char *path = strndup((const char *)data, data_bytes), again[FLK_TLOG_PATH_BYTES];
    flk_tlog_tile_t tile;
    FLK_ASSERT(path != NULL);
    if (flk_tlog_tile_parse(path, &tile)) {
        flk_tlog_tile_path(&tile, again);
        FLK_ASSERT(strcmp(path, again) == 0 && strstr(path, "..") == NULL && path[0] != '/');
    }
    free(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t data_bytes) {
    static flk_tlog_proof_file_t file;
    static flk_note_t note;
    static flk_note_signer_t signer;
    char errmsg[FLK_ERRMSG_BYTES] = "", *text;
    size_t text_bytes;
    flk_tlog_checkpoint_t checkpoint;
    if (signer.key.name[0] == '\0') {
        flk_note_signer_draw("log.example", &signer);
    }
    check_leaf(data, data_bytes);
    check_bundle(data, data_bytes);
    check_path(data, data_bytes);
    if (flk_tlog_proof_file_parse((const char *)data, data_bytes, &file, errmsg) != FLK_OK) {
        fuzz_check_text(errmsg);
        return 0;
    }
    FLK_ASSERT(flk_tlog_proof_file_print(&file, &text, &text_bytes) == FLK_OK);
    FLK_ASSERT(text_bytes == data_bytes && memcmp(text, data, data_bytes) == 0);
    free(text);
    FLK_ASSERT(flk_tlog_proof_file_verify(&file, &signer.key, &note, &checkpoint, errmsg) != FLK_OK);
    fuzz_check_text(errmsg);
    return 0;
}
