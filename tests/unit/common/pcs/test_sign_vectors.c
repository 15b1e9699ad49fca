/* SPDX-License-Identifier: MIT */
/* The primitives that our build links, against vectors of others: RFC 8032 and RFC 4231 from the tree; the 1024 of
 * python3-cryptography-vectors where that is installed; Wycheproof's where FLK_WYCHEPROOF_DIR has its files, as
 * integration/corpora fetches them. */
#include "common/pcs/key_internal.h"
#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <unistd.h>

enum { MESSAGE_BYTES = 4096 };

typedef struct bytes {
    uint8_t data[MESSAGE_BYTES];
    size_t len;
} bytes_t;

static void read_hex(const char *hex, size_t hex_len, bytes_t *out) {
    int failed = sodium_hex2bin(out->data, sizeof out->data, hex, hex_len, NULL, &out->len, NULL);
    ck_assert_int_eq(failed, 0);
}

static void member(const json_t *object, const char *name, bytes_t *out) {
    const char *hex = vectors_text(object, name);
    read_hex(hex, strlen(hex), out);
}

static bool ed25519_verifies(const bytes_t *pub, const bytes_t *message, const bytes_t *sig) {
    return pub->len == crypto_sign_PUBLICKEYBYTES && sig->len == crypto_sign_BYTES &&
           crypto_sign_verify_detached(sig->data, message->data, message->len, pub->data) == 0;
}

static void hmac_of(const bytes_t *key, const bytes_t *message, uint8_t mac[FLK_SHA256_BYTES]) {
    flk_hmac_key_t hmac;
    flk_hmac_key_init(&hmac, key->data, key->len);
    flk_hmac(&hmac, message->data, message->len, mac);
}

/* HMAC-SHA256 as in RFC 4231, with keys shorter and longer than a block. */
START_TEST(test_vectors_rfc4231) {
    json_t *root = vectors_load("rfc4231.json"), *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 6);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *vector = json_array_get(cases, i);
        bytes_t key, message, expected;
        uint8_t mac[FLK_SHA256_BYTES];
        member(vector, "key", &key);
        member(vector, "data", &message);
        member(vector, "hmac_sha256", &expected);
        hmac_of(&key, &message, mac);
        ck_assert_mem_eq(mac, expected.data, sizeof mac);
    }
    json_decref(root);
}
END_TEST

/* Any bit changed in message, signature or key, and it does not verify. */
static void check_tampered(const bytes_t *pub, const bytes_t *message, const bytes_t *sig) {
    for (size_t bit = 0; bit < 8 * sig->len; bit += 7) {
        bytes_t changed = *sig;
        changed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!ed25519_verifies(pub, message, &changed));
    }
    for (size_t bit = 0; bit < 8 * pub->len; bit += 7) {
        bytes_t changed = *pub;
        changed.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert(!ed25519_verifies(&changed, message, sig));
    }
    bytes_t longer = *message;
    longer.data[longer.len++] = 0;
    ck_assert(!ed25519_verifies(pub, &longer, sig));
}

static void check_ed25519(const bytes_t *seed, const bytes_t *pub, const bytes_t *message, const bytes_t *expected) {
    uint8_t made_pub[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES], sig[crypto_sign_BYTES];
    crypto_sign_seed_keypair(made_pub, secret, seed->data);
    ck_assert_mem_eq(made_pub, pub->data, sizeof made_pub);
    crypto_sign_detached(sig, NULL, message->data, message->len, secret);
    ck_assert_mem_eq(sig, expected->data, sizeof sig);
    ck_assert(ed25519_verifies(pub, message, expected));
    ck_assert(flk_key_is_ed25519_public(pub->data));
}

/* Ed25519 as in RFC 8032, section 7.1. */
START_TEST(test_vectors_rfc8032) {
    json_t *root = vectors_load("rfc8032.json"), *cases = json_object_get(root, "cases");
    ck_assert_uint_eq(json_array_size(cases), 5);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *vector = json_array_get(cases, i);
        bytes_t seed, pub, message, sig;
        member(vector, "seed", &seed);
        member(vector, "public_key", &pub);
        member(vector, "message", &message);
        member(vector, "signature", &sig);
        check_ed25519(&seed, &pub, &message, &sig);
        check_tampered(&pub, &message, &sig);
    }
    json_decref(root);
}
END_TEST

/* The 1024 vectors of Ed25519's authors: secret and public key, public key, message, signature and message, with
 * colons. */
