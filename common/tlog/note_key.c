/* SPDX-License-Identifier: MIT */
#include "common/tlog/note_key.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/bytes.h"
#include "common/pcs/text.h"
#include "common/sha256.h"

#define SIGNER_PREFIX "PRIVATE+KEY+"

enum { DATA_BYTES = 1 + FLK_NOTE_PUBLIC_BYTES, DATA_TEXT_BYTES = 4 * ((DATA_BYTES + 2) / 3) + 1, ID_HEX = 8 };
_Static_assert(crypto_sign_PUBLICKEYBYTES == FLK_NOTE_PUBLIC_BYTES && crypto_sign_SEEDBYTES == FLK_NOTE_PUBLIC_BYTES &&
                   crypto_sign_SECRETKEYBYTES == FLK_NOTE_SECRET_BYTES,
               "as the header has them");

bool flk_note_name_valid(const char *name, size_t name_bytes) {
    if (name_bytes == 0 || name_bytes >= FLK_NOTE_NAME_BYTES || !flk_text_is_utf8(name, name_bytes)) {
        return false;
    }
    for (size_t i = 0; i < name_bytes; i++) {
        unsigned char byte = (unsigned char)name[i];
        /* Unicode's own blanks: U+0085 and U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000 */
        unsigned char next = i + 1 < name_bytes ? (unsigned char)name[i + 1] : 0;
        unsigned char third = i + 2 < name_bytes ? (unsigned char)name[i + 2] : 0;
        bool blank =
            (byte == 0xc2 && (next == 0x85 || next == 0xa0)) || (byte == 0xe1 && next == 0x9a && third == 0x80) ||
            (byte == 0xe2 && next == 0x80 && (third <= 0x8a || third == 0xa8 || third == 0xa9 || third == 0xaf)) ||
            (byte == 0xe2 && next == 0x81 && third == 0x9f) || (byte == 0xe3 && next == 0x80 && third == 0x80);
        if (byte <= ' ' || byte == 0x7f || byte == '+' || blank) {
            return false;
        }
    }
    return true;
}

static uint32_t id_of(const flk_note_key_t *key) {
    uint8_t digest[FLK_SHA256_BYTES], alg = (uint8_t)key->alg;
    flk_sha256_t sha;
    flk_sha256_init(&sha);
    flk_sha256_update(&sha, key->name, strlen(key->name));
    flk_sha256_update(&sha, "\n", 1);
    flk_sha256_update(&sha, &alg, 1);
    flk_sha256_update(&sha, key->public_key, sizeof key->public_key);
    flk_sha256_final(&sha, digest);
    return flk_get_be32(digest);
}

/* NAME+ID+BASE64 into name, id and data. A '+' may be in the base64 too, and in the name it may not. */
static flk_err_t take_apart(const char *text, flk_note_key_t *key, uint8_t data[DATA_BYTES], char *errmsg) {
    size_t name_bytes = strcspn(text, "+");
    if (!flk_note_name_valid(text, name_bytes) || text[name_bytes] == '\0') {
        flk_errmsg(errmsg, "a key is NAME+ID+BASE64, and a name has no blanks");
        return FLK_E_INVALID;
    }
    memcpy(key->name, text, name_bytes);
    key->name[name_bytes] = '\0';
    const char *id = text + name_bytes + 1;
    char hex[ID_HEX + 1] = "";
    snprintf(hex, sizeof hex, "%s", id);
    if (!flk_text_is_hex(hex, strlen(hex), ID_HEX, true) || strlen(hex) != ID_HEX || id[ID_HEX] != '+') {
        flk_errmsg(errmsg, "the key's id is not 8 hex digits");
        return FLK_E_INVALID;
    }
    sscanf(hex, "%" SCNx32, &key->id);
    const char *base64 = id + ID_HEX + 1;
    size_t base64_bytes = strcspn(base64, "\r\n"), got;
    const char *rest = base64 + base64_bytes;
    rest += strspn(rest, "\r\n");
    if (*rest != '\0' || !flk_base64_decode(base64, base64_bytes, data, DATA_BYTES, &got)) {
        flk_errmsg(errmsg, "the key's last part is not the base64 of an algorithm's number and 32 bytes");
        return FLK_E_INVALID;
    }
    if (got != DATA_BYTES) {
        flk_errmsg(errmsg, "the key has %zu bytes, not an algorithm's number and 32 bytes", got);
        return FLK_E_INVALID;
    }
    return FLK_OK;
}

