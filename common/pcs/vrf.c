/* SPDX-License-Identifier: MIT */
/* libsodium has the arithmetic; its functions take different points, from version to version too:
 *
 *   crypto_core_ed25519_add, _sub         any point of the curve; a failure is the test of decoding
 *   crypto_scalarmult_ed25519_noclamp     no small order, and the group of prime order, but some versions let a point
 *                                         by to which the point of order 2 was added (CVE-2025-69277)
 *
 * So points of others are tested here: (q-1)P = -P holds in the group of prime order and nowhere else. */
#include "common/pcs/vrf.h"

#include <sodium.h>
#include <string.h>

enum { POINT_BYTES = 32, SCALAR_BYTES = 32, CHALLENGE_BYTES = 16, TRIES = 256 };
_Static_assert(FLK_VRF_PROOF_BYTES == POINT_BYTES + CHALLENGE_BYTES + SCALAR_BYTES, "Gamma, c and s");
_Static_assert(FLK_VRF_SEED_BYTES == (int)crypto_sign_SEEDBYTES, "a key as Ed25519 has it");

/* The byte after the suite tells the use of a hash; each hash ends in a zero. */
enum { SUITE = 0x03, USE_ENCODE = 0x01, USE_CHALLENGE = 0x02, USE_OUTPUT = 0x03 };

