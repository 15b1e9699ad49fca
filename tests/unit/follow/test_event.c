/* SPDX-License-Identifier: MIT */
/* The outcome event in print. */
#include <string.h>

#include "follow/event.h"
#include "proto/frame.h"
#include "proto/inbox_format.h"
#include "tests/unit/rig/suite.h"

static const uint8_t pcs_id[FLK_PCS_ID_BYTES] = {0xab, 1};
static const flk_pcs_t pcs = {.shard_id = "lab-1", .epoch = 42, .budget = 0.25, .coh_star = 0.5, .r = 1};
static const flk_outcome_t outcome = {.status = 202,
                                      .reasons = 1u << FLK_REASON_BUDGET_MISMATCH,
                                      .has_d_hat = true,
                                      .d_hat = 1e-9,
                                      .budget = 0.3,
                                      .regime = FLK_REGIME_NON_STICKY,
                                      .policy_version = "default-1",
                                      .rules = "thin,wide"};

static const char *print(const flk_event_t *event) {
    static char out[FLK_EVENT_JSON_BYTES];
    out[flk_event_print(event, out)] = '\0';
    return out;
}

/* Every member of an event is printed, in the order of the schema. */
START_TEST(test_event_prints_every_member) {
    const flk_event_t event = {.log_id = 0x0123456789abcdef,
                               .lsn = 7,
                               .record_lsn = 5,
                               .time_ms = INT64_C(1767225599042),
                               .received_ms = INT64_C(1767225599000),
                               .status = 202,
                               .flags = FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT,
                               .reasons = outcome.reasons | 1u << FLK_REASON_DEGRADED | 1u << FLK_REASON_RULE,
                               .kind = FLK_BODY_MSGPACK,
                               .body = "secret",
                               .body_bytes = 6,
                               .pcs_id = pcs_id,
                               .pcs = &pcs,
                               .outcome = &outcome,
                               .key = "key-1"};
    ck_assert_str_eq(
        print(&event),
        "{\"log\":\"0123456789abcdef\",\"lsn\":7,\"record_lsn\":5,"
        "\"time\":\"2025-12-31T23:59:59.042Z\",\"received\":\"2025-12-31T23:59:59.000Z\","
        "\"pcs_id\":\"ab01000000000000000000000000000000000000000000000000000000000000\","
        "\"shard_id\":\"lab-1\",\"epoch\":42,\"status\":202,"
        "\"flags\":[\"duplicate\",\"conflict\"],"
        "\"reasons\":[\"budget_mismatch\",\"degraded\",\"rule:thin\",\"rule:wide\"],\"d_hat\":1e-09,\"budget\":0.3,"
        "\"budget_claimed\":0.25,\"regime\":\"non_sticky\",\"coh_star\":0.5,\"r\":1.0,"
        "\"policy_version\":\"default-1\",\"key\":\"key-1\",\"door\":\"zmq\"}");
}
END_TEST

/* Members that an ack of format 1 over a body that is no PCS lacks are null, and all are there. */
START_TEST(test_event_absent_members_are_null) {
    const flk_event_t event = {
        .lsn = UINT64_MAX, .record_lsn = 1, .time_ms = 1, .status = 400, .kind = FLK_BODY_JSON, .body = "{}"};
    ck_assert_str_eq(print(&event), "{\"log\":\"0000000000000000\",\"lsn\":18446744073709551615,\"record_lsn\":1,"
                                    "\"time\":\"1970-01-01T00:00:00.001Z\",\"received\":null,\"pcs_id\":null,"
                                    "\"shard_id\":null,\"epoch\":null,\"status\":400,\"flags\":[],\"reasons\":[],"
                                    "\"d_hat\":null,\"budget\":null,\"budget_claimed\":null,\"regime\":null,"
                                    "\"coh_star\":null,\"r\":null,\"policy_version\":null,\"key\":null,"
                                    "\"door\":\"http\"}");
}
END_TEST

/* An outcome whose D-hat is unverifiable has null for it, and its other numbers. */
START_TEST(test_event_unverifiable_d_hat_is_null) {
    flk_outcome_t unverifiable = outcome;
    unverifiable.has_d_hat = false;
    const flk_event_t event = {.status = 202, .outcome = &unverifiable};
    ck_assert_ptr_nonnull(strstr(print(&event), "\"d_hat\":null,\"budget\":0.3,"));
}
END_TEST

/* The longest event that its members allow fits into the room for one. */
START_TEST(test_event_longest_fits) {
    flk_pcs_t longest = {.epoch = FLK_PCS_INTEGER_MAX, .budget = -1.2345678901234567e+300, .coh_star = -0.123456789};
    flk_outcome_t wide = outcome;
    char key[33];
    longest.r = longest.budget;
    wide.d_hat = wide.budget = longest.budget;
    memset(longest.shard_id, 'x', FLK_PCS_SHARD_MAX);
    memset(wide.policy_version, 'v', sizeof wide.policy_version - 1);
    memset(key, 'k', 32);
    key[32] = '\0';
    const flk_event_t event = {.log_id = UINT64_MAX,
                               .lsn = UINT64_MAX,
                               .record_lsn = UINT64_MAX,
                               .time_ms = INT64_C(253402300799999),
                               .received_ms = INT64_C(253402300799999),
                               .status = UINT16_MAX,
                               .flags = UINT16_MAX,
                               .reasons = UINT32_MAX,
                               .kind = FLK_BODY_JSON,
                               .pcs_id = pcs_id,
                               .pcs = &longest,
                               .outcome = &wide,
                               .key = key};
    ck_assert_uint_lt(strlen(print(&event)), FLK_EVENT_JSON_BYTES);
    ck_assert_ptr_nonnull(strstr(print(&event), "\"time\":\"9999-12-31T23:59:59.999Z\""));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("event");
    TCase *tcase = tcase_create("all");
    tcase_add_test(tcase, test_event_prints_every_member);
    tcase_add_test(tcase, test_event_absent_members_are_null);
    tcase_add_test(tcase, test_event_unverifiable_d_hat_is_null);
    tcase_add_test(tcase, test_event_longest_fits);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
