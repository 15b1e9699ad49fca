/* SPDX-License-Identifier: MIT */
#include "common/pcs/keyring_load.h"
#include "tests/unit/rig/pcs_vectors.h"

#include "tests/unit/rig/suite.h"
#include <sodium.h>

/* RFC 8032, section 7.1, TEST 1 */
#define SEED_HEX "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
#define PUB_HEX  "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"

static void base64_of_hex(const char *hex, char *out, size_t out_bytes) {
    uint8_t raw[64];
    size_t raw_bytes;
    ck_assert_int_eq(sodium_hex2bin(raw, sizeof raw, hex, strlen(hex), NULL, &raw_bytes, NULL), 0);
    sodium_bin2base64(out, out_bytes, raw, raw_bytes, sodium_base64_VARIANT_ORIGINAL);
}

static flk_keyring_options_t options_of(flk_sign_alg_t alg, const char *key, const char *keys, const char *pub) {
    return (flk_keyring_options_t){.alg = alg, .hmac_key = key, .hmac_keys = keys, .ed25519_pub_b64 = pub};
}

static flk_keyring_t *keyring_of(flk_sign_alg_t alg, const char *key, const char *keys, const char *pub) {
    flk_keyring_t *keyring;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_keyring_options_t options = options_of(alg, key, keys, pub);
    flk_err_t err = flk_keyring_new(&options, &keyring, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(flk_keyring_alg(keyring), alg);
    return keyring;
}

static void expect_verify(const flk_keyring_t *keyring, const flk_pcs_t *pcs, const char *expected) {
    uint8_t digest[FLK_DIGEST_BYTES] = {0}, canonical[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    flk_err_t err = flk_keyring_verify(keyring, pcs, 0, digest, &signature);
    ck_assert_int_eq(err, expected == NULL ? FLK_OK : FLK_E_SIGNATURE);
    if (expected != NULL) {
        ck_assert_str_eq(flk_signature_text(signature.fault), expected);
    }
    flk_canonical_digest(pcs, FLK_PRINT_PYTHON, canonical);
    ck_assert_mem_eq(digest, canonical, sizeof digest);
}

static void sign_with(flk_sign_alg_t alg, const char *key, const char *secret, flk_pcs_t *pcs) {
    flk_signer_t *signer;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ck_assert_msg(flk_signer_new(alg, key, secret, &signer, errmsg) == FLK_OK, "%s", errmsg);
    flk_signer_sign(signer, pcs);
    flk_signer_destroy(&signer);
    ck_assert_ptr_null(signer);
}

/* The HMAC of both number prints in every canonical vector verifies, the signer makes the Python one, and another key
 * does neither. */
START_TEST(test_keys_hmac_vectors) {
    json_t *root = vectors_load("canonical.json");
    json_t *cases = json_object_get(root, "cases");
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_HMAC, vectors_text(root, "key"), NULL, NULL);
    flk_keyring_t *other = keyring_of(FLK_SIGN_HMAC, "testsecret2", NULL, NULL);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        json_t *vector = json_array_get(cases, i), *subset = json_object_get(vector, "subset");
        flk_pcs_t pcs = vectors_subset_pcs(subset);
        sign_with(FLK_SIGN_HMAC, vectors_text(root, "key"), NULL, &pcs);
        ck_assert_str_eq(pcs.sig, vectors_text(vector, "hmac_python"));
        expect_verify(keyring, &pcs, NULL);
        expect_verify(other, &pcs, "does not verify");
        strcpy(pcs.sig, vectors_text(vector, "hmac_es"));
        expect_verify(keyring, &pcs, NULL);
        expect_verify(other, &pcs, "does not verify");
    }
    flk_keyring_destroy(&keyring);
    flk_keyring_destroy(&other);
    ck_assert_ptr_null(keyring);
    json_decref(root);
}
END_TEST

/* A keyring verifies with each of its keys, so that keys can overlap while they are rotated. */
START_TEST(test_keys_rotation) {
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_HMAC, "now", "old,,older, spaced ", NULL);
    static const char *const good[] = {"now", "old", "older", " spaced "};
    static const char *const bad[] = {"olde", "older, spaced ", "spaced", "NOW"};
    for (size_t i = 0; i < FLK_COUNT_OF(good); i++) {
        flk_pcs_t pcs = pcs_to_sign();
        sign_with(FLK_SIGN_HMAC, good[i], NULL, &pcs);
        expect_verify(keyring, &pcs, NULL);
        pcs = pcs_to_sign();
        sign_with(FLK_SIGN_HMAC, bad[i], NULL, &pcs);
        expect_verify(keyring, &pcs, "does not verify");
    }
    flk_keyring_destroy(&keyring);
}
END_TEST

