/* SPDX-License-Identifier: MIT */
/* count_paths verify|broker: takes some hundred records along a path, for callgrind to count the instructions of its
 * counted_… function. Prints the conditions of the count, and the number of records.
 *
 *   verify  a worker's part for a PCS, without store and sockets: decode, id, HMAC, verdict, outcome, answer
 *   broker  a broker's part for a delivery, without sockets: SUBMIT, queue, WORK, VERDICT */
#include <gnu/libc-version.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/delivery.h"
#include "broker/queue.h"
#include "common/pcs/keyring_load.h"
#include "worker/verify.h"

enum { ROUNDS = 20, BROKER_RECORDS = 1000, BODY_BYTES = 640, PACKED_MAX = 4096 };

static volatile uint64_t sink; /* keeps results alive */

/* ---- verify ---- */

static flk_pcs_reader_t *reader;
static flk_keyring_t *keyring;
static flk_policy_t policy;

__attribute__((noinline)) static void counted_verify(const flk_id_t *submission, const uint8_t *packed,
                                                     size_t packed_bytes) {
    static flk_job_t job;
    uint8_t answer[FLK_OUTCOME_BYTES];
    flk_verify_admit(reader, keyring, 0, submission, packed, packed_bytes, &job);
    FLK_ASSERT(job.state == FLK_JOB_ADMITTED);
    flk_verify_judge(&policy, &job);
    flk_verify_settle(&job);
    sink += flk_outcome_encode(&job.outcome, answer);
    flk_verify_release(&job);
}

static size_t verify(void) {
    json_t *root = json_load_file(FLK_TEST_DATA "/vectors/verdicts.json", 0, NULL),
           *cases = json_object_get(root, "cases");
    flk_id_t submission = {.bytes = {1}};
    size_t records = 0;
    reader = flk_pcs_reader_new();
    FLK_ASSERT(root != NULL && reader != NULL);
    flk_policy_default(&policy);
    FLK_ASSERT(flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_HMAC, .hmac_key = "testsecret"}, &keyring,
                               NULL) == FLK_OK);
    for (size_t i = 0; i < json_array_size(cases); i++) {
        /* As agents print the nine decimals that they sign. */
        char *json =
            json_dumps(json_object_get(json_array_get(cases, i), "pcs"), JSON_COMPACT | JSON_REAL_PRECISION(15));
        uint8_t packed[PACKED_MAX];
        flk_pcs_t pcs;
        flk_pcs_fault_t fault;
        FLK_ASSERT(flk_pcs_from_json(json, strlen(json), &pcs, &fault) == FLK_OK);
        FLK_ASSERT(flk_pcs_msgpack_bound(&pcs) <= PACKED_MAX);
        size_t packed_bytes = flk_pcs_to_msgpack(&pcs, packed);
        for (int round = 0; round < ROUNDS; round++, records++) {
            counted_verify(&submission, packed, packed_bytes);
        }
        flk_pcs_fini(&pcs);
        free(json);
    }
    flk_keyring_destroy(&keyring);
    flk_pcs_reader_destroy(&reader);
    json_decref(root);
    return records;
}

/* ---- broker ---- */

static flk_deliveries_t deliveries;
static flk_queue_t queue;
static flk_gateway_peer_t gateway;

static void pass(const flk_frame_t *frame, flk_frame_t *heard) {
    uint8_t header[FLK_FRAME_BYTES];
    size_t header_bytes = flk_frame_encode(frame, header);
    FLK_ASSERT(flk_frame_decode(header, header_bytes, heard, NULL) == FLK_OK);
}

__attribute__((noinline)) static void counted_broker(const flk_id_t *id, zmq_msg_t *body) {
    flk_frame_t heard;
    flk_delivery_t *delivery;
    pass(&(flk_frame_t){.kind = FLK_SUBMIT, .id = *id}, &heard);
    FLK_ASSERT(flk_deliveries_find(&deliveries, &heard.id) == NULL);
    FLK_ASSERT(flk_deliveries_add(&deliveries, &heard.id, &gateway, body, 0, &delivery) == FLK_OK);
    flk_queue_push(&queue, delivery);
    delivery = flk_queue_pop(&queue);
    pass(&(flk_frame_t){.kind = FLK_WORK, .id = delivery->id, .delivery = delivery->number, .attempt = 1}, &heard);
    pass(&(flk_frame_t){.kind = FLK_VERDICT, .id = *id, .delivery = heard.delivery, .status = 200}, &heard);
    delivery = flk_deliveries_find_number(&deliveries, &heard.id, heard.delivery);
    flk_deliveries_settle(&deliveries, delivery);
    flk_deliveries_remove(&deliveries, delivery);
}

static size_t broker(void) {
    FLK_ASSERT(flk_deliveries_init(&deliveries, 1000, UINT64_C(1) << 30) == FLK_OK);
    for (uint64_t lsn = 0; lsn < BROKER_RECORDS; lsn++) {
        flk_id_t id;
        zmq_msg_t body;
        flk_id_from_lsn(42, lsn, &id);
        FLK_ASSERT(zmq_msg_init_size(&body, BODY_BYTES) == 0);
        counted_broker(&id, &body);
        zmq_msg_close(&body);
    }
    flk_deliveries_fini(&deliveries);
    return BROKER_RECORDS;
}

int main(int argc, char **argv) {
    if (argc != 2 || (strcmp(argv[1], "verify") != 0 && strcmp(argv[1], "broker") != 0)) {
        fprintf(stderr, "usage: count_paths verify|broker\n");
        return 2;
    }
    size_t records = strcmp(argv[1], "verify") == 0 ? verify() : broker();
    printf("compiler %s, glibc %s, libsodium %s, OpenSSL %u.%u\nrecords %zu\n", __VERSION__, gnu_get_libc_version(),
           sodium_version_string(), OPENSSL_version_major(), OPENSSL_version_minor(), records);
    return 0;
}
