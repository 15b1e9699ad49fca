/* SPDX-License-Identifier: MIT */
/* An uplink against a real ROUTER that the test plays. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/uplink.h"
#include "tests/unit/rig/suite.h"

enum { HEARTBEAT_MS = 40, DEADLINE_MS = 5000 };

static void *context;
static void *server;
static char endpoint[128];
static flk_uplink_t uplink;
static flk_message_t message;

static void bind_server(const char *where) {
    char errmsg[FLK_ERRMSG_BYTES];
    size_t size = sizeof endpoint;
    ck_assert_msg(flk_link_bind(context, where, NULL, FLK_ROLE_AGENT, &server, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
}

static void setup(void) {
    char errmsg[FLK_ERRMSG_BYTES];
    context = zmq_ctx_new();
    flk_message_init(&message);
    bind_server("tcp://127.0.0.1:*");
    flk_frame_t hello = {.kind = FLK_HELLO, .name = "test"};
    flk_id_random(&hello.id);
    ck_assert_msg(flk_uplink_init(&uplink, context, endpoint, NULL, &hello, HEARTBEAT_MS, flk_mono_ms(), errmsg) ==
                      FLK_OK,
                  "%s", errmsg);
}

static void teardown(void) {
    flk_uplink_fini(&uplink);
    flk_message_fini(&message);
    flk_link_close(&server);
    zmq_ctx_term(context);
}

/* Runs the uplink until the server has a frame of `kind`, or, with kind 0, until the uplink reports `event`. */
static void run_until(unsigned kind, flk_uplink_event_t event) {
    char errmsg[FLK_ERRMSG_BYTES];
    uint64_t until = flk_mono_ms() + DEADLINE_MS;
    while (flk_mono_ms() < until) {
        flk_uplink_event_t ticked = flk_uplink_tick(&uplink, flk_mono_ms());
        if (kind == 0 && ticked == event && event != FLK_UPLINK_NOTHING) {
            return;
        }
        if (uplink.socket != NULL && flk_link_recv(uplink.socket, false, &message, errmsg) == FLK_OK) {
            flk_uplink_event_t heard = flk_uplink_heard(&uplink, &message.frame, flk_mono_ms());
            if (kind == 0 && heard == event) {
                return;
            }
        }
        if (server != NULL && flk_link_recv(server, true, &message, errmsg) == FLK_OK && message.frame.kind == kind) {
            return;
        }
        usleep(1000);
    }
    ck_abort_msg("no kind %u or event %d in time", kind, (int)event);
}

static void reply(const flk_frame_t *frame) {
    ck_assert_int_eq(flk_link_send(server, &message.route, frame, NULL), FLK_OK);
}

static void meet(void) {
    run_until(FLK_HELLO, 0);
    reply(&(flk_frame_t){.kind = FLK_WELCOME, .credit = 7, .heartbeat_ms = HEARTBEAT_MS});
    run_until(0, FLK_UPLINK_MET);
    ck_assert_uint_eq(uplink.credit, 7);
}

/* It greets, and is up with the credit of the WELCOME; then it pings. */
START_TEST(test_uplink_meets_and_pings) {
    meet();
    run_until(FLK_PING, 0);
}
END_TEST

/* Three periods of silence are a loss; it comes back by itself and greets again. */
START_TEST(test_uplink_silence_is_loss) {
    meet();
    run_until(0, FLK_UPLINK_LOST);
    ck_assert_uint_eq(uplink.credit, 0);
    meet();
}
END_TEST

/* A PONG that does not know us makes it greet again, over the same connection. */
START_TEST(test_uplink_unknown_greets_again) {
    meet();
    run_until(FLK_PING, 0);
    reply(&(flk_frame_t){.kind = FLK_PONG, .known = false});
    run_until(0, FLK_UPLINK_LOST);
    meet();
}
END_TEST

/* A GOODBYE is a loss at once. */
START_TEST(test_uplink_goodbye_is_loss) {
    meet();
    run_until(FLK_PING, 0);
    reply(&(flk_frame_t){.kind = FLK_GOODBYE});
    run_until(0, FLK_UPLINK_LOST);
}
END_TEST

/* A server that restarts on the same port is met again. */
START_TEST(test_uplink_survives_restart) {
    char where[128];
    meet();
    snprintf(where, sizeof where, "%s", endpoint);
    flk_link_close(&server);
    run_until(0, FLK_UPLINK_LOST);
    bind_server(where);
    meet();
}
END_TEST

/* A frame that is no control frame is the owner's; a PING is answered. */
START_TEST(test_uplink_leaves_the_rest) {
    meet();
    run_until(FLK_PING, 0);
    reply(&(flk_frame_t){.kind = FLK_PING});
    run_until(FLK_PONG, 0);
    reply(&(flk_frame_t){.kind = FLK_BUSY, .retry_ms = 5});
    run_until(0, FLK_UPLINK_YOURS);
}
END_TEST

/* An endpoint that no socket can have is refused at once, with the reason. */
START_TEST(test_uplink_refuses_wrong_endpoint) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_uplink_t wrong;
    flk_frame_t hello = {.kind = FLK_HELLO};
    ck_assert_int_eq(flk_uplink_init(&wrong, context, "udp://nowhere", NULL, &hello, HEARTBEAT_MS, 0, errmsg),
                     FLK_E_CONFIG);
    ck_assert_str_ne(errmsg, "");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("uplink");
    TCase *tcase = tcase_create("uplink");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_uplink_meets_and_pings);
    tcase_add_test(tcase, test_uplink_silence_is_loss);
    tcase_add_test(tcase, test_uplink_unknown_greets_again);
    tcase_add_test(tcase, test_uplink_goodbye_is_loss);
    tcase_add_test(tcase, test_uplink_survives_restart);
    tcase_add_test(tcase, test_uplink_leaves_the_rest);
    tcase_add_test(tcase, test_uplink_refuses_wrong_endpoint);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
