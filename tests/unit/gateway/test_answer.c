/* SPDX-License-Identifier: MIT */
#include "gateway/answer.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

static flk_outcome_record_t outcome_of(uint16_t status) {
    flk_outcome_record_t record = {.outcome = {.status = status,
                                               .has_d_hat = true,
                                               .d_hat = 1.25,
                                               .budget = 0.3,
                                               .budget_claimed = 0.5,
                                               .regime = FLK_REGIME_MIXED,
                                               .policy_version = "2026-01"}};
    memset(record.pcs_id, 'a', FLK_PCS_ID_HEX);
    return record;
}

static flk_answer_t answer_of(const flk_outcome_record_t *record, uint32_t flags) {
    flk_answer_t answer;
    ck_assert_int_eq(flk_answer_init_outcome(&answer, record, flags), FLK_OK);
    return answer;
}

/* Prints and parses back; ends the answer. */
static json_t *print(flk_answer_t *answer) {
    char text[FLK_ANSWER_BYTES];
    size_t bytes = flk_answer_print(answer, text);
    json_t *parsed = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(parsed != NULL, "no JSON: %.*s", (int)bytes, text);
    flk_answer_fini(answer);
    return parsed;
}

static const char *text_of(const json_t *object, const char *member) {
    const char *text = json_string_value(json_object_get(object, member));
    ck_assert_msg(text != NULL, "no text %s", member);
    return text;
}

static bool is_true(const json_t *object, const char *member) {
    const json_t *value = json_object_get(object, member);
    ck_assert_msg(json_is_boolean(value), "no boolean %s", member);
    return json_is_true(value);
}

/* An accepted PCS: every member of openapi.yaml's Outcome, and no conflict where there is none. */
START_TEST(test_answer_accepted) {
    flk_outcome_record_t record = outcome_of(FLK_STATUS_ACCEPTED);
    flk_answer_t answer = answer_of(&record, 0);
    json_t *json = print(&answer);
    ck_assert(is_true(json, "accepted") && !is_true(json, "escalated") && !is_true(json, "duplicate"));
    ck_assert_str_eq(text_of(json, "pcs_id"), record.pcs_id);
    ck_assert(json_real_value(json_object_get(json, "recomputed_D_hat")) == 1.25);
    ck_assert(json_real_value(json_object_get(json, "recomputed_budget")) == 0.3);
    ck_assert(json_real_value(json_object_get(json, "budget")) == 0.5);
    ck_assert_str_eq(text_of(json, "regime"), "mixed");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "reasons")), 0);
    ck_assert_str_eq(text_of(json, "policy_version"), "2026-01");
    ck_assert_ptr_null(json_object_get(json, "conflict"));
    ck_assert_uint_eq(json_object_size(json), 10);
    json_decref(json);
}
END_TEST

/* An escalated one tells all its reasons in their order; flags show; a D_hat that cannot be computed is null. */
START_TEST(test_answer_escalated) {
    flk_outcome_record_t record = outcome_of(FLK_STATUS_ESCALATED);
    record.outcome.has_d_hat = false;
    record.outcome.reasons = (1u << FLK_REASON_COUNT) - 1;
    strcpy(record.outcome.rules, "thin,wide:2");
    record.has_unsigned_digest = true;
    flk_answer_t answer = answer_of(&record, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    json_t *json = print(&answer);
    ck_assert(!is_true(json, "accepted") && is_true(json, "escalated"));
    ck_assert(is_true(json, "duplicate") && is_true(json, "conflict"));
    ck_assert(json_is_null(json_object_get(json, "recomputed_D_hat")));
    const json_t *reasons = json_object_get(json, "reasons");
    ck_assert_uint_eq(json_array_size(reasons), FLK_REASON_COUNT + 1);
    ck_assert_str_eq(json_string_value(json_array_get(reasons, FLK_REASON_RULE)), "rule:thin");
    ck_assert_str_eq(json_string_value(json_array_get(reasons, FLK_REASON_RULE + 1)), "rule:wide:2");
    for (unsigned i = 0; i < FLK_REASON_RULE; i++) {
        ck_assert_str_eq(json_string_value(json_array_get(reasons, i)), flk_reason_name((flk_reason_t)i));
    }
    json_decref(json);
}
END_TEST

/* A verdict is made into an answer once: with its outcome decoded, and its bytes as they came for the other door.
 * One that is no verdict leaves the answer with nothing to free, however large its body; a leak checker sees to
 * that. */
START_TEST(test_answer_verdict) {
    enum { LARGE = 1000 };
    flk_outcome_record_t record = outcome_of(FLK_STATUS_ACCEPTED);
    uint8_t bytes[FLK_OUTCOME_BYTES], pcs_id[FLK_PCS_ID_BYTES];
    const size_t size = flk_outcome_encode(&record, bytes);
    flk_message_t message;
    flk_answer_t answer;
    flk_message_init(&message);
    message.frame = (flk_frame_t){.kind = FLK_VERDICT, .status = 200, .flags = FLK_FLAG_DUPLICATE};
    ck_assert_int_eq(zmq_msg_init_size(&message.body, size), 0);
    memcpy(zmq_msg_data(&message.body), bytes, size);
    ck_assert_ptr_null(flk_answer_init_verdict(&answer, &message));
    ck_assert_uint_eq(zmq_msg_size(&answer.encoded), size);
    ck_assert_mem_eq(zmq_msg_data(&answer.encoded), bytes, size);
    memset(pcs_id, 0xaa, sizeof pcs_id);
    ck_assert(flk_answer_is_about(&answer, pcs_id));
    pcs_id[31] = 0xab;
    ck_assert(!flk_answer_is_about(&answer, pcs_id));
    json_t *json = print(&answer);
    ck_assert(is_true(json, "duplicate"));
    json_decref(json);
    zmq_msg_close(&message.body);
    ck_assert_int_eq(zmq_msg_init_size(&message.body, LARGE), 0);
    memset(zmq_msg_data(&message.body), 0xc1, LARGE);
    for (unsigned status = 0; status <= 600; status += 100) {
        message.frame.status = status;
        ck_assert_ptr_nonnull(flk_answer_init_verdict(&answer, &message));
        flk_answer_fini(&answer);
    }
    flk_message_fini(&message);
}
END_TEST

/* A problem carries status, title, detail, and the field where one is at fault, escaped and cut to fit. */
START_TEST(test_answer_problem) {
    char long_text[1000];
    flk_answer_t answer;
    flk_answer_init_problem(&answer, 400, "N_j", "a \"count\" is negative", 0);
    json_t *json = print(&answer);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "status")), 400);
    ck_assert_str_eq(text_of(json, "title"), "Bad Request");
    ck_assert_str_eq(text_of(json, "detail"), "a \"count\" is negative");
    ck_assert_str_eq(text_of(json, "field"), "N_j");
    json_decref(json);
    memset(long_text, '"', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    flk_answer_init_problem(&answer, 503, "", long_text, 1500);
    ck_assert_uint_eq(answer.retry_ms, 1500);
    json = print(&answer);
    ck_assert_ptr_null(json_object_get(json, "field"));
    json_decref(json);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("answer");
    TCase *tcase = tcase_create("answer");
    tcase_add_test(tcase, test_answer_accepted);
    tcase_add_test(tcase, test_answer_escalated);
    tcase_add_test(tcase, test_answer_verdict);
    tcase_add_test(tcase, test_answer_problem);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
