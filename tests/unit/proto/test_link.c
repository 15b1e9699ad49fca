/* SPDX-License-Identifier: MIT */
/* Every test has a ROUTER and a DEALER of its own over TCP loopback. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/zap.h"
#include "tests/unit/rig/suite.h"

enum { DEADLINE_MS = 5000 };

static void *context, *router, *dealer;
static flk_message_t message;
static char errmsg[FLK_ERRMSG_BYTES];
static char endpoint[64];

static void setup(void) {
    context = zmq_ctx_new();
    ck_assert_msg(flk_link_bind(context, "tcp://127.0.0.1:*", NULL, FLK_ROLE_AGENT, &router, errmsg) == FLK_OK, "%s",
                  errmsg);
    size_t len = sizeof endpoint;
    ck_assert_int_eq(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, endpoint, &len), 0);
    ck_assert_msg(flk_link_connect(context, endpoint, NULL, &(flk_server_t){0}, &dealer, errmsg) == FLK_OK, "%s",
                  errmsg);
    flk_message_init(&message);
}

static void teardown(void) {
    flk_message_fini(&message);
    flk_link_close(&dealer);
    flk_link_close(&router);
    zmq_ctx_term(context);
}

/* Receives, waiting for at most DEADLINE_MS. */
static flk_err_t recv_wait(void *socket, bool is_router) {
    zmq_pollitem_t item = {.socket = socket, .events = ZMQ_POLLIN};
    zmq_poll(&item, 1, DEADLINE_MS);
    return flk_link_recv(socket, is_router, &message, errmsg);
}

/* Sends, until the connection that IMMEDIATE asks for is there. */
static flk_err_t send_wait(const flk_frame_t *frame, const void *body, size_t body_bytes) {
    flk_err_t err;
    uint64_t deadline = flk_mono_ms() + DEADLINE_MS;
    do {
        err = flk_link_send_copy(dealer, NULL, frame, body, body_bytes);
    } while (err == FLK_E_UNAVAILABLE && flk_mono_ms() < deadline);
    return err;
}

static const flk_frame_t submit = {.kind = FLK_SUBMIT, .id.bytes = {1, 2, 3}};

/* Header and body arrive as they were sent, and the route that came with them leads back. */
START_TEST(test_link_carries_header_and_body_both_ways) {
    ck_assert_int_eq(send_wait(&submit, "payload", 7), FLK_OK);
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    ck_assert_int_eq(message.frame.kind, FLK_SUBMIT);
    ck_assert(flk_id_equal(&message.frame.id, &submit.id));
    ck_assert_uint_eq(zmq_msg_size(&message.body), 7);
    ck_assert_mem_eq(zmq_msg_data(&message.body), "payload", 7);
    ck_assert_uint_gt(message.route.bytes, 0);

    flk_route_t route = message.route;
    flk_frame_t verdict = {.kind = FLK_VERDICT, .id = submit.id, .status = 200};
    ck_assert_int_eq(flk_link_send(router, &route, &verdict, &message.body), FLK_OK);
    ck_assert_uint_eq(zmq_msg_size(&message.body), 0); /* moved away */
    ck_assert_int_eq(recv_wait(dealer, false), FLK_OK);
    ck_assert_int_eq(message.frame.kind, FLK_VERDICT);
    ck_assert_mem_eq(zmq_msg_data(&message.body), "payload", 7);

    flk_frame_t pong = {.kind = FLK_PONG, .known = true};
    ck_assert_int_eq(flk_link_send(router, &route, &pong, NULL), FLK_OK);
    ck_assert_int_eq(recv_wait(dealer, false), FLK_OK);
    ck_assert_uint_eq(zmq_msg_size(&message.body), 0); /* the last body is gone */
    ck_assert_int_eq(flk_link_recv(dealer, false, &message, errmsg), FLK_E_AGAIN);
}
END_TEST

static void send_raw(int parts, const char *const *texts) {
    for (int i = 0; i < parts; i++) {
        int flags = i + 1 < parts ? ZMQ_SNDMORE : 0;
        ck_assert_int_ge(zmq_send(dealer, texts[i], strlen(texts[i]), flags), 0);
    }
}

