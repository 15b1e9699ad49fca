/* SPDX-License-Identifier: MIT */
/* SHA-256 and HMAC-SHA256. OpenSSL's, which knows the processor's own instructions and so takes a quarter of the
 * time that libsodium's takes. All state is plain memory: that of a key may lie where secrets lie (secret.h), and
 * many threads may use it at once. Nothing here allocates or fails. Any thread. */
#ifndef FLK_COMMON_SHA256_H
#define FLK_COMMON_SHA256_H

#include <openssl/sha.h>

#include "common/base.h"

enum { FLK_SHA256_BYTES = SHA256_DIGEST_LENGTH };

typedef SHA256_CTX flk_sha256_t; /* A hash under way. */

void flk_sha256_init(flk_sha256_t *sha);
void flk_sha256_update(flk_sha256_t *sha, const void *data, size_t bytes);
void flk_sha256_final(flk_sha256_t *sha, uint8_t digest[FLK_SHA256_BYTES]); /* Then init comes first. */

/* The same in one call. */
void flk_sha256(const void *data, size_t bytes, uint8_t digest[FLK_SHA256_BYTES]);

/* An HMAC key (RFC 2104) as the hashes behind its inner and outer pads, which saves two of the four blocks that each
 * code costs. As secret as the key. */
typedef struct flk_hmac_key {
    flk_sha256_t inner, outer;
} flk_hmac_key_t;

void flk_hmac_key_init(flk_hmac_key_t *hmac, const void *key, size_t key_bytes);
/* HMAC-SHA256 of the message. */
void flk_hmac(const flk_hmac_key_t *key, const void *message, size_t bytes, uint8_t mac[FLK_SHA256_BYTES]);

#endif
