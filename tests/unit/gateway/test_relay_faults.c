/* SPDX-License-Identifier: MIT */
/* The relay when the log fails or hangs, when places run out, when a door is slow, and when it must stop in the
 * middle. */
#include <pthread.h>

#include "tests/unit/rig/gateway_rig.h"

enum { CREDIT = 1000 };

/* A record that the log cannot make durable is refused with 503, counted so, never sent to a broker, and leaves nothing
 * behind; the doors refuse at once while that lasts, and take again when the disk is back. */
START_TEST(test_relay_log_fails) {
    flk_answer_t answer;
    agent_t agent;
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    flk_submission_t *client = http_prepare(1);
    rig_fail(FLK_IO_SYNC, "/inbox/", EIO);
    flk_ingest_start(&rig.gateway, client, NULL);
    http_wait(client, 503);
    RIG_WAIT(!flk_wal_healthy(rig.gateway.inbox));
    ck_assert(!flk_gateway_ready(&rig.gateway, errmsg));
    ck_assert_str_eq(errmsg, "the inbox log cannot make records durable");
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_E_UNAVAILABLE);
    ck_assert_uint_eq(answer.status, 503);
    ck_assert_uint_ge(answer.retry_ms, 1);
    agent_submit(&agent, 2);
    agent_expect(&agent, FLK_UNAVAILABLE);
    ck_assert(agent_answered(&agent, 2));
    ck_assert_uint_eq(RIG_COUNT(refused), 3);
    ck_assert_uint_eq(atomic_load(&rig.gateway.admitted), 0);
    ck_assert_uint_eq(atomic_load(&rig.gateway.awaited), 0);
    rig_heal();
    RIG_WAIT(flk_wal_healthy(rig.gateway.inbox));
    client = http_post(3);
    played_verdict(broker, played_submit(broker), 200, 0);
    http_wait(client, 200);
    ck_assert_uint_eq(RIG_COUNT(accepted), 1);
    agent_close(&agent);
}
END_TEST

/* While the log hangs agents get their 503 by the deadline, in the order in which they came; when it goes on, the
 * records that it took are verified and counted, though nobody waits for them. */
START_TEST(test_relay_log_hangs) {
    enum { AGENTS = 5 };
    agent_t agent;
    rig_set("FLK_REQUEST_TIMEOUT_MS", 400);
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    agent_submit(&agent, 0); /* the connection stands */
    played_verdict(broker, played_submit(broker), 200, 0);
    agent_expect(&agent, FLK_VERDICT);
    rig_hang(FLK_IO_SYNC, "/inbox/");
    for (uint64_t n = 1; n <= AGENTS; n++) {
        agent_submit(&agent, n);
    }
    flk_submission_t *client = http_post(AGENTS + 1);
    uint64_t since_ms = flk_mono_ms();
    for (uint64_t n = 1; n <= AGENTS; n++) {
        agent_expect(&agent, FLK_UNAVAILABLE);
        ck_assert(agent_answered(&agent, n));
    }
    ck_assert_uint_lt(flk_mono_ms() - since_ms, 400 + 300);
    http_give_up(client); /* it is not in any list of the relay's yet */
    ck_assert(played_linked(broker));
    ck_assert(!played_next(broker, FLK_SUBMIT, 50));
    rig_heal();
    for (unsigned i = 0; i < AGENTS + 1; i++) {
        played_verdict(broker, played_submit(broker), 200, 0);
    }
    RIG_WAIT(RIG_COUNT(accepted) == AGENTS + 2);
    RIG_WAIT(RIG_COUNT(timeouts) == AGENTS + 1);
    RIG_WAIT(atomic_load(&rig.gateway.admitted) == 0);
    ck_assert(!agent_next(&agent, 50));
    agent_close(&agent);
}
END_TEST

