/* SPDX-License-Identifier: MIT */
/* A whole worker, threads and pulse, against brokers that the test plays on real ROUTERs. */
#include <pthread.h>

#include "proto/link.h"
#include "tests/unit/rig/suite.h"
#include "tests/unit/rig/worker_fixture.h"
#include "worker/worker.h"

enum {
    HEARTBEAT_MS = 300,  /* long enough for a busy machine not to miss three */
    PATIENCE_MS = 10000, /* deadline of any condition */
    PEERS_MAX = 16,
    DELIVERIES_MAX = 4096,
};

/* ---- a broker ---- */

typedef struct peer {
    flk_route_t route;
    flk_id_t instance;
    uint32_t credit, held;
    int readies, pings;
    bool leaving, gone;
} peer_t;

typedef struct answer {
    int times;
    flk_kind_t kind;
    uint32_t status, flags, retry_ms;
    flk_id_t id;
    char reason[FLK_NAME_MAX + 1];
    uint64_t at_ms;
    size_t body_bytes;
    uint8_t body[1024];
    peer_t *peer;
} answer_t;

typedef struct broker {
    void *socket;
    char endpoint[128];
    flk_message_t message;
    size_t peers_len;
    peer_t peers[PEERS_MAX];
    int pulses;                       /* PINGs that named instances */
    uint32_t vouched;                 /* … in the last of them */
    bool silent_goodbye;              /* never answer a GOODBYE */
    bool forgetful;                   /* answers "unknown" to every PING */
    bool deaf;                        /* answer nothing at all */
    answer_t answers[DELIVERIES_MAX]; /* by delivery number */
} broker_t;

static broker_t brokers[2];
static void *context;

