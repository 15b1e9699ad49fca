/* SPDX-License-Identifier: MIT */
/* ECVRF: the vectors of RFC 9381, and everything that a proof must not be. With FLK_TEST_LONG many more mutations. */
#include <sodium.h>

#include "common/pcs/vrf.h"
#include "tests/unit/rig/pcs_vectors.h"
#include "tests/unit/rig/suite.h"

enum { POINT = 32, CHALLENGE = 16, ALPHA_MAX = 64, TORSION = 8 };

static const char alpha[] = "alpha";

static size_t from_hex(const json_t *object, const char *name, uint8_t *out, size_t out_max) {
    const char *hex = vectors_text(object, name);
    size_t bytes;
    ck_assert_int_eq(sodium_hex2bin(out, out_max, hex, strlen(hex), NULL, &bytes, NULL), 0);
    return bytes;
}

/* The eight points whose order divides the cofactor; the first is the identity. */
static void torsion_points(uint8_t points[TORSION][POINT]) {
    static const char of_order_8[] = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    ck_assert_int_eq(sodium_hex2bin(points[1], POINT, of_order_8, strlen(of_order_8), NULL, NULL, NULL), 0);
    for (size_t i = 2; i <= TORSION; i++) {
        ck_assert_int_eq(crypto_core_ed25519_add(points[i % TORSION], points[i - 1], points[1]), 0);
    }
    ck_assert(points[0][0] == 1 && sodium_is_zero(points[0] + 1, POINT - 1));
}

typedef struct owner {
    flk_vrf_secret_t secret;
    uint8_t proof[FLK_VRF_PROOF_BYTES], output[FLK_VRF_OUTPUT_BYTES]; /* of `alpha` */
} owner_t;

static owner_t owner_new(uint8_t key) {
    owner_t owner;
    uint8_t seed[FLK_VRF_SEED_BYTES] = {key};
    flk_vrf_secret_init(&owner.secret, seed);
    ck_assert(flk_vrf_prove(&owner.secret, alpha, sizeof alpha, owner.proof));
    ck_assert(flk_vrf_verify(owner.secret.public_key, alpha, sizeof alpha, owner.proof, owner.output));
    return owner;
}

static bool verifies(const owner_t *owner, const uint8_t proof[FLK_VRF_PROOF_BYTES]) {
    uint8_t output[FLK_VRF_OUTPUT_BYTES];
    return flk_vrf_verify(owner->secret.public_key, alpha, sizeof alpha, proof, output);
}

/* Examples 16 to 18 of the RFC: key, proof and output come out byte by byte, and the proof is of no other text or
 * key. */
START_TEST(test_vrf_rfc9381) {
    json_t *root = vectors_load("rfc9381.json"), *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 3);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *vector = json_array_get(cases, i);
        uint8_t seed[FLK_VRF_SEED_BYTES], public_key[FLK_VRF_PUBLIC_BYTES], text[ALPHA_MAX] = {0};
        uint8_t proof[FLK_VRF_PROOF_BYTES], output[FLK_VRF_OUTPUT_BYTES], made[FLK_VRF_PROOF_BYTES];
        ck_assert_uint_eq(from_hex(vector, "seed", seed, sizeof seed), sizeof seed);
        ck_assert_uint_eq(from_hex(vector, "public_key", public_key, sizeof public_key), sizeof public_key);
        ck_assert_uint_eq(from_hex(vector, "proof", proof, sizeof proof), sizeof proof);
        ck_assert_uint_eq(from_hex(vector, "output", output, sizeof output), sizeof output);
        size_t text_bytes = from_hex(vector, "alpha", text, sizeof text);

        flk_vrf_secret_t secret;
        flk_vrf_secret_init(&secret, seed);
        ck_assert_mem_eq(secret.public_key, public_key, sizeof public_key);
        ck_assert(flk_vrf_public_is_valid(public_key));
        ck_assert(flk_vrf_prove(&secret, text, text_bytes, made));
        ck_assert_mem_eq(made, proof, sizeof proof);
        ck_assert(flk_vrf_verify(public_key, text, text_bytes, proof, made));
        ck_assert_mem_eq(made, output, sizeof output);
        ck_assert(flk_vrf_output(proof, made));
        ck_assert_mem_eq(made, output, sizeof output);

        ck_assert(!flk_vrf_verify(public_key, text, text_bytes + 1, proof, made));
        owner_t other = owner_new(7);
        ck_assert(!flk_vrf_verify(other.secret.public_key, text, text_bytes, proof, made));
    }
    json_decref(root);
}
END_TEST

