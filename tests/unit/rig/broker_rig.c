/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/broker_rig.h"

rig_t rig;

static void *rig_main(void *arg) {
    (void)arg;
    flk_broker_run(rig.broker);
    return NULL;
}

void rig_start(uint32_t heartbeat_ms, uint64_t count_max, uint64_t bytes_max) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    rig.metrics = flk_metrics_new();
    rig.context = zmq_ctx_new();
    flk_broker_options_t options = {
        .frontend = "tcp://127.0.0.1:*",
        .backend = "tcp://127.0.0.1:*",
        .heartbeat_ms = heartbeat_ms,
        .count_max = count_max,
        .bytes_max = bytes_max,
        .metrics = rig.metrics,
    };
    ck_assert_msg(flk_broker_new(&options, &rig.broker, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(pthread_create(&rig.thread, NULL, rig_main, NULL), 0);
    rig.running = true;
}

void rig_join(void) {
    if (rig.running) {
        flk_broker_stop(rig.broker);
        pthread_join(rig.thread, NULL);
        rig.running = false;
    }
}

void rig_end_context(void) {
    for (size_t i = 0; i < RIG_SOCKETS_MAX; i++) {
        flk_link_close(&rig.sockets[i]);
    }
    zmq_ctx_term(rig.context);
}

void rig_stop(void) {
    rig_join();
    flk_broker_destroy(&rig.broker);
    flk_metrics_destroy(&rig.metrics);
    rig_end_context();
}

uint64_t rig_counter(const char *name) {
    return flk_counter_value(flk_metrics_counter(rig.metrics, name, NULL, ""));
}

int64_t rig_gauge(const char *name) {
    return flk_gauge_value(flk_metrics_gauge(rig.metrics, name, NULL, ""));
}

/* The place of a socket in the rig; of NULL: a free one. */
static void **rig_place_of(const void *socket) {
    size_t i = 0;
    while (i < RIG_SOCKETS_MAX && rig.sockets[i] != socket) {
        i++;
    }
    ck_assert_uint_lt(i, RIG_SOCKETS_MAX);
    return &rig.sockets[i];
}

void rig_close(void *socket) {
    flk_link_close(rig_place_of(socket));
}

void peer_connect(peer_t *peer, const char *endpoint) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    void **place = rig_place_of(NULL);
    ck_assert_msg(flk_link_connect(rig.context, endpoint, NULL, &(flk_server_t){0}, place, errmsg) == FLK_OK, "%s",
                  errmsg);
    peer->socket = *place;
}

peer_t peer_open(const char *endpoint) {
    peer_t peer;
    flk_id_random(&peer.instance);
    flk_message_init(&peer.message);
    peer_connect(&peer, endpoint);
    return peer;
}

void peer_kill(peer_t *peer) {
    flk_message_fini(&peer->message);
    rig_close(peer->socket);
}

void peer_send(peer_t *peer, const flk_frame_t *frame, const char *body) {
    uint64_t deadline = flk_mono_ms() + RIG_DEADLINE_MS;
    flk_err_t err;
    do {
        err = flk_link_send_copy(peer->socket, NULL, frame, body, body == NULL ? 0 : strlen(body));
    } while (err == FLK_E_UNAVAILABLE && flk_mono_ms() < deadline);
    ck_assert_int_eq(err, FLK_OK);
}

void peer_say(peer_t *peer, flk_frame_t frame) {
    frame.id = peer->instance;
    peer_send(peer, &frame, NULL);
}

bool peer_next(peer_t *peer, uint64_t wait_ms) {
    uint64_t deadline = flk_mono_ms() + wait_ms, now;
    flk_err_t err;
    while ((err = flk_link_recv(peer->socket, false, &peer->message, NULL)) == FLK_E_AGAIN &&
           (now = flk_mono_ms()) < deadline) {
        zmq_pollitem_t item = {.socket = peer->socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, (long)(deadline - now));
    }
    ck_assert(err == FLK_OK || err == FLK_E_AGAIN);
    return err == FLK_OK;
}