static void broker_bind(broker_t *broker, const char *where) {
    size_t size = sizeof broker->endpoint;
    ck_assert_msg(flk_link_bind(context, where, NULL, FLK_ROLE_AGENT, &broker->socket, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(zmq_getsockopt(broker->socket, ZMQ_LAST_ENDPOINT, broker->endpoint, &size), 0);
}

static void broker_say(broker_t *broker, const flk_route_t *route, const flk_frame_t *frame) {
    flk_err_t err = flk_link_send(broker->socket, route, frame, NULL);
    ck_assert(err == FLK_OK || err == FLK_E_UNAVAILABLE);
}

static peer_t *broker_peer(broker_t *broker, const flk_route_t *route) {
    for (size_t i = 0; i < broker->peers_len; i++) {
        if (flk_route_equal(&broker->peers[i].route, route)) {
            return &broker->peers[i];
        }
    }
    return NULL;
}

static void broker_ready(broker_t *broker, peer_t *peer) {
    const flk_frame_t *frame = &broker->message.frame;
    if (peer == NULL) {
        ck_assert_uint_lt(broker->peers_len, PEERS_MAX);
        peer = &broker->peers[broker->peers_len++];
        *peer = (peer_t){.route = broker->message.route, .instance = frame->id, .credit = frame->credit};
    }
    peer->readies++;
    peer->credit = frame->credit;
    broker_say(broker, &peer->route,
               &(flk_frame_t){.kind = FLK_WELCOME, .credit = frame->credit, .heartbeat_ms = HEARTBEAT_MS});
}

static void broker_answer(broker_t *broker, peer_t *peer) {
    const flk_frame_t *frame = &broker->message.frame;
    ck_assert_uint_lt(frame->delivery, DELIVERIES_MAX);
    answer_t *answer = &broker->answers[frame->delivery];
    answer->times++;
    answer->kind = frame->kind;
    answer->status = frame->status;
    answer->flags = frame->flags;
    answer->retry_ms = frame->retry_ms;
    answer->id = frame->id;
    answer->peer = peer;
    answer->at_ms = flk_mono_ms();
    strcpy(answer->reason, frame->name);
    answer->body_bytes = zmq_msg_size(&broker->message.body);
    ck_assert_uint_le(answer->body_bytes, sizeof answer->body);
    memcpy(answer->body, zmq_msg_data(&broker->message.body), answer->body_bytes);
    if (peer != NULL) {
        peer->held--;
    }
}

static void broker_handle(broker_t *broker) {
    const flk_frame_t *frame = &broker->message.frame;
    peer_t *peer = broker_peer(broker, &broker->message.route);
    if (broker->deaf) {
        return;
    }
    switch (frame->kind) {
    case FLK_READY:
        broker_ready(broker, peer);
        break;
    case FLK_PING:
        if (frame->instances_len > 0) {
            broker->pulses++;
        }
        if (peer == NULL) {
            broker->vouched = frame->instances_len;
        } else {
            peer->pings++;
        }
        broker_say(broker, &broker->message.route,
                   &(flk_frame_t){.kind = FLK_PONG,
                                  .known = !broker->forgetful && (peer != NULL || frame->instances_len > 0)});
        break;
    case FLK_VERDICT:
    case FLK_UNAVAILABLE:
        broker_answer(broker, peer);
        break;
    case FLK_GOODBYE:
        ck_assert_ptr_nonnull(peer);
        peer->leaving = true;
        break;
    default:
        break;
    }
    for (size_t i = 0; i < broker->peers_len; i++) {
        peer = &broker->peers[i];
        if (peer->leaving && !peer->gone && peer->held == 0 && !broker->silent_goodbye) {
            peer->gone = true;
            broker_say(broker, &peer->route, &(flk_frame_t){.kind = FLK_GOODBYE});
        }
    }
}

/* Lets the brokers do their part for a moment. */
static void pump(void) {
    zmq_pollitem_t polls[FLK_COUNT_OF(brokers)];
    int polls_len = 0;
    for (size_t i = 0; i < FLK_COUNT_OF(brokers); i++) {
        if (brokers[i].socket != NULL) {
            polls[polls_len++] = (zmq_pollitem_t){.socket = brokers[i].socket, .events = ZMQ_POLLIN};
        }
    }
    (void)zmq_poll(polls, polls_len, 5);
    for (size_t i = 0; i < FLK_COUNT_OF(brokers); i++) {
        while (brokers[i].socket != NULL &&
               flk_link_recv(brokers[i].socket, true, &brokers[i].message, errmsg) == FLK_OK) {
            broker_handle(&brokers[i]);
        }
    }
}

#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        uint64_t until_ms_ = flk_mono_ms() + PATIENCE_MS;                                                              \
        while (!(condition)) {                                                                                         \
            ck_assert_msg(flk_mono_ms() < until_ms_, "in vain: %s", #condition);                                       \
            pump();                                                                                                    \
        }                                                                                                              \
    } while (0)

/* Hands a delivery out as the broker does: within the peer's credit. */
static void deliver(broker_t *broker, peer_t *peer, uint64_t delivery, uint64_t n, const body_t *body) {
    flk_frame_t frame = {.kind = FLK_WORK, .id = submission(n), .delivery = delivery, .attempt = 1};
    WAIT_FOR(peer->held < peer->credit);
    ck_assert_int_eq(flk_link_send_copy(broker->socket, &peer->route, &frame, body->data, body->bytes), FLK_OK);
    peer->held++;
}

/* ---- the worker ---- */

static flk_metrics_t *metrics;
static flk_rulebook_t *book;
static flk_worker_t *worker;

static flk_err_t open_told(void *arg, flk_store_t **store, char *why) {
    (void)arg;
    (void)why;
    *store = told_store_new();
    return FLK_OK;
}

static void start_worker(unsigned threads, uint32_t drain_ms, uint32_t vouch_ms) {
    char backends[300];
    snprintf(backends, sizeof backends, "%s,%s", brokers[0].endpoint, brokers[1].endpoint);
    flk_worker_options_t options = {
        .backends = backends,
        .name = "test",
        .threads = threads,
        .credit = 8,
        .heartbeat_ms = HEARTBEAT_MS,
        .drain_ms = drain_ms,
        .vouch_ms = vouch_ms,
        .book = book,
        .metrics = metrics,
        .open_store = open_told,
    };
    ck_assert_msg(flk_worker_new(&options, &worker, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_msg(flk_worker_start(worker, errmsg) == FLK_OK, "%s", errmsg);
}

static void *drain_main(void *arg) {
    flk_worker_drain(worker);
    __atomic_store_n((bool *)arg, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* Drains while the brokers go on doing their part. Returns how long it took. */
static uint64_t drain(void) {
    pthread_t thread;
    bool done = false;
    uint64_t began_ms = flk_mono_ms();
    ck_assert_int_eq(pthread_create(&thread, NULL, drain_main, &done), 0);
    WAIT_FOR(__atomic_load_n(&done, __ATOMIC_SEQ_CST));
    pthread_join(thread, NULL);
    return flk_mono_ms() - began_ms;
}

static void setup(void) {
    told_setup();
    memset(brokers, 0, sizeof brokers);
    context = zmq_ctx_new();
    for (size_t i = 0; i < FLK_COUNT_OF(brokers); i++) {
        flk_message_init(&brokers[i].message);
        broker_bind(&brokers[i], "tcp://127.0.0.1:*");
    }
    metrics = flk_metrics_new();
    book = flk_rulebook_new(rules_of("test-1"));
}

static void teardown(void) {
    drain();
    flk_worker_destroy(&worker);
    flk_rulebook_destroy(&book);
    flk_metrics_destroy(&metrics);
    for (size_t i = 0; i < FLK_COUNT_OF(brokers); i++) {
        flk_link_close(&brokers[i].socket);
        flk_message_fini(&brokers[i].message);
    }
    zmq_ctx_term(context);
    told_teardown();
}

static uint64_t metric(const char *name_and_labels) {
    char *text;
    size_t text_bytes, name_bytes = strlen(name_and_labels);
    ck_assert_int_eq(flk_metrics_render(metrics, &text, &text_bytes), FLK_OK);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name_and_labels, name_bytes) == 0 && line[name_bytes] == ' ') {
            uint64_t value = strtoull(line + name_bytes, NULL, 10);
            free(text);
            return value;
        }
    }
    ck_abort_msg("no metric %s", name_and_labels);
}

/* The thread has had its WELCOME: it pings only then. */
static bool linked(const broker_t *broker, size_t threads) {
    size_t up = 0;
    for (size_t i = 0; i < broker->peers_len; i++) {
        up += broker->peers[i].pings > 0;
    }
    return up == threads;
}

/* ---- tests ---- */

/* Every delivery is answered once, with its own submission and verdict, whichever broker and thread it goes through. */
START_TEST(test_worker_answers_every_delivery_once) {
    enum { THREADS = 2, EACH = 400 };
    start_worker(THREADS, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == THREADS && brokers[1].peers_len == THREADS);
    WAIT_FOR(flk_worker_ready(worker, errmsg));
    body_t body;
    for (uint64_t n = 1; n <= EACH; n++) {
        for (size_t b = 0; b < 2; b++) {
            uint64_t pcs = 2 * n + b;
            body_of(pcs, &body);
            if (pcs % 5 == 0) {
                body.data[body.bytes - 1] ^= 1;
            }
            deliver(&brokers[b], &brokers[b].peers[n % THREADS], n, pcs, &body);
        }
    }
    for (uint64_t n = 1; n <= EACH; n++) {
        for (size_t b = 0; b < 2; b++) {
            const answer_t *answer = &brokers[b].answers[n];
            WAIT_FOR(answer->times > 0);
            flk_id_t id = submission(2 * n + b);
            ck_assert(flk_id_equal(&answer->id, &id));
            ck_assert_int_eq(answer->kind, FLK_VERDICT);
            ck_assert((answer->status == 200) == ((2 * n + b) % 5 != 0));
            ck_assert_uint_gt(answer->body_bytes, 0);
        }
    }
    drain();
    for (uint64_t n = 1; n <= EACH; n++) {
        ck_assert_int_eq(brokers[0].answers[n].times, 1);
        ck_assert_int_eq(brokers[1].answers[n].times, 1);
    }
    ck_assert_uint_eq(metric("flk_worker_verdicts_total{status=\"200\"}"), 2 * EACH * 4 / 5);
    ck_assert_uint_eq(metric("flk_worker_unsent_total"), 0);
    ck_assert_uint_eq(metric("flk_worker_threads"), 0);
}
END_TEST

/* A duplicate gets the bytes that the first was answered with; a refused one carries its problem. */
START_TEST(test_worker_answers_carry_their_bodies) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1);
    peer_t *peer = &brokers[0].peers[0];
    answer_t *answers = brokers[0].answers;
    body_t body;
    body_of(1, &body);
    deliver(&brokers[0], peer, 1, 101, &body);
    WAIT_FOR(answers[1].times == 1);
    deliver(&brokers[0], peer, 2, 102, &body);
    WAIT_FOR(answers[2].times == 1);
    ck_assert_uint_eq(answers[1].flags, 0);
    ck_assert_uint_eq(answers[2].flags, FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(answers[1].body_bytes, answers[2].body_bytes);
    ck_assert_mem_eq(answers[1].body, answers[2].body, answers[1].body_bytes);

    flk_pcs_t pcs;
    pcs_of(7, 0.5, &pcs);
    pcs.epoch++;
    body_of_pcs(&pcs, &body);
    deliver(&brokers[0], peer, 3, 103, &body);
    WAIT_FOR(answers[3].times == 1);
    flk_problem_t problem;
    ck_assert_uint_eq(answers[3].status, 400);
    ck_assert_int_eq(flk_problem_decode(answers[3].body, answers[3].body_bytes, &problem, errmsg), FLK_OK);
    ck_assert_str_eq(problem.field, "pcs_id");
}
END_TEST

/* Deliveries that arrived while a batch was under way are taken together. */
START_TEST(test_worker_takes_what_has_arrived) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1);
    body_t body;
    __atomic_store_n(&told_block_ms, PATIENCE_MS, __ATOMIC_SEQ_CST);
    for (uint64_t n = 1; n <= 8; n++) {
        body_of(n, &body);
        deliver(&brokers[0], &brokers[0].peers[0], n, n, &body);
        WAIT_FOR(__atomic_load_n(&told_lookups, __ATOMIC_SEQ_CST) == 1);
    }
    for (int i = 0; i < 20; i++) {
        pump(); /* the other seven reach the worker's socket */
    }
    __atomic_store_n(&told_block_ms, 0, __ATOMIC_SEQ_CST);
    for (uint64_t n = 1; n <= 8; n++) {
        WAIT_FOR(brokers[0].answers[n].times == 1);
    }
    ck_assert_int_eq(told_lookups, 2);
    ck_assert_int_eq(told_items, 8);
}
END_TEST

