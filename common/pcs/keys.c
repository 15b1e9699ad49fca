/* SPDX-License-Identifier: MIT */
/* Names of algorithms, the parts that signer and keyring share, and the signer.
 *
 * Keys and values derived from them lie in secret memory (secret.h), read-only once made. */
#include "common/pcs/key_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base64.h"
#include "common/secret.h"

static const char *const alg_names[] = {
    [FLK_SIGN_NONE] = "none",
    [FLK_SIGN_HMAC] = "hmac",
    [FLK_SIGN_ED25519] = "ed25519",
};

bool flk_sign_alg_parse(const char *text, flk_sign_alg_t *alg) {
    for (size_t i = 0; i < FLK_COUNT_OF(alg_names); i++) {
        if (strcmp(text, alg_names[i]) == 0) {
            *alg = (flk_sign_alg_t)i;
            return true;
        }
    }
    return false;
}

const char *flk_sign_alg_name(flk_sign_alg_t alg) {
    FLK_ASSERT((size_t)alg < FLK_COUNT_OF(alg_names));
    return alg_names[alg];
}

struct flk_signer {
    flk_sign_alg_t alg;
    flk_key_material_t key;
};

/* ---- shared with the keyring ---- */

flk_err_t flk_key_no_memory(char *errmsg) {
    flk_errmsg(errmsg, "out of memory for keys");
    return FLK_E_NOMEM;
}

size_t flk_key_sig_bytes(flk_sign_alg_t alg) {
    return alg == FLK_SIGN_HMAC ? (size_t)FLK_SHA256_BYTES : crypto_sign_BYTES;
}

/* ---- signing ---- */

static flk_err_t fill_ed25519_secret(flk_signer_t *signer, const char *ed25519_secret_b64, char *errmsg) {
    uint8_t *secret = signer->key.ed25519_secret;
    uint8_t pub[crypto_sign_PUBLICKEYBYTES];
    size_t secret_bytes;
    if (!flk_base64_decode(ed25519_secret_b64, strlen(ed25519_secret_b64), secret, crypto_sign_SECRETKEYBYTES,
                           &secret_bytes) ||
        (secret_bytes != crypto_sign_SEEDBYTES && secret_bytes != crypto_sign_SECRETKEYBYTES)) {
        flk_errmsg(errmsg, "PCS_ED25519_SECRET_B64: not the base64 of a %u-byte seed or a %u-byte secret key",
                   crypto_sign_SEEDBYTES, crypto_sign_SECRETKEYBYTES);
        return FLK_E_CONFIG;
    }
    /* A secret key is its seed and the public key; a wrong second half would give the seed away with two signatures. */
    uint8_t second_half[crypto_sign_PUBLICKEYBYTES];
    memcpy(second_half, secret + crypto_sign_SEEDBYTES, sizeof second_half);
    uint8_t *seed = sodium_malloc(crypto_sign_SEEDBYTES);
    if (seed == NULL) {
        return flk_key_no_memory(errmsg);
    }
    memcpy(seed, secret, crypto_sign_SEEDBYTES);
    crypto_sign_seed_keypair(pub, secret, seed);
    sodium_free(seed);
    if (secret_bytes == crypto_sign_SECRETKEYBYTES && memcmp(pub, second_half, sizeof pub) != 0) {
        flk_errmsg(errmsg, "PCS_ED25519_SECRET_B64: its second half is not the public key of its first");
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

static flk_err_t fill_signer(flk_signer_t *signer, const char *hmac_key, const char *ed25519_secret_b64, char *errmsg) {
    switch (signer->alg) {
    case FLK_SIGN_NONE:
        return FLK_OK;
    case FLK_SIGN_HMAC:
        if (hmac_key == NULL || *hmac_key == '\0') {
            flk_errmsg(errmsg, "PCS_SIGN_ALG is hmac: set PCS_HMAC_KEY");
            return FLK_E_CONFIG;
        }
        flk_hmac_key_init(&signer->key.hmac, hmac_key, strlen(hmac_key));
        return FLK_OK;
    case FLK_SIGN_ED25519:
        if (ed25519_secret_b64 == NULL || *ed25519_secret_b64 == '\0') {
            flk_errmsg(errmsg, "PCS_SIGN_ALG is ed25519: set PCS_ED25519_SECRET_B64");
            return FLK_E_CONFIG;
        }
        return fill_ed25519_secret(signer, ed25519_secret_b64, errmsg);
    }
    FLK_ASSERT(false); /* no such algorithm */
    return FLK_E_CONFIG;
}

flk_err_t flk_signer_new(flk_sign_alg_t alg, const char *hmac_key, const char *ed25519_secret_b64,
                         flk_signer_t **signer, char *errmsg) {
    flk_signer_t *made = flk_secret_alloc(sizeof *made);
    if (made == NULL) {
        return flk_key_no_memory(errmsg);
    }
    made->alg = alg;
    flk_err_t err = fill_signer(made, hmac_key, ed25519_secret_b64, errmsg);
    if (err != FLK_OK) {
        sodium_free(made);
        return err;
    }
    FLK_ASSERT(sodium_mprotect_readonly(made) == 0);
    *signer = made;
    return FLK_OK;
}

void flk_signer_destroy(flk_signer_t **signer) {
    sodium_free(*signer);
    *signer = NULL;
}

void flk_signer_sign(const flk_signer_t *signer, flk_pcs_t *pcs) {
    pcs->sig[0] = '\0';
    if (signer->alg == FLK_SIGN_NONE) {
        return;
    }
    uint8_t digest[FLK_DIGEST_BYTES], sig[FLK_SIG_BYTES_MAX];
    flk_canonical_digest(pcs, FLK_PRINT_PYTHON, digest);
    if (signer->alg == FLK_SIGN_HMAC) {
        flk_hmac(&signer->key.hmac, digest, sizeof digest, sig);
    } else {
        FLK_ASSERT(crypto_sign_detached(sig, NULL, digest, sizeof digest, signer->key.ed25519_secret) == 0);
    }
    sodium_bin2base64(pcs->sig, sizeof pcs->sig, sig, flk_key_sig_bytes(signer->alg), sodium_base64_VARIANT_ORIGINAL);
}

/* (A point that is not reduced is none of libsodium's either, whichever version.) */
bool flk_key_is_ed25519_public(const uint8_t key[crypto_sign_PUBLICKEYBYTES]) {
    return crypto_core_ed25519_is_valid_point(key) == 1;
}