START_TEST(test_vectors_sign_input) {
    FILE *file = fopen("/usr/lib/python3/dist-packages/cryptography_vectors/asymmetric/Ed25519/sign.input", "re");
    if (file == NULL) {
        puts("skipped: python3-cryptography-vectors is not installed");
        return;
    }
    static char line[8 * MESSAGE_BYTES];
    unsigned count = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        char *rest = line;
        const char *fields[4];
        for (size_t i = 0; i < 4; i++) {
            fields[i] = strsep(&rest, ":");
            ck_assert_ptr_nonnull(fields[i]);
        }
        bytes_t seed, pub, message, sig;
        read_hex(fields[0], 64, &seed);
        read_hex(fields[1], strlen(fields[1]), &pub);
        read_hex(fields[2], strlen(fields[2]), &message);
        read_hex(fields[3], 128, &sig);
        check_ed25519(&seed, &pub, &message, &sig);
        count++;
    }
    fclose(file);
    ck_assert_uint_eq(count, 1024);
}
END_TEST

/* ---- Wycheproof ---- */

static json_t *wycheproof(const char *name) {
    const char *dir = getenv("FLK_WYCHEPROOF_DIR");
    if (dir == NULL) {
        puts("skipped: FLK_WYCHEPROOF_DIR is not set");
        return NULL;
    }
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (access(path, F_OK) != 0) {
        printf("skipped: there is no %s\n", path);
        return NULL;
    }
    json_t *root = json_load_file(path, 0, NULL);
    ck_assert_msg(root != NULL, "%s", path);
    return root;
}

/* As the keyring judges: a public key that is none is refused before a signature is looked at. */
static bool accepts_ed25519(const json_t *group, const json_t *test) {
    bytes_t pub, message, sig;
    member(json_object_get(group, "publicKey"), "pk", &pub);
    member(test, "msg", &message);
    member(test, "sig", &sig);
    return pub.len == crypto_sign_PUBLICKEYBYTES && flk_key_is_ed25519_public(pub.data) &&
           ed25519_verifies(&pub, &message, &sig);
}

/* A whole tag only: we never take a cut one. */
static bool accepts_hmac(const json_t *group, const json_t *test) {
    bytes_t key, message, tag;
    uint8_t mac[FLK_SHA256_BYTES];
    (void)group;
    member(test, "key", &key);
    member(test, "msg", &message);
    member(test, "tag", &tag);
    hmac_of(&key, &message, mac);
    return tag.len == sizeof mac && sodium_memcmp(mac, tag.data, sizeof mac) == 0;
}

typedef bool accepts_fn(const json_t *group, const json_t *test);

/* Valid signatures verify, invalid ones do not; nothing of these files is left to taste. */
static void check_wycheproof(const char *name, accepts_fn *accepts, size_t expected) {
    json_t *root = wycheproof(name);
    size_t i, j, count = 0;
    json_t *group, *test;
    json_array_foreach(json_object_get(root, "testGroups"), i, group) {
        json_t *size = json_object_get(group, "tagSize");
        bool cut = size != NULL && json_integer_value(size) != 8 * FLK_SHA256_BYTES;
        json_array_foreach(json_object_get(group, "tests"), j, test) {
            bool valid = strcmp(vectors_text(test, "result"), "valid") == 0 && !cut;
            ck_assert_msg(accepts(group, test) == valid, "%s: test %g is %s", name, vectors_number(test, "tcId"),
                          vectors_text(test, "result"));
            count++;
        }
    }
    if (root != NULL) {
        printf("%s: %zu vectors\n", name, count);
        ck_assert_uint_ge(count, expected);
    }
    json_decref(root);
}

/* Wycheproof's Ed25519 and HMAC-SHA256: malleable, cut, off the curve, of small order. */
START_TEST(test_vectors_wycheproof) {
    check_wycheproof("ed25519_test.json", accepts_ed25519, 140);
    check_wycheproof("hmac_sha256_test.json", accepts_hmac, 170);
}
END_TEST

int main(void) {
    FLK_ASSERT(sodium_init() >= 0);
    Suite *suite = suite_create("sign_vectors");
    TCase *tcase = tcase_create("all");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_vectors_rfc4231);
    tcase_add_test(tcase, test_vectors_rfc8032);
    tcase_add_test(tcase, test_vectors_sign_input);
    tcase_add_test(tcase, test_vectors_wycheproof);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