/* The order q of the group, less 1: little-endian. */
static const uint8_t order_less_1[SCALAR_BYTES] = {0xec, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                                   0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                                   0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
/* The prime p = 2^255 - 19 of the field, less 1. */
static const uint8_t prime_less_1[POINT_BYTES] = {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                                  0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
static const uint8_t identity[POINT_BYTES] = {1};

/* ---- numbers and points ---- */

/* Little-endian; both are public. */
static bool is_at_most(const uint8_t *number, const uint8_t *most) {
    for (size_t i = SCALAR_BYTES; i-- > 0;) {
        if (number[i] != most[i]) {
            return number[i] < most[i];
        }
    }
    return true;
}

/* The y of a point is reduced. */
static bool is_canonical(const uint8_t point[POINT_BYTES]) {
    uint8_t y[POINT_BYTES];
    memcpy(y, point, sizeof y);
    y[POINT_BYTES - 1] &= 0x7f;
    return is_at_most(y, prime_less_1);
}

/* A canonical point of the group of prime order, but the identity. */
static bool is_of_group(const uint8_t point[POINT_BYTES]) {
    uint8_t negative[POINT_BYTES];
    if (!is_canonical(point) || crypto_scalarmult_ed25519_noclamp(negative, order_less_1, point) != 0) {
        return false;
    }
    negative[POINT_BYTES - 1] ^= 0x80; /* the sign of x */
    return memcmp(negative, point, POINT_BYTES) == 0;
}

/* 8P; false: no point of the curve. */
static bool times_cofactor(const uint8_t point[POINT_BYTES], uint8_t out[POINT_BYTES]) {
    return crypto_core_ed25519_add(out, point, point) == 0 && crypto_core_ed25519_add(out, out, out) == 0 &&
           crypto_core_ed25519_add(out, out, out) == 0;
}

/* ---- hashes ---- */

static void hash_begin(crypto_hash_sha512_state *hash, uint8_t use) {
    const uint8_t head[] = {SUITE, use};
    crypto_hash_sha512_init(hash);
    crypto_hash_sha512_update(hash, head, sizeof head);
}

static void hash_end(crypto_hash_sha512_state *hash, uint8_t out[crypto_hash_sha512_BYTES]) {
    const uint8_t zero = 0;
    crypto_hash_sha512_update(hash, &zero, 1);
    crypto_hash_sha512_final(hash, out);
}

/* RFC 9381, section 5.4.1.1, try and increment, with the public key as salt: hashes until one of them is a point. */
static bool encode(const uint8_t *public_key, const void *alpha, size_t alpha_bytes, uint8_t point[POINT_BYTES]) {
    crypto_hash_sha512_state common;
    hash_begin(&common, USE_ENCODE);
    crypto_hash_sha512_update(&common, public_key, FLK_VRF_PUBLIC_BYTES);
    crypto_hash_sha512_update(&common, alpha, alpha_bytes);
    for (unsigned i = 0; i < TRIES; i++) {
        crypto_hash_sha512_state hash = common;
        const uint8_t counter = (uint8_t)i;
        uint8_t candidate[crypto_hash_sha512_BYTES];
        crypto_hash_sha512_update(&hash, &counter, 1);
        hash_end(&hash, candidate);
        if (is_canonical(candidate) && times_cofactor(candidate, point) && memcmp(point, identity, POINT_BYTES) != 0) {
            return true;
        }
    }
    return false;
}

/* c of the five points, section 5.4.3, as a number of SCALAR_BYTES. */
static void challenge(const uint8_t *const points[5], uint8_t c[SCALAR_BYTES]) {
    crypto_hash_sha512_state hash;
    uint8_t digest[crypto_hash_sha512_BYTES];
    hash_begin(&hash, USE_CHALLENGE);
    for (size_t i = 0; i < 5; i++) {
        crypto_hash_sha512_update(&hash, points[i], POINT_BYTES);
    }
    hash_end(&hash, digest);
    memset(c, 0, SCALAR_BYTES);
    memcpy(c, digest, CHALLENGE_BYTES);
}

static bool output_of(const uint8_t *gamma, uint8_t output[FLK_VRF_OUTPUT_BYTES]) {
    crypto_hash_sha512_state hash;
    uint8_t point[POINT_BYTES];
    if (!times_cofactor(gamma, point)) {
        return false;
    }
    hash_begin(&hash, USE_OUTPUT);
    crypto_hash_sha512_update(&hash, point, sizeof point);
    hash_end(&hash, output);
    return true;
}

/* ---- proving ---- */

void flk_vrf_secret_init(flk_vrf_secret_t *secret, const uint8_t seed[FLK_VRF_SEED_BYTES]) {
    uint8_t expanded[crypto_hash_sha512_BYTES], wide[crypto_core_ed25519_NONREDUCEDSCALARBYTES] = {0};
    crypto_hash_sha512(expanded, seed, FLK_VRF_SEED_BYTES);
    memcpy(wide, expanded, SCALAR_BYTES);
    memcpy(secret->nonce_key, expanded + SCALAR_BYTES, sizeof secret->nonce_key);
    wide[0] &= 0xf8;
    wide[31] = (uint8_t)((wide[31] & 0x7f) | 0x40);
    crypto_core_ed25519_scalar_reduce(secret->scalar, wide); /* every point that it meets is of the group */
    FLK_ASSERT(crypto_scalarmult_ed25519_base_noclamp(secret->public_key, secret->scalar) == 0);
    sodium_memzero(expanded, sizeof expanded);
    sodium_memzero(wide, sizeof wide);
}

/* RFC 9381, section 5.4.2.2. */
static void make_nonce(const flk_vrf_secret_t *secret, const uint8_t *point, uint8_t nonce[SCALAR_BYTES]) {
    crypto_hash_sha512_state hash;
    uint8_t digest[crypto_hash_sha512_BYTES];
    crypto_hash_sha512_init(&hash);
    crypto_hash_sha512_update(&hash, secret->nonce_key, sizeof secret->nonce_key);
    crypto_hash_sha512_update(&hash, point, POINT_BYTES);
    crypto_hash_sha512_final(&hash, digest);
    crypto_core_ed25519_scalar_reduce(nonce, digest);
    sodium_memzero(&hash, sizeof hash);
    sodium_memzero(digest, sizeof digest);
}

bool flk_vrf_prove(const flk_vrf_secret_t *secret, const void *alpha, size_t alpha_bytes,
                   uint8_t proof[FLK_VRF_PROOF_BYTES]) {
    uint8_t h[POINT_BYTES], u[POINT_BYTES], v[POINT_BYTES], c[SCALAR_BYTES], nonce[SCALAR_BYTES];
    uint8_t *gamma = proof, *s = proof + POINT_BYTES + CHALLENGE_BYTES;
    if (!encode(secret->public_key, alpha, alpha_bytes, h) ||
        crypto_scalarmult_ed25519_noclamp(gamma, secret->scalar, h) != 0) {
        return false;
    }
    make_nonce(secret, h, nonce);
    bool done =
        crypto_scalarmult_ed25519_base_noclamp(u, nonce) == 0 && crypto_scalarmult_ed25519_noclamp(v, nonce, h) == 0;
    challenge((const uint8_t *const[]){secret->public_key, h, gamma, u, v}, c);
    memcpy(proof + POINT_BYTES, c, CHALLENGE_BYTES);
    crypto_core_ed25519_scalar_mul(s, c, secret->scalar);
    crypto_core_ed25519_scalar_add(s, s, nonce);
    sodium_memzero(nonce, sizeof nonce);
    return done;
}

/* ---- verifying ---- */

bool flk_vrf_public_is_valid(const uint8_t public_key[FLK_VRF_PUBLIC_BYTES]) {
    return is_of_group(public_key);
}

bool flk_vrf_verify(const uint8_t public_key[FLK_VRF_PUBLIC_BYTES], const void *alpha, size_t alpha_bytes,
                    const uint8_t proof[FLK_VRF_PROOF_BYTES], uint8_t output[FLK_VRF_OUTPUT_BYTES]) {
    const uint8_t *gamma = proof, *claimed = proof + POINT_BYTES, *s = claimed + CHALLENGE_BYTES;
    uint8_t h[POINT_BYTES], by_s[POINT_BYTES], by_c[POINT_BYTES], u[POINT_BYTES], v[POINT_BYTES];
    uint8_t c[SCALAR_BYTES] = {0};
    memcpy(c, claimed, CHALLENGE_BYTES);
    if (!is_at_most(s, order_less_1) || !is_of_group(gamma) || !encode(public_key, alpha, alpha_bytes, h)) {
        return false;
    }
    bool reached = crypto_scalarmult_ed25519_base_noclamp(by_s, s) == 0 &&
                   crypto_scalarmult_ed25519_noclamp(by_c, c, public_key) == 0 &&
                   crypto_core_ed25519_sub(u, by_s, by_c) == 0 && /* U = sB - cY */
                   crypto_scalarmult_ed25519_noclamp(by_s, s, h) == 0 &&
                   crypto_scalarmult_ed25519_noclamp(by_c, c, gamma) == 0 &&
                   crypto_core_ed25519_sub(v, by_s, by_c) == 0; /* V = sH - cGamma */
    if (!reached) {
        return false;
    }
    challenge((const uint8_t *const[]){public_key, h, gamma, u, v}, c);
    return memcmp(c, claimed, CHALLENGE_BYTES) == 0 && output_of(gamma, output);
}

bool flk_vrf_output(const uint8_t proof[FLK_VRF_PROOF_BYTES], uint8_t output[FLK_VRF_OUTPUT_BYTES]) {
    return is_of_group(proof) && output_of(proof, output);
}
