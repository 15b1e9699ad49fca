/* SPDX-License-Identifier: MIT */
/* The cost of one PCS, step by step: prints nanoseconds for the PCS of the verdict vectors (about 700 bytes of JSON, 2
 * to 8 scales) and for the greatest number of scales. Each figure is the median of several rounds. */
#include "common/pcs/keyring_load.h"
#include "common/pcs/signals.h"
#include "common/pcs/verdict.h"
#include "proto/frame.h"
#include "proto/stored_outcome.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 31, REPEATS = 10, PACKED_MAX = 4096 };

typedef struct sample {
    char *json;
    size_t json_bytes, packed_bytes;
    uint8_t packed[PACKED_MAX];
    flk_pcs_t pcs, ed25519; /* the same, signed otherwise */
    uint8_t digest[FLK_DIGEST_BYTES], sig[crypto_sign_BYTES];
    flk_outcome_record_t outcome;
} sample_t;

static sample_t *samples;
static size_t samples_len;
static flk_keyring_t *keyring, *ed25519_keyring;
static uint8_t ed25519_pub[crypto_sign_PUBLICKEYBYTES];
static flk_policy_t policy;
static flk_pcs_reader_t *reader;
static uint64_t scales[FLK_PCS_SCALES_MAX];
static flk_pcs_count_t counts[FLK_PCS_SCALES_MAX];
static volatile uint64_t sink; /* keeps results alive */

static void step_json(sample_t *sample) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    FLK_ASSERT(flk_pcs_from_json(sample->json, sample->json_bytes, &pcs, &fault) == FLK_OK);
    sink += pcs.id_raw[0];
    flk_pcs_fini(&pcs);
}

static void step_msgpack(sample_t *sample) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    FLK_ASSERT(flk_pcs_from_msgpack(reader, sample->packed, sample->packed_bytes, &pcs, &fault) == FLK_OK);
    sink += pcs.id_raw[0];
    flk_pcs_fini(&pcs);
}

static void step_print(sample_t *sample) {
    char *json;
    size_t json_bytes;
    FLK_ASSERT(flk_pcs_to_json(&sample->pcs, &json, &json_bytes) == FLK_OK);
    sink += json_bytes;
    free(json);
}

static void step_id(sample_t *sample) {
    flk_pcs_set_id(&sample->pcs);
    sink += sample->pcs.id_raw[0];
}

static void step_canonical(sample_t *sample) {
    char text[FLK_CANONICAL_BYTES];
    sink += flk_canonical(&sample->pcs, FLK_PRINT_PYTHON, text);
}

static void step_digest(sample_t *sample) {
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_canonical_digest(&sample->pcs, FLK_PRINT_PYTHON, digest);
    sink += digest[0];
}

static void step_verify(sample_t *sample) {
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    FLK_ASSERT(flk_keyring_verify(keyring, &sample->pcs, 0, digest, &signature) == FLK_OK);
    sink += digest[0];
}

static void step_verify_ed25519(sample_t *sample) {
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    FLK_ASSERT(flk_keyring_verify(ed25519_keyring, &sample->ed25519, 0, digest, &signature) == FLK_OK);
    sink += digest[0];
}

static void step_libsodium_ed25519(sample_t *sample) {
    FLK_ASSERT(crypto_sign_verify_detached(sample->sig, sample->digest, FLK_DIGEST_BYTES, ed25519_pub) == 0);
    sink += sample->sig[0];
}

static void step_theil_sen(sample_t *sample) {
    double d_hat;
    sink += flk_theil_sen(sample->pcs.scales, sample->pcs.scales_len, sample->pcs.counts, sample->pcs.counts_len,
                          FLK_MEDIAN_MEAN, &d_hat);
}

static void step_theil_sen_most(sample_t *sample) {
    (void)sample;
    double d_hat;
    sink += flk_theil_sen(scales, FLK_PCS_SCALES_MAX, counts, FLK_PCS_SCALES_MAX, FLK_MEDIAN_MEAN, &d_hat);
}

static void step_verdict(sample_t *sample) {
    flk_outcome_t outcome;
    flk_verdict(&sample->pcs, &policy, &outcome);
    sink += outcome.reasons;
}

static void step_worker(sample_t *sample) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    uint8_t digest[FLK_DIGEST_BYTES];
    flk_signature_t signature;
    flk_outcome_t outcome;
    FLK_ASSERT(flk_pcs_from_msgpack(reader, sample->packed, sample->packed_bytes, &pcs, &fault) == FLK_OK);
    FLK_ASSERT(flk_keyring_verify(keyring, &pcs, 0, digest, &signature) == FLK_OK);
    flk_verdict(&pcs, &policy, &outcome);
    sink += outcome.reasons;
    flk_pcs_fini(&pcs);
}

static void step_frame(sample_t *sample) {
    uint8_t header[FLK_FRAME_BYTES];
    flk_frame_t frame = {.kind = FLK_WORK, .delivery = sink, .attempt = 1}, heard;
    memcpy(frame.id.bytes, sample->pcs.id_raw, sizeof frame.id.bytes);
    FLK_ASSERT(flk_frame_decode(header, flk_frame_encode(&frame, header), &heard, NULL) == FLK_OK);
    sink += heard.attempt;
}

static void step_outcome(sample_t *sample) {
    uint8_t bytes[FLK_OUTCOME_BYTES];
    flk_outcome_record_t heard;
    size_t len = flk_outcome_encode(&sample->outcome, bytes);
    FLK_ASSERT(flk_outcome_decode(bytes, len, &heard, NULL) == FLK_OK);
    sink += heard.origin.bytes[0];
}

