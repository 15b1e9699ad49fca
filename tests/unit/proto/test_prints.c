/* SPDX-License-Identifier: MIT */
/* tests/data/vectors/prints.json: claims printed by the usual writers of many languages, and the signed bytes. */

#include "common/pcs/keyring_load.h"
#include "proto/body.h"
#include "tests/unit/rig/pcs_vectors.h"
#include "tests/unit/rig/suite.h"

static flk_keyring_t *keyring;
static flk_pcs_reader_t *reader;

static void setup(void) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_keyring_options_t options = {.alg = FLK_SIGN_HMAC, .hmac_key = "testsecret", .allow_weak = true};
    ck_assert_msg(flk_keyring_new(&options, &keyring, errmsg) == FLK_OK, "%s", errmsg);
    reader = flk_pcs_reader_new();
}

static void teardown(void) {
    flk_keyring_destroy(&keyring);
    flk_pcs_reader_destroy(&reader);
}

static void check(const json_t *vector, const char *way, const flk_pcs_t *pcs) {
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    bool verified = flk_keyring_verify(keyring, pcs, 0, digest, &signature) == FLK_OK;
    ck_assert_msg(verified == json_is_true(json_object_get(vector, "verifies")), "%s, %s: %s", way,
                  vectors_text(vector, "name"), flk_signature_text(signature.fault));
}

static void read_json(const char *text, size_t text_bytes, flk_pcs_t *pcs) {
    flk_pcs_fault_t fault;
    ck_assert_msg(flk_pcs_from_json(text, text_bytes, pcs, &fault) == FLK_OK, "%s: %s", fault.field, fault.reason);
}

static void through_msgpack(const flk_pcs_t *pcs, flk_pcs_t *back) {
    uint8_t bytes[4096];
    ck_assert_uint_le(flk_pcs_msgpack_bound(pcs), sizeof bytes);
    size_t len = flk_pcs_to_msgpack(pcs, bytes);
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_msgpack(reader, bytes, len, back, &fault);
    ck_assert_msg(err == FLK_OK, "%s: %s", fault.field, fault.reason);
}

/* A signature over the claims as they were sent verifies, from any printer, when they are numbers of nine decimals:
 * after JSON, after JSON and msgpack as on the way to a worker, and after JSON that we printed, as from an agent's
 * outbox. */
START_TEST(test_prints_verify_as_they_were_sent) {
    json_t *root = vectors_load("prints.json");
    size_t index;
    json_t *vector;
    ck_assert_uint_gt(json_array_size(json_object_get(root, "cases")), 150);
    json_array_foreach(json_object_get(root, "cases"), index, vector) {
        flk_pcs_t pcs, other;
        const char *body = vectors_text(vector, "body");
        read_json(body, strlen(body), &pcs);
        check(vector, "JSON", &pcs);
        through_msgpack(&pcs, &other);
        check(vector, "msgpack", &other);
        flk_pcs_fini(&other);
        char *json;
        size_t json_bytes;
        ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
        read_json(json, json_bytes, &other);
        check(vector, "our JSON", &other);
        free(json);
        flk_pcs_fini(&other);
        flk_pcs_fini(&pcs);
    }
    json_decref(root);
}
END_TEST

/* The usual prints need no texts beside the numbers: an agent of ours, of Python, JavaScript or Go costs no more. */
START_TEST(test_prints_are_kept_only_where_needed) {
    json_t *root = vectors_load("prints.json");
    size_t index, kept = 0, usual = 0;
    json_t *vector;
    json_array_foreach(json_object_get(root, "cases"), index, vector) {
        flk_pcs_t pcs;
        const char *body = vectors_text(vector, "body"), *name = vectors_text(vector, "name");
        read_json(body, strlen(body), &pcs);
        kept += pcs.has_prints;
        if (strncmp(name, "python", 6) == 0 || strncmp(name, "ecmascript", 10) == 0) {
            usual++;
            ck_assert_msg(!pcs.has_prints, "%s", name);
        }
        flk_pcs_fini(&pcs);
    }
    ck_assert_uint_eq(usual, 24);
    ck_assert_uint_gt(kept, 60);
    json_decref(root);
}
END_TEST

/* The content's digest is that of the Python print, however the claims were printed: two prints are no conflict. */
START_TEST(test_prints_do_not_change_the_digest) {
    json_t *root = vectors_load("prints.json");
    json_t *vector = json_array_get(json_object_get(root, "cases"), 0);
    flk_pcs_t pcs;
    const char *body = vectors_text(vector, "body");
    read_json(body, strlen(body), &pcs);
    uint8_t plain[FLK_DIGEST_BYTES], printed[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    (void)!flk_keyring_verify(keyring, &pcs, 0, plain, &signature);
    pcs.has_prints = true;
    strcpy(pcs.prints[FLK_CLAIM_R], "1E-0");
    (void)!flk_keyring_verify(keyring, &pcs, 0, printed, &signature);
    ck_assert_mem_eq(plain, printed, sizeof plain);
    flk_pcs_fini(&pcs);
    json_decref(root);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("prints");
    TCase *tcase = tcase_create("prints");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_prints_verify_as_they_were_sent);
    tcase_add_test(tcase, test_prints_are_kept_only_where_needed);
    tcase_add_test(tcase, test_prints_do_not_change_the_digest);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
