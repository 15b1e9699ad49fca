/* SPDX-License-Identifier: MIT */
/* The Merkle tree hash of RFC 9162, section 2.1.1, with SHA-256: leaf = H(0x00 || row), node = H(0x01 || left ||
 * right), split at the largest power of two below the number of leaves; no leaves: H of nothing. */
#ifndef FLK_AGENT_SIGNALS_MERKLE_H
#define FLK_AGENT_SIGNALS_MERKLE_H

#include "common/base.h"

enum { FLK_HASH_BYTES = 32, FLK_HASH_HEX = 64 };

typedef struct flk_hash {
    uint8_t bytes[FLK_HASH_BYTES];
} flk_hash_t;

/* The hash of one canonical row. Pure. */
void flk_merkle_leaf(const void *row, size_t row_bytes, flk_hash_t *leaf);

/* Collects leaves in order in constant memory: roots of complete subtrees, one a set bit of `leaves`, largest first. */
typedef struct flk_merkle {
    uint64_t leaves;
    flk_hash_t subtrees[64];
    size_t subtrees_len;
} flk_merkle_t;

void flk_merkle_init(flk_merkle_t *merkle);
/* Adds the next leaf: one hash on average, 64 at most. */
void flk_merkle_add(flk_merkle_t *merkle, const flk_hash_t *leaf);
/* The root over the leaves so far; more may be added afterwards. */
void flk_merkle_root(const flk_merkle_t *merkle, flk_hash_t *root);

#endif
