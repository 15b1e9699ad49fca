/* SPDX-License-Identifier: MIT */
/* Verifying: decode `sig`, whose length tells the algorithm; then try each active key of that algorithm over the
 * digest of the Python print, over that of the ECMAScript print where the two differ, and, when allowed, over the
 * prints themselves. Only a signature that no active key made is tried with the other keys, so that its refusal has a
 * reason. */
#include "common/pcs/keyring.h"

#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/pcs/key_internal.h"

flk_err_t flk_keyring_add(flk_keyring_t *keyring, const char *id, flk_sign_alg_t alg, flk_key_t **key, char *errmsg) {
    for (size_t i = 0; i < keyring->keys_len; i++) {
        if (strcmp(keyring->keys[i].id, id) == 0) {
            flk_errmsg(errmsg, "two keys have the id %s", id);
            return FLK_E_CONFIG;
        }
    }
    if (keyring->keys_len == FLK_KEYS_MAX) {
        flk_errmsg(errmsg, "at most %d keys, those of settings and file together", FLK_KEYS_MAX);
        return FLK_E_CONFIG;
    }
    *key = &keyring->keys[keyring->keys_len++];
    (*key)->alg = alg;
    (*key)->not_before_s = INT64_MIN;
    (*key)->not_after_s = INT64_MAX;
    snprintf((*key)->id, sizeof(*key)->id, "%s", id);
    return FLK_OK;
}

void flk_keyring_destroy(flk_keyring_t **keyring) {
    sodium_free(*keyring);
    *keyring = NULL;
}

/* ---- asking ---- */

flk_sign_alg_t flk_keyring_alg(const flk_keyring_t *keyring) {
    return keyring->alg;
}

size_t flk_keyring_len(const flk_keyring_t *keyring) {
    return keyring->keys_len;
}

const char *flk_keyring_id(const flk_keyring_t *keyring, size_t key) {
    FLK_ASSERT(key < keyring->keys_len);
    return keyring->keys[key].id;
}

static flk_key_state_t state_of(const flk_key_t *key, int64_t now_s) {
    return now_s < key->not_before_s ? FLK_KEY_FUTURE : now_s >= key->not_after_s ? FLK_KEY_EXPIRED : FLK_KEY_ACTIVE;
}

flk_key_state_t flk_keyring_state(const flk_keyring_t *keyring, size_t key, int64_t now_s) {
    FLK_ASSERT(key < keyring->keys_len);
    return state_of(&keyring->keys[key], now_s);
}

int64_t flk_keyring_next_end(const flk_keyring_t *keyring, int64_t now_s) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < keyring->keys_len; i++) {
        const flk_key_t *key = &keyring->keys[i];
        if (state_of(key, now_s) == FLK_KEY_ACTIVE && key->not_after_s < next) {
            next = key->not_after_s;
        }
    }
    return next == INT64_MAX ? 0 : next;
}

const char *flk_signature_text(flk_signature_fault_t fault) {
    static const char *const texts[FLK_SIGNATURE_FAULTS] = {
        [FLK_SIGNATURE_GOOD] = "good",
        [FLK_SIGNATURE_MISSING] = "missing",
        [FLK_SIGNATURE_NOT_BASE64] = "not base64",
        [FLK_SIGNATURE_WRONG] = "does not verify",
        [FLK_SIGNATURE_PAYLOAD] = "is over the canonical bytes, not their SHA-256: PCS_SIGN_ACCEPT=payload takes it",
        [FLK_SIGNATURE_KEY_EXPIRED] = "key has expired",
        [FLK_SIGNATURE_KEY_FUTURE] = "key is not valid yet",
    };
    FLK_ASSERT(fault < FLK_SIGNATURE_FAULTS);
    return texts[fault];
}

/* ---- verifying ---- */

/* The PCS under verification, and the state of the search. */
typedef struct search {
    const flk_keyring_t *keyring;
    flk_sign_alg_t alg; /* of the signature */
    const uint8_t *sig;
    int64_t now_s;
    bool active; /* try the keys that are active, else the others */
    flk_signature_t *found;
} search_t;

static bool made_by(const flk_key_t *key, const uint8_t *sig, const void *message, size_t message_bytes) {
    if (key->alg == FLK_SIGN_ED25519) {
        return crypto_sign_verify_detached(sig, message, message_bytes, key->material.ed25519_pub) == 0;
    }
    uint8_t mac[FLK_SHA256_BYTES];
    flk_hmac(&key->material.hmac, message, message_bytes, mac);
    return sodium_memcmp(mac, sig, sizeof mac) == 0;
}

static bool try_keys(const search_t *search, const void *message, size_t message_bytes, bool payload) {
    for (size_t i = 0; i < search->keyring->keys_len; i++) {
        const flk_key_t *key = &search->keyring->keys[i];
        if (key->alg == search->alg && (state_of(key, search->now_s) == FLK_KEY_ACTIVE) == search->active &&
            made_by(key, search->sig, message, message_bytes)) {
            search->found->key = i;
            search->found->payload = payload;
            return true;
        }
    }
    return false;
}

