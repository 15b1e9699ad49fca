/* SPDX-License-Identifier: MIT */
/* A verifiable random function: 64 bytes that the owner of a secret key derives from a public text `alpha`, with a
 * proof that anybody can check. One key and one text have one output, so nobody can choose it.
 *
 * ECVRF-EDWARDS25519-SHA512-TAI, RFC 9381, section 5.5, suite 0x03:
 *
 *   proof   0      32     48     80     Gamma: a point, 32 bytes as in RFC 8032; c and s: little-endian integers
 *           | Gamma |  c  |   s  |
 *
 * Pure functions, any thread. The time to encode alpha depends on alpha, which must be public. */
#ifndef FLK_COMMON_PCS_VRF_H
#define FLK_COMMON_PCS_VRF_H

#include "common/base.h"

enum {
    FLK_VRF_SEED_BYTES = 32, /* secret key as RFC 8032 has it */
    FLK_VRF_PUBLIC_BYTES = 32,
    FLK_VRF_PROOF_BYTES = 80,
    FLK_VRF_OUTPUT_BYTES = 64,
};

/* A secret key, expanded. It belongs into secret memory (common/secret.h). */
typedef struct flk_vrf_secret {
    uint8_t scalar[32], nonce_key[32];
    uint8_t public_key[FLK_VRF_PUBLIC_BYTES];
} flk_vrf_secret_t;

void flk_vrf_secret_init(flk_vrf_secret_t *secret, const uint8_t seed[FLK_VRF_SEED_BYTES]);

/* Whether a public key may be trusted with verifying: it is a canonical point of the group of prime order, and not the
 * identity. No owner of another one is bound to one output (RFC 9381, section 5.4.5). */
FLK_MUST_CHECK bool flk_vrf_public_is_valid(const uint8_t public_key[FLK_VRF_PUBLIC_BYTES]);

/* Deterministic. False: alpha cannot be encoded, whose odds are 1 to 2^256. */
FLK_MUST_CHECK bool flk_vrf_prove(const flk_vrf_secret_t *secret, const void *alpha, size_t alpha_bytes,
                                  uint8_t proof[FLK_VRF_PROOF_BYTES]);

/* Checks a proof, and fills `output` when it is right. `public_key` has passed flk_vrf_public_is_valid. Stricter than
 * the RFC: a Gamma outside the group of prime order is refused, as are a non-canonical one, s >= q, and c or s of 0,
 * which no prover meets. Costs some ten multiplications of points (OPERATING.md has the figure). */
FLK_MUST_CHECK bool flk_vrf_verify(const uint8_t public_key[FLK_VRF_PUBLIC_BYTES], const void *alpha,
                                   size_t alpha_bytes, const uint8_t proof[FLK_VRF_PROOF_BYTES],
                                   uint8_t output[FLK_VRF_OUTPUT_BYTES]);

/* The output of a proof that is right. False: Gamma is no point that flk_vrf_verify takes. */
FLK_MUST_CHECK bool flk_vrf_output(const uint8_t proof[FLK_VRF_PROOF_BYTES], uint8_t output[FLK_VRF_OUTPUT_BYTES]);

#endif
