/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <stdio.h>

#include "proto/body.h"
#include "proto/msgpack.h"
#include "tests/unit/rig/pcs_vectors.h"
#include "tests/unit/rig/suite.h"

static flk_pcs_reader_t *reader;
static char errmsg[FLK_ERRMSG_BYTES];

static void setup(void) {
    reader = flk_pcs_reader_new();
    ck_assert_ptr_nonnull(reader);
}

static void teardown(void) {
    flk_pcs_reader_destroy(&reader);
}

/* ---- PCS ---- */

/* A PCS with every member there is. */
static void full_pcs(flk_pcs_t *pcs) {
    flk_pcs_init(pcs);
    strcpy(pcs->version, "0.1");
    strcpy(pcs->shard_id, "shard-001");
    strcpy(pcs->merkle_root, "abcdef0123456789");
    strcpy(pcs->sig, "c2lnbmF0dXJl");
    strcpy(pcs->sent_at, "2025-01-02T03:04:05Z");
    pcs->epoch = FLK_PCS_INTEGER_MAX;
    pcs->d_hat = 1.412;
    pcs->coh_star = 0.73;
    pcs->r = 1e-9;
    pcs->budget = 2.0; /* a whole number stays a float */
    pcs->regime = FLK_REGIME_NON_STICKY;
    pcs->has_attempt = pcs->has_seed = pcs->has_ft = pcs->has_outbox_seq = pcs->has_clock_skew = pcs->degraded = true;
    pcs->attempt = 3;
    pcs->seed = 42;
    pcs->outbox_seq = 7;
    pcs->clock_skew_ms = -1500;
    pcs->scales_len = FLK_PCS_SCALES_MAX;
    pcs->counts_len = FLK_PCS_COUNTS_MAX;
    for (uint32_t i = 0; i < FLK_PCS_COUNTS_MAX; i++) {
        uint64_t scale = i < 2 ? i + 2 : FLK_PCS_INTEGER_MAX - i;
        pcs->counts[i] = (flk_pcs_count_t){scale, FLK_PCS_INTEGER_MAX - i};
        pcs->scales[i % FLK_PCS_SCALES_MAX] = scale;
    }
    pcs->fallbacks_len = FLK_PCS_FALLBACKS_MAX;
    for (uint32_t i = 0; i < FLK_PCS_FALLBACKS_MAX; i++) {
        memset(pcs->fallbacks[i], 'a' + (int)i, FLK_PCS_FALLBACK_MAX);
    }
    pcs->v_star_len = FLK_PCS_V_STAR_MAX;
    pcs->v_star = calloc(FLK_PCS_V_STAR_MAX, sizeof *pcs->v_star);
    for (uint32_t i = 0; i < FLK_PCS_V_STAR_MAX; i++) {
        pcs->v_star[i] = sin(i);
    }
    flk_pcs_set_id(pcs);
}

/* Two PCS are the same when their JSON is: it has every member. */
static void assert_same_pcs(const flk_pcs_t *a, const flk_pcs_t *b) {
    char *a_json, *b_json;
    size_t a_bytes, b_bytes;
    ck_assert_int_eq(flk_pcs_to_json(a, &a_json, &a_bytes), FLK_OK);
    ck_assert_int_eq(flk_pcs_to_json(b, &b_json, &b_bytes), FLK_OK);
    ck_assert_str_eq(a_json, b_json);
    free(a_json);
    free(b_json);
}

static void assert_round_trip(const flk_pcs_t *pcs) {
    uint8_t *bytes = malloc(flk_pcs_msgpack_bound(pcs));
    size_t len = flk_pcs_to_msgpack(pcs, bytes);
    flk_pcs_t back;
    flk_pcs_fault_t fault;
    flk_err_t err = flk_pcs_from_msgpack(reader, bytes, len, &back, &fault);
    ck_assert_msg(err == FLK_OK, "%s: %s", fault.field, fault.reason);
    assert_same_pcs(pcs, &back);
    flk_pcs_fini(&back);
    free(bytes);
}

/* The largest PCS survives, within the bytes that were promised for it. */
START_TEST(test_body_pcs_round_trips_with_every_member) {
    flk_pcs_t pcs;
    full_pcs(&pcs);
    assert_round_trip(&pcs);
    flk_pcs_fini(&pcs);
}
END_TEST