/* Changes one to four bytes, or puts one part of another proof in its place. */
static void mutate(const owner_t *owner, const owner_t *other, uint8_t proof[FLK_VRF_PROOF_BYTES]) {
    static const size_t parts[] = {0, POINT, POINT + CHALLENGE, FLK_VRF_PROOF_BYTES};
    memcpy(proof, owner->proof, FLK_VRF_PROOF_BYTES);
    uint32_t kind = randombytes_uniform(8);
    if (kind < 3) {
        memcpy(proof + parts[kind], other->proof + parts[kind], parts[kind + 1] - parts[kind]);
        proof[randombytes_uniform(FLK_VRF_PROOF_BYTES)] ^= (uint8_t)(1u << randombytes_uniform(8));
        return;
    }
    for (uint32_t i = 0; i <= kind % 4; i++) {
        proof[randombytes_uniform(FLK_VRF_PROOF_BYTES)] = (uint8_t)randombytes_random();
    }
}

/* No mutation of a proof verifies, whichever bytes it changes; every single bit is tried. */
START_TEST(test_vrf_mutations) {
    owner_t owner = owner_new(1), other = owner_new(2);
    unsigned mutations = getenv("FLK_TEST_LONG") != NULL ? 100000 : 1400, tried = 0;
    for (size_t bit = 0; bit < 8 * FLK_VRF_PROOF_BYTES; bit++) {
        uint8_t proof[FLK_VRF_PROOF_BYTES];
        memcpy(proof, owner.proof, sizeof proof);
        proof[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_msg(!verifies(&owner, proof), "bit %zu", bit);
    }
    while (tried < mutations) {
        uint8_t proof[FLK_VRF_PROOF_BYTES];
        mutate(&owner, &other, proof);
        if (memcmp(proof, owner.proof, sizeof proof) != 0) {
            char hex[2 * FLK_VRF_PROOF_BYTES + 1];
            ck_assert_msg(!verifies(&owner, proof), "%s", sodium_bin2hex(hex, sizeof hex, proof, sizeof proof));
            tried++;
        }
    }
    ck_assert(verifies(&owner, owner.proof));
}
END_TEST

/* A proof for Gamma + T that satisfies both equations of the RFC, for c is a multiple of 8: the owner of the key can
 * make one by trying nonces. Written with libsodium alone. */
static void prove_with_torsion(const owner_t *owner, const uint8_t torsion[POINT], uint8_t proof[FLK_VRF_PROOF_BYTES]) {
    uint8_t inverse[32], h[POINT], u[POINT], v[POINT], digest[64], c[32] = {0}, nonce[32], one = 3, use = 2, zero = 0;
    ck_assert_int_eq(crypto_core_ed25519_scalar_invert(inverse, owner->secret.scalar), 0);
    ck_assert_int_eq(crypto_scalarmult_ed25519_noclamp(h, inverse, owner->proof), 0); /* Gamma = xH */
    ck_assert_int_eq(crypto_core_ed25519_add(proof, owner->proof, torsion), 0);
    do {
        crypto_core_ed25519_scalar_random(nonce);
        ck_assert_int_eq(crypto_scalarmult_ed25519_base_noclamp(u, nonce), 0);
        ck_assert_int_eq(crypto_scalarmult_ed25519_noclamp(v, nonce, h), 0);
        crypto_hash_sha512_state hash;
        crypto_hash_sha512_init(&hash);
        crypto_hash_sha512_update(&hash, &one, 1);
        crypto_hash_sha512_update(&hash, &use, 1);
        const uint8_t *const points[] = {owner->secret.public_key, h, proof, u, v};
        for (size_t i = 0; i < FLK_COUNT_OF(points); i++) {
            crypto_hash_sha512_update(&hash, points[i], POINT);
        }
        crypto_hash_sha512_update(&hash, &zero, 1);
        crypto_hash_sha512_final(&hash, digest);
    } while (digest[0] % TORSION != 0);
    memcpy(c, digest, CHALLENGE);
    memcpy(proof + POINT, c, CHALLENGE);
    crypto_core_ed25519_scalar_mul(proof + POINT + CHALLENGE, c, owner->secret.scalar);
    crypto_core_ed25519_scalar_add(proof + POINT + CHALLENGE, proof + POINT + CHALLENGE, nonce);
}

/* A Gamma with a part of small order is refused, even where the equations hold; so is one of small order alone. */
START_TEST(test_vrf_torsion) {
    owner_t owner = owner_new(3);
    uint8_t points[TORSION][POINT], proof[FLK_VRF_PROOF_BYTES], output[FLK_VRF_OUTPUT_BYTES];
    torsion_points(points);
    prove_with_torsion(&owner, points[0], proof);
    ck_assert(verifies(&owner, proof)); /* the maker of these proofs is right, and another nonce gives another proof */
    ck_assert_mem_ne(proof, owner.proof, sizeof proof);
    ck_assert(flk_vrf_output(proof, output)); /* of the same output */
    ck_assert_mem_eq(output, owner.output, sizeof output);
    for (size_t i = 1; i < TORSION; i++) {
        prove_with_torsion(&owner, points[i], proof);
        ck_assert_msg(!verifies(&owner, proof), "torsion %zu", i);
        ck_assert_msg(!flk_vrf_output(proof, output), "torsion %zu", i);
    }
    for (size_t i = 0; i < TORSION; i++) {
        memcpy(proof, points[i], POINT);
        ck_assert_msg(!verifies(&owner, proof) && !flk_vrf_output(proof, output), "order of torsion %zu", i);
    }
}
END_TEST

/* s and s + kq are one number to the equations: only the reduced one is taken. Nor are c = 0 and s = 0 taken. */
START_TEST(test_vrf_scalars) {
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    owner_t owner = owner_new(4);
    uint8_t proof[FLK_VRF_PROOF_BYTES], *s = proof + POINT + CHALLENGE;
    memcpy(proof, owner.proof, sizeof proof);
    for (unsigned k = 1; k < 15; k++) {
        sodium_add(s, order, sizeof order);
        ck_assert_msg(!verifies(&owner, proof), "s + %uq", k);
    }
    memcpy(s, order, sizeof order);
    ck_assert(!verifies(&owner, proof));
    memset(s, 0, sizeof order);
    ck_assert(!verifies(&owner, proof));
    memcpy(proof, owner.proof, sizeof proof);
    memset(proof + POINT, 0, CHALLENGE);
    ck_assert(!verifies(&owner, proof));
}
END_TEST

/* The 19 values from p to 2^255 - 1 encode a y once more: none of them is taken, as Gamma or as public key. */
START_TEST(test_vrf_not_canonical) {
    owner_t owner = owner_new(5);
    uint8_t proof[FLK_VRF_PROOF_BYTES], output[FLK_VRF_OUTPUT_BYTES];
    memcpy(proof, owner.proof, sizeof proof);
    for (unsigned sign = 0; sign < 2; sign++) {
        for (unsigned low = 0xed; low <= 0xff; low++) {
            memset(proof, 0xff, POINT);
            proof[0] = (uint8_t)low;
            proof[POINT - 1] = sign != 0 ? 0xff : 0x7f;
            ck_assert_msg(!verifies(&owner, proof) && !flk_vrf_output(proof, output), "%02x, sign %u", low, sign);
            ck_assert_msg(!flk_vrf_public_is_valid(proof), "%02x, sign %u", low, sign);
        }
    }
}
END_TEST

/* A public key of small order, the identity among them, with a part of it, or off the curve binds nobody. */
START_TEST(test_vrf_public_keys) {
    owner_t owner = owner_new(6);
    uint8_t points[TORSION][POINT], changed[POINT];
    unsigned off = 0;
    torsion_points(points);
    for (size_t i = 0; i < TORSION; i++) {
        ck_assert_int_eq(crypto_core_ed25519_add(changed, owner.secret.public_key, points[i]), 0);
        ck_assert(!flk_vrf_public_is_valid(points[i]));
        ck_assert_int_eq(flk_vrf_public_is_valid(changed), i == 0);
    }
    for (unsigned y = 2; y < 40; y++) {
        uint8_t point[POINT] = {(uint8_t)y}, twice[POINT];
        if (crypto_core_ed25519_add(twice, point, point) != 0) {
            ck_assert(!flk_vrf_public_is_valid(point));
            off++;
        }
    }
    ck_assert_uint_gt(off, 5);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("vrf");
    TCase *tcase = tcase_create("vrf");
    tcase_set_timeout(tcase, 900);
    tcase_add_test(tcase, test_vrf_rfc9381);
    tcase_add_test(tcase, test_vrf_mutations);
    tcase_add_test(tcase, test_vrf_torsion);
    tcase_add_test(tcase, test_vrf_scalars);
    tcase_add_test(tcase, test_vrf_not_canonical);
    tcase_add_test(tcase, test_vrf_public_keys);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