static flk_err_t check_id(const flk_note_key_t *key, char *errmsg) {
    if (id_of(key) != key->id) {
        flk_errmsg(errmsg, "the key's id does not belong to its name and bytes");
        return FLK_E_INVALID;
    }
    return FLK_OK;
}

flk_err_t flk_note_key_parse(const char *text, flk_note_key_t *key, char *errmsg) {
    uint8_t data[DATA_BYTES];
    if (strncmp(text, SIGNER_PREFIX, strlen(SIGNER_PREFIX)) == 0) {
        flk_errmsg(errmsg, "this is a secret key; a verifier key is wanted (NAME.vkey)");
        return FLK_E_INVALID;
    }
    flk_err_t err = take_apart(text, key, data, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (data[0] != FLK_NOTE_ED25519 && data[0] != FLK_NOTE_COSIGNATURE) {
        flk_errmsg(errmsg, "the key's algorithm 0x%02x is neither 0x01 (Ed25519) nor 0x04 (cosignature)", data[0]);
        return FLK_E_INVALID;
    }
    key->alg = (flk_note_alg_t)data[0];
    memcpy(key->public_key, data + 1, FLK_NOTE_PUBLIC_BYTES);
    return check_id(key, errmsg);
}

static void print_key(const char *prefix, const flk_note_key_t *key, const uint8_t bytes[FLK_NOTE_PUBLIC_BYTES],
                      char text[FLK_NOTE_KEY_TEXT_BYTES]) {
    uint8_t data[DATA_BYTES];
    char base64[DATA_TEXT_BYTES];
    data[0] = (uint8_t)key->alg;
    memcpy(data + 1, bytes, FLK_NOTE_PUBLIC_BYTES);
    sodium_bin2base64(base64, sizeof base64, data, sizeof data, sodium_base64_VARIANT_ORIGINAL);
    snprintf(text, FLK_NOTE_KEY_TEXT_BYTES, "%s%s+%08" PRIx32 "+%s", prefix, key->name, key->id, base64);
    sodium_memzero(data, sizeof data);
    sodium_memzero(base64, sizeof base64);
}

void flk_note_key_print(const flk_note_key_t *key, char text[FLK_NOTE_KEY_TEXT_BYTES]) {
    print_key("", key, key->public_key, text);
}

static void signer_from_seed(flk_note_signer_t *signer, const uint8_t seed[crypto_sign_SEEDBYTES]) {
    signer->key.alg = FLK_NOTE_ED25519;
    crypto_sign_seed_keypair(signer->key.public_key, signer->secret, seed);
}

void flk_note_signer_draw(const char *name, flk_note_signer_t *signer) {
    FLK_ASSERT(flk_note_name_valid(name, strlen(name)));
    uint8_t seed[crypto_sign_SEEDBYTES];
    randombytes_buf(seed, sizeof seed);
    snprintf(signer->key.name, sizeof signer->key.name, "%s", name);
    signer_from_seed(signer, seed);
    signer->key.id = id_of(&signer->key);
    sodium_memzero(seed, sizeof seed);
}

flk_err_t flk_note_signer_parse(const char *text, flk_note_signer_t *signer, char *errmsg) {
    uint8_t data[DATA_BYTES];
    if (strncmp(text, SIGNER_PREFIX, strlen(SIGNER_PREFIX)) != 0) {
        flk_errmsg(errmsg, "this is no signer key; it begins with " SIGNER_PREFIX);
        return FLK_E_INVALID;
    }
    flk_err_t err = take_apart(text + strlen(SIGNER_PREFIX), &signer->key, data, errmsg);
    if (err == FLK_OK && data[0] != FLK_NOTE_ED25519) {
        flk_errmsg(errmsg, "the key's algorithm is 0x%02x, not 0x01 (Ed25519)", data[0]);
        err = FLK_E_INVALID;
    }
    if (err == FLK_OK) {
        signer_from_seed(signer, data + 1);
        err = check_id(&signer->key, errmsg);
    }
    sodium_memzero(data, sizeof data);
    return err;
}

void flk_note_signer_print(const flk_note_signer_t *signer, char text[FLK_NOTE_KEY_TEXT_BYTES]) {
    print_key(SIGNER_PREFIX, &signer->key, signer->secret, text); /* the seed is its first half */
}
