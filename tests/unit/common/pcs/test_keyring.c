/* SPDX-License-Identifier: MIT */
/* Keys with ids and times: the keyring file, its refusals, and which key verifies when. */
#include "common/pcs/keyring_load.h"

#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 8032, section 7.1, TEST 1 */
#define SEED_B64 "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
#define PUB_B64  "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="

static char path[] = "/tmp/flk-keyring-XXXXXX";
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    strcpy(path, "/tmp/flk-keyring-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void) {
    unlink(path);
}

static void write_file(const char *text, mode_t mode) {
    FILE *file = fopen(path, "we");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    ck_assert_int_eq(chmod(path, mode), 0);
}

static flk_keyring_options_t options_of(flk_sign_alg_t alg) {
    return (flk_keyring_options_t){.alg = alg, .file = path, .allow_weak = true};
}

static flk_keyring_t *load(const flk_keyring_options_t *options) {
    flk_keyring_t *keyring;
    flk_err_t err = flk_keyring_new(options, &keyring, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return keyring;
}

static flk_keyring_t *ring_of(const char *text) {
    write_file(text, 0600);
    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    return load(&options);
}

static flk_pcs_t signed_by(flk_sign_alg_t alg, const char *key) {
    flk_pcs_t pcs = pcs_to_sign();
    flk_signer_t *signer;
    ck_assert_msg(flk_signer_new(alg, key, key, &signer, errmsg) == FLK_OK, "%s", errmsg);
    flk_signer_sign(signer, &pcs);
    flk_signer_destroy(&signer);
    return pcs;
}

/* Verifies, and gives the result. */
static flk_signature_t check_at(const flk_keyring_t *keyring, const flk_pcs_t *pcs, int64_t now_s,
                                flk_signature_fault_t fault, const char *id) {
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    flk_err_t err = flk_keyring_verify(keyring, pcs, now_s, digest, &signature);
    ck_assert_int_eq(signature.fault, fault);
    ck_assert_int_eq(err, fault == FLK_SIGNATURE_GOOD ? FLK_OK : FLK_E_SIGNATURE);
    ck_assert_uint_eq(signature.key < FLK_KEYS_MAX, id != NULL);
    if (id != NULL) {
        ck_assert_str_eq(flk_keyring_id(keyring, signature.key), id);
    }
    return signature;
}

/* A key verifies from not_before on, and no longer at not_after; before and after its refusal says so and names it. */
START_TEST(test_keyring_times) {
    enum { FROM = 1767225600, UNTIL = 1769904000 }; /* 2026-01-01, 2026-02-01 */
    flk_keyring_t *ring = ring_of("{\"keys\":[{\"id\":\"jan\",\"alg\":\"hmac\",\"key\":\"k1\",\"not_before\":"
                                  "\"2026-01-01T00:00:00Z\",\"not_after\":\"2026-02-01T00:00:00Z\"},"
                                  "{\"id\":\"ever\",\"alg\":\"hmac\",\"key\":\"k2\"}]}");
    flk_pcs_t jan = signed_by(FLK_SIGN_HMAC, "k1"), ever = signed_by(FLK_SIGN_HMAC, "k2");
    check_at(ring, &jan, FROM - 1, FLK_SIGNATURE_KEY_FUTURE, "jan");
    check_at(ring, &jan, FROM, FLK_SIGNATURE_GOOD, "jan");
    check_at(ring, &jan, UNTIL - 1, FLK_SIGNATURE_GOOD, "jan");
    check_at(ring, &jan, UNTIL, FLK_SIGNATURE_KEY_EXPIRED, "jan");
    check_at(ring, &jan, INT64_MAX - 1, FLK_SIGNATURE_KEY_EXPIRED, "jan");
    check_at(ring, &jan, INT64_MIN, FLK_SIGNATURE_KEY_FUTURE, "jan");
    check_at(ring, &ever, INT64_MIN, FLK_SIGNATURE_GOOD, "ever");
    check_at(ring, &ever, UNTIL, FLK_SIGNATURE_GOOD, "ever");
    flk_pcs_t other = signed_by(FLK_SIGN_HMAC, "k3");
    check_at(ring, &other, FROM, FLK_SIGNATURE_WRONG, NULL);

    ck_assert_uint_eq(flk_keyring_len(ring), 2);
    ck_assert_int_eq(flk_keyring_state(ring, 0, FROM - 1), FLK_KEY_FUTURE);
    ck_assert_int_eq(flk_keyring_state(ring, 0, FROM), FLK_KEY_ACTIVE);
    ck_assert_int_eq(flk_keyring_state(ring, 0, UNTIL), FLK_KEY_EXPIRED);
    ck_assert_int_eq(flk_keyring_next_end(ring, FROM), UNTIL);
    ck_assert_int_eq(flk_keyring_next_end(ring, UNTIL), 0);
    flk_keyring_destroy(&ring);
}
END_TEST

/* One key under two ids, one of them expired: the active one verifies. */
START_TEST(test_keyring_prefers_the_active) {
    flk_keyring_t *ring = ring_of("{\"keys\":[{\"id\":\"old\",\"alg\":\"hmac\",\"key\":\"k\",\"not_after\":"
                                  "\"1970-01-01T00:00:05Z\"},{\"id\":\"new\",\"alg\":\"hmac\",\"key\":\"k\"}]}");
    flk_pcs_t pcs = signed_by(FLK_SIGN_HMAC, "k");
    check_at(ring, &pcs, 4, FLK_SIGNATURE_GOOD, "old");
    check_at(ring, &pcs, 5, FLK_SIGNATURE_GOOD, "new");
    flk_keyring_destroy(&ring);
}
END_TEST

/* A file may hold keys of both algorithms beside those of the settings: the way from one to the other. */
START_TEST(test_keyring_mixed) {
    write_file("{\"keys\":[{\"id\":\"h\",\"alg\":\"hmac\",\"key\":\"k1\"},"
               "{\"id\":\"e\",\"alg\":\"ed25519\",\"public_key\":\"" PUB_B64 "\"}]}",
               0600);
    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    options.hmac_key = "k2";
    options.hmac_keys = "k3,k4";
    flk_keyring_t *ring = load(&options);
    static const char *const keys[] = {"k1", "k2", "k3", "k4"};
    static const char *const ids[] = {"h", "PCS_HMAC_KEY", "PCS_HMAC_KEYS.1", "PCS_HMAC_KEYS.2"};
    for (size_t i = 0; i < FLK_COUNT_OF(keys); i++) {
        flk_pcs_t pcs = signed_by(FLK_SIGN_HMAC, keys[i]);
        check_at(ring, &pcs, 0, FLK_SIGNATURE_GOOD, ids[i]);
    }
    flk_pcs_t pcs = signed_by(FLK_SIGN_ED25519, SEED_B64);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_GOOD, "e");
    /* A public key is no HMAC key: a public text signs nothing. */
    flk_pcs_t confused = signed_by(FLK_SIGN_HMAC, PUB_B64);
    check_at(ring, &confused, 0, FLK_SIGNATURE_WRONG, NULL);
    flk_keyring_destroy(&ring);
}
END_TEST

