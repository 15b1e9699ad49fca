/* SPDX-License-Identifier: MIT */
/* Hashes of a transparency log's Merkle tree (RFC 6962, section 2.1), SHA-256. Pure functions, any thread.
 *
 *   leaf        SHA-256(0x00 · data)
 *   node        SHA-256(0x01 · left · right)
 *   empty tree  SHA-256() */
#ifndef FLK_COMMON_TLOG_HASH_H
#define FLK_COMMON_TLOG_HASH_H

#include "common/sha256.h"

typedef struct flk_tlog_hash {
    uint8_t bytes[FLK_SHA256_BYTES];
} flk_tlog_hash_t;

enum { FLK_TLOG_HASH_BASE64_BYTES = 45 }; /* of a hash as standard base64, with its NUL */

void flk_tlog_hash_leaf(const void *data, size_t data_bytes, flk_tlog_hash_t *hash);
/* `hash` may be one of the two. */
void flk_tlog_hash_node(const flk_tlog_hash_t *left, const flk_tlog_hash_t *right, flk_tlog_hash_t *hash);
void flk_tlog_hash_empty(flk_tlog_hash_t *hash);
bool flk_tlog_hash_equal(const flk_tlog_hash_t *a, const flk_tlog_hash_t *b);

void flk_tlog_hash_print(const flk_tlog_hash_t *hash, char text[FLK_TLOG_HASH_BASE64_BYTES]);
/* Exactly the text that _print gives. */
FLK_MUST_CHECK bool flk_tlog_hash_parse(const char *text, size_t text_bytes, flk_tlog_hash_t *hash);

#endif
