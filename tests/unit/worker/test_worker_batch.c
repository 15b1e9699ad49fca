/* SPDX-License-Identifier: MIT */
/* A batch through verification, with a store that does as it is told. */
#include "tests/unit/rig/suite.h"
#include "tests/unit/rig/worker_fixture.h"
#include "worker/batch.h"

static flk_metrics_t *metrics;
static flk_worker_metrics_t counters;
static flk_rules_t *rules;
static flk_batch_t *batch;
static flk_store_t *store;
static body_t body;

static void setup(void) {
    told_setup();
    metrics = flk_metrics_new();
    flk_worker_metrics_register(metrics, &counters);
    rules = rules_of("test-1");
    batch = flk_batch_new(&counters);
    ck_assert_ptr_nonnull(batch);
    store = told_store_new();
}

static void teardown(void) {
    flk_store_close(&store);
    flk_batch_destroy(&batch);
    flk_rules_destroy(&rules);
    flk_metrics_destroy(&metrics);
    told_teardown();
}

static void add_body(uint64_t n) {
    flk_id_t id = submission(n);
    flk_batch_add(batch, rules, &id, body.data, body.bytes);
}

static void add(uint64_t n, uint64_t pcs) {
    body_of(pcs, &body);
    add_body(n);
}

static void add_pcs(uint64_t n, const flk_pcs_t *pcs) {
    body_of_pcs(pcs, &body);
    add_body(n);
}

static flk_err_t run(void) {
    return flk_batch_run(batch, rules, store, errmsg);
}

static void check_settled(size_t i, uint32_t status, uint32_t flags) {
    const flk_job_t *job = flk_batch_job(batch, i);
    ck_assert_int_eq(job->state, FLK_JOB_SETTLED);
    ck_assert_uint_eq(job->status, status);
    ck_assert_uint_eq(job->flags, flags);
}

static void check_refused(size_t i, uint32_t status, const char *field) {
    const flk_job_t *job = flk_batch_job(batch, i);
    ck_assert_int_eq(job->state, FLK_JOB_REFUSED);
    ck_assert_uint_eq(job->status, status);
    ck_assert_str_eq(job->problem.field, field);
    ck_assert_uint_gt(strlen(job->problem.detail), 0);
}

static bool same_answer(size_t i, const flk_job_t *other) {
    const flk_job_t *job = flk_batch_job(batch, i);
    return job->item.value_bytes == other->item.value_bytes &&
           memcmp(job->item.value, other->item.value, job->item.value_bytes) == 0;
}

/* A new PCS gets its verdict, and the store keeps the outcome with policy version, origin and digest. */
START_TEST(test_worker_batch_judges_what_is_new) {
    flk_pcs_t bad;
    add(1, 1);
    pcs_of(2, 0.5, &bad);
    bad.counts[2].cells = 1000; /* not signed, but judged */
    add_pcs(2, &bad);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
    check_settled(1, 202, 0);
    for (size_t i = 0; i < 2; i++) {
        const flk_job_t *job = flk_batch_job(batch, i);
        flk_store_item_t item;
        memcpy(item.key, job->item.key, sizeof item.key);
        flk_table_get(told_table, &item, 0);
        ck_assert(item.found);
        flk_outcome_record_t record;
        ck_assert_int_eq(flk_stored_outcome_read(item.key, item.value, item.value_bytes, &record, errmsg), FLK_OK);
        flk_id_t origin = submission(i + 1);
        ck_assert(flk_id_equal(&record.origin, &origin));
        ck_assert_str_eq(record.outcome.policy_version, "test-1");
        ck_assert_mem_eq(record.digest, job->digest, sizeof record.digest);
        ck_assert_uint_eq(record.outcome.reasons, i == 0 ? 0 : 1u << FLK_REASON_D_HAT_OUT_OF_TOLERANCE);
    }
    ck_assert_uint_eq(flk_counter_value(counters.verdicts_200), 1);
    ck_assert_uint_eq(flk_counter_value(counters.verdicts_202), 1);
}
END_TEST

