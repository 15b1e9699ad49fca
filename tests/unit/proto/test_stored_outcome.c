/* SPDX-License-Identifier: MIT */
/* The form in which stores keep outcomes: it must be read for as long as outcomes live, from any version. */
#include <check.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "proto/stored_outcome.h"
#include "tests/unit/rig/suite.h"

static char errmsg[FLK_ERRMSG_BYTES];
static uint8_t key[FLK_PCS_ID_BYTES];

static flk_outcome_record_t sample(uint32_t reasons, flk_regime_t regime, bool has_d_hat) {
    flk_outcome_record_t record = {
        .outcome = {.status = reasons == 0 ? 200 : 202,
                    .reasons = reasons,
                    .has_d_hat = has_d_hat,
                    .d_hat = has_d_hat ? 1.123456789 : 0,
                    .budget = 0.5,
                    .budget_claimed = 0.25,
                    .regime = regime,
                    .policy_version = "default-1"},
    };
    for (size_t i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)(0xa0 + i);
        record.digest[i] = (uint8_t)(0x40 + i);
    }
    memset(record.origin.bytes, 0x11, sizeof record.origin.bytes);
    record.has_unsigned_digest = true;
    memset(record.unsigned_digest, 0x77, sizeof record.unsigned_digest);
    sodium_bin2hex(record.pcs_id, sizeof record.pcs_id, key, sizeof key);
    return record;
}

static void check_equal(const flk_outcome_record_t *a, const flk_outcome_record_t *b) {
    uint8_t left[FLK_OUTCOME_BYTES], right[FLK_OUTCOME_BYTES];
    size_t bytes = flk_outcome_encode(a, left);
    ck_assert_uint_eq(flk_outcome_encode(b, right), bytes);
    ck_assert_mem_eq(left, right, bytes);
}