/* One whose record is long in the log's hands does not make those wait that come after it, nor is it late itself. */
START_TEST(test_relay_deadlines_keep_order) {
    agent_t agent;
    rig_set("FLK_REQUEST_TIMEOUT_MS", 600);
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    agent_submit(&agent, 0);
    played_verdict(broker, played_submit(broker), 200, 0);
    agent_expect(&agent, FLK_VERDICT);
    rig_hang(FLK_IO_SYNC, "/inbox/");
    agent_submit(&agent, 1);
    uint64_t first_ms = flk_mono_ms();
    while (flk_mono_ms() < first_ms + 400) {
        poll(NULL, 0, 5);
    }
    agent_submit(&agent, 2);
    RIG_WAIT(atomic_load(&rig.gateway.awaited) == 2);
    rig_heal();
    played_submit(broker);
    played_submit(broker);
    agent_expect(&agent, FLK_UNAVAILABLE);
    ck_assert(agent_answered(&agent, 1));
    ck_assert_uint_lt(flk_mono_ms() - first_ms, 600 + 250);
    agent_expect(&agent, FLK_UNAVAILABLE);
    ck_assert(agent_answered(&agent, 2));
    agent_close(&agent);
}
END_TEST

/* Places are for submissions whose client waits: with all of them taken by records that nobody waits for, new ones come
 * in all the same; and the verdict for one that was let go of still settles it, without a re-drive. */
START_TEST(test_relay_places) {
    enum { PLACES = 16 };
    flk_answer_t answer;
    uint64_t lsns[PLACES];
    rig_set("FLK_INFLIGHT_MAX", PLACES);
    rig_set("FLK_REQUEST_TIMEOUT_MS", 100);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *clients[PLACES];
    for (unsigned i = 0; i < PLACES; i++) {
        clients[i] = http_post(i);
        lsns[i] = played_submit(broker);
    }
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_E_UNAVAILABLE);
    ck_assert_uint_eq(answer.status, 503);
    for (unsigned i = 0; i < PLACES; i++) {
        http_wait(clients[i], 503);
    }
    RIG_WAIT(atomic_load(&rig.gateway.admitted) <= PLACES - PLACES / 8);
    flk_submission_t *late = http_post(PLACES);
    uint64_t late_lsn = played_submit(broker);
    played_verdict(broker, late_lsn, 200, 0);
    http_wait(late, 200);
    for (unsigned i = 0; i < PLACES; i++) {
        played_verdict(broker, lsns[i], 200, 0);
    }
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == PLACES + 1);
    RIG_WAIT(RIG_COUNT(stale_verdicts) == 0);
    RIG_WAIT(RIG_COUNT(redriven) == 0);
    RIG_WAIT(RIG_COUNT(refused) == 1);
}
END_TEST

/* Large bodies fill the places before their number does. */
START_TEST(test_relay_places_by_bytes) {
    flk_answer_t answer;
    rig_set("FLK_INFLIGHT_BYTES_MAX", 1 << 20);
    rig_start_met(CREDIT);
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1 << 20, &answer), FLK_OK);
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_E_UNAVAILABLE);
    flk_admission_leave(&rig.gateway, 1 << 20);
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_OK);
    flk_admission_leave(&rig.gateway, 1);
    flk_counter_add(rig.gateway.metrics.refused, 2); /* the two that came to nothing */
    unsetenv("FLK_INFLIGHT_BYTES_MAX");
}
END_TEST

/* The log's writer is so slow to hand a submission over that the re-drive has taken its record up: whichever verdict
 * comes first counts, once; the client is told the outcome, or to come back. */
START_TEST(test_relay_slow_writer) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *first[2], *slow[2];
    uint64_t lsns[2];
    for (unsigned i = 0; i < 2; i++) {
        first[i] = http_post(i);
        lsns[i] = played_submit(broker);
    }
    played_verdict(broker, lsns[0], 200, 0);
    http_wait(first[0], 200);
    for (unsigned i = 0; i < 2; i++) {
        slow[i] = http_prepare(i);
        slow[i]->entry.lsn = lsns[i]; /* as if it were that record's own */
        flk_counter_add(rig.gateway.metrics.refused, 1);
        flk_submission_parse(slow[i], NULL);
        flk_arrivals_push(&rig.gateway.arrivals, slow[i], slow[i]);
    }
    http_wait(slow[1], 503); /* its record is under way */
    ck_assert_uint_eq(played_submit(broker), lsns[0]);
    played_verdict(broker, lsns[0], 200, 0);
    http_wait(slow[0], 200);
    played_verdict(broker, lsns[1], 200, 0);
    http_wait(first[1], 200);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == 2);
}
END_TEST