/* However large the batch, the store sees one lookup and one put. */
START_TEST(test_worker_batch_takes_one_round_trip) {
    for (uint64_t n = 0; n < FLK_BATCH_MAX; n++) {
        add(n, n);
    }
    ck_assert_int_eq(run(), FLK_OK);
    ck_assert_int_eq(told_lookups, 1);
    ck_assert_int_eq(told_puts, 1);
    flk_batch_clear(batch);
    for (uint64_t n = 0; n < FLK_BATCH_MAX; n++) {
        add(n, n);
    }
    ck_assert_int_eq(run(), FLK_OK);
    ck_assert_int_eq(told_lookups, 2);
    ck_assert_int_eq(told_puts, 1);
}
END_TEST

/* Another submission of the same PCS gets the very bytes of the first, flagged a duplicate, also within one batch. */
START_TEST(test_worker_batch_duplicates_get_the_same_bytes) {
    add(1, 1);
    add(2, 1);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
    check_settled(1, 200, FLK_FLAG_DUPLICATE);
    flk_job_t first = *flk_batch_job(batch, 0);
    ck_assert(same_answer(1, &first));
    flk_batch_clear(batch);
    rules->policy.terms.alpha = 0.9; /* by another policy it would be escalated: the outcome stands nevertheless */
    add(3, 1);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, FLK_FLAG_DUPLICATE);
    ck_assert(same_answer(0, &first));
    ck_assert_uint_eq(flk_counter_value(counters.duplicates), 2);
    ck_assert_uint_eq(flk_counter_value(counters.conflicts), 0);
}
END_TEST

/* The same submission, delivered again, finds its own outcome: no duplicate, in the same batch or later. */
START_TEST(test_worker_batch_redelivery_is_no_duplicate) {
    add(1, 1);
    add(1, 1);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
    check_settled(1, 200, 0);
    flk_job_t first = *flk_batch_job(batch, 0);
    flk_batch_clear(batch);
    add(1, 1);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
    ck_assert(same_answer(0, &first));
    ck_assert_uint_eq(flk_counter_value(counters.duplicates), 0);
}
END_TEST