/* A written outcome is read again, for each reason, each regime, with and without D-hat; and takes little room. */
START_TEST(test_stored_outcome_round_trip) {
    for (uint32_t reasons = 0; reasons < 1u << FLK_REASON_COUNT; reasons++) {
        const bool has_rules = (reasons & 1u << FLK_REASON_RULE) != 0;
        flk_outcome_record_t record = sample(reasons, (flk_regime_t)(reasons % 3), reasons % 2 == 0), back;
        strcpy(record.outcome.rules, has_rules ? "thin,a:b" : "");
        uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
        size_t len = flk_stored_outcome_write(&record, bytes);
        ck_assert_uint_eq(len, FLK_STORED_OUTCOME_HEAD_BYTES + 9 + (has_rules ? 1 + 8 : 0));
        ck_assert_msg(flk_stored_outcome_read(key, bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
        check_equal(&record, &back);
    }
}
END_TEST

/* The bytes are these, on every machine and for ever. */
START_TEST(test_stored_outcome_layout) {
    static const char expected[] = "020201"
                                   "0000000a"
                                   "3ff1f9add3739636"
                                   "3fe0000000000000"
                                   "3fd0000000000000"
                                   "11111111111111111111111111111111"
                                   "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                                   "77777777777777777777777777777777"
                                   "64656661756c742d31";
    flk_outcome_record_t record = sample(1u << 1 | 1u << 3, FLK_REGIME_NON_STICKY, true);
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
    char hex[2 * FLK_STORED_OUTCOME_BYTES_MAX + 1];
    sodium_bin2hex(hex, sizeof hex, bytes, flk_stored_outcome_write(&record, bytes));
    ck_assert_str_eq(hex, expected);
    ck_assert_str_eq(flk_reason_name((flk_reason_t)1), "d_hat_out_of_tolerance");
    ck_assert_str_eq(flk_reason_name((flk_reason_t)3), "r_out_of_bounds");
}
END_TEST

/* Outcomes that the first version kept, in the form of the wire, are read as ever; one of another id is not. */
START_TEST(test_stored_outcome_first_version) {
    flk_outcome_record_t record = sample(4, FLK_REGIME_MIXED, true), back;
    uint8_t bytes[FLK_OUTCOME_BYTES];
    size_t len = flk_outcome_encode(&record, bytes);
    ck_assert_msg(flk_stored_outcome_read(key, bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    check_equal(&record, &back);
    key[0] ^= 1;
    ck_assert_int_eq(flk_stored_outcome_read(key, bytes, len, &back, errmsg), FLK_E_INVALID);
}
END_TEST

/* Outcomes of layout 1, which has no digest of the unsigned, are read as ever, and written for records that have
 * none. */
START_TEST(test_stored_outcome_layout_1) {
    static const char old[] = "010201"
                              "0000000a"
                              "3ff1f9add3739636"
                              "3fe0000000000000"
                              "3fd0000000000000"
                              "11111111111111111111111111111111"
                              "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                              "64656661756c742d31";
    flk_outcome_record_t record = sample(1u << 1 | 1u << 3, FLK_REGIME_NON_STICKY, true), back;
    uint8_t bytes[sizeof old / 2], again[FLK_STORED_OUTCOME_BYTES_MAX];
    size_t len;
    ck_assert_int_eq(sodium_hex2bin(bytes, sizeof bytes, old, sizeof old - 1, NULL, &len, NULL), 0);
    ck_assert_msg(flk_stored_outcome_read(key, bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    record.has_unsigned_digest = false;
    check_equal(&record, &back);
    ck_assert_uint_eq(flk_stored_outcome_write(&back, again), len);
    ck_assert_mem_eq(again, bytes, len);
}
END_TEST

/* Outcomes with rules take layout 3, which workers of before give up as of a later version and never replace; a name
 * that is none, or a reason without names, is damage. */
START_TEST(test_stored_outcome_rules) {
    flk_outcome_record_t record = sample(1u << 6 | 1u << FLK_REASON_RULE, FLK_REGIME_MIXED, true), back;
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
    strcpy(record.outcome.rules, "thin,wide");
    size_t len = flk_stored_outcome_write(&record, bytes);
    ck_assert_uint_eq(len, FLK_STORED_OUTCOME_HEAD_BYTES + sizeof "default-1,thin,wide" - 1);
    ck_assert_uint_eq(bytes[0], 3);
    ck_assert_mem_eq(bytes + FLK_STORED_OUTCOME_HEAD_BYTES, "default-1,thin,wide", 19);
    ck_assert_msg(flk_stored_outcome_read(key, bytes, len, &back, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_str_eq(back.outcome.rules, "thin,wide");
    check_equal(&record, &back);
    for (size_t cut = FLK_STORED_OUTCOME_HEAD_BYTES; cut <= FLK_STORED_OUTCOME_HEAD_BYTES + 10; cut++) {
        ck_assert_int_eq(flk_stored_outcome_read(key, bytes, cut, &back, errmsg), FLK_E_INVALID);
    }
    bytes[FLK_STORED_OUTCOME_HEAD_BYTES + 12] = '"';
    ck_assert_int_eq(flk_stored_outcome_read(key, bytes, len, &back, errmsg), FLK_E_INVALID);
    strcpy(record.outcome.rules, "");
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
}
END_TEST

/* An outcome that could not be read is not written: numbers that are not finite, no id, a version with strange
 * characters. */
START_TEST(test_stored_outcome_refuses_to_write) {
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
    flk_outcome_record_t record = sample(0, FLK_REGIME_STICKY, true);
    record.outcome.d_hat = INFINITY;
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
    record = sample(0, FLK_REGIME_STICKY, true);
    record.outcome.budget = NAN;
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
    record = sample(0, FLK_REGIME_STICKY, true);
    record.pcs_id[0] = '\0';
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
    record = sample(0, FLK_REGIME_STICKY, true);
    record.outcome.policy_version[0] = '\n';
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
    record = sample(0, FLK_REGIME_STICKY, true);
    record.outcome.status = 202;
    ck_assert_uint_eq(flk_stored_outcome_write(&record, bytes), 0);
}
END_TEST

/* The first bytes that later layouts may have are told apart from damage. */
START_TEST(test_stored_outcome_later_version) {
    flk_outcome_record_t record = sample(0, FLK_REGIME_STICKY, true), back;
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX];
    size_t len = flk_stored_outcome_write(&record, bytes);
    for (unsigned layout = 4; layout < 0x80; layout++) {
        bytes[0] = (uint8_t)layout;
        flk_err_t expected = layout <= 0x0f ? FLK_E_UNAVAILABLE : FLK_E_INVALID;
        ck_assert_int_eq(flk_stored_outcome_read(key, bytes, len, &back, errmsg), expected);
    }
}
END_TEST

/* Cut, of another version, or out of range: no outcome. */
START_TEST(test_stored_outcome_damaged) {
    flk_outcome_record_t record = sample(0, FLK_REGIME_STICKY, true), back;
    uint8_t bytes[FLK_STORED_OUTCOME_BYTES_MAX + 1] = {0}, other[sizeof bytes];
    size_t len = flk_stored_outcome_write(&record, bytes);
    for (size_t cut = 0; cut < FLK_STORED_OUTCOME_HEAD_BYTES; cut++) {
        ck_assert_int_eq(flk_stored_outcome_read(key, bytes, cut, &back, errmsg), FLK_E_INVALID);
    }
    static const struct {
        size_t at;
        uint8_t byte;
    } damages[] = {{0, 0},
                   {0, 0x10},
                   {0, 0x7f},
                   {0, 0x80},
                   {1, 3},
                   {2, 2},
                   {3, 1},
                   {5, 1},
                   {7, 0x7f},
                   {FLK_STORED_OUTCOME_HEAD_BYTES, 0},
                   {FLK_STORED_OUTCOME_HEAD_BYTES, '"'}};
    for (size_t i = 0; i < FLK_COUNT_OF(damages); i++) {
        memcpy(other, bytes, sizeof other);
        other[damages[i].at] = damages[i].byte;
        if (damages[i].at == 7) {
            other[8] = 0xf0; /* infinity */
        }
        ck_assert_msg(flk_stored_outcome_read(key, other, len, &back, errmsg) == FLK_E_INVALID, "damage %zu", i);
    }
    memset(bytes + FLK_STORED_OUTCOME_HEAD_BYTES, 'v', FLK_POLICY_VERSION_BYTES);
    ck_assert_int_eq(flk_stored_outcome_read(key, bytes, FLK_STORED_OUTCOME_BYTES_MAX, &back, errmsg), FLK_E_INVALID);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("stored_outcome");
    TCase *tcase = tcase_create("stored_outcome");
    tcase_add_test(tcase, test_stored_outcome_round_trip);
    tcase_add_test(tcase, test_stored_outcome_layout);
    tcase_add_test(tcase, test_stored_outcome_first_version);
    tcase_add_test(tcase, test_stored_outcome_layout_1);
    tcase_add_test(tcase, test_stored_outcome_rules);
    tcase_add_test(tcase, test_stored_outcome_refuses_to_write);
    tcase_add_test(tcase, test_stored_outcome_later_version);
    tcase_add_test(tcase, test_stored_outcome_damaged);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
