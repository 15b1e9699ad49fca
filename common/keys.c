/* SPDX-License-Identifier: MIT */
/* Signatures over the SHA-256 of the canonical bytes.
 *
 * Verify: decode `sig`; print the canonical bytes as Python does and try every key; then, if the two prints differ, as
 * ECMAScript does.
 *
 * Keys and what is derived from them lie in sodium_malloc memory: locked where the limits allow, off the core dump,
 * between guard pages, read-only once made, wiped when freed. An HMAC key is kept as the hash state after its inner
 * and outer pads, which saves two of the four blocks that each HMAC costs. */
#include "common/keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIG_BYTES_MAX = crypto_sign_BYTES };
_Static_assert(FLK_DIGEST_BYTES == crypto_hash_sha256_BYTES, "the digest is a SHA-256");

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

typedef union secret {
    crypto_auth_hmacsha256_state hmac; /* before any message */
    uint8_t ed25519_pub[crypto_sign_PUBLICKEYBYTES];
    uint8_t ed25519_secret[crypto_sign_SECRETKEYBYTES]; /* signers only */
} secret_t;

struct flk_keyring {
    flk_sign_alg_t alg;
    size_t keys_len;
    secret_t keys[FLK_KEYS_MAX];
};

struct flk_signer {
    flk_sign_alg_t alg;
    secret_t key;
};

/* Zeroed, locked memory; NULL when out of memory. */
static void *secret_alloc(size_t bytes) {
    FLK_ASSERT(sodium_init() >= 0);
    void *memory = sodium_malloc(bytes);
    if (memory != NULL) {
        sodium_memzero(memory, bytes);
    }
    return memory;
}

static flk_err_t no_memory(char *errmsg) {
    flk_errmsg(errmsg, "out of memory for keys");
    return FLK_E_NOMEM;
}

static bool decode_base64(const char *text, size_t text_bytes, uint8_t *out, size_t out_max, size_t *out_bytes) {
    return sodium_base642bin(out, out_max, text, text_bytes, NULL, out_bytes, NULL, sodium_base64_VARIANT_ORIGINAL) ==
           0;
}

/* ---- making a keyring ---- */

typedef flk_err_t add_fn(flk_keyring_t *keyring, const char *setting, const char *item, size_t item_bytes,
                         char *errmsg);

static flk_err_t add_hmac(flk_keyring_t *keyring, const char *setting, const char *item, size_t item_bytes,
                          char *errmsg) {
    (void)setting;
    (void)errmsg;
    crypto_auth_hmacsha256_init(&keyring->keys[keyring->keys_len++].hmac, (const unsigned char *)item, item_bytes);
    return FLK_OK;
}

static flk_err_t add_ed25519(flk_keyring_t *keyring, const char *setting, const char *item, size_t item_bytes,
                             char *errmsg) {
    uint8_t *key = keyring->keys[keyring->keys_len].ed25519_pub;
    size_t key_bytes;
    if (!decode_base64(item, item_bytes, key, crypto_sign_PUBLICKEYBYTES, &key_bytes) ||
        key_bytes != crypto_sign_PUBLICKEYBYTES) {
        flk_errmsg(errmsg, "%s: key %zu is not the base64 of %u bytes", setting, keyring->keys_len + 1,
                   crypto_sign_PUBLICKEYBYTES);
        return FLK_E_CONFIG;
    }
    keyring->keys_len++;
    return FLK_OK;
}

/* Adds each non-empty item of a comma-separated list. Spaces belong to an item: a key may hold them. */
static flk_err_t add_list(flk_keyring_t *keyring, const char *setting, const char *list, add_fn *add, char *errmsg) {
    for (const char *item = list; item != NULL && *item != '\0';) {
        size_t item_bytes = strcspn(item, ",");
        if (item_bytes > 0) {
            if (keyring->keys_len == FLK_KEYS_MAX) {
                flk_errmsg(errmsg, "%s: at most %d keys", setting, FLK_KEYS_MAX);
                return FLK_E_CONFIG;
            }
            flk_err_t err = add(keyring, setting, item, item_bytes, errmsg);
            if (err != FLK_OK) {
                return err;
            }
        }
        item += item_bytes + (item[item_bytes] == ',');
    }
    return FLK_OK;
}

static flk_err_t fill_keyring(flk_keyring_t *keyring, const char *hmac_key, const char *hmac_keys,
                              const char *ed25519_pub_b64, char *errmsg) {
    flk_err_t err = FLK_OK;
    if (keyring->alg == FLK_SIGN_HMAC) {
        if (hmac_key != NULL && *hmac_key != '\0') {
            err = add_hmac(keyring, "PCS_HMAC_KEY", hmac_key, strlen(hmac_key), errmsg);
        }
        if (err == FLK_OK) {
            err = add_list(keyring, "PCS_HMAC_KEYS", hmac_keys, add_hmac, errmsg);
        }
        if (err == FLK_OK && keyring->keys_len == 0) {
            flk_errmsg(errmsg, "PCS_SIGN_ALG is hmac: set PCS_HMAC_KEY or PCS_HMAC_KEYS");
            return FLK_E_CONFIG;
        }
    } else if (keyring->alg == FLK_SIGN_ED25519) {
        err = add_list(keyring, "PCS_ED25519_PUB_B64", ed25519_pub_b64, add_ed25519, errmsg);
        if (err == FLK_OK && keyring->keys_len == 0) {
            flk_errmsg(errmsg, "PCS_SIGN_ALG is ed25519: set PCS_ED25519_PUB_B64");
            return FLK_E_CONFIG;
        }
    }
    return err;
}