/* The same id over other signed content gets the first outcome, flagged a conflict and counted. */
START_TEST(test_worker_batch_conflicts_are_flagged) {
    flk_pcs_t other;
    pcs_of(1, 0.25, &other);
    add(1, 1);
    add_pcs(2, &other);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(1, 200, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    flk_job_t first = *flk_batch_job(batch, 0);
    ck_assert(same_answer(1, &first));
    flk_batch_clear(batch);
    add_pcs(3, &other);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    ck_assert(same_answer(0, &first));
    ck_assert_uint_eq(flk_counter_value(counters.conflicts), 2);
}
END_TEST

/* A wrong signature, a wrong id and a body that is no PCS are refused without a trace: the store is never asked. */
START_TEST(test_worker_batch_refused_leave_no_trace) {
    flk_pcs_t pcs;
    pcs_of(1, 0.5, &pcs);
    pcs.coh_star = 0.25; /* signed content changed after signing */
    add_pcs(1, &pcs);
    pcs_of(2, 0.5, &pcs);
    pcs.sig[0] = '\0';
    add_pcs(2, &pcs);
    pcs_of(3, 0.5, &pcs);
    pcs.id[0] = pcs.id[0] == '0' ? '1' : '0';
    add_pcs(3, &pcs);
    body.bytes = 0;
    add_body(4);
    memset(body.data, 0xc1, body.bytes = 100);
    add_body(5);
    flk_id_t id = submission(6);
    uint8_t *huge = flk_start_alloc(FLK_PCS_BODY_BYTES_MAX + 1);
    flk_batch_add(batch, rules, &id, huge, FLK_PCS_BODY_BYTES_MAX + 1);
    free(huge);
    ck_assert_int_eq(run(), FLK_OK);
    check_refused(0, 401, "sig");
    check_refused(1, 401, "sig");
    check_refused(5, 413, "");
    check_refused(2, 400, "pcs_id");
    check_refused(3, 400, "");
    check_refused(4, 400, "");
    ck_assert_int_eq(told_lookups + told_puts, 0);
    ck_assert_uint_eq(flk_table_len(told_table), 0);
    ck_assert_uint_eq(flk_counter_value(counters.verdicts_400), 3);
    ck_assert_uint_eq(flk_counter_value(counters.verdicts_401), 2);
    ck_assert_uint_eq(flk_counter_value(counters.verdicts_413), 1);
}
END_TEST

/* A refused record beside good ones is answered on its own, and is not looked up. */
START_TEST(test_worker_batch_refused_do_not_disturb) {
    flk_pcs_t pcs;
    add(1, 1);
    pcs_of(2, 0.5, &pcs);
    strcpy(pcs.sig, "AAAA");
    add_pcs(2, &pcs);
    add(3, 3);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
    check_refused(1, 401, "sig");
    check_settled(2, 200, 0);
    ck_assert_int_eq(told_items, 2);
}
END_TEST

/* When the lookup fails nothing is decided: jobs that needed the store are unavailable, the others keep their
 * answers. */
START_TEST(test_worker_batch_failed_lookup) {
    told_lookup_err = FLK_E_UNAVAILABLE;
    add(1, 1);
    body.bytes = 1;
    add_body(2);
    ck_assert_int_eq(run(), FLK_E_UNAVAILABLE);
    ck_assert_int_eq(flk_batch_job(batch, 0)->state, FLK_JOB_UNAVAILABLE);
    check_refused(1, 400, "");
    ck_assert_int_eq(told_puts, 0);
    ck_assert_uint_eq(flk_counter_value(counters.unavailable), 1);
}
END_TEST

/* When the put fails, duplicates of stored outcomes are answered, and new ones are unavailable and may come again. */
START_TEST(test_worker_batch_failed_put) {
    add(1, 1);
    ck_assert_int_eq(run(), FLK_OK);
    flk_batch_clear(batch);
    told_put_err = FLK_E_IO;
    add(2, 1);
    add(3, 3);
    ck_assert_int_eq(run(), FLK_E_IO);
    check_settled(0, 200, FLK_FLAG_DUPLICATE);
    ck_assert_int_eq(flk_batch_job(batch, 1)->state, FLK_JOB_UNAVAILABLE);
    flk_batch_clear(batch);
    told_put_err = FLK_OK;
    add(3, 3);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 200, 0);
}
END_TEST

static void keep_bytes(uint64_t pcs_n, const void *value, size_t value_bytes) {
    flk_pcs_t pcs;
    flk_store_item_t item = {.value_bytes = (uint16_t)value_bytes};
    memcpy(item.value, value, value_bytes);
    pcs_of(pcs_n, 0.5, &pcs);
    memcpy(item.key, pcs.id_raw, sizeof item.key);
    ck_assert_int_eq(flk_table_put(told_table, &item, 0, INT64_MAX), FLK_OK);
    ck_assert(!item.found);
}

/* Bytes in the store that are no outcome, or another PCS's, are never passed on: the PCS is verified anew, the
 * outcome takes their place, is counted, and is then the first for ever. */