/* A store that is down makes deliveries unavailable with a time to come again, and the worker asks for one at a
 * time; readiness says why, and all of it heals by itself. */
START_TEST(test_worker_store_down) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1 && flk_worker_ready(worker, errmsg));
    uint32_t credit = brokers[0].peers[0].credit;
    ck_assert_uint_gt(credit, 1);
    body_t body;
    __atomic_store_n(&told_put_err, FLK_E_UNAVAILABLE, __ATOMIC_SEQ_CST);
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    const answer_t *answer = &brokers[0].answers[1];
    WAIT_FOR(answer->times == 1);
    ck_assert_int_eq(answer->kind, FLK_UNAVAILABLE);
    ck_assert_uint_gt(answer->retry_ms, 0);
    ck_assert_ptr_nonnull(strstr(answer->reason, "store"));
    ck_assert(!flk_worker_ready(worker, errmsg));
    ck_assert_ptr_eq(strstr(errmsg, "store "), errmsg);
    WAIT_FOR(brokers[0].peers[0].credit == 1);
    __atomic_store_n(&told_put_err, FLK_OK, __ATOMIC_SEQ_CST);
    WAIT_FOR(flk_worker_ready(worker, errmsg));
    WAIT_FOR(brokers[0].peers[0].credit == credit);
    ck_assert_uint_eq(brokers[0].peers_len, 1);
    deliver(&brokers[0], &brokers[0].peers[0], 2, 1, &body);
    WAIT_FOR(brokers[0].answers[2].times == 1);
    ck_assert_uint_eq(brokers[0].answers[2].status, 200);
    ck_assert_uint_eq(brokers[0].answers[2].flags, 0);
}
END_TEST