typedef struct prints {
    char python[FLK_CANONICAL_BYTES], es[FLK_CANONICAL_BYTES];
    size_t python_bytes, es_bytes;
    const uint8_t *digest; /* of the Python print */
} prints_t;

/* The claims in the sender's own print. */
static bool try_as_sent(const search_t *search, const flk_pcs_t *pcs, bool payload) {
    char text[FLK_CANONICAL_BYTES];
    uint8_t digest[FLK_DIGEST_BYTES];
    size_t text_bytes = flk_canonical_as_sent(pcs, text);
    if (payload) {
        return try_keys(search, text, text_bytes, true);
    }
    flk_sha256(text, text_bytes, digest);
    return try_keys(search, digest, sizeof digest, false);
}

/* HMACs over the prints themselves, rather than over their digests. */
static bool try_payload(const search_t *search, const flk_pcs_t *pcs, const prints_t *prints) {
    return search->alg == FLK_SIGN_HMAC && ((pcs->has_prints && try_as_sent(search, pcs, true)) ||
                                            try_keys(search, prints->python, prints->python_bytes, true) ||
                                            try_keys(search, prints->es, prints->es_bytes, true));
}

static bool try_prints(const search_t *search, const flk_pcs_t *pcs, prints_t *prints) {
    if (try_keys(search, prints->digest, FLK_DIGEST_BYTES, false)) {
        return true;
    }
    prints->es_bytes = flk_canonical(pcs, FLK_PRINT_ES, prints->es);
    bool same = prints->es_bytes == prints->python_bytes && memcmp(prints->es, prints->python, prints->es_bytes) == 0;
    if (!same) {
        uint8_t digest[FLK_DIGEST_BYTES];
        flk_sha256(prints->es, prints->es_bytes, digest);
        if (try_keys(search, digest, sizeof digest, false)) {
            return true;
        }
    }
    if (pcs->has_prints && try_as_sent(search, pcs, false)) {
        return true;
    }
    return search->keyring->accept_payload && try_payload(search, pcs, prints);
}

static flk_signature_fault_t find_key(search_t *search, const flk_pcs_t *pcs, prints_t *prints) {
    if (try_prints(search, pcs, prints)) {
        return FLK_SIGNATURE_GOOD;
    }
    if (!search->keyring->accept_payload && try_payload(search, pcs, prints)) {
        return FLK_SIGNATURE_PAYLOAD;
    }
    search->active = false;
    if (!try_prints(search, pcs, prints)) {
        return FLK_SIGNATURE_WRONG;
    }
    return state_of(&search->keyring->keys[search->found->key], search->now_s) == FLK_KEY_FUTURE
               ? FLK_SIGNATURE_KEY_FUTURE
               : FLK_SIGNATURE_KEY_EXPIRED;
}

static flk_signature_fault_t verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs, int64_t now_s, prints_t *prints,
                                    flk_signature_t *signature) {
    if (keyring->alg == FLK_SIGN_NONE) {
        return FLK_SIGNATURE_GOOD;
    }
    if (pcs->sig[0] == '\0') {
        return FLK_SIGNATURE_MISSING;
    }
    uint8_t sig[FLK_SIG_BYTES_MAX];
    size_t sig_bytes;
    if (!flk_base64_decode(pcs->sig, strlen(pcs->sig), sig, sizeof sig, &sig_bytes)) {
        return FLK_SIGNATURE_NOT_BASE64;
    }
    search_t search = {.keyring = keyring, .sig = sig, .now_s = now_s, .active = true, .found = signature};
    search.alg = sig_bytes == flk_key_sig_bytes(FLK_SIGN_HMAC)      ? FLK_SIGN_HMAC
                 : sig_bytes == flk_key_sig_bytes(FLK_SIGN_ED25519) ? FLK_SIGN_ED25519
                                                                    : FLK_SIGN_NONE;
    return search.alg == FLK_SIGN_NONE ? FLK_SIGNATURE_WRONG : find_key(&search, pcs, prints);
}

flk_err_t flk_keyring_verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs, int64_t now_s,
                             uint8_t digest[FLK_DIGEST_BYTES], flk_signature_t *signature) {
    prints_t prints;
    prints.python_bytes = flk_canonical(pcs, FLK_PRINT_PYTHON, prints.python);
    prints.digest = digest;
    flk_sha256(prints.python, prints.python_bytes, digest);
    signature->key = FLK_KEYS_MAX;
    signature->payload = false;
    signature->fault = verify(keyring, pcs, now_s, &prints, signature);
    return signature->fault == FLK_SIGNATURE_GOOD ? FLK_OK : FLK_E_SIGNATURE;
}
