/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/agents.h"
#include "gateway/inflight.h"
#include "tests/unit/rig/suite.h"

static flk_submission_t *with_lsn(uint64_t lsn) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    ck_assert_ptr_nonnull(submission);
    submission->entry.lsn = lsn;
    return submission;
}

/* A submission is found by its LSN until it is removed, also where LSNs share a bucket. */
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

/* Only the first claim may answer. */
START_TEST(test_submission_claim) {
    flk_submission_t *submission = with_lsn(1);
    ck_assert(flk_submission_claim(submission));
    ck_assert(!flk_submission_claim(submission));
    flk_submission_unref(&submission);
}
END_TEST

static void count_agent(void *arg, const flk_route_t *route) {
    (void)route;
    ++*(size_t *)arg;
}

static size_t introduced(const flk_agents_t *agents) {
    size_t count = 0;
    flk_agents_each(agents, count_agent, &count);
    return count;
}

/* An agent is known from its HELLO until its GOODBYE or a minute of silence. */
START_TEST(test_agents_known) {
    flk_agents_t *agents = flk_agents_new(4);
    flk_route_t a = {.bytes = 5, .id = {1, 2, 3, 4, 5}}, b = {.bytes = 5, .id = {1, 2, 3, 4, 6}};
    ck_assert(!flk_agents_heard(agents, &a, 1000));
    ck_assert_int_eq(flk_agents_introduce(agents, &a, "", 1000), FLK_OK);
    ck_assert_int_eq(flk_agents_introduce(agents, &b, "", 1000), FLK_OK);
    ck_assert_int_eq(flk_agents_introduce(agents, &a, "", 1500), FLK_OK);
    ck_assert_uint_eq(introduced(agents), 2);
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

static void count_route(void *arg, const flk_route_t *route) {
    unsigned *seen = arg;
    *seen += route->id[0];
}

/* Each agent that introduced itself is visited once; an agent that only sends submissions is not. */
START_TEST(test_agents_each) {
    flk_agents_t *agents = flk_agents_new(4);
    flk_route_t a = {.bytes = 1, .id = {1}}, b = {.bytes = 1, .id = {10}}, c = {.bytes = 1, .id = {100}};
    ck_assert_int_eq(flk_agents_introduce(agents, &a, "", 0), FLK_OK);
    ck_assert_int_eq(flk_agents_introduce(agents, &b, "", 0), FLK_OK);
    ck_assert_int_eq(flk_agents_take(agents, &c, "", 0), FLK_OK);
    unsigned seen = 0;
    flk_agents_each(agents, count_route, &seen);
    ck_assert_uint_eq(seen, 11);
    flk_agents_destroy(&agents);
}
END_TEST

/* An agent may have as many submissions unanswered as its credit, introduced or not; one that waits for answers is not
 * forgotten, however silent it is; and answers after its GOODBYE give nothing back to nobody. */
START_TEST(test_agents_credit) {
    flk_agents_t *agents = flk_agents_new(2);
    flk_route_t a = {.bytes = 1, .id = {1}}, b = {.bytes = 1, .id = {2}};
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_OK);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_OK);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_E_FULL);
    ck_assert_int_eq(flk_agents_take(agents, &b, "", 0), FLK_OK);
    ck_assert(!flk_agents_heard(agents, &a, 0));
    flk_agents_give(agents, &a);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_OK);
    flk_agents_give(agents, &b);
    flk_agents_sweep(agents, 10 * FLK_AGENT_SILENCE_MS_MAX);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_E_FULL);
    flk_agents_remove(agents, &a);
    flk_agents_give(agents, &a);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_OK);
    flk_agents_give(agents, &a);
    flk_agents_give(agents, &a);
    ck_assert_int_eq(flk_agents_take(agents, &a, "", 0), FLK_OK);
    flk_agents_destroy(&agents);
}
END_TEST

/* However many routes say HELLO, no more than FLK_AGENTS_MAX are kept. */
START_TEST(test_agents_bound) {
    flk_agents_t *agents = flk_agents_new(1);
    flk_route_t route = {.bytes = sizeof(uint32_t)};
    for (uint32_t i = 0; i < FLK_AGENTS_MAX; i++) {
        memcpy(route.id, &i, sizeof i);
        ck_assert_int_eq(flk_agents_introduce(agents, &route, "", 0), FLK_OK);
    }
    route.bytes = 2;
    ck_assert_int_eq(flk_agents_introduce(agents, &route, "", 0), FLK_E_FULL);
    ck_assert_int_eq(flk_agents_take(agents, &route, "", 0), FLK_E_FULL);
    ck_assert_uint_eq(introduced(agents), FLK_AGENTS_MAX);
    flk_agents_destroy(&agents);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("inflight");
    TCase *tcase = tcase_create("inflight");
    tcase_add_test(tcase, test_inflight_finds_by_lsn);
    tcase_add_test(tcase, test_submission_claim);
    tcase_add_test(tcase, test_agents_known);
    tcase_add_test(tcase, test_agents_each);
    tcase_add_test(tcase, test_agents_credit);
    tcase_add_test(tcase, test_agents_bound);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