flk_err_t flk_keyring_new(flk_sign_alg_t alg, const char *hmac_key, const char *hmac_keys, const char *ed25519_pub_b64,
                          flk_keyring_t **keyring, char *errmsg) {
    flk_keyring_t *made = secret_alloc(sizeof *made);
    if (made == NULL) {
        return no_memory(errmsg);
    }
    made->alg = alg;
    flk_err_t err = fill_keyring(made, hmac_key, hmac_keys, ed25519_pub_b64, errmsg);
    if (err != FLK_OK) {
        sodium_free(made);
        return err;
    }
    FLK_ASSERT(sodium_mprotect_readonly(made) == 0);
    *keyring = made;
    return FLK_OK;
}

void flk_keyring_destroy(flk_keyring_t **keyring) {
    sodium_free(*keyring);
    *keyring = NULL;
}

flk_sign_alg_t flk_keyring_alg(const flk_keyring_t *keyring) {
    return keyring->alg;
}

/* ---- verifying ---- */

static void hmac(const secret_t *key, const uint8_t digest[FLK_DIGEST_BYTES],
                 uint8_t mac[crypto_auth_hmacsha256_BYTES]) {
    crypto_auth_hmacsha256_state state = key->hmac;
    crypto_auth_hmacsha256_update(&state, digest, FLK_DIGEST_BYTES);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
}

static bool verifies(const flk_keyring_t *keyring, const uint8_t digest[FLK_DIGEST_BYTES],
                     const uint8_t sig[SIG_BYTES_MAX]) {
    for (size_t i = 0; i < keyring->keys_len; i++) {
        const secret_t *key = &keyring->keys[i];
        if (keyring->alg == FLK_SIGN_ED25519) {
            if (crypto_sign_verify_detached(sig, digest, FLK_DIGEST_BYTES, key->ed25519_pub) == 0) {
                return true;
            }
            continue;
        }
        uint8_t mac[crypto_auth_hmacsha256_BYTES];
        hmac(key, digest, mac);
        if (sodium_memcmp(mac, sig, sizeof mac) == 0) {
            return true;
        }
    }
    return false;
}

static size_t sig_bytes_of(flk_sign_alg_t alg) {
    return alg == FLK_SIGN_HMAC ? crypto_auth_hmacsha256_BYTES : crypto_sign_BYTES;
}

flk_err_t flk_keyring_verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs, uint8_t digest[FLK_DIGEST_BYTES],
                             const char **reason) {
    char python[FLK_CANONICAL_BYTES], es[FLK_CANONICAL_BYTES];
    size_t python_bytes = flk_canonical(pcs, FLK_PRINT_PYTHON, python);
    crypto_hash_sha256(digest, (const unsigned char *)python, python_bytes);
    if (keyring->alg == FLK_SIGN_NONE) {
        return FLK_OK;
    }
    if (pcs->sig[0] == '\0') {
        *reason = "missing";
        return FLK_E_SIGNATURE;
    }
    uint8_t sig[SIG_BYTES_MAX];
    size_t sig_bytes;
    if (!decode_base64(pcs->sig, strlen(pcs->sig), sig, sizeof sig, &sig_bytes)) {
        *reason = "not base64";
        return FLK_E_SIGNATURE;
    }
    *reason = "does not verify";
    if (sig_bytes != sig_bytes_of(keyring->alg)) {
        return FLK_E_SIGNATURE;
    }
    if (verifies(keyring, digest, sig)) {
        return FLK_OK;
    }
    size_t es_bytes = flk_canonical(pcs, FLK_PRINT_ES, es);
    if (es_bytes == python_bytes && memcmp(es, python, es_bytes) == 0) {
        return FLK_E_SIGNATURE;
    }
    uint8_t es_digest[FLK_DIGEST_BYTES];
    crypto_hash_sha256(es_digest, (const unsigned char *)es, es_bytes);
    return verifies(keyring, es_digest, sig) ? FLK_OK : FLK_E_SIGNATURE;
}

/* ---- signing ---- */

static flk_err_t fill_ed25519_secret(flk_signer_t *signer, const char *ed25519_secret_b64, char *errmsg) {
    uint8_t *secret = signer->key.ed25519_secret;
    uint8_t pub[crypto_sign_PUBLICKEYBYTES];
    size_t secret_bytes;
    if (!decode_base64(ed25519_secret_b64, strlen(ed25519_secret_b64), secret, crypto_sign_SECRETKEYBYTES,
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
        return no_memory(errmsg);
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
        crypto_auth_hmacsha256_init(&signer->key.hmac, (const unsigned char *)hmac_key, strlen(hmac_key));
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
    flk_signer_t *made = secret_alloc(sizeof *made);
    if (made == NULL) {
        return no_memory(errmsg);
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
    uint8_t digest[FLK_DIGEST_BYTES], sig[SIG_BYTES_MAX];
    flk_canonical_digest(pcs, FLK_PRINT_PYTHON, digest);
    if (signer->alg == FLK_SIGN_HMAC) {
        hmac(&signer->key, digest, sig);
    } else {
        FLK_ASSERT(crypto_sign_detached(sig, NULL, digest, sizeof digest, signer->key.ed25519_secret) == 0);
    }
    sodium_bin2base64(pcs->sig, sizeof pcs->sig, sig, sig_bytes_of(signer->alg), sodium_base64_VARIANT_ORIGINAL);
}
