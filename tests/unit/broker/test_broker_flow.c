/* SPDX-License-Identifier: MIT */
/* The broker while all goes well, or goes wrong in a way that its peers can be told of. */
#include <unistd.h>

#include "tests/unit/rig/broker_rig.h"
#include "tests/unit/rig/suite.h"

static void setup(void) {
    rig_start(RIG_HEARTBEAT_MS, 1000, 1 << 20);
}

static void teardown(void) {
    rig_stop();
}

/* A submission reaches a worker unchanged, and the worker's verdict reaches the gateway unchanged. */
START_TEST(test_broker_carries_a_submission_there_and_back) {
    peer_t gateway = gateway_open(), worker = worker_open(4);
    submit(&gateway, 1);
    flk_frame_t work = expect_work(&worker, 1, 1);
    ck_assert(peer_body_is(&worker, "body 1"));
    ck_assert_uint_ne(work.delivery, 0);
    flk_frame_t verdict = {.kind = FLK_VERDICT,
                           .id = work.id,
                           .delivery = work.delivery,
                           .status = 202,
                           .flags = FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT};
    peer_send(&worker, &verdict, "stored outcome");
    const flk_frame_t *back = peer_expect(&gateway, FLK_VERDICT);
    flk_id_t id = submission(1);
    ck_assert(flk_id_equal(&back->id, &id));
    ck_assert_uint_eq(back->delivery, 0);
    ck_assert_uint_eq(back->status, 202);
    ck_assert_uint_eq(back->flags, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT);
    ck_assert(peer_body_is(&gateway, "stored outcome"));
    ck_assert_uint_eq(rig_counter("flk_broker_submitted_total"), 1);
    ck_assert_uint_eq(rig_counter("flk_broker_delivered_total"), 1);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* WELCOME tells a gateway its credit and both the heartbeat; a worker gets the credit that it asked for. */
START_TEST(test_broker_welcomes_with_credit_and_heartbeat) {
    peer_t gateway = gateway_open(), worker = worker_open(7);
    ck_assert_uint_eq(gateway.message.frame.credit, 1000); /* no more than the queue holds */
    ck_assert_uint_eq(gateway.message.frame.heartbeat_ms, RIG_HEARTBEAT_MS);
    ck_assert_uint_eq(worker.message.frame.credit, 7);
    ck_assert_uint_eq(worker.message.frame.heartbeat_ms, RIG_HEARTBEAT_MS);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* Submissions are handed out in the order in which they came. */
START_TEST(test_broker_hands_out_in_order) {
    peer_t gateway = gateway_open();
    for (uint64_t i = 0; i < 300; i++) {
        submit(&gateway, i);
    }
    peer_t worker = worker_open(10);
    for (uint64_t i = 0; i < 300; i++) {
        flk_frame_t work = expect_work(&worker, i, 1);
        answer(&worker, &work);
        expect_verdict(&gateway, i);
    }
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A gateway that submitted a flood takes turns with one that submits little. */
START_TEST(test_broker_is_fair_to_gateways) {
    peer_t flood = gateway_open(), little = gateway_open();
    for (uint64_t i = 0; i < 300; i++) {
        submit(&flood, i);
    }
    ck_assert(peer_ping(&flood, NULL));
    for (uint64_t i = 1000; i < 1003; i++) {
        submit(&little, i);
    }
    ck_assert(peer_ping(&little, NULL));
    peer_t worker = worker_open(1);
    static const uint64_t order[] = {0, 1000, 1, 1001, 2, 1002, 3, 4};
    for (size_t i = 0; i < FLK_COUNT_OF(order); i++) {
        flk_frame_t work = expect_work(&worker, order[i], 1);
        answer(&worker, &work);
        expect_verdict(order[i] < 1000 ? &flood : &little, order[i]);
    }
    peer_kill(&flood);
    peer_kill(&little);
    peer_kill(&worker);
}
END_TEST

/* A submission that comes again over another connection while it waits takes its turn among those of that one. */
START_TEST(test_broker_moves_what_is_submitted_again) {
    peer_t before = gateway_open(), after = gateway_open_again(&before);
    for (uint64_t i = 0; i < 3; i++) {
        submit(&before, i);
    }
    ck_assert(peer_ping(&before, NULL));
    submit(&after, 10);
    for (uint64_t i = 0; i < 3; i++) {
        submit(&after, i);
    }
    ck_assert(peer_ping(&after, NULL));
    peer_kill(&before);
    peer_t worker = worker_open(1);
    static const uint64_t order[] = {10, 0, 1, 2};
    for (size_t i = 0; i < FLK_COUNT_OF(order); i++) {
        flk_frame_t work = expect_work(&worker, order[i], 1);
        answer(&worker, &work);
        expect_verdict(&after, order[i]);
    }
    peer_kill(&after);
    peer_kill(&worker);
}
END_TEST

/* A worker never holds more than its credit, however much waits; an answer gives one back. */
START_TEST(test_broker_never_exceeds_credit) {
    peer_t gateway = gateway_open(), worker = worker_open(4);
    for (uint64_t i = 0; i < 50; i++) {
        submit(&gateway, i);
    }
    ck_assert(peer_ping(&gateway, NULL));
    flk_frame_t held[4];
    for (uint64_t i = 0; i < 4; i++) {
        held[i] = expect_work(&worker, i, 1);
    }
    size_t more = 0;
    ck_assert(peer_ping(&worker, &more));
    ck_assert_uint_eq(more, 0);
    answer(&worker, &held[2]);
    answer(&worker, &held[0]);
    expect_work(&worker, 4, 1);
    expect_work(&worker, 5, 1);
    ck_assert(peer_ping(&worker, &more));
    ck_assert_uint_eq(more, 0);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A worker with a credit of 1, as when its store fails, gets work only when no other can take it. */
START_TEST(test_broker_prefers_who_may_hold_more) {
    peer_t gateway = gateway_open(), failing = worker_open(1), worker = worker_open(3);
    for (uint64_t i = 0; i < 4; i++) {
        submit(&gateway, i);
    }
    ck_assert(peer_ping(&gateway, NULL));
    for (uint64_t i = 0; i < 3; i++) {
        expect_work(&worker, i, 1);
    }
    expect_work(&failing, 3, 1);
    peer_kill(&gateway);
    peer_kill(&failing);
    peer_kill(&worker);
}
END_TEST

/* Work is spread over the workers that are there, rather than piled on one. */
START_TEST(test_broker_spreads_work) {
    peer_t gateway = gateway_open(), workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i] = worker_open(64);
    }
    for (uint64_t i = 0; i < 40; i++) {
        submit(&gateway, i);
    }
    ck_assert(peer_ping(&gateway, NULL));
    for (int i = 0; i < 4; i++) {
        size_t work = 0;
        ck_assert(peer_ping(&workers[i], &work));
        ck_assert_uint_eq(work, 10);
        peer_kill(&workers[i]);
    }
    peer_kill(&gateway);
}
END_TEST

/* Over the limit by count a submission is BUSY at once, with a reason and when to come again; the queue is unharmed. */
START_TEST(test_broker_is_busy_by_count) {
    peer_t gateway = gateway_open();
    for (uint64_t i = 0; i <= 1000; i++) {
        submit(&gateway, i);
    }
    const flk_frame_t *busy = peer_expect(&gateway, FLK_BUSY);
    flk_id_t last = submission(1000);
    ck_assert(flk_id_equal(&busy->id, &last));
    ck_assert_str_eq(busy->name, "queue full by count");
    ck_assert_uint_gt(busy->retry_ms, 0);
    peer_t worker = worker_open(1);
    flk_frame_t work = expect_work(&worker, 0, 1);
    answer(&worker, &work);
    expect_verdict(&gateway, 0);
    submit(&gateway, 1000); /* there is room again */
    size_t more = 0;
    ck_assert(peer_ping(&gateway, &more));
    ck_assert_uint_eq(more, 0);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* Over the limit by bytes a submission is BUSY too, and a smaller one still fits. */
START_TEST(test_broker_is_busy_by_bytes) {
    peer_t gateway = gateway_open();
    size_t big_bytes = (1 << 20) - 100;
    char *big = calloc(1, big_bytes + 1);
    memset(big, 'b', big_bytes);
    peer_send(&gateway, &(flk_frame_t){.kind = FLK_SUBMIT, .id = submission(1)}, big);
    peer_send(&gateway, &(flk_frame_t){.kind = FLK_SUBMIT, .id = submission(2)}, big);
    free(big);
    submit(&gateway, 3);
    const flk_frame_t *busy = peer_expect(&gateway, FLK_BUSY);
    flk_id_t second = submission(2);
    ck_assert(flk_id_equal(&busy->id, &second));
    ck_assert_str_eq(busy->name, "queue full by bytes");
    ck_assert(peer_ping(&gateway, NULL));
    ck_assert_uint_eq(rig_counter("flk_broker_submitted_total"), 2);
    ck_assert_uint_eq(rig_counter("flk_broker_busy_total"), 1);
    peer_kill(&gateway);
}
END_TEST

/* A worker that cannot reach its store gives the delivery back to the gateway, not to the queue. */
START_TEST(test_broker_passes_unavailable_on) {
    peer_t gateway = gateway_open(), worker = worker_open(1);
    submit(&gateway, 1);
    flk_frame_t work = expect_work(&worker, 1, 1);
    flk_frame_t unavailable = {
        .kind = FLK_UNAVAILABLE, .id = work.id, .delivery = work.delivery, .retry_ms = 250, .name = "store timeout"};
    peer_send(&worker, &unavailable, NULL);
    const flk_frame_t *back = peer_expect(&gateway, FLK_UNAVAILABLE);
    ck_assert_uint_eq(back->retry_ms, 250);
    ck_assert_str_eq(back->name, "store timeout");
    ck_assert_uint_eq(back->delivery, 0);
    submit(&gateway, 1); /* the gateway drives it again: a new delivery */
    flk_frame_t again = expect_work(&worker, 1, 1);
    ck_assert_uint_ne(again.delivery, work.delivery);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A submission that is sent again while it waits, or while a worker has it, is not worked on twice; the answer goes
 * to where it was sent from last. */
START_TEST(test_broker_does_not_queue_a_submission_twice) {
    peer_t before = gateway_open(), after = gateway_open_again(&before);
    submit(&before, 1);
    submit(&before, 2);
    ck_assert(peer_ping(&before, NULL));
    submit(&after, 2); /* while it waits */
    ck_assert(peer_ping(&after, NULL));
    peer_t worker = worker_open(10);
    flk_frame_t one = expect_work(&worker, 1, 1), two = expect_work(&worker, 2, 1);
    submit(&after, 1); /* while it is in hand */
    size_t more = 0;
    ck_assert(peer_ping(&after, NULL));
    ck_assert(peer_ping(&worker, &more));
    ck_assert_uint_eq(more, 0);
    answer(&worker, &one);
    answer(&worker, &two);
    expect_verdict(&after, 1);
    expect_verdict(&after, 2);
    ck_assert(peer_ping(&before, &more));
    ck_assert_uint_eq(more, 0);
    ck_assert_uint_eq(rig_counter("flk_broker_resubmitted_total"), 2);
    peer_kill(&before);
    peer_kill(&after);
    peer_kill(&worker);
}
END_TEST

/* Waits for the BUSY of one submission. */
static void expect_busy(peer_t *gateway, uint64_t number, const char *reason) {
    const flk_frame_t *busy = peer_expect(gateway, FLK_BUSY);
    flk_id_t id = submission(number);
    ck_assert(flk_id_equal(&busy->id, &id));
    ck_assert_str_eq(busy->name, reason);
    ck_assert_uint_gt(busy->retry_ms, 0);
}

/* Another body under the id of a submission that is held is refused, from whichever gateway it comes; the first is
 * answered. */
START_TEST(test_broker_refuses_another_body_under_an_id) {
    static const char reason[] = "the id is another submission's";
    peer_t gateway = gateway_open(), twin = gateway_open();
    submit(&gateway, 1);
    submit_body(&gateway, 1, "another body");
    expect_busy(&gateway, 1, reason);
    submit_body(&twin, 1, "body 2"); /* as long as the first */
    expect_busy(&twin, 1, reason);
    peer_t worker = worker_open(10);
    flk_frame_t work = expect_work(&worker, 1, 1);
    ck_assert_uint_eq(zmq_msg_size(&worker.message.body), strlen("body 1"));
    submit_body(&twin, 1, "while it is in hand");
    expect_busy(&twin, 1, reason);
    answer(&worker, &work);
    expect_verdict(&gateway, 1);
    ck_assert_uint_eq(rig_counter("flk_broker_ids_in_use_total"), 3);
    ck_assert_uint_eq(rig_counter("flk_broker_resubmitted_total"), 0);
    peer_kill(&gateway);
    peer_kill(&twin);
    peer_kill(&worker);
}
END_TEST

/* A second gateway that sends the same ids is refused while the first lives, even with the same body; once the first
 * is gone, it was a restart, and the second gets the answer. */
START_TEST(test_broker_refuses_a_second_gateway_with_the_same_ids) {
    peer_t gateway = gateway_open(), twin = gateway_open();
    submit(&gateway, 1);
    ck_assert(peer_ping(&gateway, NULL));
    submit(&twin, 1);
    expect_busy(&twin, 1, "another gateway uses this log's ids");
    peer_kill(&gateway);
    uint64_t deadline_ms = flk_mono_ms() + RIG_DEADLINE_MS;
    while (rig_counter("flk_broker_resubmitted_total") == 0) {
        ck_assert_uint_lt(flk_mono_ms(), deadline_ms);
        submit(&twin, 1);
        usleep(20000);
    }
    peer_t worker = worker_open(1);
    flk_frame_t work = expect_work(&worker, 1, 1);
    answer(&worker, &work);
    do {
        ck_assert(peer_next_of_work(&twin, RIG_DEADLINE_MS));
    } while (twin.message.frame.kind == FLK_BUSY);
    ck_assert_int_eq(twin.message.frame.kind, FLK_VERDICT);
    peer_kill(&twin);
    peer_kill(&worker);
}
END_TEST

/* A peer that did not introduce itself is told so by PONG, on either side; a submission is served all the same. */
START_TEST(test_broker_asks_strangers_to_introduce_themselves) {
    peer_t gateway = peer_open(flk_broker_frontend(rig.broker));
    peer_t worker = peer_open(flk_broker_backend(rig.broker));
    ck_assert(!peer_ping(&gateway, NULL));
    ck_assert(!peer_ping(&worker, NULL));
    worker_ready(&worker, 2);
    peer_expect(&worker, FLK_WELCOME);
    ck_assert(peer_ping(&worker, NULL));
    submit(&gateway, 1);
    ck_assert(!peer_ping(&gateway, NULL));
    flk_frame_t work = expect_work(&worker, 1, 1);
    answer(&worker, &work);
    expect_verdict(&gateway, 1);
    peer_say(&gateway, (flk_frame_t){.kind = FLK_HELLO, .name = "gateway"});
    peer_expect(&gateway, FLK_WELCOME);
    ck_assert(peer_ping(&gateway, NULL));
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A worker that says GOODBYE gets nothing more, may finish its deliveries, and hears GOODBYE when it holds nothing. */
START_TEST(test_broker_lets_a_worker_finish_after_goodbye) {
    peer_t gateway = gateway_open(), leaving = worker_open(2);
    submit(&gateway, 1);
    submit(&gateway, 2);
    flk_frame_t one = expect_work(&leaving, 1, 1), two = expect_work(&leaving, 2, 1);
    peer_say(&leaving, (flk_frame_t){.kind = FLK_GOODBYE});
    submit(&gateway, 3);
    ck_assert(peer_ping(&gateway, NULL));
    answer(&leaving, &one);
    size_t more = 0;
    ck_assert(peer_ping(&leaving, &more));
    ck_assert_uint_eq(more, 0);
    answer(&leaving, &two);
    peer_expect(&leaving, FLK_GOODBYE);
    ck_assert(!peer_ping(&leaving, NULL)); /* forgotten */
    expect_verdict(&gateway, 1);
    expect_verdict(&gateway, 2);
    peer_t staying = worker_open(1);
    expect_work(&staying, 3, 1);
    ck_assert_uint_eq(rig_counter("flk_broker_workers_lost_total"), 0);
    peer_kill(&gateway);
    peer_kill(&leaving);
    peer_kill(&staying);
}
END_TEST

/* GOODBYE is answered at once when there is nothing to finish, also for a worker that the broker does not know. */
START_TEST(test_broker_answers_goodbye_of_idle_and_unknown_workers) {
    peer_t idle = worker_open(2), stranger = peer_open(flk_broker_backend(rig.broker));
    peer_say(&idle, (flk_frame_t){.kind = FLK_GOODBYE});
    peer_say(&stranger, (flk_frame_t){.kind = FLK_GOODBYE});
    peer_expect(&idle, FLK_GOODBYE);
    peer_expect(&stranger, FLK_GOODBYE);
    peer_kill(&idle);
    peer_kill(&stranger);
}
END_TEST

/* The answer for a gateway that said GOODBYE is dropped and counted, and its worker's credit comes back. */
START_TEST(test_broker_drops_answers_of_a_gateway_that_left) {
    peer_t gateway = gateway_open(), other = gateway_open(), worker = worker_open(1);
    submit(&gateway, 1);
    flk_frame_t work = expect_work(&worker, 1, 1);
    peer_say(&gateway, (flk_frame_t){.kind = FLK_GOODBYE});
    ck_assert(!peer_ping(&gateway, NULL));
    submit(&other, 2);
    answer(&worker, &work);
    expect_work(&worker, 2, 1);
    ck_assert_uint_eq(rig_counter("flk_broker_dropped_answers_total"), 1);
    peer_kill(&gateway);
    peer_kill(&other);
    peer_kill(&worker);
}
END_TEST

/* Stopping, the broker says GOODBYE to everybody and is gone within a second; it was ready until then. */
START_TEST(test_broker_says_goodbye_when_it_stops) {
    peer_t gateway = gateway_open(), worker = worker_open(1);
    char why[FLK_ERRMSG_BYTES] = "";
    ck_assert(flk_broker_ready(rig.broker, why));
    uint64_t asked_ms = flk_mono_ms();
    rig_join();
    ck_assert(!flk_broker_ready(rig.broker, why));
    ck_assert_str_ne(why, "");
    peer_expect(&gateway, FLK_GOODBYE);
    peer_expect(&worker, FLK_GOODBYE);
    flk_broker_destroy(&rig.broker);
    ck_assert_uint_lt(flk_mono_ms() - asked_ms, 5000); /* no lingering socket: that would be for ever */
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A second broker on the same endpoint is refused with one line that names it. */
START_TEST(test_broker_names_the_endpoint_in_use) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_broker_options_t options = {.frontend = "tcp://127.0.0.1:*",
                                    .backend = flk_broker_backend(rig.broker),
                                    .heartbeat_ms = 1000,
                                    .count_max = 1,
                                    .bytes_max = 1,
                                    .metrics = rig.metrics};
    flk_broker_t *second;
    ck_assert_int_eq(flk_broker_new(&options, &second, errmsg), FLK_E_LOCKED);
    ck_assert_ptr_null(second);
    ck_assert_msg(strstr(errmsg, options.backend) != NULL, "%s", errmsg);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("broker_flow");
    TCase *tc = tcase_create("broker_flow");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_broker_carries_a_submission_there_and_back);
    tcase_add_test(tc, test_broker_welcomes_with_credit_and_heartbeat);
    tcase_add_test(tc, test_broker_hands_out_in_order);
    tcase_add_test(tc, test_broker_is_fair_to_gateways);
    tcase_add_test(tc, test_broker_moves_what_is_submitted_again);
    tcase_add_test(tc, test_broker_refuses_another_body_under_an_id);
    tcase_add_test(tc, test_broker_refuses_a_second_gateway_with_the_same_ids);
    tcase_add_test(tc, test_broker_never_exceeds_credit);
    tcase_add_test(tc, test_broker_prefers_who_may_hold_more);
    tcase_add_test(tc, test_broker_spreads_work);
    tcase_add_test(tc, test_broker_is_busy_by_count);
    tcase_add_test(tc, test_broker_is_busy_by_bytes);
    tcase_add_test(tc, test_broker_passes_unavailable_on);
    tcase_add_test(tc, test_broker_does_not_queue_a_submission_twice);
    tcase_add_test(tc, test_broker_asks_strangers_to_introduce_themselves);
    tcase_add_test(tc, test_broker_lets_a_worker_finish_after_goodbye);
    tcase_add_test(tc, test_broker_answers_goodbye_of_idle_and_unknown_workers);
    tcase_add_test(tc, test_broker_drops_answers_of_a_gateway_that_left);
    tcase_add_test(tc, test_broker_says_goodbye_when_it_stops);
    tcase_add_test(tc, test_broker_names_the_endpoint_in_use);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