static bool drained;

static void *drain_in_thread(void *arg) {
    flk_gateway_drain(&rig.gateway);
    __atomic_store_n(&drained, true, __ATOMIC_SEQ_CST);
    return arg;
}

/* Stopped with submissions in every state, the gateway answers waiting clients with 503 and keeps all records; the next
 * start verifies them without anybody's help. */
START_TEST(test_relay_stops_in_the_middle) {
    enum { EACH = 3 };
    flk_submission_t *clients[2 * EACH];
    agent_t agent;
    rig_set("FLK_REQUEST_TIMEOUT_MS", 2000);
    played_t *broker = rig_start_met(EACH);
    agent_open(&agent);
    for (unsigned i = 0; i < 2 * EACH; i++) { /* sent, and pending; after their deadline nobody waits */
        clients[i] = http_post(i);
    }
    for (unsigned i = 0; i < 2 * EACH; i++) {
        http_wait(clients[i], 503);
    }
    agent_submit(&agent, 7);
    RIG_WAIT(rig_unacked() == 2 * EACH + 1);
    rig_check_books();
    rig_stop();
    agent_expect(&agent, FLK_UNAVAILABLE);
    ck_assert(agent_answered(&agent, 7));
    ck_assert(played_next(broker, FLK_GOODBYE, RIG_DEADLINE_MS));
    agent_close(&agent);
    rig_start();
    ck_assert_uint_eq(rig_recovered(), 2 * EACH + 1);
    played_meet(broker, CREDIT);
    for (unsigned i = 0; i < 2 * EACH + 1; i++) {
        played_verdict(broker, played_submit(broker), 200, 0);
    }
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == 2 * EACH + 1);
}
END_TEST

/* A drain lets nothing more in and says so, and lasts until waiting clients have their answers. */
START_TEST(test_relay_drains) {
    flk_answer_t answer;
    pthread_t drain;
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    ck_assert_int_eq(pthread_create(&drain, NULL, drain_in_thread, NULL), 0);
    RIG_WAIT(!flk_gateway_ready(&rig.gateway, errmsg));
    ck_assert_str_eq(errmsg, "draining");
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_E_UNAVAILABLE);
    ck_assert_uint_eq(answer.status, 503);
    ck_assert_uint_ge(answer.retry_ms, 1);
    ck_assert(!__atomic_load_n(&drained, __ATOMIC_SEQ_CST));
    played_verdict(broker, lsn, 200, 0);
    http_wait(client, 200);
    pthread_join(drain, NULL);
}
END_TEST

/* Over TOKEN_RATE an agent is told BUSY and a client 429, with a time to come back; nothing is logged. */
START_TEST(test_relay_throttle) {
    flk_answer_t answer;
    agent_t agent;
    rig_set("TOKEN_RATE", 1);
    played_t *broker = rig_start_met(CREDIT);
    unsetenv("TOKEN_RATE");
    agent_open(&agent);
    agent_submit(&agent, 1);
    played_verdict(broker, played_submit(broker), 200, 0);
    agent_expect(&agent, FLK_VERDICT);
    ck_assert_int_eq(flk_admission_admit(&rig.gateway, 1, &answer), FLK_E_FULL);
    ck_assert_uint_eq(answer.status, 429);
    ck_assert_uint_ge(answer.retry_ms, 1);
    agent_submit(&agent, 2);
    ck_assert_uint_ge(agent_expect(&agent, FLK_BUSY)->retry_ms, 1);
    ck_assert_uint_eq(RIG_COUNT(throttled), 2);
    agent_close(&agent);
}
END_TEST

/* An agent that has as many submissions unanswered as its credit is told BUSY; others are not touched by it, and an
 * answer gives the credit back. */