static void sign_payload(const char *key, flk_print_t print, flk_pcs_t *pcs) {
    char text[FLK_CANONICAL_BYTES];
    uint8_t mac[crypto_auth_hmacsha256_BYTES];
    size_t bytes = flk_canonical(pcs, print, text);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const uint8_t *)key, strlen(key));
    crypto_auth_hmacsha256_update(&state, (const uint8_t *)text, bytes);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2base64(pcs->sig, sizeof pcs->sig, mac, sizeof mac, sodium_base64_VARIANT_ORIGINAL);
}

/* An HMAC over the canonical bytes themselves, of either print, verifies only where that is allowed; elsewhere it is
 * refused, with that reason. */
START_TEST(test_keyring_payload) {
    for (int allowed = 0; allowed <= 1; allowed++) {
        flk_keyring_options_t options = {.alg = FLK_SIGN_HMAC, .hmac_key = "k", .accept_payload = allowed};
        flk_keyring_t *ring = load(&options);
        flk_signature_fault_t fault = allowed ? FLK_SIGNATURE_GOOD : FLK_SIGNATURE_PAYLOAD;
        for (flk_print_t print = FLK_PRINT_PYTHON; print <= FLK_PRINT_ES; print++) {
            flk_pcs_t pcs = pcs_to_sign();
            sign_payload("k", print, &pcs);
            flk_signature_t found = check_at(ring, &pcs, 0, fault, "PCS_HMAC_KEY");
            ck_assert(found.payload);
            sign_payload("other", print, &pcs);
            check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);
        }
        flk_pcs_t digest = signed_by(FLK_SIGN_HMAC, "k");
        ck_assert(!check_at(ring, &digest, 0, FLK_SIGNATURE_GOOD, "PCS_HMAC_KEY").payload);
        flk_keyring_destroy(&ring);
    }
}
END_TEST