/* Every PCS of the verdict vectors is the same whether it came as JSON or as msgpack. */
START_TEST(test_body_pcs_agrees_with_json_on_the_vectors) {
    json_t *root = vectors_load("verdicts.json");
    json_t *cases = json_is_array(root) ? root : json_object_get(root, "cases");
    size_t index;
    json_t *one;
    ck_assert_uint_gt(json_array_size(cases), 0);
    json_array_foreach(cases, index, one) {
        flk_pcs_t pcs;
        vectors_read_pcs(json_object_get(one, "pcs"), &pcs);
        assert_round_trip(&pcs);
        flk_pcs_fini(&pcs);
    }
    json_decref(root);
}
END_TEST

static size_t small_pcs(uint8_t out[4096]) {
    flk_pcs_t pcs;
    full_pcs(&pcs);
    pcs.scales_len = pcs.counts_len = 2;
    pcs.v_star_len = pcs.fallbacks_len = 1;
    ck_assert_uint_le(flk_pcs_msgpack_bound(&pcs), 4096);
    size_t len = flk_pcs_to_msgpack(&pcs, out);
    flk_pcs_fini(&pcs);
    return len;
}

/* Reads a copy of exactly these bytes, so that asan sees a read beyond them. */
static flk_err_t read_exact(const uint8_t *bytes, size_t len, flk_pcs_fault_t *fault) {
    uint8_t *exact = malloc(len > 0 ? len : 1);
    memcpy(exact, bytes, len);
    flk_pcs_t pcs;
    flk_err_t err = flk_pcs_from_msgpack(reader, exact, len, &pcs, fault);
    if (err == FLK_OK) {
        flk_pcs_fini(&pcs);
    }
    free(exact);
    return err;
}

/* A PCS cut anywhere is refused as too short, with the words of the JSON door; one with more behind it as well. */
START_TEST(test_body_pcs_refuses_every_cut) {
    uint8_t bytes[4097];
    size_t len = small_pcs(bytes);
    flk_pcs_fault_t fault;
    ck_assert_int_eq(read_exact(bytes, len, &fault), FLK_OK);
    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(read_exact(bytes, cut, &fault), FLK_E_INVALID);
        ck_assert_str_eq(fault.reason, FLK_PCS_WHY_SHORT);
        ck_assert_str_eq(fault.field, "");
    }
    bytes[len] = 0xc0;
    ck_assert_int_eq(read_exact(bytes, len + 1, &fault), FLK_E_INVALID);
    ck_assert_str_eq(fault.reason, FLK_PCS_WHY_TRAILING);
}
END_TEST

