/* SPDX-License-Identifier: MIT */
/* One key as signer and keyring keep it. For keys.c and keyring*.c only. */
#ifndef FLK_COMMON_PCS_KEY_INTERNAL_H
#define FLK_COMMON_PCS_KEY_INTERNAL_H

#include <sodium.h>
#include <sys/types.h>

#include "common/pcs/keyring.h"
#include "common/sha256.h"

enum { FLK_SIG_BYTES_MAX = crypto_sign_BYTES };
_Static_assert(FLK_DIGEST_BYTES == (int)FLK_SHA256_BYTES, "the digest is a SHA-256");

typedef union flk_key_material {
    flk_hmac_key_t hmac;
    uint8_t ed25519_pub[crypto_sign_PUBLICKEYBYTES];
    uint8_t ed25519_secret[crypto_sign_SECRETKEYBYTES]; /* signers only */
} flk_key_material_t;

typedef struct flk_key {
    flk_sign_alg_t alg;
    char id[FLK_KEY_ID_BYTES];
    int64_t not_before_s, not_after_s; /* Unix time; verifies in [not_before_s, not_after_s) */
    flk_key_material_t material;
} flk_key_t;

struct flk_keyring { /* in secret memory, read-only once made */
    flk_sign_alg_t alg;
    bool accept_payload;
    size_t keys_len;
    flk_key_t keys[FLK_KEYS_MAX];
};

/* A public key that some signature could verify with: canonical, on the curve, not of small order. */
bool flk_key_is_ed25519_public(const uint8_t key[crypto_sign_PUBLICKEYBYTES]);
size_t flk_key_sig_bytes(flk_sign_alg_t alg);
flk_err_t flk_key_no_memory(char *errmsg);

/* Adds a key without bounds in time, and gives it. FLK_E_CONFIG: no place left, or the id is taken. */
flk_err_t flk_keyring_add(flk_keyring_t *keyring, const char *id, flk_sign_alg_t alg, flk_key_t **key, char *errmsg);
/* Adds the keys of a file; `allow_weak` as in flk_keyring_options_t. */
flk_err_t flk_keyring_add_file(flk_keyring_t *keyring, const char *path, bool allow_weak, char *errmsg);
/* The same for the text of such a file; `mode` has its rights. */
flk_err_t flk_keyring_add_text(flk_keyring_t *keyring, const char *text, size_t text_bytes, mode_t mode,
                               bool allow_weak, char *errmsg);

#endif
