/* SPDX-License-Identifier: MIT */
/* These functions of OpenSSL's are deprecated in favour of EVP, whose contexts live on its own heap: no place for a
 * key, and not to be shared by threads. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "common/sha256.h"

#include <sodium.h>
#include <string.h>

void flk_sha256_init(flk_sha256_t *sha) {
    FLK_ASSERT(SHA256_Init(sha) == 1);
}

void flk_sha256_update(flk_sha256_t *sha, const void *data, size_t bytes) {
    FLK_ASSERT(SHA256_Update(sha, data, bytes) == 1);
}

void flk_sha256_final(flk_sha256_t *sha, uint8_t digest[FLK_SHA256_BYTES]) {
    FLK_ASSERT(SHA256_Final(digest, sha) == 1);
}

void flk_sha256(const void *data, size_t bytes, uint8_t digest[FLK_SHA256_BYTES]) {
    flk_sha256_t sha;
    flk_sha256_init(&sha);
    flk_sha256_update(&sha, data, bytes);
    flk_sha256_final(&sha, digest);
}

/* ---- HMAC ---- */

static void init_padded(flk_sha256_t *sha, const uint8_t block[SHA256_CBLOCK], uint8_t pad) {
    uint8_t padded[SHA256_CBLOCK];
    for (size_t i = 0; i < sizeof padded; i++) {
        padded[i] = block[i] ^ pad;
    }
    flk_sha256_init(sha);
    flk_sha256_update(sha, padded, sizeof padded);
    sodium_memzero(padded, sizeof padded);
}

void flk_hmac_key_init(flk_hmac_key_t *hmac, const void *key, size_t key_bytes) {
    uint8_t block[SHA256_CBLOCK] = {0};
    if (key_bytes > sizeof block) {
        flk_sha256(key, key_bytes, block);
    } else if (key_bytes > 0) {
        memcpy(block, key, key_bytes);
    }
    init_padded(&hmac->inner, block, 0x36);
    init_padded(&hmac->outer, block, 0x5c);
    sodium_memzero(block, sizeof block);
}

void flk_hmac(const flk_hmac_key_t *key, const void *message, size_t bytes, uint8_t mac[FLK_SHA256_BYTES]) {
    flk_sha256_t sha = key->inner;
    flk_sha256_update(&sha, message, bytes);
    flk_sha256_final(&sha, mac);
    sha = key->outer;
    flk_sha256_update(&sha, mac, FLK_SHA256_BYTES);
    flk_sha256_final(&sha, mac);
    sodium_memzero(&sha, sizeof sha);
}