/* Messages of a wrong shape are gone once they are refused, and the next good one is read as it is. */
START_TEST(test_link_passes_over_malformed_messages) {
    ck_assert_int_eq(send_wait(&submit, NULL, 0), FLK_OK);
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    flk_route_t route = message.route;
    send_raw(1, (const char *const[]){""});                      /* an empty header */
    send_raw(1, (const char *const[]){"GET / HTTP/1.1"});        /* no msgpack array */
    send_raw(2, (const char *const[]){"", "body"});              /* as a REQ socket sends it */
    send_raw(5, (const char *const[]){"a", "b", "c", "d", "e"}); /* more than two parts */
    send_raw(1, (const char *const[]){"\x93\x01\x63\xa1x"});     /* kind 99 */
    ck_assert_int_eq(send_wait(&submit, "good", 4), FLK_OK);
    for (int i = 0; i < 4; i++) {
        memset(&message.route, 0, sizeof message.route);
        ck_assert_int_eq(recv_wait(router, true), FLK_E_INVALID);
        ck_assert(flk_route_equal(&message.route, &route));
        ck_assert_str_ne(errmsg, "");
    }
    ck_assert_int_eq(recv_wait(router, true), FLK_E_NOT_FOUND);
    ck_assert(flk_route_equal(&message.route, &route));
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    ck_assert_mem_eq(zmq_msg_data(&message.body), "good", 4);
}
END_TEST

/* A ROUTER says so when a peer is gone, and leaves the body with the caller. */
START_TEST(test_link_reports_a_peer_that_left) {
    ck_assert_int_eq(send_wait(&submit, NULL, 0), FLK_OK);
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    flk_route_t route = message.route;
    flk_link_close(&dealer);
    flk_err_t err;
    zmq_msg_t body;
    ck_assert_int_eq(zmq_msg_init_size(&body, 100), 0);
    uint64_t deadline = flk_mono_ms() + DEADLINE_MS;
    do {
        err = flk_link_send(router, &route, &submit, NULL);
    } while (err == FLK_OK && flk_mono_ms() < deadline);
    ck_assert_int_eq(err, FLK_E_UNAVAILABLE);
    ck_assert_int_eq(flk_link_send(router, &route, &submit, &body), FLK_E_UNAVAILABLE);
    ck_assert_uint_eq(zmq_msg_size(&body), 100);
    zmq_msg_close(&body);
}
END_TEST

/* A DEALER whose peer is not there refuses at once instead of queueing messages that nobody may ever read. */
START_TEST(test_link_does_not_queue_for_an_absent_peer) {
    flk_link_close(&router);
    flk_link_close(&dealer);
    ck_assert_int_eq(flk_link_connect(context, endpoint, NULL, &(flk_server_t){0}, &dealer, errmsg), FLK_OK);
    ck_assert_int_eq(flk_link_send(dealer, NULL, &submit, NULL), FLK_E_UNAVAILABLE);
}
END_TEST

/* A peer that comes back on the same endpoint is found again soon. */
START_TEST(test_link_finds_a_restarted_peer_soon) {
    ck_assert_int_eq(send_wait(&submit, NULL, 0), FLK_OK);
    flk_link_close(&router);
    zmq_poll(NULL, 0, 3600); /* the outage: doubling without a cap, the next try would come after 6.3 s */
    ck_assert_msg(flk_link_bind(context, endpoint, NULL, FLK_ROLE_AGENT, &router, errmsg) == FLK_OK, "%s", errmsg);
    uint64_t back_at = flk_mono_ms();
    ck_assert_int_eq(send_wait(&submit, NULL, 0), FLK_OK);
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    ck_assert_uint_le(flk_mono_ms() - back_at, 4500);
}
END_TEST

/* A frame above the limit ends its sender's connection; the others go on. */
START_TEST(test_link_refuses_an_oversized_frame) {
    size_t body_bytes = FLK_LINK_MESSAGE_BYTES_MAX + 1;
    void *big = calloc(1, body_bytes);
    ck_assert_int_eq(send_wait(&submit, big, body_bytes), FLK_OK);
    free(big);
    void *other;
    ck_assert_int_eq(flk_link_connect(context, endpoint, NULL, &(flk_server_t){0}, &other, errmsg), FLK_OK);
    flk_link_close(&dealer); /* otherwise it comes back and is a second good peer */
    dealer = other;
    ck_assert_int_eq(send_wait(&submit, "good", 4), FLK_OK);
    ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    ck_assert_uint_eq(zmq_msg_size(&message.body), 4);
}
END_TEST