static void set_signature(const uint8_t *bytes, size_t len, flk_pcs_t *pcs) {
    sodium_bin2base64(pcs->sig, sizeof pcs->sig, bytes, len, sodium_base64_VARIANT_ORIGINAL);
}

/* A signature is of the algorithm that its length tells, and only keys of that algorithm are tried: a right HMAC that
 * was made as long as an Ed25519 signature is none of either; nor is an Ed25519 signature over the canonical bytes
 * themselves, or a cut one. */
START_TEST(test_keyring_never_mixes_algorithms) {
    write_file("{\"keys\":[{\"id\":\"h\",\"alg\":\"hmac\",\"key\":\"k\"},"
               "{\"id\":\"e\",\"alg\":\"ed25519\",\"public_key\":\"" PUB_B64 "\"}]}",
               0600);
    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    options.accept_payload = true;
    flk_keyring_t *ring = load(&options);
    flk_pcs_t pcs = signed_by(FLK_SIGN_HMAC, "k");
    uint8_t long_mac[crypto_sign_BYTES] = {0}, secret[crypto_sign_SECRETKEYBYTES], pub[crypto_sign_PUBLICKEYBYTES];
    ck_assert_int_eq(sodium_base642bin(long_mac, sizeof long_mac, pcs.sig, strlen(pcs.sig), NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    set_signature(long_mac, sizeof long_mac, &pcs);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);

    uint8_t seed[crypto_sign_SEEDBYTES], sig[crypto_sign_BYTES];
    ck_assert_int_eq(sodium_base642bin(seed, sizeof seed, SEED_B64, strlen(SEED_B64), NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    crypto_sign_seed_keypair(pub, secret, seed);
    for (flk_print_t print = FLK_PRINT_PYTHON; print <= FLK_PRINT_ES; print++) {
        char text[FLK_CANONICAL_BYTES];
        size_t bytes = flk_canonical(&pcs, print, text);
        crypto_sign_detached(sig, NULL, (const uint8_t *)text, bytes, secret);
        set_signature(sig, sizeof sig, &pcs);
        check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);
    }
    pcs = signed_by(FLK_SIGN_ED25519, SEED_B64);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_GOOD, "e");
    ck_assert_int_eq(
        sodium_base642bin(sig, sizeof sig, pcs.sig, strlen(pcs.sig), NULL, NULL, NULL, sodium_base64_VARIANT_ORIGINAL),
        0);
    for (size_t bytes = 1; bytes < sizeof sig; bytes++) {
        set_signature(sig, bytes, &pcs);
        check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);
    }
    flk_keyring_destroy(&ring);
}
END_TEST