START_TEST(test_worker_batch_damaged_outcome) {
    uint8_t foreign[FLK_OUTCOME_BYTES];
    add(1, 1);
    ck_assert_int_eq(run(), FLK_OK);
    size_t foreign_bytes = flk_outcome_encode(&flk_batch_job(batch, 0)->outcome, foreign); /* names its PCS */
    flk_batch_clear(batch);
    keep_bytes(2, "\1\2\3", 3);
    keep_bytes(3, foreign, foreign_bytes);
    keep_bytes(4, "", 0);
    for (uint64_t n = 2; n <= 5; n++) {
        add(n, n);
    }
    add(6, 2);
    ck_assert_int_eq(run(), FLK_OK);
    for (size_t i = 0; i < 4; i++) {
        check_settled(i, 200, 0);
    }
    check_settled(4, 200, FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(flk_counter_value(counters.replaced), 3);
    flk_batch_clear(batch);
    for (uint64_t n = 2; n <= 5; n++) {
        add(n + 100, n);
    }
    ck_assert_int_eq(run(), FLK_OK);
    for (size_t i = 0; i < 4; i++) {
        check_settled(i, 200, FLK_FLAG_DUPLICATE);
    }
    ck_assert_uint_eq(flk_counter_value(counters.replaced), 3);
}
END_TEST

/* An outcome that a later version wrote is as good as any: it is neither replaced nor answered. */
START_TEST(test_worker_batch_later_version) {
    keep_bytes(1, "\4later", 6);
    add(1, 1);
    ck_assert_int_eq(run(), FLK_OK);
    ck_assert_int_eq(flk_batch_job(batch, 0)->state, FLK_JOB_UNAVAILABLE);
    ck_assert_int_eq(told_puts, 0);
}
END_TEST

/* The same signed content with other values of members that the verdict reads beyond it is a conflict, in one batch and
 * later. An outcome of an earlier version, which did not keep those, has none. */
START_TEST(test_worker_batch_unsigned_conflicts) {
    flk_pcs_t other;
    pcs_of(1, 0.5, &other);
    other.counts[2].cells = 1000;
    add_pcs(1, &other);
    add(2, 1);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 202, 0);
    check_settled(1, 202, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    flk_batch_clear(batch);
    add(3, 1);
    add_pcs(4, &other);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 202, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    check_settled(1, 202, FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(flk_counter_value(counters.conflicts), 2);
    flk_outcome_record_t old = flk_batch_job(batch, 1)->outcome;
    flk_batch_clear(batch);
    old.has_unsigned_digest = false;
    flk_pcs_t pcs;
    pcs_of(7, 0.5, &pcs);
    memcpy(old.pcs_id, pcs.id, sizeof old.pcs_id);
    flk_canonical_digest(&pcs, FLK_PRINT_PYTHON, old.digest);
    uint8_t value[FLK_STORED_OUTCOME_BYTES_MAX];
    keep_bytes(7, value, flk_stored_outcome_write(&old, value));
    add(8, 7);
    ck_assert_int_eq(run(), FLK_OK);
    check_settled(0, 202, FLK_FLAG_DUPLICATE);
}
END_TEST

/* Rules that a thread holds stay as they are until it turns to those that were published since. */
START_TEST(test_worker_rules_change_between_turns) {
    flk_rulebook_t *book = flk_rulebook_new(rules_of("old"));
    ck_assert_ptr_nonnull(book);
    const flk_rules_t *held = flk_rulebook_turn_to(book, NULL), *other = flk_rulebook_turn_to(book, NULL);
    ck_assert_ptr_eq(flk_rulebook_turn_to(book, held), held);
    flk_rulebook_publish(book, rules_of("new"));
    ck_assert_str_eq(held->policy.version, "old");
    const flk_rules_t *turned = flk_rulebook_turn_to(book, held);
    ck_assert_str_eq(turned->policy.version, "new");
    ck_assert_str_eq(other->policy.version, "old");
    flk_rulebook_leave(book, other);
    flk_rulebook_publish(book, rules_of("newest"));
    ck_assert_str_eq(turned->policy.version, "new");
    flk_rulebook_leave(book, turned);
    flk_rulebook_destroy(&book);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("worker_batch");
    TCase *tcase = tcase_create("batch");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_worker_batch_judges_what_is_new);
    tcase_add_test(tcase, test_worker_batch_takes_one_round_trip);
    tcase_add_test(tcase, test_worker_batch_duplicates_get_the_same_bytes);
    tcase_add_test(tcase, test_worker_batch_redelivery_is_no_duplicate);
    tcase_add_test(tcase, test_worker_batch_conflicts_are_flagged);
    tcase_add_test(tcase, test_worker_batch_refused_leave_no_trace);
    tcase_add_test(tcase, test_worker_batch_refused_do_not_disturb);
    tcase_add_test(tcase, test_worker_batch_failed_lookup);
    tcase_add_test(tcase, test_worker_batch_failed_put);
    tcase_add_test(tcase, test_worker_batch_damaged_outcome);
    tcase_add_test(tcase, test_worker_batch_later_version);
    tcase_add_test(tcase, test_worker_batch_unsigned_conflicts);
    tcase_add_test(tcase, test_worker_rules_change_between_turns);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