/* One changed bit in the signature, or in any signed member, and it does not verify. */
START_TEST(test_keys_any_change_is_noticed) {
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_HMAC, "k", NULL, NULL);
    flk_pcs_t pcs = pcs_to_sign();
    sign_with(FLK_SIGN_HMAC, "k", NULL, &pcs);
    uint8_t sig[32];
    ck_assert_int_eq(
        sodium_base642bin(sig, sizeof sig, pcs.sig, strlen(pcs.sig), NULL, NULL, NULL, sodium_base64_VARIANT_ORIGINAL),
        0);
    for (size_t bit = 0; bit < 8 * sizeof sig; bit++) {
        flk_pcs_t changed = pcs;
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        sodium_bin2base64(changed.sig, sizeof changed.sig, sig, sizeof sig, sodium_base64_VARIANT_ORIGINAL);
        sig[bit / 8] ^= (uint8_t)(1u << bit % 8);
        expect_verify(keyring, &changed, "does not verify");
    }
    flk_pcs_t changed[8];
    for (size_t i = 0; i < FLK_COUNT_OF(changed); i++) {
        changed[i] = pcs;
    }
    changed[0].d_hat += 1e-9;
    changed[1].coh_star += 1e-9;
    changed[2].r += 1e-9;
    changed[3].budget += 1e-9;
    changed[4].epoch++;
    changed[5].shard_id[0] = 'S';
    changed[6].merkle_root[0] = '1';
    changed[7].id[0] ^= 1;
    for (size_t i = 0; i < FLK_COUNT_OF(changed); i++) {
        expect_verify(keyring, &changed[i], "does not verify");
    }
    pcs.d_hat += 1e-10; /* not signed */
    expect_verify(keyring, &pcs, NULL);
    flk_keyring_destroy(&keyring);
}
END_TEST

/* A signature that is absent, not base64 in its one canonical form, or of another length is refused with the reason. */
START_TEST(test_keys_malformed_signatures) {
    static const struct {
        const char *sig, *reason;
    } rows[] = {
        {"", "missing"},
        {"!!!!", "not base64"},
        {"AAA", "not base64"},
        {"AAAA=", "not base64"},
        {"AAAA AAAA", "not base64"},
        {"AB==", "not base64"},                                           /* bits left over */
        {"-_-_", "not base64"},                                           /* the URL alphabet */
        {"rv3WWtCao6W8m9v5taoaI0U4j8meTOMA1znNhjAsNS8", "not base64"},    /* no padding */
        {"rv3WWtCao6W8m9v5taoaI0U4j8meTOMA1znNhjAsNS8=\n", "not base64"}, /* trailing byte */
        {"AAAA", "does not verify"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "does not verify"},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "not base64"},
    };
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_HMAC, "k", NULL, NULL);
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        flk_pcs_t pcs = pcs_to_sign();
        strcpy(pcs.sig, rows[i].sig);
        expect_verify(keyring, &pcs, rows[i].reason);
    }
    /* The right HMAC with something behind it */
    flk_pcs_t pcs = pcs_to_sign();
    uint8_t longer[48] = {0};
    sign_with(FLK_SIGN_HMAC, "k", NULL, &pcs);
    ck_assert_int_eq(sodium_base642bin(longer, sizeof longer, pcs.sig, strlen(pcs.sig), NULL, NULL, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    sodium_bin2base64(pcs.sig, sizeof pcs.sig, longer, sizeof longer, sodium_base64_VARIANT_ORIGINAL);
    expect_verify(keyring, &pcs, "does not verify");
    flk_keyring_destroy(&keyring);
}
END_TEST

/* With signing off every PCS passes, and the digest is there all the same. */
START_TEST(test_keys_none) {
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_NONE, "", NULL, NULL);
    flk_pcs_t pcs = pcs_to_sign();
    expect_verify(keyring, &pcs, NULL);
    strcpy(pcs.sig, "!");
    expect_verify(keyring, &pcs, NULL);
    sign_with(FLK_SIGN_NONE, NULL, NULL, &pcs);
    ck_assert_str_eq(pcs.sig, "");
    flk_keyring_destroy(&keyring);
}
END_TEST