/* The same S plus the group's order, little-endian. */
static void add_order(uint8_t s[32]) {
    static const uint8_t order[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,       0xd6,
                                      0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, [31] = 0x10};
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += s[i] + order[i];
        s[i] = (uint8_t)carry;
        carry >>= 8;
    }
}

static flk_err_t new_with_public(const uint8_t *pub, size_t bytes) {
    char b64[64];
    flk_keyring_t *ring = NULL;
    sodium_bin2base64(b64, sizeof b64, pub, bytes, sodium_base64_VARIANT_ORIGINAL);
    flk_err_t err =
        flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_ED25519, .ed25519_pub_b64 = b64}, &ring, errmsg);
    if (err == FLK_OK) {
        flk_keyring_destroy(&ring);
    }
    return err;
}

/* Ed25519 is strict: a signature's S above the order, or of small-order R, does not verify; public keys of small
 * order, not reduced, or not on the curve are refused when the ring is made. */
START_TEST(test_keyring_ed25519_strict) {
    flk_keyring_options_t options = {.alg = FLK_SIGN_ED25519, .ed25519_pub_b64 = PUB_B64};
    flk_keyring_t *ring = load(&options);
    flk_pcs_t pcs = signed_by(FLK_SIGN_ED25519, SEED_B64);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_GOOD, "PCS_ED25519_PUB_B64.1");
    uint8_t sig[64], changed[64];
    ck_assert_int_eq(
        sodium_base642bin(sig, sizeof sig, pcs.sig, strlen(pcs.sig), NULL, NULL, NULL, sodium_base64_VARIANT_ORIGINAL),
        0);
    memcpy(changed, sig, sizeof sig);
    add_order(changed + 32);
    sodium_bin2base64(pcs.sig, sizeof pcs.sig, changed, sizeof changed, sodium_base64_VARIANT_ORIGINAL);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);
    memcpy(changed, sig, sizeof sig);
    memset(changed, 0, 32);
    changed[0] = 1; /* R: the neutral point */
    sodium_bin2base64(pcs.sig, sizeof pcs.sig, changed, sizeof changed, sodium_base64_VARIANT_ORIGINAL);
    check_at(ring, &pcs, 0, FLK_SIGNATURE_WRONG, NULL);
    flk_keyring_destroy(&ring);

    static const uint8_t bad[][32] = {
        {0},                                          /* order 4 */
        {1},                                          /* the neutral point */
        {[0] = 0xec, [1 ... 30] = 0xff, [31] = 0x7f}, /* order 2 */
        {[0] = 0xed, [1 ... 30] = 0xff, [31] = 0x7f}, /* p: 0, not reduced */
        {[0] = 0xee, [1 ... 30] = 0xff, [31] = 0x7f}, /* p + 1: the neutral point, not reduced */
        {[0] = 0x02},                                 /* not on the curve */
        {[0 ... 31] = 0xff},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        ck_assert_msg(new_with_public(bad[i], 32) == FLK_E_CONFIG, "point %zu", i);
    }
}
END_TEST

/* A public key is 32 bytes: one whose last byte is 0 is none without it, in the settings or in a file; so is one with
 * a byte more. */
