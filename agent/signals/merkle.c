/* SPDX-License-Identifier: MIT */
#include "agent/signals/merkle.h"

#include <string.h>

#include "common/sha256.h"

void flk_merkle_leaf(const void *row, size_t row_bytes, flk_hash_t *leaf) {
    static const uint8_t prefix = 0x00;
    flk_sha256_t sha;
    flk_sha256_init(&sha);
    flk_sha256_update(&sha, &prefix, 1);
    flk_sha256_update(&sha, row, row_bytes);
    flk_sha256_final(&sha, leaf->bytes);
}

/* `node` may be `left` or `right`. */
static void hash_node(const flk_hash_t *left, const flk_hash_t *right, flk_hash_t *node) {
    uint8_t bytes[1 + 2 * FLK_HASH_BYTES] = {0x01};
    memcpy(bytes + 1, left->bytes, FLK_HASH_BYTES);
    memcpy(bytes + 1 + FLK_HASH_BYTES, right->bytes, FLK_HASH_BYTES);
    flk_sha256(bytes, sizeof bytes, node->bytes);
}

void flk_merkle_init(flk_merkle_t *merkle) {
    merkle->leaves = 0;
    merkle->subtrees_len = 0;
}

void flk_merkle_add(flk_merkle_t *merkle, const flk_hash_t *leaf) {
    merkle->subtrees[merkle->subtrees_len++] = *leaf;
    /* As in a binary counter: every carry joins two subtrees of the same size. */
    for (uint64_t carry = merkle->leaves++; (carry & 1) != 0; carry >>= 1) {
        flk_hash_t *left = &merkle->subtrees[merkle->subtrees_len - 2];
        hash_node(left, left + 1, left);
        merkle->subtrees_len--;
    }
}

void flk_merkle_root(const flk_merkle_t *merkle, flk_hash_t *root) {
    if (merkle->subtrees_len == 0) {
        flk_sha256(NULL, 0, root->bytes);
        return;
    }
    /* The largest complete subtree is always the left side of the split, so the rest folds from the right. */
    size_t at = merkle->subtrees_len - 1;
    *root = merkle->subtrees[at];
    while (at-- > 0) {
        hash_node(&merkle->subtrees[at], root, root);
    }
}