START_TEST(test_relay_agent_credit) {
    agent_t greedy, modest;
    played_t *broker = rig_start_met(UINT32_MAX);
    agent_open(&greedy);
    agent_open(&modest);
    agent_say(&greedy, (flk_frame_t){.kind = FLK_HELLO, .name = "greedy"}, NULL, 0);
    uint32_t credit = agent_expect(&greedy, FLK_WELCOME)->credit;
    for (uint32_t n = 0; n <= credit; n++) {
        agent_submit(&greedy, n);
    }
    agent_expect(&greedy, FLK_BUSY);
    ck_assert(agent_answered(&greedy, credit));
    agent_submit(&modest, credit + 1);
    for (uint32_t n = 0; n <= credit; n++) {
        played_verdict(broker, played_submit(broker), 200, 0);
    }
    agent_expect(&modest, FLK_VERDICT);
    for (uint32_t n = 0; n < credit; n++) {
        agent_expect(&greedy, FLK_VERDICT);
    }
    agent_submit(&greedy, credit + 2);
    played_verdict(broker, played_submit(broker), 200, 0);
    agent_expect(&greedy, FLK_VERDICT);
    ck_assert_uint_eq(RIG_COUNT(throttled), 1);
    agent_close(&greedy);
    agent_close(&modest);
}
END_TEST

/* At the ZeroMQ door: an agent that has not introduced itself is served, and asked to do it; HELLO as often as one
 * likes is answered; a body that is empty or no PCS is a 400, one that is too large a 413; bytes that are no message at
 * all are counted. */
START_TEST(test_relay_door) {
    static uint8_t large[FLK_PCS_BODY_BYTES_MAX + 1];
    agent_t agent;
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    agent_say(&agent, (flk_frame_t){.kind = FLK_PING}, NULL, 0);
    ck_assert(!agent_expect(&agent, FLK_PONG)->known);
    agent_submit(&agent, 1);
    played_verdict(broker, played_submit(broker), 200, 0);
    agent_expect(&agent, FLK_VERDICT);
    for (int i = 0; i < 100; i++) {
        agent_say(&agent, (flk_frame_t){.kind = FLK_HELLO, .name = "again"}, NULL, 0);
        agent_expect(&agent, FLK_WELCOME);
    }
    agent_say(&agent, (flk_frame_t){.kind = FLK_PING}, NULL, 0);
    ck_assert(agent_expect(&agent, FLK_PONG)->known);
    agent_say(&agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(2)}, NULL, 0);
    ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->status, 400);
    ck_assert(agent_answered(&agent, 2));
    agent_say(&agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(3)}, "\xc1", 1);
    ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->status, 400);
    agent_say(&agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(4)}, large, sizeof large);
    ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->status, 413);
    ck_assert_int_ge(zmq_send(agent.socket, "?", 1, 0), 0);
    agent_say(&agent, (flk_frame_t){.kind = FLK_WORK, .id = agent_id(5)}, "x", 1);
    agent_say(&agent, (flk_frame_t){.kind = FLK_GOODBYE}, NULL, 0);
    agent_say(&agent, (flk_frame_t){.kind = FLK_PING}, NULL, 0);
    ck_assert(!agent_expect(&agent, FLK_PONG)->known);
    ck_assert_uint_eq(RIG_COUNT(malformed), 1);
    ck_assert_uint_eq(RIG_COUNT(unknown), 1);
    ck_assert_uint_eq(RIG_COUNT(rejected_400), 2);
    ck_assert_uint_eq(RIG_COUNT(rejected_413), 1);
    agent_close(&agent);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("relay_faults");
    TCase *tcase = tcase_create("faults");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
    tcase_add_test(tcase, test_relay_log_fails);
    tcase_add_test(tcase, test_relay_log_hangs);
    tcase_add_test(tcase, test_relay_deadlines_keep_order);
    tcase_add_test(tcase, test_relay_places);
    tcase_add_test(tcase, test_relay_places_by_bytes);
    tcase_add_test(tcase, test_relay_slow_writer);
    tcase_add_test(tcase, test_relay_stops_in_the_middle);
    tcase_add_test(tcase, test_relay_drains);
    tcase_add_test(tcase, test_relay_throttle);
    tcase_add_test(tcase, test_relay_agent_credit);
    tcase_add_test(tcase, test_relay_door);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
