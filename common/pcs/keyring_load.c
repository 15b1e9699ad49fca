/* SPDX-License-Identifier: MIT */
/* The keys of the settings, then those of the file, into one array in secret memory that is read-only from then on. */
#include "common/pcs/keyring_load.h"

#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/pcs/key_internal.h"
#include "common/secret.h"

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
    if (!flk_base64_decode(item, item_bytes, key->material.ed25519_pub, crypto_sign_PUBLICKEYBYTES, &key_bytes) ||
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
        err = flk_keyring_add_file(keyring, options->file, options->allow_weak, errmsg);
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
        .allow_weak = flk_settings_bool(settings, FLK_SET_DEV),
    };
    FLK_ASSERT(
        flk_sign_alg_parse(flk_settings_str(settings, FLK_SET_SIGN_ALG), &options.alg)); /* settings checked it */
    return flk_keyring_new(&options, keyring, errmsg);
}
