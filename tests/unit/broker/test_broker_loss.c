/* SPDX-License-Identifier: MIT */
/* The broker when peers are killed, fall silent, come back, or talk nonsense. A short heartbeat where the test is about
 * silence, a long one where silence must not interfere. */
#include "tests/unit/rig/broker_rig.h"

#include "proto/msgpack.h"
#include "tests/unit/rig/suite.h"

static void teardown(void) {
    rig_stop();
}

static void setup(void) {
    rig_start(RIG_HEARTBEAT_MS, 1000, 1 << 20);
}

enum { SHORT_MS = 100, MIDDLE_MS = 300 };
static void setup_short(void) {
    rig_start(SHORT_MS, 1000, 1 << 20);
}
static void setup_middle(void) { /* for tests with peers that must not fall silent while the test does something else */
    rig_start(MIDDLE_MS, 1000, 1 << 20);
}

/* Waits until a counter or gauge has a value. `alive`, when not NULL, gives signs of life meanwhile. */
static void await_with(peer_t *alive, int64_t (*read)(const char *), const char *name, int64_t value) {
    uint64_t deadline = flk_mono_ms() + RIG_DEADLINE_MS;
    while (read(name) != value && flk_mono_ms() < deadline) {
        if (alive != NULL) {
            peer_say(alive, (flk_frame_t){.kind = FLK_PONG, .known = true});
        }
        zmq_poll(NULL, 0, 5);
    }
    ck_assert_msg(read(name) == value, "%s is %lld, not %lld", name, (long long)read(name), (long long)value);
}
static void await(int64_t (*read)(const char *), const char *name, int64_t value) {
    await_with(NULL, read, name, value);
}
static int64_t counter(const char *name) {
    return (int64_t)rig_counter(name);
}
static int64_t gauge(const char *name) {
    return rig_gauge(name);
}

/* Takes `count` deliveries, starting with `first`, into a worker's hand and kills it. */
static void kill_a_worker_with(uint64_t first, uint64_t count, uint32_t attempt, uint32_t credit) {
    peer_t worker = worker_open(credit);
    for (uint64_t i = 0; i < count; i++) {
        expect_work(&worker, first + i, attempt);
    }
    peer_kill(&worker);
}

/* ---- killed: the connection is gone ---- */

/* The deliveries of a killed worker are handed out again before all others, in order, as a further attempt; and soon:
 * its closed connection gives it away long before three heartbeats are over. */
START_TEST(test_broker_redelivers_in_order_when_a_worker_is_killed) {
    peer_t gateway = gateway_open(), doomed = worker_open(3);
    for (uint64_t i = 0; i < 6; i++) {
        submit(&gateway, i);
    }
    for (uint64_t i = 0; i < 3; i++) {
        expect_work(&doomed, i, 1);
    }
    peer_t heir = worker_open(1);
    flk_frame_t work = expect_work(&heir, 3, 1);
    uint64_t killed_ms = flk_mono_ms();
    peer_kill(&doomed);
    await(counter, "flk_broker_workers_lost_total", 1);
    ck_assert_uint_lt(flk_mono_ms() - killed_ms, RIG_HEARTBEAT_MS);
    answer(&heir, &work);
    for (uint64_t i = 0; i < 3; i++) {
        work = expect_work(&heir, i, 2);
        answer(&heir, &work);
    }
    for (uint64_t i = 4; i < 6; i++) {
        work = expect_work(&heir, i, 1);
        answer(&heir, &work);
    }
    static const uint64_t order[] = {3, 0, 1, 2, 4, 5};
    for (size_t i = 0; i < FLK_COUNT_OF(order); i++) {
        expect_verdict(&gateway, order[i]);
    }
    ck_assert_uint_eq(rig_counter("flk_broker_redeliveries_total"), 3);
    peer_kill(&gateway);
    peer_kill(&heir);
}
END_TEST

/* ---- suspects and dead letters ---- */

/* A delivery that was on two lost workers travels alone: to a worker with nothing in hand, which gets nothing else
 * until it has answered; after that, things are as before. */