static void step_kept(sample_t *sample) {
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
    flk_outcome_record_t heard;
    size_t len = flk_stored_outcome_write(&sample->outcome, bytes);
    FLK_ASSERT(flk_stored_outcome_read(sample->pcs.id_raw, bytes, len, &heard, NULL) == FLK_OK);
    sink += heard.origin.bytes[0];
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static void measure(const char *name, void step(sample_t *sample)) {
    double rounds_ns[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        uint64_t began_ns = flk_mono_ns();
        for (size_t repeat = 0; repeat < REPEATS; repeat++) {
            for (size_t i = 0; i < samples_len; i++) {
                step(&samples[i]);
            }
        }
        rounds_ns[round] = (double)(flk_mono_ns() - began_ns) / (double)(REPEATS * samples_len);
    }
    qsort(rounds_ns, ROUNDS, sizeof *rounds_ns, compare);
    printf("%-46s %8.0f ns\n", name, rounds_ns[ROUNDS / 2]);
}

static void load_samples(const json_t *cases) {
    samples_len = json_array_size(cases);
    samples = flk_start_alloc(samples_len * sizeof *samples);
    for (size_t i = 0; i < samples_len; i++) {
        sample_t *sample = &samples[i];
        flk_pcs_fault_t fault;
        sample->json =
            json_dumps(json_object_get(json_array_get(cases, i), "pcs"), JSON_COMPACT | JSON_REAL_PRECISION(15));
        sample->json_bytes = strlen(sample->json);
        FLK_ASSERT(flk_pcs_from_json(sample->json, sample->json_bytes, &sample->pcs, &fault) == FLK_OK);
        FLK_ASSERT(flk_pcs_msgpack_bound(&sample->pcs) <= PACKED_MAX);
        sample->packed_bytes = flk_pcs_to_msgpack(&sample->pcs, sample->packed);
    }
}

static void sign_samples(void) {
    uint8_t secret[crypto_sign_SECRETKEYBYTES], seed[crypto_sign_SEEDBYTES] = {7};
    char secret_b64[128], pub_b64[64], errmsg[FLK_ERRMSG_BYTES];
    flk_signer_t *signer;
    FLK_ASSERT(crypto_sign_seed_keypair(ed25519_pub, secret, seed) == 0);
    sodium_bin2base64(secret_b64, sizeof secret_b64, secret, sizeof secret, sodium_base64_VARIANT_ORIGINAL);
    sodium_bin2base64(pub_b64, sizeof pub_b64, ed25519_pub, sizeof ed25519_pub, sodium_base64_VARIANT_ORIGINAL);
    FLK_ASSERT(flk_signer_new(FLK_SIGN_ED25519, NULL, secret_b64, &signer, errmsg) == FLK_OK);
    FLK_ASSERT(flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_ED25519, .ed25519_pub_b64 = pub_b64},
                               &ed25519_keyring, errmsg) == FLK_OK);
    for (size_t i = 0; i < samples_len; i++) {
        sample_t *sample = &samples[i];
        sample->ed25519 = sample->pcs; /* borrows its numbers */
        flk_signer_sign(signer, &sample->ed25519);
        flk_canonical_digest(&sample->pcs, FLK_PRINT_PYTHON, sample->digest);
        FLK_ASSERT(crypto_sign_detached(sample->sig, NULL, sample->digest, FLK_DIGEST_BYTES, secret) == 0);
    }
    flk_signer_destroy(&signer);
}

int main(void) {
    json_t *root = json_load_file(FLK_TEST_DATA "/vectors/verdicts.json", 0, NULL);
    FLK_ASSERT(root != NULL);
    load_samples(json_object_get(root, "cases"));
    char errmsg[FLK_ERRMSG_BYTES];
    FLK_ASSERT(flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_HMAC, .hmac_key = "testsecret"}, &keyring,
                               errmsg) == FLK_OK);
    sign_samples();
    flk_policy_default(&policy);
    for (size_t i = 0; i < samples_len; i++) {
        memcpy(samples[i].outcome.pcs_id, samples[i].pcs.id, sizeof samples[i].outcome.pcs_id);
        flk_verdict(&samples[i].pcs, &policy, &samples[i].outcome.outcome);
    }
    reader = flk_pcs_reader_new();
    FLK_ASSERT(reader != NULL);
    for (uint32_t i = 0; i < FLK_PCS_SCALES_MAX; i++) {
        scales[i] = counts[i].scale = 2 + 3 * i;
        counts[i].cells = 1 + (i * 7919u) % 104729u;
    }

    measure("read JSON", step_json);
    measure("read msgpack", step_msgpack);
    measure("print JSON", step_print);
    measure("pcs_id", step_id);
    measure("canonical bytes", step_canonical);
    measure("canonical bytes and SHA-256", step_digest);
    measure("verify HMAC (with canonical bytes, SHA-256)", step_verify);
    measure("verify Ed25519 (with canonical bytes, SHA-256)", step_verify_ed25519);
    measure("libsodium's Ed25519 alone", step_libsodium_ed25519);
    measure("Theil-Sen, 1 to 8 scales", step_theil_sen);
    measure("Theil-Sen, 64 scales", step_theil_sen_most);
    measure("verdict (with Theil-Sen)", step_verdict);
    measure("header frame, written and read", step_frame);
    measure("outcome on the wire, written and read", step_outcome);
    measure("outcome in a store, written and read", step_kept);
    measure("worker: read msgpack, verify, verdict", step_worker);

    for (size_t i = 0; i < samples_len; i++) {
        free(samples[i].json);
        flk_pcs_fini(&samples[i].pcs);
    }
    free(samples);
    flk_pcs_reader_destroy(&reader);
    flk_keyring_destroy(&keyring);
    flk_keyring_destroy(&ed25519_keyring);
    json_decref(root);
    return 0;
}