/* While the store holds a thread far longer than liveness allows, the pulse speaks for it; and its link survives. */
START_TEST(test_worker_pulse_outlives_a_slow_store) {
    start_worker(2, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 2 && brokers[0].vouched == 2);
    body_t body;
    __atomic_store_n(&told_block_ms, PATIENCE_MS, __ATOMIC_SEQ_CST);
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    WAIT_FOR(__atomic_load_n(&told_lookups, __ATOMIC_SEQ_CST) == 1);
    int pings = brokers[0].peers[0].pings, pulses = brokers[0].pulses;
    WAIT_FOR(brokers[0].pulses >= pulses + 8); /* twice the time that makes a silent peer lost */
    ck_assert_uint_eq(brokers[0].vouched, 2);
    ck_assert_int_le(brokers[0].peers[0].pings, pings + 1);
    __atomic_store_n(&told_block_ms, 0, __ATOMIC_SEQ_CST);
    WAIT_FOR(brokers[0].answers[1].times == 1);
    WAIT_FOR(brokers[0].peers[0].pings >= pings + 3);
    ck_assert_int_eq(brokers[0].peers[0].readies, 1);
    ck_assert_uint_eq(brokers[0].peers_len, 2);
}
END_TEST

/* The pulse does not speak for ever for a thread that the store holds. */
START_TEST(test_worker_pulse_gives_up_a_stuck_thread) {
    start_worker(2, 5000, 500);
    WAIT_FOR(brokers[0].peers_len == 2 && brokers[0].vouched == 2);
    body_t body;
    __atomic_store_n(&told_block_ms, PATIENCE_MS, __ATOMIC_SEQ_CST);
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    WAIT_FOR(brokers[0].vouched == 1);
    __atomic_store_n(&told_block_ms, 0, __ATOMIC_SEQ_CST);
    WAIT_FOR(brokers[0].vouched == 2);
}
END_TEST