START_TEST(test_keyring_public_key_length) {
    uint8_t pub[crypto_sign_PUBLICKEYBYTES + 1] = {0}, secret[crypto_sign_SECRETKEYBYTES];
    uint8_t seed[crypto_sign_SEEDBYTES] = {0};
    uint32_t number = 0;
    do {
        memcpy(seed, &number, sizeof number);
        crypto_sign_seed_keypair(pub, secret, seed);
    } while (pub[crypto_sign_PUBLICKEYBYTES - 1] != 0 && ++number < 1 << 20);
    ck_assert_uint_eq(pub[crypto_sign_PUBLICKEYBYTES - 1], 0);
    for (size_t bytes = sizeof pub - 2; bytes <= sizeof pub; bytes++) {
        flk_err_t expected = bytes == crypto_sign_PUBLICKEYBYTES ? FLK_OK : FLK_E_CONFIG;
        ck_assert_int_eq(new_with_public(pub, bytes), expected);
        char b64[64], text[200];
        sodium_bin2base64(b64, sizeof b64, pub, bytes, sodium_base64_VARIANT_ORIGINAL);
        snprintf(text, sizeof text, "{\"keys\":[{\"id\":\"e\",\"alg\":\"ed25519\",\"public_key\":\"%s\"}]}", b64);
        write_file(text, 0600);
        flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
        flk_keyring_t *ring = NULL;
        ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), expected);
        flk_keyring_destroy(&ring);
    }
}
END_TEST

#define HMAC(rest) "{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"" rest "}]}"

/* Every fault in the file is named, with the key's place and the member; its secrets are not. */
START_TEST(test_keyring_file_is_strict) {
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "not JSON"},
        {"{\"keys\":[SECRET0]}", "not JSON"},
        {"[]", "one object"},
        {"{\"keys\":[],\"more\":1}", "one object"},
        {"{\"keys\":{}}", "one object"},
        {"{\"keys\":[]}", "empty"},
        {"{\"keys\":[1]}", "keys[0]: must be an object"},
        {"{\"keys\":[],\"keys\":[]}", "twice"},
        {HMAC(",\"key\":\"SECRET0 of 16 bytes\""), "twice"},
        {HMAC("") " x", "not JSON"},
        {HMAC(",\"note\":\"SECRET0 of 16 bytes\""), "keys[0]: unknown member 'note'"},
        {"{\"keys\":[{\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: id is required"},
        {"{\"keys\":[{\"id\":\"a\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: alg is required"},
        {"{\"keys\":[{\"id\":\"\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: id must"},
        {"{\"keys\":[{\"id\":\"a b\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: id must"},
        {"{\"keys\":[{\"id\":\"a\\u0000b\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}", "not JSON"},
        {"{\"keys\":[{\"id\":\"PCS_HMAC_KEY\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: id must"},
        {"{\"keys\":[{\"id\":\"123456789012345678901234567890123\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 bytes\"}]}",
         "id must"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"none\",\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: alg must"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":1,\"key\":\"SECRET0 of 16 bytes\"}]}", "keys[0]: alg must"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\"}]}", "keys[0]: alg hmac needs key"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"\"}]}", "keys[0]: key must"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":12}]}", "keys[0]: key must"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"Change-Me\"}]}", "keys[0]: key is one that"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"SECRET0 15 byte\"}]}", "keys[0]: key has 15 bytes"},
        {HMAC(",\"public_key\":\"" PUB_B64 "\""), "keys[0]: alg hmac needs key and no public_key"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"ed25519\",\"key\":\"SECRET0 of 16 bytes\"}]}",
         "keys[0]: alg ed25519 needs public_key"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"ed25519\",\"public_key\":\"SECRET0 of 16 bytes\"}]}",
         "keys[0]: public_key is not"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"ed25519\",\"public_key\":"
         "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"}]}",
         "keys[0]: public_key is not"},
        {HMAC(",\"not_before\":1"), "keys[0]: not_before must"},
        {HMAC(",\"not_before\":null"), "keys[0]: not_before must"},
        {HMAC(",\"not_after\":\"2026-02-29T00:00:00Z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T00:00:00+01:00\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T00:00:00.5Z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T23:59:60Z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T00:00:00Z \""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28t00:00:00Z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28 00:00:00Z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T00:00:00z\""), "keys[0]: not_after must"},
        {HMAC(",\"not_after\":\"2026-02-28T00:00:00\""), "keys[0]: not_after must"},
        {HMAC(",\"not_before\":\"2026-02-28T00:00:00Z\",\"not_after\":\"2026-02-28T00:00:00Z\""), "later than"},
        {"{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"SECRET0 of 16 "
         "bytes\"},{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"another of 16 bytes\"}]"
         "}",
         "keys[1]: two keys have the id a"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_keyring_t *ring = NULL;
        flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
        options.hmac_key = "fine";
        options.allow_weak = false;
        write_file(rows[i].text, 0600);
        ck_assert_msg(flk_keyring_new(&options, &ring, errmsg) == FLK_E_CONFIG, "row %zu", i);
        ck_assert_ptr_null(ring);
        ck_assert_msg(strstr(errmsg, rows[i].part) != NULL && strstr(errmsg, path) != NULL &&
                          strstr(errmsg, "PCS_KEYRING_FILE") != NULL,
                      "row %zu: '%s'", i, errmsg);
        ck_assert_msg(strstr(errmsg, "SECRET0") == NULL, "row %zu: '%s'", i, errmsg);
    }
}
END_TEST