/* A value that msgpack has and JSON has not is refused, and the fault names the member. */
START_TEST(test_body_pcs_refuses_what_json_cannot_say) {
    static const struct {
        uint8_t bytes[32];
        uint8_t len;
        const char *field, *reason;
    } cases[] = {
        {{0x81, 0xa1, 'r', 0xc4, 1, 0}, 6, "r", "binary"},
        {{0x81, 0xa1, 'r', 0xd4, 1, 0}, 6, "r", "ext"},
        {{0x81, 0x01, 0x02}, 3, "", "key"},
        {{0x81, 0xa1, 'r', 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0}, 12, "r", "number"}, /* NaN */
        {{0x81, 0xa1, 'r', 0xca, 0x7f, 0x80, 0, 0}, 8, "r", "number"},              /* infinity */
        {{0x81, 0xa5, 'e', 'p', 'o', 'c', 'h', 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         16,
         "epoch",
         "integer"},
        {{0x82, 0xa1, 'r', 1, 0xa1, 'r', 1}, 7, "r", "twice"},
        {{0x81, 0xa3, 's', 'i', 'g', 0xa1, 0xff}, 7, "sig", "UTF-8"},
        {{0x91, 0x01}, 2, "", "object"},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_pcs_fault_t fault;
        ck_assert_int_eq(read_exact(cases[i].bytes, cases[i].len, &fault), FLK_E_INVALID);
        ck_assert_msg(strcmp(fault.field, cases[i].field) == 0 && strstr(fault.reason, cases[i].reason) != NULL,
                      "case %zu: %s: %s", i, fault.field, fault.reason);
    }
}
END_TEST

/* Nesting is refused at the same depth as in JSON, however deep it goes on. */
START_TEST(test_body_pcs_refuses_deep_nesting) {
    uint8_t bytes[100000];
    memset(bytes, 0x91, sizeof bytes);
    bytes[0] = 0x81;
    bytes[1] = 0xa1;
    bytes[2] = 'x';
    flk_pcs_fault_t fault;
    ck_assert_int_eq(read_exact(bytes, sizeof bytes, &fault), FLK_E_INVALID);
    ck_assert_msg(strstr(fault.reason, "deeper") != NULL, "%s", fault.reason);
}
END_TEST

/* A body over the limit is too large, with any contents. */
START_TEST(test_body_pcs_refuses_an_oversized_body) {
    size_t len = FLK_PCS_BODY_BYTES_MAX + 1;
    uint8_t *bytes = calloc(1, len);
    flk_pcs_fault_t fault;
    ck_assert_int_eq(read_exact(bytes, len, &fault), FLK_E_TOO_LARGE);
    free(bytes);
}
END_TEST

/* float32 and whole numbers are taken where a float is wanted. */
START_TEST(test_body_pcs_takes_any_number_for_a_float) {
    uint8_t bytes[4096];
    size_t len = small_pcs(bytes);
    const uint8_t r_member[] = {0xa1, 'r', 0xcb};
    uint8_t *at = memmem(bytes, len, r_member, sizeof r_member);
    ck_assert_ptr_nonnull(at);
    memmove(at + 7, at + 11, (size_t)(bytes + len - at) - 11);
    memcpy(at + 2, (const uint8_t[]){0xca, 0x3f, 0, 0, 0}, 5); /* 0.5 */
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    ck_assert_int_eq(flk_pcs_from_msgpack(reader, bytes, len - 4, &pcs, &fault), FLK_OK);
    ck_assert(pcs.r == 0.5);
    flk_pcs_fini(&pcs);
    memmove(at + 3, at + 7, (size_t)(bytes + len - 4 - at) - 7);
    at[2] = 1;
    ck_assert_int_eq(flk_pcs_from_msgpack(reader, bytes, len - 8, &pcs, &fault), FLK_OK);
    ck_assert(pcs.r == 1.0);
    flk_pcs_fini(&pcs);
}
END_TEST

/* ---- outcome ---- */

static flk_outcome_record_t sample_record(void) {
    flk_outcome_record_t record = {
        .outcome =
            {
                .status = FLK_STATUS_ESCALATED,
                .reasons = (1u << FLK_REASON_RULE) - 1,
                .has_d_hat = true,
                .d_hat = 1.0,
                .budget = 0.25,
                .budget_claimed = 0.5,
                .regime = FLK_REGIME_NON_STICKY,
                .policy_version = "0123456789abcdef0123456789abcdef",
            },
    };
    memset(record.pcs_id, 'a', FLK_PCS_ID_HEX);
    memset(record.origin.bytes, 1, sizeof record.origin.bytes);
    memset(record.digest, 2, sizeof record.digest);
    return record;
}

static void assert_record_round_trips(const flk_outcome_record_t *record) {
    uint8_t bytes[FLK_OUTCOME_BYTES];
    size_t len = flk_outcome_encode(record, bytes);
    flk_outcome_record_t back;
    ck_assert_msg(flk_outcome_decode(bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_uint_eq(back.outcome.status, record->outcome.status);
    ck_assert_uint_eq(back.outcome.reasons, record->outcome.reasons);
    ck_assert_int_eq(back.outcome.has_d_hat, record->outcome.has_d_hat);
    ck_assert(back.outcome.d_hat == record->outcome.d_hat);
    ck_assert(back.outcome.budget == record->outcome.budget);
    ck_assert(back.outcome.budget_claimed == record->outcome.budget_claimed);
    ck_assert_int_eq(back.outcome.regime, record->outcome.regime);
    ck_assert_str_eq(back.outcome.policy_version, record->outcome.policy_version);
    ck_assert_str_eq(back.pcs_id, record->pcs_id);
    ck_assert(flk_id_equal(&back.origin, &record->origin));
    ck_assert_mem_eq(back.digest, record->digest, sizeof back.digest);
    ck_assert_int_eq(back.has_unsigned_digest, record->has_unsigned_digest);
    if (back.has_unsigned_digest) {
        ck_assert_mem_eq(back.unsigned_digest, record->unsigned_digest, sizeof back.unsigned_digest);
    }
}

/* The longest outcome, an accepted one, and a dead letter, which knows next to nothing, survive. */
START_TEST(test_body_outcome_round_trips) {
    flk_outcome_record_t record = sample_record();
    assert_record_round_trips(&record);
    record.outcome.status = FLK_STATUS_ACCEPTED;
    record.outcome.reasons = 0;
    assert_record_round_trips(&record);
    flk_outcome_record_t dead = {.outcome = {.status = FLK_STATUS_ESCALATED, .reasons = 1u << FLK_REASON_DEAD_LETTER}};
    assert_record_round_trips(&dead);
    record = sample_record();
    record.has_unsigned_digest = true;
    memset(record.unsigned_digest, 3, sizeof record.unsigned_digest);
    assert_record_round_trips(&record);
    record.outcome.reasons |= 1u << FLK_REASON_RULE;
    strcpy(record.outcome.rules, "rule-01,rule-02,rule-03,rule-04,rule-05,rule-06,rule-07,rule-08,"
                                 "rule-09,rule-10,rule-11,rule-12,rule-13,rule-14,rule-15,rule-16");
    assert_record_round_trips(&record);
    strcpy(record.outcome.rules, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"); /* one more than there may be */
    uint8_t bytes[FLK_OUTCOME_BYTES];
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
}
END_TEST

/* The names of rules travel among the reasons; a name that is none is refused, and so are names without their reason.
 */
START_TEST(test_body_outcome_rules) {
    static const char *const bad[] = {"", "a,", ",a", "a,,b", "a b", "123456789012345678901234567890123"};
    static const char expected[] = "\x93\xa8"
                                   "degraded\xa9"
                                   "rule:thin\xab"
                                   "rule:wide:2";
    flk_outcome_record_t record = sample_record(), back;
    uint8_t bytes[FLK_OUTCOME_BYTES];
    record.has_unsigned_digest = true;
    record.outcome.reasons = 1u << FLK_REASON_DEGRADED | 1u << FLK_REASON_RULE;
    strcpy(record.outcome.rules, "thin,wide:2");
    size_t len = flk_outcome_encode(&record, bytes);
    ck_assert_ptr_nonnull(memmem(bytes, len, expected, sizeof expected - 1));
    ck_assert_int_eq(flk_outcome_decode(bytes, len, &back, errmsg), FLK_OK);
    ck_assert_str_eq(back.outcome.rules, "thin,wide:2");
    uint8_t *at = memmem(bytes, len, "rule:thin", 9);
    memcpy(at, "rule:t in", 9);
    ck_assert_int_eq(flk_outcome_decode(bytes, len, &back, errmsg), FLK_E_INVALID);
    memcpy(at, "rale:thin", 9);
    ck_assert_int_eq(flk_outcome_decode(bytes, len, &back, errmsg), FLK_E_INVALID);
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        strcpy(record.outcome.rules, bad[i]);
        ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    }
    strcpy(record.outcome.rules, "thin");
    record.outcome.reasons = 1u << FLK_REASON_DEGRADED;
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
}
END_TEST

/* Puts `good` in the place of `bad` in an encoded sample and has it read. */
static flk_err_t decode_patched(const void *good, const void *bad, size_t len) {
    uint8_t bytes[FLK_OUTCOME_BYTES];
    flk_outcome_record_t record = sample_record(), back;
    size_t bytes_len = flk_outcome_encode(&record, bytes);
    uint8_t *at = memmem(bytes, bytes_len, good, len);
    ck_assert_ptr_nonnull(at);
    memcpy(at, bad, len);
    return flk_outcome_decode(bytes, bytes_len, &back, errmsg);
}

/* An outcome that contradicts itself, has a number that is not finite, or carries characters that must not reach a
 * client's JSON is refused, by the reader and by the writer. */
START_TEST(test_body_outcome_refuses_nonsense) {
    uint8_t bytes[FLK_OUTCOME_BYTES];
    flk_outcome_record_t record = sample_record();
    ck_assert_int_eq(decode_patched("status\xcc\xca", "status\xcc\xc8", 8), FLK_E_INVALID);
    record.outcome.status = FLK_STATUS_ACCEPTED; /* with reasons */
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    ck_assert_int_eq(decode_patched("0123456789abcdef", "\"123456789abcdef", 16), FLK_E_INVALID);
    record = sample_record();
    record.outcome.policy_version[0] = '"';
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    ck_assert_int_eq(decode_patched("aaaa", "aaaG", 4), FLK_E_INVALID);
    record = sample_record();
    record.pcs_id[63] = 'G';
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    record.pcs_id[63] = '\0';
    ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    ck_assert_int_eq(decode_patched("\xcb\x3f\xd0\x00", "\xcb\x7f\xf0\x00", 4), FLK_E_INVALID); /* 0.25: budget */
    double *const numbers[] = {&record.outcome.d_hat, &record.outcome.budget, &record.outcome.budget_claimed};
    for (size_t i = 0; i < FLK_COUNT_OF(numbers); i++) {
        record = sample_record();
        *numbers[i] = NAN;
        ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
        *numbers[i] = -INFINITY;
        ck_assert_uint_eq(flk_outcome_encode(&record, bytes), 0);
    }
}
END_TEST

static void randomize(void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        ((uint8_t *)data)[i] = (uint8_t)flk_random_u64();
    }
}

/* A record or a problem of any contents, once written, is read again as the same. */
START_TEST(test_body_writes_only_what_it_reads) {
    unsigned outcomes = 0, problems = 0;
    for (int round = 0; round < 20000; round++) {
        flk_outcome_record_t record = sample_record();
        uint8_t *whole = (uint8_t *)&record;
        for (int damage = round % 3; damage > 0; damage--) {
            size_t at = flk_random_u64() % sizeof record;
            whole[at] = (uint8_t)flk_random_u64();
        }
        whole[offsetof(flk_outcome_record_t, has_unsigned_digest)] = round % 2 == 0; /* a bool is one of two bytes */
        whole[offsetof(flk_outcome_record_t, outcome.has_d_hat)] = true;
        uint8_t bytes[FLK_OUTCOME_BYTES];
        size_t len = flk_outcome_encode(&record, bytes);
        if (len != 0) {
            assert_record_round_trips(&record);
            outcomes++;
        }
        flk_problem_t problem = {.field = "sig", .detail = "signature is wrong"}, back;
        randomize(round % 2 == 0 ? problem.detail + flk_random_u64() % 190 : problem.field, 1 + flk_random_u64() % 4);
        len = flk_problem_encode(&problem, bytes);
        if (len != 0) {
            ck_assert_int_eq(flk_problem_decode(bytes, len, &back, errmsg), FLK_OK);
            ck_assert_str_eq(problem.detail, back.detail);
            problems++;
        }
    }
    ck_assert_uint_gt(outcomes, 100);
    ck_assert_uint_gt(problems, 100);
}
END_TEST

/* Cut anywhere an outcome is refused; a member that a later version adds is passed over; one that is missing or comes
 * twice is not. */
START_TEST(test_body_outcome_is_open_to_additions_only) {
    uint8_t bytes[FLK_OUTCOME_BYTES + 16];
    flk_outcome_record_t record = sample_record(), back;
    size_t len = flk_outcome_encode(&record, bytes);
    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(flk_outcome_decode(bytes, cut, &back, errmsg), FLK_E_INVALID);
    }
    bytes[0]++; /* one pair more */
    memcpy(bytes + len, "\xa3new\x91\xc0", 6);
    ck_assert_msg(flk_outcome_decode(bytes, len + 6, &back, errmsg) == FLK_OK, "%s", errmsg);
    memcpy(bytes + len,
           "\xa5"
           "d_hat\xc0",
           7);
    ck_assert_int_eq(flk_outcome_decode(bytes, len + 7, &back, errmsg), FLK_E_INVALID);
    ck_assert_msg(strstr(errmsg, "twice") != NULL, "%s", errmsg);
    bytes[0] -= 2; /* the last pair, digest, is gone */
    ck_assert_int_eq(flk_outcome_decode(bytes, len - 41, &back, errmsg), FLK_E_INVALID);
    ck_assert_msg(strstr(errmsg, "missing") != NULL, "%s", errmsg);
}
END_TEST

/* ---- problem ---- */

/* The longest problem survives; text that is not plain does not. */
START_TEST(test_body_problem_round_trips_plain_text_only) {
    flk_problem_t problem = {0}, back;
    memset(problem.field, 'f', sizeof problem.field - 1);
    memset(problem.detail, 'd', sizeof problem.detail - 1);
    uint8_t bytes[FLK_PROBLEM_BYTES];
    size_t len = flk_problem_encode(&problem, bytes);
    ck_assert_msg(flk_problem_decode(bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_str_eq(back.field, problem.field);
    ck_assert_str_eq(back.detail, problem.detail);
    for (size_t cut = 0; cut < len; cut++) {
        ck_assert_int_eq(flk_problem_decode(bytes, cut, &back, errmsg), FLK_E_INVALID);
    }
    bytes[len - 1] = '\n';
    ck_assert_int_eq(flk_problem_decode(bytes, len, &back, errmsg), FLK_E_INVALID);
}
END_TEST

/* Random damage to valid bodies breaks no decoder. */
START_TEST(test_body_survives_random_damage) {
    unsigned seed = (unsigned)flk_random_u64();
    printf("test_body_survives_random_damage: seed %u\n", seed);
    uint8_t pcs_bytes[4096], outcome_bytes[FLK_OUTCOME_BYTES];
    size_t pcs_len = small_pcs(pcs_bytes);
    flk_outcome_record_t record = sample_record();
    size_t outcome_len = flk_outcome_encode(&record, outcome_bytes);
    for (int round = 0; round < 100000; round++) {
        bool outcome = round % 2 == 0;
        size_t len = outcome ? outcome_len : pcs_len;
        uint8_t *bytes = malloc(len);
        memcpy(bytes, outcome ? outcome_bytes : pcs_bytes, len);
        for (int hits = rand_r(&seed) % 4; hits >= 0; hits--) {
            bytes[(size_t)rand_r(&seed) % len] = (uint8_t)rand_r(&seed);
        }
        flk_pcs_fault_t fault;
        flk_outcome_record_t back;
        flk_problem_t problem;
        if (outcome) {
            flk_err_t err = flk_outcome_decode(bytes, len, &back, errmsg);
            ck_assert(err == FLK_OK || err == FLK_E_INVALID);
            err = flk_problem_decode(bytes, len, &problem, errmsg);
            ck_assert(err == FLK_OK || err == FLK_E_INVALID);
        } else {
            flk_err_t err = read_exact(bytes, len, &fault);
            ck_assert(err == FLK_OK || err == FLK_E_INVALID);
            ck_assert(err == FLK_OK || fault.reason[0] != '\0');
        }
        free(bytes);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("body");
    TCase *tc = tcase_create("body");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_body_pcs_round_trips_with_every_member);
    tcase_add_test(tc, test_body_pcs_agrees_with_json_on_the_vectors);
    tcase_add_test(tc, test_body_pcs_refuses_every_cut);
    tcase_add_test(tc, test_body_pcs_refuses_what_json_cannot_say);
    tcase_add_test(tc, test_body_pcs_refuses_deep_nesting);
    tcase_add_test(tc, test_body_pcs_refuses_an_oversized_body);
    tcase_add_test(tc, test_body_pcs_takes_any_number_for_a_float);
    tcase_add_test(tc, test_body_outcome_round_trips);
    tcase_add_test(tc, test_body_outcome_rules);
    tcase_add_test(tc, test_body_outcome_refuses_nonsense);
    tcase_add_test(tc, test_body_writes_only_what_it_reads);
    tcase_add_test(tc, test_body_outcome_is_open_to_additions_only);
    tcase_add_test(tc, test_body_problem_round_trips_plain_text_only);
    tcase_add_test(tc, test_body_survives_random_damage);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