/* A drain says GOODBYE, answers the deliveries in hand, and ends when the broker holds nothing more; readiness says
 * so. */
START_TEST(test_worker_drain_finishes_what_is_in_hand) {
    start_worker(2, PATIENCE_MS, 30000);
    WAIT_FOR(linked(&brokers[0], 2) && linked(&brokers[1], 2));
    body_t body;
    __atomic_store_n(&told_block_ms, 200, __ATOMIC_SEQ_CST);
    for (uint64_t n = 1; n <= 16; n++) {
        body_of(n, &body);
        deliver(&brokers[0], &brokers[0].peers[n % 2], n, n, &body);
    }
    ck_assert_uint_lt(drain(), PATIENCE_MS / 2);
    for (uint64_t n = 1; n <= 16; n++) {
        ck_assert_int_eq(brokers[0].answers[n].times, 1);
        ck_assert_uint_eq(brokers[0].answers[n].status, 200);
    }
    for (size_t i = 0; i < 2; i++) {
        ck_assert(brokers[0].peers[i].gone && brokers[1].peers[i].gone);
        ck_assert_int_eq(brokers[0].peers[i].readies, 1);
    }
    ck_assert(!flk_worker_ready(worker, errmsg));
    ck_assert_str_eq(errmsg, "draining");
}
END_TEST

/* A broker that never answers the GOODBYE holds the drain only for its deadline. */
START_TEST(test_worker_drain_has_a_deadline) {
    brokers[0].silent_goodbye = true;
    start_worker(1, 300, 30000);
    WAIT_FOR(linked(&brokers[0], 1) && linked(&brokers[1], 1));
    uint64_t took_ms = drain();
    ck_assert(took_ms >= 300 && took_ms < 3000);
    ck_assert(brokers[0].peers[0].leaving);
}
END_TEST