/* Ed25519 signs from a seed or a secret key alike, and verifies with the public key of RFC 8032, beside others. */
START_TEST(test_keys_ed25519) {
    char seed[128], secret[128], pub[128], pubs[512];
    base64_of_hex(SEED_HEX, seed, sizeof seed);
    base64_of_hex(SEED_HEX PUB_HEX, secret, sizeof secret);
    base64_of_hex(PUB_HEX, pub, sizeof pub);
    snprintf(pubs, sizeof pubs, "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=,%s", pub);
    flk_keyring_t *keyring = keyring_of(FLK_SIGN_ED25519, NULL, NULL, pubs);
    flk_pcs_t by_seed = pcs_to_sign(), by_secret = pcs_to_sign();
    sign_with(FLK_SIGN_ED25519, NULL, seed, &by_seed);
    sign_with(FLK_SIGN_ED25519, NULL, secret, &by_secret);
    ck_assert_str_eq(by_seed.sig, by_secret.sig);
    expect_verify(keyring, &by_seed, NULL);

    /* The ECMAScript print verifies too. */
    uint8_t es_digest[FLK_DIGEST_BYTES], raw_secret[64], raw_sig[64];
    flk_canonical_digest(&by_secret, FLK_PRINT_ES, es_digest);
    ck_assert_int_eq(sodium_hex2bin(raw_secret, 64, SEED_HEX PUB_HEX, 128, NULL, NULL, NULL), 0);
    crypto_sign_detached(raw_sig, NULL, es_digest, sizeof es_digest, raw_secret);
    sodium_bin2base64(by_secret.sig, sizeof by_secret.sig, raw_sig, sizeof raw_sig, sodium_base64_VARIANT_ORIGINAL);
    ck_assert_str_ne(by_seed.sig, by_secret.sig);
    expect_verify(keyring, &by_secret, NULL);

    by_seed.epoch++;
    expect_verify(keyring, &by_seed, "does not verify");
    strcpy(by_seed.sig, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="); /* an HMAC's length */
    expect_verify(keyring, &by_seed, "does not verify");
    flk_keyring_destroy(&keyring);
}
END_TEST

static void expect_keyring_error(flk_sign_alg_t alg, const char *key, const char *keys, const char *pub,
                                 const char *part) {
    flk_keyring_t *keyring = NULL;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_keyring_options_t options = options_of(alg, key, keys, pub);
    ck_assert_int_eq(flk_keyring_new(&options, &keyring, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_null(keyring);
    ck_assert_msg(strstr(errmsg, part) != NULL, "'%s'", errmsg);
    ck_assert_ptr_null(strstr(errmsg, "SECRET0"));
}

static void expect_signer_error(flk_sign_alg_t alg, const char *key, const char *secret, const char *part) {
    flk_signer_t *signer = NULL;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ck_assert_int_eq(flk_signer_new(alg, key, secret, &signer, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_null(signer);
    ck_assert_msg(strstr(errmsg, part) != NULL, "'%s'", errmsg);
    ck_assert_ptr_null(strstr(errmsg, "SECRET0"));
}

/* A wrong key setting is named in the message, its value is not. */
START_TEST(test_keys_wrong_settings) {
    expect_keyring_error(FLK_SIGN_HMAC, NULL, NULL, NULL, "PCS_HMAC_KEY");
    expect_keyring_error(FLK_SIGN_HMAC, "", ",,", "x", "PCS_HMAC_KEY");
    expect_keyring_error(FLK_SIGN_HMAC, "a", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,SECRET0", NULL, "at most 16");
    expect_keyring_error(FLK_SIGN_ED25519, "a", NULL, "", "PCS_ED25519_PUB_B64");
    expect_keyring_error(FLK_SIGN_ED25519, NULL, NULL, "SECRET0", "PCS_ED25519_PUB_B64: key 1");
    expect_keyring_error(FLK_SIGN_ED25519, NULL, NULL, "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=,AAAA", "key 2");
    char mixed[128];
    base64_of_hex(SEED_HEX SEED_HEX, mixed, sizeof mixed);
    expect_signer_error(FLK_SIGN_HMAC, "", NULL, "PCS_HMAC_KEY");
    expect_signer_error(FLK_SIGN_ED25519, "k", NULL, "PCS_ED25519_SECRET_B64");
    expect_signer_error(FLK_SIGN_ED25519, NULL, "SECRET0", "PCS_ED25519_SECRET_B64");
    expect_signer_error(FLK_SIGN_ED25519, NULL, "AAAA", "PCS_ED25519_SECRET_B64");
    expect_signer_error(FLK_SIGN_ED25519, NULL, mixed, "public key");
}
END_TEST

/* The names of the algorithms are those of PCS_SIGN_ALG. */
START_TEST(test_keys_alg_names) {
    for (flk_sign_alg_t alg = FLK_SIGN_NONE; alg <= FLK_SIGN_ED25519; alg++) {
        flk_sign_alg_t parsed;
        ck_assert(flk_sign_alg_parse(flk_sign_alg_name(alg), &parsed));
        ck_assert_int_eq(parsed, alg);
    }
    flk_sign_alg_t parsed;
    ck_assert(!flk_sign_alg_parse("HMAC", &parsed));
    ck_assert(!flk_sign_alg_parse("", &parsed));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("keys");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_keys_hmac_vectors);
    tcase_add_test(tcase, test_keys_rotation);
    tcase_add_test(tcase, test_keys_any_change_is_noticed);
    tcase_add_test(tcase, test_keys_malformed_signatures);
    tcase_add_test(tcase, test_keys_none);
    tcase_add_test(tcase, test_keys_ed25519);
    tcase_add_test(tcase, test_keys_wrong_settings);
    tcase_add_test(tcase, test_keys_alg_names);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