/* Without the plaintext option nothing listens or connects beyond loopback; with it, it does. */
START_TEST(test_link_refuses_plaintext_beyond_loopback) {
    static const char *const refused[] = {
        "tcp://*:*",
        "tcp://0.0.0.0:*",
        "tcp://[::]:*",
        "tcp://eth0:*",
        "tcp://10.0.0.1:5555",
        "tcp://127.example.org:1",
        "tcp://localhost.example.org:1",
        "tcp://",
        "tcp://127.0.0.1",
        "udp://127.0.0.1:1",
        "127.0.0.1:5555",
        "",
    };
    void *socket;
    for (size_t i = 0; i < FLK_COUNT_OF(refused); i++) {
        ck_assert_int_eq(flk_link_bind(context, refused[i], NULL, FLK_ROLE_AGENT, &socket, errmsg), FLK_E_CONFIG);
        ck_assert_ptr_null(socket);
        ck_assert_msg(strstr(errmsg, refused[i]) != NULL, "%s", errmsg);
    }
    flk_security_t *security;
    flk_zap_t *zap;
    flk_security_options_t open = {.key_file = "", .key_dir = "", .plaintext = true};
    ck_assert_int_eq(flk_security_new(&open, &security, errmsg), FLK_OK);
    ck_assert_int_eq(flk_zap_start(context, security, NULL, &zap, errmsg), FLK_OK);
    ck_assert_msg(flk_link_bind(context, "tcp://0.0.0.0:*", zap, FLK_ROLE_AGENT, &socket, errmsg) == FLK_OK, "%s",
                  errmsg);
    flk_link_close(&socket);
    flk_zap_stop(&zap);
    flk_security_destroy(&security);
    ck_assert_int_eq(flk_link_connect(context, "tcp://localhost:5555", NULL, &(flk_server_t){0}, &socket, errmsg),
                     FLK_OK);
    flk_link_close(&socket);
    ck_assert_int_eq(flk_link_connect(context, "ipc:///tmp/flk-test-absent", NULL, &(flk_server_t){0}, &socket, errmsg),
                     FLK_OK);
    flk_link_close(&socket);
}
END_TEST

/* Every address is those of IPv6 too. */
START_TEST(test_link_listens_for_both_families) {
    static const char *const loopbacks[] = {"127.0.0.1", "[::1]"};
    flk_security_t *security;
    flk_zap_t *zap;
    flk_security_options_t open = {.key_file = "", .key_dir = "", .plaintext = true};
    ck_assert_int_eq(flk_security_new(&open, &security, errmsg), FLK_OK);
    ck_assert_int_eq(flk_zap_start(context, security, NULL, &zap, errmsg), FLK_OK);
    for (size_t i = 0; i < (access("/proc/net/if_inet6", F_OK) == 0 ? 2 : 1); i++) {
        char text[64];
        size_t len = sizeof text;
        flk_link_close(&dealer);
        flk_link_close(&router);
        ck_assert_msg(flk_link_bind(context, "tcp://*:*", zap, FLK_ROLE_AGENT, &router, errmsg) == FLK_OK, "%s",
                      errmsg);
        ck_assert_int_eq(zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, text, &len), 0);
        snprintf(endpoint, sizeof endpoint, "tcp://%s%.8s", loopbacks[i], strrchr(text, ':'));
        ck_assert_int_eq(flk_link_connect(context, endpoint, security, &(flk_server_t){0}, &dealer, errmsg), FLK_OK);
        ck_assert_msg(send_wait(&submit, "payload", 7) == FLK_OK, "%s", endpoint);
        ck_assert_int_eq(recv_wait(router, true), FLK_OK);
    }
    flk_link_close(&router);
    flk_zap_stop(&zap);
    flk_security_destroy(&security);
}
END_TEST

/* A port in use is one clear line with the endpoint in it. */
START_TEST(test_link_names_the_port_in_use) {
    void *second;
    ck_assert_int_eq(flk_link_bind(context, endpoint, NULL, FLK_ROLE_AGENT, &second, errmsg), FLK_E_LOCKED);
    ck_assert_ptr_null(second);
    ck_assert_msg(strstr(errmsg, endpoint) != NULL && strstr(errmsg, "in use") != NULL, "%s", errmsg);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("link");
    TCase *tc = tcase_create("link");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_link_carries_header_and_body_both_ways);
    tcase_add_test(tc, test_link_passes_over_malformed_messages);
    tcase_add_test(tc, test_link_reports_a_peer_that_left);
    tcase_add_test(tc, test_link_does_not_queue_for_an_absent_peer);
    tcase_add_test(tc, test_link_finds_a_restarted_peer_soon);
    tcase_add_test(tc, test_link_refuses_an_oversized_frame);
    tcase_add_test(tc, test_link_refuses_plaintext_beyond_loopback);
    tcase_add_test(tc, test_link_listens_for_both_families);
    tcase_add_test(tc, test_link_names_the_port_in_use);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