/* A broker that forgot a draining worker gets no new introduction: there is nothing to wait for. */
START_TEST(test_worker_drain_ends_when_forgotten) {
    brokers[0].silent_goodbye = true;
    start_worker(1, PATIENCE_MS, 30000);
    WAIT_FOR(linked(&brokers[0], 1) && linked(&brokers[1], 1));
    brokers[0].forgetful = true;
    ck_assert_uint_lt(drain(), PATIENCE_MS / 2);
    ck_assert_uint_eq(brokers[0].peers_len, 1);
    ck_assert_int_eq(brokers[0].peers[0].readies, 1);
}
END_TEST

/* A drain without any broker ends at once. */
START_TEST(test_worker_drain_without_broker) {
    for (size_t i = 0; i < 2; i++) {
        flk_link_close(&brokers[i].socket);
    }
    start_worker(2, PATIENCE_MS, 30000);
    WAIT_FOR(!flk_worker_ready(worker, errmsg) && strstr(errmsg, "broker") != NULL);
    ck_assert_uint_lt(drain(), PATIENCE_MS / 4);
}
END_TEST

/* A broker that was restarted on its port is introduced to every thread again, under the same instance, and gives
 * work. */
START_TEST(test_worker_meets_a_restarted_broker) {
    start_worker(2, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 2);
    flk_id_t instance = brokers[0].peers[0].instance;
    flk_link_close(&brokers[0].socket);
    brokers[0].peers_len = 0;
    char endpoint[128];
    strcpy(endpoint, brokers[0].endpoint);
    for (int i = 0; i < 3 * HEARTBEAT_MS / 5; i++) {
        pump();
    }
    broker_bind(&brokers[0], endpoint);
    WAIT_FOR(brokers[0].peers_len == 2);
    ck_assert(flk_id_equal(&brokers[0].peers[0].instance, &instance) ||
              flk_id_equal(&brokers[0].peers[1].instance, &instance));
    body_t body;
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    WAIT_FOR(brokers[0].answers[1].times == 1);
}
END_TEST

/* A broker that no longer knows us gets an introduction; one that hangs is left, and met again. */
START_TEST(test_worker_introduces_itself_again) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1);
    brokers[0].peers[0].route.bytes = 0; /* forgotten: its next PING is answered "unknown" */
    WAIT_FOR(brokers[0].peers_len == 2);
    ck_assert(flk_id_equal(&brokers[0].peers[0].instance, &brokers[0].peers[1].instance));
    brokers[0].deaf = true;
    for (int i = 0; i < 8 * HEARTBEAT_MS / 5; i++) {
        pump();
    }
    brokers[0].deaf = false;
    WAIT_FOR(brokers[0].peers_len == 3);
    ck_assert(!flk_route_equal(&brokers[0].peers[1].route, &brokers[0].peers[2].route));
}
END_TEST

/* Messages that are no frames, or not for a worker, are counted and change nothing. */
START_TEST(test_worker_ignores_what_is_malformed) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1);
    const peer_t *peer = &brokers[0].peers[0];
    for (int i = 0; i < 100; i++) {
        zmq_send(brokers[0].socket, peer->route.id, peer->route.bytes, ZMQ_SNDMORE);
        zmq_send(brokers[0].socket, "no frame", (size_t)(i % 9), i % 3 == 0 ? ZMQ_SNDMORE : 0);
        if (i % 3 == 0) {
            zmq_send(brokers[0].socket, "x", 1, ZMQ_SNDMORE);
            zmq_send(brokers[0].socket, "y", 1, 0);
        }
    }
    broker_say(&brokers[0], &peer->route, &(flk_frame_t){.kind = FLK_SUBMIT});
    WAIT_FOR(metric("flk_worker_malformed_total") == 101);
    body_t body;
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    WAIT_FOR(brokers[0].answers[1].times == 1);
    ck_assert_uint_eq(brokers[0].answers[1].status, 200);
}
END_TEST