START_TEST(test_broker_hands_suspects_out_alone) {
    peer_t gateway = gateway_open();
    submit(&gateway, 1);
    submit(&gateway, 2);
    kill_a_worker_with(1, 2, 1, 2);
    await(counter, "flk_broker_workers_lost_total", 1);
    kill_a_worker_with(1, 2, 2, 2);
    await(gauge, "flk_broker_suspects", 2);

    peer_t worker = worker_open(10);
    flk_frame_t first = expect_work(&worker, 1, 3);
    submit(&gateway, 3);
    ck_assert(peer_ping(&gateway, NULL));
    size_t more = 0;
    ck_assert(peer_ping(&worker, &more));
    ck_assert_uint_eq(more, 0);
    answer(&worker, &first);
    flk_frame_t second = expect_work(&worker, 2, 3);
    ck_assert(peer_ping(&worker, &more));
    ck_assert_uint_eq(more, 0);
    answer(&worker, &second);
    expect_work(&worker, 3, 1);
    expect_verdict(&gateway, 1);
    expect_verdict(&gateway, 2);
    ck_assert_uint_eq(rig_counter("flk_broker_dead_letters_total"), 0);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* While one worker is set aside for a suspect the others go on with the rest, also when all of them are busy at
 * first. */
START_TEST(test_broker_goes_on_beside_a_suspect) {
    peer_t gateway = gateway_open();
    submit(&gateway, 1);
    kill_a_worker_with(1, 1, 1, 1);
    await(counter, "flk_broker_workers_lost_total", 1);
    kill_a_worker_with(1, 1, 2, 1);
    await(gauge, "flk_broker_suspects", 1);
    peer_t a = worker_open(2);
    expect_work(&a, 1, 3); /* alone */
    peer_t b = worker_open(2);
    submit(&gateway, 2);
    submit(&gateway, 3);
    submit(&gateway, 4);
    flk_frame_t two = expect_work(&b, 2, 1), three = expect_work(&b, 3, 1);
    peer_kill(&a); /* the suspect waits; b is full, and the only one left */
    await(gauge, "flk_broker_suspects", 1);
    answer(&b, &two);
    size_t more = 0;
    ck_assert(peer_ping(&b, &more));
    ck_assert_uint_eq(more, 0); /* set aside: not even number 4 */
    answer(&b, &three);
    flk_frame_t suspect = expect_work(&b, 1, 4);
    answer(&b, &suspect);
    expect_work(&b, 4, 1);
    peer_kill(&gateway);
    peer_kill(&b);
}
END_TEST

/* A delivery that takes five workers down is given up: an escalated outcome with that reason; innocent ones that were
 * with it get their verdicts. */
START_TEST(test_broker_gives_up_a_poisoned_delivery) {
    peer_t gateway = gateway_open();
    submit(&gateway, 1); /* the poison */
    submit(&gateway, 2);
    kill_a_worker_with(1, 2, 1, 2);
    await(counter, "flk_broker_workers_lost_total", 1);
    kill_a_worker_with(1, 2, 2, 2);
    await(gauge, "flk_broker_suspects", 2);
    kill_a_worker_with(1, 1, 3, 2);
    await(counter, "flk_broker_workers_lost_total", 3);
    kill_a_worker_with(1, 1, 4, 2);
    await(counter, "flk_broker_workers_lost_total", 4);
    kill_a_worker_with(1, 1, 5, 2);

    const flk_frame_t *verdict = peer_expect(&gateway, FLK_VERDICT);
    flk_id_t id = submission(1);
    ck_assert(flk_id_equal(&verdict->id, &id));
    ck_assert_uint_eq(verdict->status, FLK_STATUS_ESCALATED);
    ck_assert_uint_eq(verdict->flags, FLK_FLAG_DEAD_LETTER);
    flk_outcome_record_t record;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err =
        flk_outcome_decode(zmq_msg_data(&gateway.message.body), zmq_msg_size(&gateway.message.body), &record, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    ck_assert_uint_eq(record.outcome.reasons, 1u << FLK_REASON_DEAD_LETTER);
    ck_assert(flk_id_equal(&record.origin, &id));

    peer_t worker = worker_open(2);
    flk_frame_t innocent = expect_work(&worker, 2, 3);
    answer(&worker, &innocent);
    expect_verdict(&gateway, 2);
    ck_assert_uint_eq(rig_counter("flk_broker_dead_letters_total"), 1);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* ---- silent: the connection is there, but nobody speaks ---- */

/* A silent worker is lost after three heartbeats: not before two, and not much later. */
START_TEST(test_broker_loses_a_silent_worker_after_three_heartbeats) {
    peer_t gateway = gateway_open();
    peer_t silent = worker_open(1);
    submit(&gateway, 1);
    expect_work(&silent, 1, 1);
    uint64_t silent_from_ms = flk_mono_ms();
    await(counter, "flk_broker_workers_lost_total", 1);
    uint64_t took_ms = flk_mono_ms() - silent_from_ms;
    ck_assert_msg(took_ms >= 2 * SHORT_MS, "lost after %llu ms", (unsigned long long)took_ms);
    ck_assert_msg(took_ms <= 30 * SHORT_MS, "lost after %llu ms", (unsigned long long)took_ms);
    peer_kill(&gateway);
    peer_kill(&silent);
}
END_TEST

/* Answers PING for a while and does nothing else. False: something else came. */
static bool idle_for(peer_t *peer, uint64_t ms) {
    return !peer_next_of_work(peer, ms);
}

/* A worker that only answers PING is never lost. */
START_TEST(test_broker_keeps_a_worker_that_answers_pings) {
    peer_t worker = worker_open(1);
    ck_assert(idle_for(&worker, 10 * SHORT_MS));
    ck_assert(peer_ping(&worker, NULL));
    ck_assert_uint_eq(rig_counter("flk_broker_workers_lost_total"), 0);
    peer_kill(&worker);
}
END_TEST

static void pulse_beat(peer_t *pulse, const peer_t *worker) {
    flk_frame_t ping = {
        .kind = FLK_PING, .id = pulse->instance, .instances = worker->instance.bytes, .instances_len = 1};
    peer_send(pulse, &ping, NULL);
    while (peer_next(pulse, 0)) {
        ck_assert(pulse->message.frame.kind == FLK_PONG && pulse->message.frame.known);
    }
    zmq_poll(NULL, 0, SHORT_MS / 4);
}

/* A pulse keeps a silent worker from being lost, but not for ever: after thirty periods it is taken for stuck. */
START_TEST(test_broker_takes_the_word_of_a_pulse_for_a_while) {
    peer_t gateway = gateway_open(), worker = worker_open(1), pulse = peer_open(flk_broker_backend(rig.broker));
    submit(&gateway, 1);
    expect_work(&worker, 1, 1);
    uint64_t from_ms = flk_mono_ms();
    while (flk_mono_ms() - from_ms < 10 * SHORT_MS) {
        pulse_beat(&pulse, &worker);
        ck_assert_uint_eq(rig_counter("flk_broker_workers_lost_total"), 0);
    }
    while (rig_counter("flk_broker_workers_lost_total") == 0 && flk_mono_ms() - from_ms < RIG_DEADLINE_MS) {
        pulse_beat(&pulse, &worker);
    }
    uint64_t took_ms = flk_mono_ms() - from_ms;
    ck_assert_msg(took_ms >= 29 * SHORT_MS && took_ms < 60 * SHORT_MS, "%llu ms", (unsigned long long)took_ms);
    ck_assert_int_eq(rig_gauge("flk_broker_workers"), 0); /* and the pulse was never taken for a worker */
    peer_kill(&gateway);
    peer_kill(&worker);
    peer_kill(&pulse);
}
END_TEST

/* The verdict of a worker that was counted as lost settles its delivery while another has it: one answer for the
 * gateway, the other worker's credit stays in use until it answers too, and that answer is stale. */
START_TEST(test_broker_takes_a_late_verdict_and_keeps_the_credit) {
    peer_t gateway = gateway_open(), slow = worker_open(1);
    submit(&gateway, 1);
    flk_frame_t late = expect_work(&slow, 1, 1);
    await_with(&gateway, counter, "flk_broker_workers_lost_total", 1);
    peer_t heir = worker_open(1);
    flk_frame_t again = expect_work(&heir, 1, 2);
    ck_assert_uint_eq(again.delivery, late.delivery);
    answer(&slow, &late);
    expect_verdict(&gateway, 1);
    submit(&gateway, 2);
    submit(&gateway, 1); /* settled: a new delivery */
    ck_assert(peer_ping(&gateway, NULL));
    size_t more = 0;
    ck_assert(peer_ping(&heir, &more));
    ck_assert_uint_eq(more, 0);
    answer(&heir, &again);
    expect_work(&heir, 2, 1);
    ck_assert(peer_ping(&gateway, &more));
    ck_assert_uint_eq(more, 0);
    ck_assert_uint_eq(rig_counter("flk_broker_stale_verdicts_total"), 1);
    ck_assert_uint_eq(rig_counter("flk_broker_verdicts_total"), 1);
    peer_kill(&gateway);
    peer_kill(&slow);
    peer_kill(&heir);
}
END_TEST

/* A late verdict also settles a delivery that waits for another worker: it is not handed out again. */
START_TEST(test_broker_takes_a_late_verdict_for_what_waits) {
    peer_t gateway = gateway_open(), slow = worker_open(1);
    submit(&gateway, 1);
    flk_frame_t late = expect_work(&slow, 1, 1);
    await_with(&gateway, counter, "flk_broker_workers_lost_total", 1);
    flk_frame_t unavailable = {.kind = FLK_UNAVAILABLE, .id = late.id, .delivery = late.delivery, .name = "late"};
    peer_send(&slow, &unavailable, NULL); /* is no verdict: somebody else may do better */
    answer(&slow, &late);
    expect_verdict(&gateway, 1);
    ck_assert_int_eq(peer_ping(&slow, NULL), false);
    worker_ready(&slow, 1);
    peer_expect(&slow, FLK_WELCOME);
    size_t more = 0;
    ck_assert(peer_ping(&slow, &more));
    ck_assert_uint_eq(more, 0);
    ck_assert_uint_eq(rig_counter("flk_broker_stale_verdicts_total"), 1);
    peer_kill(&gateway);
    peer_kill(&slow);
}
END_TEST

/* A worker that is back over another connection, since its first broke, gets its deliveries, or others do, at once and
 * without blame: however often that happens, nothing becomes suspect. */
START_TEST(test_broker_does_not_blame_deliveries_for_a_new_connection) {
    peer_t gateway = gateway_open(), worker = worker_open(2);
    submit(&gateway, 1);
    submit(&gateway, 2);
    for (uint32_t attempt = 1; attempt <= 6; attempt++) {
        expect_work(&worker, 1, attempt);
        expect_work(&worker, 2, attempt);
        void *before = worker.socket;
        peer_connect(&worker, flk_broker_backend(rig.broker));
        worker_ready(&worker, 2);
        peer_expect(&worker, FLK_WELCOME);
        rig_close(before);
    }
    ck_assert_int_eq(rig_gauge("flk_broker_suspects"), 0);
    ck_assert_uint_eq(rig_counter("flk_broker_dead_letters_total"), 0);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* A gateway that fell silent is lost; its submissions are still worked on, and their answers dropped. */
START_TEST(test_broker_loses_a_silent_gateway) {
    peer_t gateway = gateway_open();
    submit(&gateway, 1);
    await(gauge, "flk_broker_gateways", 1);
    await(gauge, "flk_broker_gateways", 0);
    peer_t worker = worker_open(1);
    flk_frame_t work = expect_work(&worker, 1, 1);
    answer(&worker, &work);
    ck_assert(peer_ping(&worker, NULL));
    ck_assert_uint_eq(rig_counter("flk_broker_dropped_answers_total"), 1);
    ck_assert(!peer_ping(&gateway, NULL));
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

/* The deliveries of a gateway are no longer handed out once it was gone for sixty periods; others are not affected. */
START_TEST(test_broker_abandons_what_a_gateway_left_long_ago) {
    peer_t gone = gateway_open(), other = gateway_open();
    submit(&gone, 1);
    peer_say(&gone, (flk_frame_t){.kind = FLK_GOODBYE});
    ck_assert(!peer_ping(&gone, NULL));
    submit(&other, 2);
    ck_assert(!peer_next_of_work(&other, 62 * SHORT_MS)); /* gives signs of life meanwhile */
    peer_t worker = worker_open(1);
    flk_frame_t work = expect_work(&worker, 2, 1);
    answer(&worker, &work);
    expect_verdict(&other, 2);
    ck_assert_uint_eq(rig_counter("flk_broker_abandoned_total"), 1);
    peer_kill(&gone);
    peer_kill(&other);
    peer_kill(&worker);
}
END_TEST

/* ---- nonsense ---- */

static void send_random_parts(peer_t *peer, unsigned *seed) {
    int parts = 1 + rand_r(seed) % 4;
    for (int i = 0; i < parts; i++) {
        uint8_t bytes[600];
        size_t len = (size_t)rand_r(seed) % sizeof bytes;
        for (size_t at = 0; at < len; at++) {
            bytes[at] = (uint8_t)rand_r(seed);
        }
        zmq_send(peer->socket, bytes, len, ZMQ_DONTWAIT | (i + 1 < parts ? ZMQ_SNDMORE : 0));
    }
}

/* A well-formed frame of any kind with any numbers in it, out of turn. */
static void send_random_frame(peer_t *peer, unsigned *seed) {
    flk_frame_t frame = {
        .kind = (flk_kind_t)(1 + rand_r(seed) % FLK_GOODBYE),
        .id = submission((uint64_t)rand_r(seed) % 8),
        .delivery = (uint64_t)rand_r(seed) % 64,
        .attempt = (uint32_t)rand_r(seed),
        .status = (uint32_t)rand_r(seed) % 600,
        .flags = (uint32_t)rand_r(seed),
        .credit = (uint32_t)rand_r(seed) % 4,
        .known = rand_r(seed) % 2 == 0,
        .instances = peer->instance.bytes,
        .instances_len = (uint32_t)rand_r(seed) % 2,
        .name = "fuzz",
    };
    flk_err_t err = flk_link_send_copy(peer->socket, NULL, &frame, "body", (size_t)rand_r(seed) % 5);
    (void)err; /* FLK_E_UNAVAILABLE while it reconnects */
}

/* Random bytes, damaged frames and well-formed frames out of turn, from both sides at once, with connections that
 * come and go, never stop the broker, and afterwards it works for its good peers with nothing left behind. */
START_TEST(test_broker_survives_nonsense) {
    unsigned seed = (unsigned)flk_random_u64();
    printf("test_broker_survives_nonsense: seed %u\n", seed);
    peer_t peers[6];
    for (int i = 0; i < 6; i++) {
        peers[i] = i % 2 == 0 ? gateway_open() : worker_open(2);
    }
    for (int round = 0; round < 20000; round++) {
        int at = rand_r(&seed) % 6;
        peer_t *peer = &peers[at];
        if (rand_r(&seed) % 500 == 0) {
            peer_kill(peer);
            *peer =
                at % 2 == 0 ? peer_open(flk_broker_frontend(rig.broker)) : peer_open(flk_broker_backend(rig.broker));
        } else if (rand_r(&seed) % 4 == 0) {
            send_random_parts(peer, &seed);
        } else {
            send_random_frame(peer, &seed);
        }
        while (rand_r(&seed) % 2 == 0 && peer_next(peer, 0)) {
        }
    }
    for (int i = 0; i < 6; i++) {
        peer_kill(&peers[i]);
    }
    await(gauge, "flk_broker_workers", 0);
    await(gauge, "flk_broker_inflight", 0);
    peer_t gateway = gateway_open(), worker = worker_open(4);
    flk_frame_t work;
    do { /* deliveries that the nonsense left in the queue go first */
        submit(&gateway, 1000);
        work = *peer_expect(&worker, FLK_WORK);
        answer(&worker, &work);
    } while (work.id.bytes[15] != (1000 & 0xff));
    expect_verdict(&gateway, 1000);
    ck_assert_uint_gt(rig_counter("flk_broker_malformed_total"), 0);
    ck_assert_uint_gt(rig_counter("flk_broker_unknown_total"), 0);
    peer_kill(&gateway);
    peer_kill(&worker);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("broker_loss");
    TCase *tc = tcase_create("killed");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_broker_redelivers_in_order_when_a_worker_is_killed);
    tcase_add_test(tc, test_broker_hands_suspects_out_alone);
    tcase_add_test(tc, test_broker_goes_on_beside_a_suspect);
    tcase_add_test(tc, test_broker_gives_up_a_poisoned_delivery);
    tcase_add_test(tc, test_broker_does_not_blame_deliveries_for_a_new_connection);
    suite_add_tcase(suite, tc);
    tc = tcase_create("silent");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup_short, teardown);
    tcase_add_test(tc, test_broker_loses_a_silent_worker_after_three_heartbeats);
    tcase_add_test(tc, test_broker_keeps_a_worker_that_answers_pings);
    tcase_add_test(tc, test_broker_takes_the_word_of_a_pulse_for_a_while);
    tcase_add_test(tc, test_broker_loses_a_silent_gateway);
    tcase_add_test(tc, test_broker_abandons_what_a_gateway_left_long_ago);
    suite_add_tcase(suite, tc);
    tc = tcase_create("late");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup_middle, teardown);
    tcase_add_test(tc, test_broker_takes_a_late_verdict_and_keeps_the_credit);
    tcase_add_test(tc, test_broker_takes_a_late_verdict_for_what_waits);
    tcase_add_test(tc, test_broker_survives_nonsense);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
