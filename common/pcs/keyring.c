/* SPDX-License-Identifier: MIT */
/* Making: the keys of the settings, then those of the file, into one array in secret memory.
 *
 * Verifying: decode `sig`, whose length tells the algorithm; then try each active key of that algorithm over the digest of
 * the Python print, over that of the ECMAScript print where the two differ, and, when allowed, over the prints themselves.
 * Only what no active key made is tried with the other keys, so that its refusal can tell why. */
#include "common/pcs/key_internal.h"

#include <stdio.h>
#include <string.h>

#include "common/secret.h"

/* ---- making ---- */

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

/* (A point that is not reduced is none of libsodium's either, whichever version.) */
bool flk_key_is_ed25519_public(const uint8_t key[crypto_sign_PUBLICKEYBYTES]) {
    return crypto_core_ed25519_is_valid_point(key) == 1;
}

static flk_err_t add_item(flk_keyring_t *keyring, const char *setting, const char *id, const char *item,
                          size_t item_bytes, char *errmsg) {
    flk_key_t *key;
    flk_err_t err = flk_keyring_add(keyring, id, keyring->alg, &key, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, setting);
        return err;
    }
    if (keyring->alg == FLK_SIGN_HMAC) {
        flk_hmac_key_init(&key->material.hmac, item, item_bytes);
        return FLK_OK;
    }
    size_t key_bytes;
    if (!flk_key_decode_base64(item, item_bytes, key->material.ed25519_pub, crypto_sign_PUBLICKEYBYTES, &key_bytes) ||
        key_bytes != crypto_sign_PUBLICKEYBYTES || !flk_key_is_ed25519_public(key->material.ed25519_pub)) {
        flk_errmsg(errmsg, "%s: key %zu is not the base64 of a %u-byte Ed25519 public key", setting, keyring->keys_len,
                   crypto_sign_PUBLICKEYBYTES);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

/* Adds each non-empty item of a comma-separated list. Spaces belong to an item: a key may hold them. */
static flk_err_t add_list(flk_keyring_t *keyring, const char *setting, const char *list, char *errmsg) {
    unsigned number = 0;
    for (const char *item = list; item != NULL && *item != '\0';) {
        size_t item_bytes = strcspn(item, ",");
        if (item_bytes > 0) {
            char id[FLK_KEY_ID_BYTES];
            snprintf(id, sizeof id, "%s.%u", setting, ++number);
            flk_err_t err = add_item(keyring, setting, id, item, item_bytes, errmsg);
            if (err != FLK_OK) {
                return err;
            }
        }
        item += item_bytes + (item[item_bytes] == ',');
    }
    return FLK_OK;
}

static bool is_set(const char *text) {
    return text != NULL && text[0] != '\0';
}

static flk_err_t add_settings(flk_keyring_t *keyring, const flk_keyring_options_t *options, char *errmsg) {
    if (keyring->alg == FLK_SIGN_ED25519) {
        return add_list(keyring, "PCS_ED25519_PUB_B64", options->ed25519_pub_b64, errmsg);
    }
    const char *one = options->hmac_key;
    flk_err_t err = FLK_OK;
    if (is_set(one)) {
        err = add_item(keyring, "PCS_HMAC_KEY", "PCS_HMAC_KEY", one, strlen(one), errmsg);
    }
    return err == FLK_OK ? add_list(keyring, "PCS_HMAC_KEYS", options->hmac_keys, errmsg) : err;
}

static flk_err_t fill(flk_keyring_t *keyring, const flk_keyring_options_t *options, char *errmsg) {
    if (keyring->alg == FLK_SIGN_NONE) {
        if (is_set(options->file)) {
            flk_errmsg(errmsg, "PCS_KEYRING_FILE is set, but PCS_SIGN_ALG is none: set it to hmac or ed25519");
            return FLK_E_CONFIG;
        }
        return FLK_OK;
    }
    flk_err_t err = add_settings(keyring, options, errmsg);
    if (err == FLK_OK && is_set(options->file)) {
        err = flk_keyring_add_file(keyring, options->file, options->allow_samples, errmsg);
    }
    if (err == FLK_OK && keyring->keys_len == 0) {
        flk_errmsg(errmsg, "PCS_SIGN_ALG is %s: set %s or PCS_KEYRING_FILE", flk_sign_alg_name(keyring->alg),
                   keyring->alg == FLK_SIGN_HMAC ? "PCS_HMAC_KEY, PCS_HMAC_KEYS" : "PCS_ED25519_PUB_B64");
        return FLK_E_CONFIG;
    }
    return err;
}

flk_err_t flk_keyring_new(const flk_keyring_options_t *options, flk_keyring_t **keyring, char *errmsg) {
    flk_keyring_t *made = flk_secret_alloc(sizeof *made);
    if (made == NULL) {
        return flk_key_no_memory(errmsg);
    }
    made->alg = options->alg;
    made->accept_payload = options->accept_payload;
    flk_err_t err = fill(made, options, errmsg);
    if (err != FLK_OK) {
        sodium_free(made);
        return err;
    }
    FLK_ASSERT(sodium_mprotect_readonly(made) == 0);
    *keyring = made;
    return FLK_OK;
}

flk_err_t flk_keyring_load(const flk_settings_t *settings, flk_keyring_t **keyring, char *errmsg) {
    flk_keyring_options_t options = {
        .hmac_key = flk_settings_str(settings, FLK_SET_HMAC_KEY),
        .hmac_keys = flk_settings_str(settings, FLK_SET_HMAC_KEYS),
        .ed25519_pub_b64 = flk_settings_str(settings, FLK_SET_ED25519_PUB),
        .file = flk_settings_str(settings, FLK_SET_KEYRING_FILE),
        .accept_payload = strcmp(flk_settings_str(settings, FLK_SET_SIGN_ACCEPT), "payload") == 0,
        .allow_samples = flk_settings_bool(settings, FLK_SET_DEV),
    };
    FLK_ASSERT(
        flk_sign_alg_parse(flk_settings_str(settings, FLK_SET_SIGN_ALG), &options.alg)); /* settings checked it */
    return flk_keyring_new(&options, keyring, errmsg);
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
        [FLK_SIGNATURE_KEY_EXPIRED] = "key has expired",
        [FLK_SIGNATURE_KEY_FUTURE] = "key is not valid yet",
    };
    FLK_ASSERT(fault < FLK_SIGNATURE_FAULTS);
    return texts[fault];
}

/* ---- verifying ---- */

/* What is being verified, and where the search is. */
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
    if (!search->keyring->accept_payload || search->alg != FLK_SIGN_HMAC) {
        return false;
    }
    return try_keys(search, prints->python, prints->python_bytes, true) ||
           (!same && try_keys(search, prints->es, prints->es_bytes, true));
}

static flk_signature_fault_t find_key(search_t *search, const flk_pcs_t *pcs, prints_t *prints) {
    if (try_prints(search, pcs, prints)) {
        return FLK_SIGNATURE_GOOD;
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
    if (!flk_key_decode_base64(pcs->sig, strlen(pcs->sig), sig, sizeof sig, &sig_bytes)) {
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