/* Rules that are published hold from the next batch on; outcomes of before stand. */
START_TEST(test_worker_takes_up_new_rules) {
    start_worker(1, 5000, 30000);
    WAIT_FOR(brokers[0].peers_len == 1);
    body_t body;
    body_of(1, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 1, 1, &body);
    WAIT_FOR(brokers[0].answers[1].times == 1);
    flk_rulebook_publish(book, rules_of("test-2"));
    deliver(&brokers[0], &brokers[0].peers[0], 2, 2, &body);
    WAIT_FOR(brokers[0].answers[2].times == 1);
    body_of(3, &body);
    deliver(&brokers[0], &brokers[0].peers[0], 3, 3, &body);
    WAIT_FOR(brokers[0].answers[3].times == 1);
    const char *versions[] = {"test-1", "test-1", "test-2"};
    for (uint64_t n = 1; n <= 3; n++) {
        flk_outcome_record_t record;
        const answer_t *answer = &brokers[0].answers[n];
        ck_assert_int_eq(flk_outcome_decode(answer->body, answer->body_bytes, &record, errmsg), FLK_OK);
        ck_assert_str_eq(record.outcome.policy_version, versions[n - 1]);
    }
}
END_TEST

/* An endpoint that cannot be is refused with a line that names it. */
START_TEST(test_worker_refuses_bad_endpoints) {
    start_worker(1, 100, 30000); /* for the teardown */
    const char *bad[] = {"", "nonsense", "tcp://192.0.2.1:5556",
                         "tcp://127.0.0.1:1,tcp://127.0.0.1:2,tcp://127.0.0.1:3,tcp://127.0.0.1:4,tcp://127.0.0.1:5,"
                         "tcp://127.0.0.1:6,tcp://127.0.0.1:7,tcp://127.0.0.1:8,tcp://127.0.0.1:9,tcp://127.0.0.1:10,"
                         "tcp://127.0.0.1:11,tcp://127.0.0.1:12,tcp://127.0.0.1:13,tcp://127.0.0.1:14,"
                         "tcp://127.0.0.1:15,tcp://127.0.0.1:16,tcp://127.0.0.1:17"};
    for (size_t i = 0; i < FLK_COUNT_OF(bad); i++) {
        flk_worker_options_t options = {.backends = bad[i],
                                        .name = "test",
                                        .threads = 1,
                                        .credit = 1,
                                        .heartbeat_ms = HEARTBEAT_MS,
                                        .book = book,
                                        .metrics = metrics,
                                        .open_store = open_told};
        flk_worker_t *refused;
        ck_assert_int_eq(flk_worker_new(&options, &refused, errmsg), FLK_E_CONFIG);
        ck_assert_ptr_nonnull(strstr(errmsg, i == 1 || i == 2 ? bad[i] : "FLK_BACKENDS"));
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("worker_loop");
    TCase *tcase = tcase_create("loop");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_worker_answers_every_delivery_once);
    tcase_add_test(tcase, test_worker_answers_carry_their_bodies);
    tcase_add_test(tcase, test_worker_takes_what_has_arrived);
    tcase_add_test(tcase, test_worker_store_down);
    tcase_add_test(tcase, test_worker_pulse_outlives_a_slow_store);
    tcase_add_test(tcase, test_worker_pulse_gives_up_a_stuck_thread);
    tcase_add_test(tcase, test_worker_drain_finishes_what_is_in_hand);
    tcase_add_test(tcase, test_worker_drain_has_a_deadline);
    tcase_add_test(tcase, test_worker_drain_ends_when_forgotten);
    tcase_add_test(tcase, test_worker_drain_without_broker);
    tcase_add_test(tcase, test_worker_meets_a_restarted_broker);
    tcase_add_test(tcase, test_worker_introduces_itself_again);
    tcase_add_test(tcase, test_worker_ignores_what_is_malformed);
    tcase_add_test(tcase, test_worker_takes_up_new_rules);
    tcase_add_test(tcase, test_worker_refuses_bad_endpoints);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
