/* SPDX-License-Identifier: MIT */
#include "common/tlog/hash.h"

#include <sodium.h>
#include <string.h>

#include "common/base64.h"

void flk_tlog_hash_leaf(const void *data, size_t data_bytes, flk_tlog_hash_t *hash) {
    static const uint8_t prefix = 0;
    flk_sha256_t sha;
    flk_sha256_init(&sha);
    flk_sha256_update(&sha, &prefix, 1);
    flk_sha256_update(&sha, data, data_bytes);
    flk_sha256_final(&sha, hash->bytes);
}

void flk_tlog_hash_node(const flk_tlog_hash_t *left, const flk_tlog_hash_t *right, flk_tlog_hash_t *hash) {
    uint8_t data[1 + 2 * FLK_SHA256_BYTES];
    data[0] = 1;
    memcpy(data + 1, left->bytes, FLK_SHA256_BYTES);
    memcpy(data + 1 + FLK_SHA256_BYTES, right->bytes, FLK_SHA256_BYTES);
    flk_sha256(data, sizeof data, hash->bytes);
}

void flk_tlog_hash_empty(flk_tlog_hash_t *hash) {
    flk_sha256("", 0, hash->bytes);
}

bool flk_tlog_hash_equal(const flk_tlog_hash_t *a, const flk_tlog_hash_t *b) {
    return memcmp(a->bytes, b->bytes, FLK_SHA256_BYTES) == 0;
}

void flk_tlog_hash_print(const flk_tlog_hash_t *hash, char text[FLK_TLOG_HASH_BASE64_BYTES]) {
    sodium_bin2base64(text, FLK_TLOG_HASH_BASE64_BYTES, hash->bytes, FLK_SHA256_BYTES, sodium_base64_VARIANT_ORIGINAL);
}

bool flk_tlog_hash_parse(const char *text, size_t text_bytes, flk_tlog_hash_t *hash) {
    size_t got;
    return text_bytes == FLK_TLOG_HASH_BASE64_BYTES - 1 &&
           flk_base64_decode(text, text_bytes, hash->bytes, FLK_SHA256_BYTES, &got) && got == FLK_SHA256_BYTES;
}
