/* SPDX-License-Identifier: MIT */
/* Keys, notes, checkpoints, proof files and leaves, against vectors of golang.org/x/mod/sumdb/note and
 * filippo.io/torchwood (tests/tlog/vectors). */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/tlog/proof_file.h"
#include "tests/unit/rig/suite.h"

static json_t *vectors;
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    json_error_t error;
    vectors = json_load_file(FLK_TEST_DATA "/tlog/vectors.json", 0, &error);
    ck_assert_msg(vectors != NULL, "%s", error.text);
}

static void teardown(void) {
    json_decref(vectors);
}

static const char *vector(const char *name) {
    return json_string_value(json_object_get(vectors, name));
}

/* Go's keys are read and printed as they are, and a note signed here is the note that Go signed. */
START_TEST(test_note_foreign_signature) {
    flk_note_signer_t signer;
    flk_note_key_t key, witness;
    char text[FLK_NOTE_KEY_TEXT_BYTES], line[FLK_NOTE_LINE_BYTES], note[2048];
    ck_assert_int_eq(flk_note_signer_parse(vector("signer_key"), &signer, errmsg), FLK_OK);
    flk_note_signer_print(&signer, text);
    ck_assert_str_eq(text, vector("signer_key"));
    flk_note_key_print(&signer.key, text);
    ck_assert_str_eq(text, vector("verifier_key"));
    ck_assert_int_eq(flk_note_key_parse(vector("verifier_key"), &key, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_key_parse(vector("witness_key"), &witness, errmsg), FLK_OK);
    ck_assert_int_eq(witness.alg, FLK_NOTE_COSIGNATURE);
    size_t bytes = flk_note_sign(vector("text"), strlen(vector("text")), &signer, 0, line);
    snprintf(note, sizeof note, "%s\n%.*s", vector("text"), (int)bytes, line);
    ck_assert_str_eq(note, vector("note"));
}
END_TEST

/* A cosigned note verifies under the log's key and the witness's; any flipped bit of it is refused by one of them. */
START_TEST(test_note_foreign_cosignature) {
    flk_note_key_t key, witness;
    flk_note_t note;
    uint64_t time_s = 0;
    char data[2048];
    size_t bytes = (size_t)snprintf(data, sizeof data, "%s", vector("cosigned"));
    ck_assert_int_eq(flk_note_key_parse(vector("verifier_key"), &key, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_key_parse(vector("witness_key"), &witness, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_parse(data, bytes, &note, errmsg), FLK_OK);
    ck_assert_uint_eq(note.signatures_len, 2);
    ck_assert_int_eq(flk_note_verify(&note, &key, NULL, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_verify(&note, &witness, &time_s, errmsg), FLK_OK);
    ck_assert_uint_gt(time_s, 1700000000);
    for (size_t bit = 0; bit < 8 * bytes; bit++) {
        data[bit / 8] ^= (char)(1u << bit % 8);
        bool fine = flk_note_parse(data, bytes, &note, errmsg) == FLK_OK &&
                    flk_note_verify(&note, &key, NULL, errmsg) == FLK_OK &&
                    flk_note_verify(&note, &witness, NULL, errmsg) == FLK_OK;
        data[bit / 8] ^= (char)(1u << bit % 8);
        ck_assert_msg(!fine, "bit %zu", bit);
    }
}
END_TEST

/* Notes that are none, each with the reason. */
START_TEST(test_note_refusals) {
    static const struct {
        const char *data, *fault;
    } cases[] = {
        {"", "no empty line"},
        {"a\nb\n", "no empty line"},
        {"a\n\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n AAAAAAA=", "no line end"},
        {"a\n\n- n AAAAAAA=\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n \n", "no signature"},
        {"a\n\n\xe2\x80\x94  AAAAAAA=\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n+m AAAAAAA=\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n AAAA\n", "no signature"},     /* 3 bytes */
        {"a\n\n\xe2\x80\x94 n AAAAAA==\n", "no signature"}, /* an id alone */
        {"a\n\n\xe2\x80\x94 n AAAAAAA\n", "no signature"},
        {"a\n\n\xe2\x80\x94 n AAAA!AA=\n", "no signature"},
        {"a\tb\n\n\xe2\x80\x94 n AAAAAAA=\n", "control"},
        {"a\r\n\n\xe2\x80\x94 n AAAAAAA=\n", "control"},
        {"a\xff\n\n\xe2\x80\x94 n AAAAAAA=\n", "UTF-8"},
        {"a\n\n\xe2\x80\x94 n AAAAAAA=\nb\n", "no signature"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_note_t note;
        flk_err_t err = flk_note_parse(cases[i].data, strlen(cases[i].data), &note, errmsg);
        ck_assert_msg(err == FLK_E_INVALID && strstr(errmsg, cases[i].fault) != NULL, "%zu: %s", i, errmsg);
    }
    flk_note_t note;
    static const char fine[] = "a\n\nb\n\n\xe2\x80\x94 n AAAAAAA=\n"; /* the last empty line counts */
    ck_assert_int_eq(flk_note_parse(fine, strlen(fine), &note, errmsg), FLK_OK);
    ck_assert_uint_eq(note.text_bytes, strlen("a\n\nb\n"));
    static char large[FLK_NOTE_BYTES_MAX + 2];
    memset(large, 'a', sizeof large);
    ck_assert_int_eq(flk_note_parse(large, sizeof large, &note, errmsg), FLK_E_INVALID);
    size_t used = (size_t)snprintf(large, sizeof large, "a\n\n");
    for (unsigned i = 0; i <= FLK_NOTE_SIGNATURES_MAX; i++) {
        ck_assert_int_eq(flk_note_parse(large, used, &note, errmsg), i == 0 ? FLK_E_INVALID : FLK_OK);
        used += (size_t)snprintf(large + used, sizeof large - used, "\xe2\x80\x94 n AAAAAAA=\n");
    }
    ck_assert_int_eq(flk_note_parse(large, used, &note, errmsg), FLK_E_INVALID);
}
END_TEST

/* Keys that are none. A secret key is not taken for a verifier key, and no error quotes a key. */
START_TEST(test_note_key_refusals) {
    static const char *const wrong[] = {
        "",
        "log.example",
        "log.example+3a5dd91f",
        "log.example+3a5dd91f+",
        "+3a5dd91f+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
        "log example+3a5dd91f+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
        "log.example+3a5dd91e+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
        "log.example+3a5dd91+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
        "log.example+3a5dd91f+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZ",
        "log.example+3a5dd91f+AnmlVi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk",
        "log.example+3a5dd91f+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZk x",
        "log.example+3a5dd91f+AXm1Vi6P5lT5QHixEuipi6eQH4U65pW+1+DjkQutBJZkAAAA",
    };
    flk_note_key_t key;
    flk_note_signer_t signer;
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
        errmsg[0] = '\0';
        ck_assert_msg(flk_note_key_parse(wrong[i], &key, errmsg) == FLK_E_INVALID, "%s", wrong[i]);
        ck_assert(errmsg[0] != '\0' && strstr(errmsg, "AXm1") == NULL);
        ck_assert_int_eq(flk_note_signer_parse(wrong[i], &signer, errmsg), FLK_E_INVALID);
    }
    ck_assert_int_eq(flk_note_key_parse(vector("signer_key"), &key, errmsg), FLK_E_INVALID);
    ck_assert_int_eq(flk_note_signer_parse(vector("verifier_key"), &signer, errmsg), FLK_E_INVALID);
    static const char *const names[] = {"", "a b", "a+b", "a\tb", "a\302\240b", "a\343\200\200", "\377"};
    for (size_t i = 0; i < FLK_COUNT_OF(names); i++) {
        ck_assert_msg(!flk_note_name_valid(names[i], strlen(names[i])), "%zu", i);
    }
    static const char fine[] = "caf\xc3\xa9.example/\xe2\x82\xac";
    ck_assert(flk_note_name_valid(fine, strlen(fine)));
}
END_TEST

/* A drawn signer is another one each time, and its note verifies under its key alone. */
START_TEST(test_note_drawn_signers) {
    flk_note_signer_t one, two;
    flk_note_signer_draw("log.example", &one);
    flk_note_signer_draw("log.example", &two);
    char data[1024] = "text\n\n";
    flk_note_t note;
    size_t bytes = 6 + flk_note_sign("text\n", 5, &one, 0, data + 6);
    ck_assert_int_eq(flk_note_parse(data, bytes, &note, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_verify(&note, &one.key, NULL, errmsg), FLK_OK);
    ck_assert_int_eq(flk_note_verify(&note, &two.key, NULL, errmsg), FLK_E_NOT_FOUND);
    two.key.id = one.key.id;
    ck_assert_int_eq(flk_note_verify(&note, &two.key, NULL, errmsg), FLK_E_SIGNATURE);
}
END_TEST

/* The checkpoint of the vectors, and those that are none. */
START_TEST(test_checkpoint_texts) {
    flk_tlog_checkpoint_t checkpoint;
    char text[FLK_TLOG_CHECKPOINT_TEXT_BYTES], extended[512];
    ck_assert_int_eq(flk_tlog_checkpoint_parse(vector("text"), strlen(vector("text")), &checkpoint, errmsg), FLK_OK);
    ck_assert_str_eq(checkpoint.origin, "log.example/flk/00c0ffee00c0ffee");
    ck_assert_uint_eq(checkpoint.size, 300);
    ck_assert_uint_eq(flk_tlog_checkpoint_print(&checkpoint, text), strlen(vector("text")));
    ck_assert_str_eq(text, vector("text"));
    int bytes = snprintf(extended, sizeof extended, "%sextension\n", text);
    ck_assert_int_eq(flk_tlog_checkpoint_parse(extended, (size_t)bytes, &checkpoint, errmsg), FLK_OK);
    static const char root[] = "56/ILTiUT8eTBUUygJHUWCMojB9zTL2sBjlnE+vUtdU=";
    static const char *const wrong[] = {"%s",
                                        "a b\n1\n%s\n",
                                        "\n1\n%s\n",
                                        "a\n01\n%s\n",
                                        "a\n-1\n%s\n",
                                        "a\n\n%s\n",
                                        "a\n9223372036854775808\n%s\n",
                                        "a\n1\n%s",
                                        "a\n1\nx%s\n",
                                        "a\n1\n%s\n\n",
                                        "a\n1\n",
                                        "a\n1\n%s\nx"};
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        bytes = snprintf(extended, sizeof extended, wrong[i], root);
#pragma GCC diagnostic pop
        ck_assert_msg(flk_tlog_checkpoint_parse(extended, (size_t)bytes, &checkpoint, errmsg) == FLK_E_INVALID, "%s",
                      extended);
    }
}
END_TEST

/* A proof file of a tree of one leaf is printed, read and verified; with any bit of it flipped it is refused. */
START_TEST(test_proof_file) {
    flk_note_signer_t signer;
    flk_tlog_checkpoint_t checkpoint = {.origin = "log.example/1", .size = 2}, opened;
    static flk_tlog_proof_file_t file, read;
    flk_note_t note;
    char signed_text[1024], *text;
    size_t text_bytes;
    ck_assert_int_eq(flk_note_signer_parse(vector("signer_key"), &signer, errmsg), FLK_OK);
    flk_tlog_hash_t first, leaf;
    file.extra_bytes = (size_t)snprintf((char *)file.extra, sizeof file.extra, "the leaf");
    flk_tlog_hash_leaf("another", 7, &first);
    flk_tlog_hash_leaf(file.extra, file.extra_bytes, &leaf);
    flk_tlog_hash_node(&first, &leaf, &checkpoint.root);
    size_t bytes = flk_tlog_checkpoint_print(&checkpoint, signed_text);
    signed_text[bytes] = '\n';
    file.checkpoint_bytes = bytes + 1 + flk_note_sign(signed_text, bytes, &signer, 0, signed_text + bytes + 1);
    file.checkpoint = signed_text;
    file.has_extra = true;
    file.index = 1;
    file.proof.len = 1;
    file.proof.hashes[0] = first;
    ck_assert_int_eq(flk_tlog_proof_file_print(&file, &text, &text_bytes), FLK_OK);
    for (size_t bit = 0; bit <= 8 * text_bytes; bit++) { /* the last one flips nothing */
        char *copy = malloc(text_bytes);
        memcpy(copy, text, text_bytes);
        if (bit < 8 * text_bytes) {
            copy[bit / 8] ^= (char)(1u << bit % 8);
        }
        bool fine = flk_tlog_proof_file_parse(copy, text_bytes, &read, errmsg) == FLK_OK &&
                    flk_tlog_proof_file_verify(&read, &signer.key, &note, &opened, errmsg) == FLK_OK;
        free(copy);
        ck_assert_msg(fine == (bit == 8 * text_bytes), "bit %zu: %s", bit, errmsg);
    }
    for (size_t cut = 0; cut < text_bytes; cut++) {
        ck_assert(flk_tlog_proof_file_parse(text, cut, &read, errmsg) != FLK_OK ||
                  flk_tlog_proof_file_verify(&read, &signer.key, &note, &opened, errmsg) != FLK_OK);
    }
    free(text);
}
END_TEST

static flk_tlog_leaf_t specimen(void) {
    flk_tlog_leaf_t leaf = {.log = 0xc0ffee,
                            .lsn = 12,
                            .record_lsn = 11,
                            .received_ms = 1767225600123,
                            .time_ms = 1767225600150,
                            .has_body = true,
                            .has_pcs_id = true,
                            .has_digest = true,
                            .has_outcome = true,
                            .status = 202,
                            .flags = 3,
                            .reasons = 0x11,
                            .key = "k1"};
    memset(leaf.pcs_id, 0xab, sizeof leaf.pcs_id);
    memset(leaf.body_sha256, 0x01, sizeof leaf.body_sha256);
    memset(leaf.digest, 0xfe, sizeof leaf.digest);
    leaf.outcome = (flk_outcome_t){.status = 202,
                                   .reasons = 0x11,
                                   .has_d_hat = true,
                                   .d_hat = 1.5,
                                   .budget = 1,
                                   .budget_claimed = 1e-9,
                                   .regime = FLK_REGIME_MIXED,
                                   .policy_version = "default-1"};
    return leaf;
}

static void check_round(const flk_tlog_leaf_t *leaf) {
    char text[FLK_TLOG_LEAF_BYTES_MAX], again[FLK_TLOG_LEAF_BYTES_MAX];
    flk_tlog_leaf_t read;
    size_t bytes = flk_tlog_leaf_print(leaf, text);
    ck_assert_msg(flk_tlog_leaf_parse(text, bytes, &read, errmsg) == FLK_OK, "%s: %.*s", errmsg, (int)bytes, text);
    ck_assert_uint_eq(flk_tlog_leaf_print(&read, again), bytes);
    ck_assert_mem_eq(text, again, bytes);
}

/* The bytes of a leaf are these for ever. */
START_TEST(test_leaf_bytes) {
    flk_tlog_leaf_t leaf = specimen();
    char text[FLK_TLOG_LEAF_BYTES_MAX + 1];
    text[flk_tlog_leaf_print(&leaf, text)] = '\0';
    ck_assert_str_eq(
        text,
        "{\"body_sha256\":\"0101010101010101010101010101010101010101010101010101010101010101\",\"budget\":1,"
        "\"budget_claimed\":1e-9,\"d_hat\":1.5,\"digest\":"
        "\"fefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefefe\",\"flags\":[\"duplicate\",\"conflict\"],"
        "\"key\":\"k1\",\"log\":\"0000000000c0ffee\",\"lsn\":12,\"pcs_id\":"
        "\"abababababababababababababababababababababababababababababababab\",\"policy_version\":\"default-1\","
        "\"reasons\":[\"d_hat_unverifiable\",\"regime_mismatch\"],\"received_ms\":1767225600123,\"record_lsn\":11,"
        "\"regime\":\"mixed\",\"status\":202,\"time_ms\":1767225600150,\"v\":1}");
    check_round(&leaf);
    flk_tlog_leaf_t gap = {.log = 1, .is_gap = true, .gap_first = 5, .gap_last = 9};
    text[flk_tlog_leaf_print(&gap, text)] = '\0';
    ck_assert_str_eq(text, "{\"gap_first\":5,\"gap_last\":9,\"log\":\"0000000000000001\",\"v\":1}");
    check_round(&gap);
}
END_TEST

/* Every combination of members that may be absent reads as it was written, the longest leaf too. */
START_TEST(test_leaf_members) {
    for (unsigned set = 0; set < 64; set++) {
        flk_tlog_leaf_t leaf = specimen();
        leaf.has_pcs_id = (set & 1) != 0;
        leaf.has_body = (set & 32) != 0;
        leaf.has_digest = (set & 2) != 0;
        leaf.has_outcome = (set & 4) != 0;
        leaf.outcome.has_d_hat = (set & 8) != 0;
        leaf.key[0] = (set & 16) != 0 ? 'k' : '\0';
        check_round(&leaf);
    }
    flk_tlog_leaf_t longest = specimen();
    longest.log = longest.lsn = longest.record_lsn = INT64_MAX;
    longest.received_ms = longest.time_ms = INT64_MAX;
    longest.status = UINT16_MAX;
    longest.flags = longest.reasons = UINT32_MAX;
    longest.outcome.d_hat = longest.outcome.budget = longest.outcome.budget_claimed = -1.2345678901234567e-123;
    longest.outcome.regime = FLK_REGIME_NON_STICKY;
    memset(longest.outcome.rules, 'r', sizeof longest.outcome.rules - 1);
    memset(longest.key, 'k', sizeof longest.key - 1);
    memset(longest.outcome.policy_version, 'p', sizeof longest.outcome.policy_version - 1);
    check_round(&longest);
}
END_TEST

/* Anything but the canonical bytes is refused: blanks, another order, unknown or bent members, a later version. */
START_TEST(test_leaf_refusals) {
    static const char *const wrong[] = {
        "",
        "{}",
        "[]",
        "{\"v\":1}",
        "{\"gap_first\":5,\"gap_last\":9,\"log\":\"0000000000000001\",\"v\": 1}",
        "{\"gap_last\":9,\"gap_first\":5,\"log\":\"0000000000000001\",\"v\":1}",
        "{\"gap_first\":5,\"gap_last\":9,\"log\":\"0000000000000001\",\"more\":1,\"v\":1}",
        "{\"gap_first\":5.0,\"gap_last\":9,\"log\":\"0000000000000001\",\"v\":1}",
        "{\"gap_first\":5,\"gap_last\":9,\"log\":\"000000000000000A\",\"v\":1}",
        "{\"gap_first\":5,\"gap_last\":9,\"log\":\"0000000000000001\",\"v\":1}x",
    };
    flk_tlog_leaf_t leaf;
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
        ck_assert_msg(flk_tlog_leaf_parse(wrong[i], strlen(wrong[i]), &leaf, errmsg) == FLK_E_INVALID, "%s", wrong[i]);
    }
    static const char later[] = "{\"v\":2}";
    ck_assert_int_eq(flk_tlog_leaf_parse(later, strlen(later), &leaf, errmsg), FLK_E_UNAVAILABLE);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("tlog_note");
    TCase *tcase = tcase_create("texts");
    tcase_add_unchecked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_note_foreign_signature);
    tcase_add_test(tcase, test_note_foreign_cosignature);
    tcase_add_test(tcase, test_note_refusals);
    tcase_add_test(tcase, test_note_key_refusals);
    tcase_add_test(tcase, test_note_drawn_signers);
    tcase_add_test(tcase, test_checkpoint_texts);
    tcase_add_test(tcase, test_proof_file);
    tcase_add_test(tcase, test_leaf_bytes);
    tcase_add_test(tcase, test_leaf_members);
    tcase_add_test(tcase, test_leaf_refusals);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
