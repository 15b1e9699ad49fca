/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>

#include "gateway/agents.h"
#include "gateway/inflight.h"
#include "tests/unit/suite.h"

static flk_submission_t *with_lsn(uint64_t lsn) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    ck_assert_ptr_nonnull(submission);
    submission->entry.lsn = lsn;
    return submission;
}

/* What was inserted is found by its LSN until it is removed, also where LSNs share a bucket. */
START_TEST(test_inflight_finds_by_lsn) {
    enum { LEN = 64 };
    flk_submission_t *all[LEN];
    flk_inflight_t *table = flk_inflight_new(8);
    for (unsigned i = 0; i < LEN; i++) {
        all[i] = with_lsn(1 + i * 8); /* one bucket for all */
        flk_inflight_insert(table, all[i]);
    }
    ck_assert_uint_eq(flk_inflight_len(table), LEN);
    for (unsigned i = 0; i < LEN; i += 2) {
        flk_inflight_remove(table, all[i]);
    }
    for (unsigned i = 0; i < LEN; i++) {
        ck_assert_ptr_eq(flk_inflight_find(table, 1 + i * 8), i % 2 == 0 ? NULL : all[i]);
    }
    for (unsigned i = 0; i < LEN; i++) {
        if (i % 2 == 1) {
            flk_inflight_remove(table, all[i]);
        }
        flk_submission_unref(&all[i]);
    }
    ck_assert_uint_eq(flk_inflight_len(table), 0);
    flk_inflight_destroy(&table);
}
END_TEST

/* A list keeps its order under pushes at both ends and removal from the middle. */
START_TEST(test_submissions_order) {
    flk_submission_t *all[4];
    flk_submissions_t list = {0};
    for (unsigned i = 0; i < 4; i++) {
        all[i] = with_lsn(i);
    }
    flk_submissions_push(&list, all[1]);
    flk_submissions_push(&list, all[2]);
    flk_submissions_push_front(&list, all[0]);
    flk_submissions_push(&list, all[3]);
    flk_submissions_remove(&list, all[2]);
    ck_assert_ptr_eq(list.first, all[0]);
    ck_assert_ptr_eq(list.first->next, all[1]);
    ck_assert_ptr_eq(list.first->next->next, all[3]);
    ck_assert_ptr_eq(list.last, all[3]);
    ck_assert_ptr_eq(list.last->prev, all[1]);
    ck_assert_uint_eq(list.len, 3);
    flk_submissions_remove(&list, all[0]);
    flk_submissions_remove(&list, all[3]);
    flk_submissions_remove(&list, all[1]);
    ck_assert_ptr_null(list.first);
    ck_assert_ptr_null(list.last);
    for (unsigned i = 0; i < 4; i++) {
        flk_submission_unref(&all[i]);
    }
}
END_TEST

/* Moving between age lists takes a submission off the one that it was on. */
START_TEST(test_ages_move) {
    flk_ages_t watched = {0}, detached = {0};
    flk_submission_t *a = with_lsn(1), *b = with_lsn(2);
    flk_ages_move(&watched, a);
    flk_ages_move(&watched, b);
    flk_ages_move(&detached, a);
    ck_assert_ptr_eq(watched.oldest, b);
    ck_assert_ptr_eq(watched.newest, b);
    ck_assert_ptr_eq(detached.oldest, a);
    flk_ages_remove(a);
    flk_ages_remove(a);
    flk_ages_remove(b);
    ck_assert_ptr_null(watched.oldest);
    ck_assert_ptr_null(watched.newest);
    ck_assert_ptr_null(detached.oldest);
    flk_submission_unref(&a);
    flk_submission_unref(&b);
}
END_TEST

/* Only the first claim may answer, and the last of two gates passes a submission on. */
START_TEST(test_submission_claim_and_gates) {
    flk_submission_t *submission = with_lsn(1);
    ck_assert(flk_submission_claim(submission));
    ck_assert(!flk_submission_claim(submission));
    ck_assert(!flk_submission_pass(submission));
    ck_assert(flk_submission_pass(submission));
    flk_submission_unref(&submission);
}
END_TEST

/* An agent is known from its HELLO until its GOODBYE or a minute of silence. */
START_TEST(test_agents_known) {
    flk_agents_t *agents = flk_agents_new();
    flk_route_t a = {.bytes = 5, .id = {1, 2, 3, 4, 5}}, b = {.bytes = 5, .id = {1, 2, 3, 4, 6}};
    ck_assert(!flk_agents_heard(agents, &a, 1000));
    ck_assert_int_eq(flk_agents_add(agents, &a, 1000), FLK_OK);
    ck_assert_int_eq(flk_agents_add(agents, &b, 1000), FLK_OK);
    ck_assert_int_eq(flk_agents_add(agents, &a, 1500), FLK_OK);
    ck_assert_uint_eq(flk_agents_len(agents), 2);
    flk_agents_remove(agents, &b);
    ck_assert(!flk_agents_heard(agents, &b, 2000));
    ck_assert(flk_agents_heard(agents, &a, 2000));
    flk_agents_sweep(agents, 2000 + FLK_AGENT_SILENCE_MS_MAX);
    ck_assert(flk_agents_heard(agents, &a, 2000));
    flk_agents_sweep(agents, 2001 + FLK_AGENT_SILENCE_MS_MAX);
    ck_assert(!flk_agents_heard(agents, &a, 3000));
    flk_agents_destroy(&agents);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("inflight");
    TCase *tcase = tcase_create("inflight");
    tcase_add_test(tcase, test_inflight_finds_by_lsn);
    tcase_add_test(tcase, test_submissions_order);
    tcase_add_test(tcase, test_ages_move);
    tcase_add_test(tcase, test_submission_claim_and_gates);
    tcase_add_test(tcase, test_agents_known);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