bool peer_next_of_work(peer_t *peer, uint64_t wait_ms) {
    uint64_t deadline = flk_mono_ms() + wait_ms;
    while (flk_mono_ms() <= deadline && peer_next(peer, deadline - flk_mono_ms())) {
        if (peer->message.frame.kind == FLK_PING) {
            peer_say(peer, (flk_frame_t){.kind = FLK_PONG, .known = true});
        } else if (peer->message.frame.kind != FLK_PONG) {
            return true;
        }
    }
    return false;
}

const flk_frame_t *peer_expect(peer_t *peer, flk_kind_t kind) {
    ck_assert_msg(peer_next_of_work(peer, RIG_DEADLINE_MS), "no %s came", flk_kind_name(kind));
    ck_assert_str_eq(flk_kind_name(peer->message.frame.kind), flk_kind_name(kind));
    return &peer->message.frame;
}

bool peer_body_is(const peer_t *peer, const char *text) {
    zmq_msg_t *body = (zmq_msg_t *)&peer->message.body;
    return zmq_msg_size(body) == strlen(text) && memcmp(zmq_msg_data(body), text, strlen(text)) == 0;
}

bool peer_ping(peer_t *peer, size_t *work) {
    peer_say(peer, (flk_frame_t){.kind = FLK_PING});
    for (;;) {
        ck_assert(peer_next(peer, RIG_DEADLINE_MS));
        switch (peer->message.frame.kind) {
        case FLK_PONG:
            return peer->message.frame.known;
        case FLK_PING:
            break;
        default:
            ck_assert_ptr_nonnull(work);
            (*work)++;
        }
    }
}

peer_t gateway_open(void) {
    peer_t peer = peer_open(flk_broker_frontend(rig.broker));
    peer_say(&peer, (flk_frame_t){.kind = FLK_HELLO, .name = "gateway"});
    peer_expect(&peer, FLK_WELCOME);
    return peer;
}

peer_t gateway_open_again(const peer_t *gateway) {
    peer_t peer = peer_open(flk_broker_frontend(rig.broker));
    peer.instance = gateway->instance;
    peer_say(&peer, (flk_frame_t){.kind = FLK_HELLO, .name = "gateway"});
    peer_expect(&peer, FLK_WELCOME);
    return peer;
}

void submit_body(peer_t *gateway, uint64_t number, const char *body) {
    peer_send(gateway, &(flk_frame_t){.kind = FLK_SUBMIT, .id = submission(number)}, body);
}

void worker_ready(peer_t *peer, uint32_t credit) {
    peer_say(peer, (flk_frame_t){.kind = FLK_READY, .credit = credit, .name = "worker"});
}

peer_t worker_open(uint32_t credit) {
    peer_t peer = peer_open(flk_broker_backend(rig.broker));
    worker_ready(&peer, credit);
    peer_expect(&peer, FLK_WELCOME);
    return peer;
}

flk_id_t submission(uint64_t number) {
    flk_id_t id;
    flk_id_from_lsn(1, number, &id);
    return id;
}

void submit(peer_t *gateway, uint64_t number) {
    char body[32];
    snprintf(body, sizeof body, "body %llu", (unsigned long long)number);
    submit_body(gateway, number, body);
}

flk_frame_t expect_work(peer_t *worker, uint64_t number, uint32_t attempt) {
    flk_id_t id = submission(number);
    flk_frame_t frame = *peer_expect(worker, FLK_WORK);
    uint64_t lsn;
    flk_id_to_lsn(&frame.id, 1, &lsn);
    ck_assert_msg(flk_id_equal(&frame.id, &id), "work for %llu, not %llu", (unsigned long long)lsn,
                  (unsigned long long)number);
    ck_assert_uint_eq(frame.attempt, attempt);
    return frame;
}

void answer(peer_t *worker, const flk_frame_t *work) {
    flk_frame_t verdict = {.kind = FLK_VERDICT, .id = work->id, .delivery = work->delivery, .status = 200};
    peer_send(worker, &verdict, "outcome");
}

void expect_verdict(peer_t *gateway, uint64_t number) {
    flk_id_t id = submission(number);
    const flk_frame_t *frame = peer_expect(gateway, FLK_VERDICT);
    ck_assert(flk_id_equal(&frame->id, &id));
    ck_assert_uint_eq(frame->delivery, 0);
    ck_assert_uint_eq(frame->status, 200);
}