/* At most 16 keys, those of the settings counted; a file of more than 64 KiB, or none, is refused. */
START_TEST(test_keyring_bounds) {
    char text[70000] = "{\"keys\":[";
    for (int i = 0; i < 16; i++) {
        snprintf(text + strlen(text), 100, "%s{\"id\":\"k%d\",\"alg\":\"hmac\",\"key\":\"s%d\"}", i > 0 ? "," : "", i,
                 i);
    }
    strcat(text, "]}");
    flk_keyring_t *ring = ring_of(text);
    ck_assert_uint_eq(flk_keyring_len(ring), 16);
    flk_keyring_destroy(&ring);

    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    options.hmac_key = "one more";
    ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "keys[15]: at most 16 keys"));
    options.hmac_key = NULL;
    memset(text + strlen(text), ' ', 65537 - strlen(text));
    text[65537] = '\0';
    write_file(text, 0600);
    ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "larger than 65536"));
    unlink(path);
    ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "cannot open"));
    options.alg = FLK_SIGN_NONE;
    ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "PCS_SIGN_ALG is none"));
}
END_TEST

/* A file with secrets that others may read or write is refused; one of public keys only may be read by all. */
START_TEST(test_keyring_rights) {
    static const char secret[] = HMAC("");
    static const char public[] = "{\"keys\":[{\"id\":\"e\",\"alg\":\"ed25519\",\"public_key\":\"" PUB_B64 "\"}]}";
    static const mode_t good[] = {0600, 0400, 0440, 0640}, bad[] = {0644, 0604, 0602, 0660, 0666, 0777};
    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    flk_keyring_t *ring;
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        write_file(secret, good[i]);
        ring = load(&options);
        flk_keyring_destroy(&ring);
        unlink(path);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        write_file(secret, bad[i]);
        ck_assert_msg(flk_keyring_new(&options, &ring, errmsg) == FLK_E_CONFIG, "%04o", bad[i]);
        ck_assert_ptr_nonnull(strstr(errmsg, "chmod 0600"));
        write_file(public, bad[i]);
        ring = load(&options);
        flk_keyring_destroy(&ring);
        flk_keyring_options_t beside = options_of(FLK_SIGN_HMAC);
        beside.hmac_key = "of the settings"; /* a secret that does not stand in the file */
        ring = load(&beside);
        flk_keyring_destroy(&ring);
    }
}
END_TEST

/* A mounted secret is a link to a link; the rights are those of the file behind it. */
START_TEST(test_keyring_link) {
    char link[sizeof path + 8];
    snprintf(link, sizeof link, "%s-link", path);
    write_file(HMAC(""), 0600);
    ck_assert_int_eq(symlink(path, link), 0);
    flk_keyring_options_t options = {.alg = FLK_SIGN_HMAC, .file = link};
    flk_keyring_t *ring = load(&options);
    flk_keyring_destroy(&ring);
    unlink(link);
}
END_TEST

