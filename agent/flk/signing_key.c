/* SPDX-License-Identifier: MIT */
#include "agent/flk/signing_key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/io.h"

enum { ID_MAX = 32, FILE_TEXT_BYTES = 256 };

typedef struct texts {
    char secret[FLK_SIGNING_TEXT_BYTES], public_key[FLK_SIGNING_TEXT_BYTES];
} texts_t;

_Static_assert(crypto_sign_SEEDBYTES == 32 && crypto_sign_PUBLICKEYBYTES == 32, "as FLK_SIGNING_TEXT_BYTES has it");

static void print_base64(const uint8_t bytes[32], char text[FLK_SIGNING_TEXT_BYTES]) {
    sodium_bin2base64(text, FLK_SIGNING_TEXT_BYTES, bytes, 32, sodium_base64_VARIANT_ORIGINAL);
}

static void draw(flk_sign_alg_t alg, texts_t *texts) {
    uint8_t seed[crypto_sign_SEEDBYTES], secret[crypto_sign_SECRETKEYBYTES], public_key[crypto_sign_PUBLICKEYBYTES];
    randombytes_buf(seed, sizeof seed);
    print_base64(seed, texts->secret);
    texts->public_key[0] = '\0';
    if (alg == FLK_SIGN_ED25519) {
        crypto_sign_seed_keypair(public_key, secret, seed);
        print_base64(public_key, texts->public_key);
    }
    sodium_memzero(seed, sizeof seed);
    sodium_memzero(secret, sizeof secret);
}

static flk_err_t write_text(const char *path, const char *text, char *errmsg) {
    return flk_io_write_new(path, text, strlen(text), FLK_IO_MODE, errmsg);
}

static flk_err_t write_files(const flk_signing_key_t *key, flk_sign_alg_t alg, const char *name, const texts_t *texts,
                             char *errmsg) {
    char text[FILE_TEXT_BYTES];
    bool is_hmac = alg == FLK_SIGN_HMAC;
    snprintf(text, sizeof text, "%s\n", texts->secret);
    flk_err_t err = write_text(key->secret_path, text, errmsg);
    if (err == FLK_OK) {
        snprintf(text, sizeof text, "{\"keys\": [{\"id\": \"%s\", \"alg\": \"%s\", \"%s\": \"%s\"}]}\n", name,
                 flk_sign_alg_name(alg), is_hmac ? "key" : "public_key", is_hmac ? texts->secret : texts->public_key);
        err = write_text(key->ring_path, text, errmsg);
        if (err != FLK_OK) {
            (void)!flk_io_unlink(key->secret_path, NULL);
        }
    }
    sodium_memzero(text, sizeof text);
    return err;
}

static flk_err_t check_name(const char *dir, const char *name, char *errmsg) {
    if (strlen(name) > ID_MAX || strncmp(name, "PCS_", 4) == 0) {
        flk_errmsg(errmsg, "the NAME of a signing key has at most %d characters and does not begin with PCS_", ID_MAX);
        return FLK_E_CONFIG;
    }
    if (strlen(dir) + ID_MAX + sizeof "/.ring.json" > PATH_MAX) {
        flk_errmsg(errmsg, "the directory's name is too long");
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

flk_err_t flk_signing_key_make(const char *dir, flk_sign_alg_t alg, const char *name, flk_signing_key_t *key,
                               char *errmsg) {
    texts_t texts;
    flk_err_t err = check_name(dir, name, errmsg);
    err = err != FLK_OK ? err : flk_io_mkdirs(dir, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    snprintf(key->secret_path, sizeof key->secret_path, "%.4000s/%s.secret", dir, name);
    snprintf(key->ring_path, sizeof key->ring_path, "%.4000s/%s.ring.json", dir, name);
    draw(alg, &texts);
    err = write_files(key, alg, name, &texts, errmsg);
    memcpy(key->public_key, texts.public_key, sizeof key->public_key);
    sodium_memzero(&texts, sizeof texts);
    return err;
}