/* Keys of documents are taken on a developer's machine only, in a file as in the settings. */
START_TEST(test_keyring_samples) {
    flk_keyring_options_t options = options_of(FLK_SIGN_HMAC);
    flk_keyring_t *ring;
    options.allow_weak = false;
    write_file("{\"keys\":[{\"id\":\"a\",\"alg\":\"hmac\",\"key\":\"change-me\"}]}", 0600);
    ck_assert_int_eq(flk_keyring_new(&options, &ring, errmsg), FLK_E_CONFIG);
    options.allow_weak = true;
    ring = load(&options);
    flk_keyring_destroy(&ring);
}
END_TEST

/* Once made, a ring lies in memory that nobody can write, this process included. */
START_TEST(test_keyring_is_read_only) {
    flk_keyring_options_t options = {.alg = FLK_SIGN_HMAC, .hmac_key = "k"};
    flk_keyring_t *ring = load(&options);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512], rights[5] = "";
    ck_assert_ptr_nonnull(maps);
    while (rights[0] == '\0' && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from, to;
        char found[5];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &from, &to, found) == 3 && from <= (uintptr_t)ring &&
            (uintptr_t)ring < to) {
            memcpy(rights, found, sizeof rights);
        }
    }
    fclose(maps);
    ck_assert_str_eq(rights, "r--p");
    flk_keyring_destroy(&ring);
}
END_TEST

/* PCS_SIGN_ACCEPT decides about HMACs over the canonical bytes, and it is not set: they do not verify. */
START_TEST(test_keyring_from_settings) {
    static const char *const accepts[] = {NULL, "digest", "payload"};
    flk_pcs_t pcs = pcs_to_sign();
    sign_payload("a key of 16 bytes or more", FLK_PRINT_PYTHON, &pcs);
    for (size_t i = 0; i < FLK_COUNT_OF(accepts); i++) {
        flk_settings_t *settings;
        flk_keyring_t *ring;
        setenv("PCS_SIGN_ALG", "hmac", 1);
        setenv("PCS_HMAC_KEY", "a key of 16 bytes or more", 1);
        unsetenv("PCS_SIGN_ACCEPT");
        if (accepts[i] != NULL) {
            setenv("PCS_SIGN_ACCEPT", accepts[i], 1);
        }
        ck_assert_msg(flk_settings_load(FLK_PROGRAM_WORKER, &settings, errmsg) == FLK_OK, "%s", errmsg);
        ck_assert_msg(flk_keyring_load(settings, &ring, errmsg) == FLK_OK, "%s", errmsg);
        bool payload = i == 2;
        check_at(ring, &pcs, 0, payload ? FLK_SIGNATURE_GOOD : FLK_SIGNATURE_PAYLOAD, "PCS_HMAC_KEY");
        flk_keyring_destroy(&ring);
        flk_settings_destroy(&settings);
    }
}
END_TEST

int main(void) {
    FLK_ASSERT(sodium_init() >= 0);
    Suite *suite = suite_create("keyring");
    TCase *tcase = tcase_create("all");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_keyring_times);
    tcase_add_test(tcase, test_keyring_prefers_the_active);
    tcase_add_test(tcase, test_keyring_mixed);
    tcase_add_test(tcase, test_keyring_payload);
    tcase_add_test(tcase, test_keyring_never_mixes_algorithms);
    tcase_add_test(tcase, test_keyring_ed25519_strict);
    tcase_add_test(tcase, test_keyring_public_key_length);
    tcase_add_test(tcase, test_keyring_file_is_strict);
    tcase_add_test(tcase, test_keyring_bounds);
    tcase_add_test(tcase, test_keyring_rights);
    tcase_add_test(tcase, test_keyring_link);
    tcase_add_test(tcase, test_keyring_samples);
    tcase_add_test(tcase, test_keyring_is_read_only);
    tcase_add_test(tcase, test_keyring_from_settings);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
