/* SPDX-License-Identifier: MIT */
/* The HTTP door on raw sockets, before a real gateway with a played broker: framings, refusals, keep-alive. */
#include "gateway/http_door.h"

#include <pthread.h>

#include "tests/unit/rig/door_rig.h"

#define HEAD_OF(method, path) method " " path " HTTP/1.1\r\nHost: x\r\n"
#define SUBMIT_HEAD           HEAD_OF("POST", "/v1/pcs/submit") "Content-Type: application/json\r\n"

static void say_submit(const char *more_headers, const char *body) {
    char head[512];
    snprintf(head, sizeof head, SUBMIT_HEAD "%sContent-Length: %zu\r\n\r\n", more_headers, strlen(body));
    ck_assert(talk_say(door_fd, head));
    ck_assert(talk_say(door_fd, body));
}

/* A good submission on the open connection: it is still in step. */
static void assert_serves(uint64_t n) {
    char *text = door_pcs_text(n, 0);
    say_submit("", text);
    ck_assert_msg(talk_read(door_fd) == 200, "%s", talk_answer);
    free(text);
}

static uint64_t detached(void) {
    return flk_counter_value(flk_metrics_counter(rig.gateway.registry, "flk_http_detached_total", NULL, ""));
}

/* Even the first request of a connection is answered without its thread. */
static void serve_one(void) {
    uint64_t before = detached();
    assert_serves(1000);
    RIG_WAIT(detached() == before + 1);
}

/* Sends the n-th PCS, which the broker gets and does not answer yet. */
static void submit_and_hold(uint64_t n) {
    char *text = door_pcs_text(n, 0);
    unsigned before = __atomic_load_n(&door_submits, __ATOMIC_SEQ_CST);
    door_hold_broker(true);
    say_submit("", text);
    RIG_WAIT(__atomic_load_n(&door_submits, __ATOMIC_SEQ_CST) > before);
    free(text);
}

static void assert_problem(int got, int status) {
    ck_assert_msg(got == status, "%d, not %d: %s", got, status, talk_answer);
    ck_assert_msg(talk_has("\r\nContent-Type: application/problem+json\r\n"), "%s", talk_answer);
    ck_assert_msg(talk_has("\r\nRetry-After: ") == (status == 429 || status == 503), "%s", talk_answer);
}

/* Bodies of every kind on one connection: small, empty, chunked, of exactly 1 MiB; a malformed one is refused and the
 * connection goes on. */
START_TEST(test_door_bodies) {
    char chunked[4096];
    char *text = door_pcs_text(1, 0), *large = door_pcs_text(2, FLK_PCS_BODY_BYTES_MAX);
    assert_serves(0);
    say_submit("", "");
    assert_problem(talk_read(door_fd), 400);
    say_submit("", "{\"schema\":");
    assert_problem(talk_read(door_fd), 400);
    snprintf(chunked, sizeof chunked, SUBMIT_HEAD "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n%zx\r\n%s\r\n0\r\n\r\n",
             strlen(text + 1), text + 1);
    ck_assert(talk_say(door_fd, chunked));
    ck_assert_msg(talk_read(door_fd) == 200, "%s", talk_answer);
    say_submit("", large);
    ck_assert_msg(talk_read(door_fd) == 200, "%s", talk_answer);
    assert_serves(3);
    ck_assert_uint_eq(RIG_COUNT(accepted), 4);
    ck_assert_uint_eq(RIG_COUNT(rejected_400), 2);
    free(text);
    free(large);
}
END_TEST

/* Blanks and tabs around a value are no part of it, and names and media types have no case. */
START_TEST(test_door_blanks) {
    char head[512];
    char *text = door_pcs_text(1, 0);
    snprintf(head, sizeof head,
             "POST /v1/pcs/submit HTTP/1.1\r\nhOST:x\r\nCONTENT-TYPE:\t Application/JSON\t; charset=utf-8 \r\n"
             "content-encoding:\tIdentity \r\nContent-Length:\t %zu \t\r\n\r\n%s",
             strlen(text), "");
    ck_assert(talk_say(door_fd, head));
    ck_assert(talk_say(door_fd, text));
    ck_assert_msg(talk_read(door_fd) == 200, "%s", talk_answer);
    free(text);
}
END_TEST

/* Two requests in one packet are answered one after the other. */
START_TEST(test_door_pipelined) {
    char both[8192];
    char *one = door_pcs_text(1, 0), *two = door_pcs_text(2, 0);
    snprintf(both, sizeof both, SUBMIT_HEAD "Content-Length: %zu\r\n\r\n%s" SUBMIT_HEAD "Content-Length: %zu\r\n\r\n%s",
             strlen(one), one, strlen(two), two);
    ck_assert(talk_say(door_fd, both));
    ck_assert_int_eq(talk_read(door_fd), 200);
    ck_assert_int_eq(talk_read(door_fd), 200);
    free(one);
    free(two);
}
END_TEST

/* A request behind a submission that is not answered yet is answered behind it: a page that needs no waiting, another
 * submission, and bytes that are no request at all. */
START_TEST(test_door_pipelined_order) {
    serve_one();
    submit_and_hold(1);
    ck_assert(talk_say(door_fd, HEAD_OF("GET", "/healthz") "\r\n"));
    say_submit("", "{}");
    ck_assert(talk_say(door_fd, "nonsense\r\n\r\n"));
    door_hold_broker(false);
    ck_assert_msg(talk_read(door_fd) == 200 && talk_has("\"accepted\":true"), "%s", talk_answer);
    ck_assert_msg(talk_read(door_fd) == 200 && talk_has("ok\n"), "%s", talk_answer);
    ck_assert_msg(talk_read(door_fd) == 400 && !talk_has("Connection: close"), "%s", talk_answer);
    ck_assert_msg(talk_read(door_fd) == 400 && talk_has("Connection: close"), "%s", talk_answer);
    ck_assert(talk_closes(door_fd));
}
END_TEST

enum { MANY = 1000 };

static void *submit_many(void *arg) {
    static const char one[] = SUBMIT_HEAD "Content-Length: 2\r\n\r\n{}";
    for (unsigned i = 0; i < MANY && talk_say(*(int *)arg, one); i++) {
    }
    return NULL;
}

/* The server's end of the connection, which is in this process too. */
static int far_end(int near) {
    struct sockaddr_in mine, peer;
    socklen_t size = sizeof mine, peer_size = sizeof peer;
    ck_assert_int_eq(getsockname(near, (struct sockaddr *)&mine, &size), 0);
    for (int i = 0; i < 1024; i++, peer_size = sizeof peer) {
        if (getpeername(i, (struct sockaddr *)&peer, &peer_size) == 0 && peer.sin_port == mine.sin_port) {
            return i;
        }
    }
    ck_abort_msg("the connection has no other end");
}

/* No answer went out for a while. */
static bool is_stuck(void) {
    static uint64_t last, since_ms;
    uint64_t now_ms = flk_mono_ms();
    if (detached() != last) {
        last = detached();
        since_ms = now_ms;
    }
    return now_ms - since_ms >= 300;
}

/* A client that sends and sends, and does not read, keeps no other one waiting; it gets its answers once it reads. */
START_TEST(test_door_reader_stops) {
    int room = 16384;
    pthread_t sender;
    serve_one();
    int slow = door_fd;
    setsockopt(slow, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(far_end(slow), SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    ck_assert_int_eq(pthread_create(&sender, NULL, submit_many, &slow), 0);
    RIG_WAIT(is_stuck());
    door_fd = talk_open(door_port());
    for (uint64_t n = 0; n < 20; n++) {
        assert_serves(n);
    }
    close(door_fd);
    door_fd = slow;
    for (unsigned i = 0; i < MANY; i++) {
        ck_assert_msg(talk_read(door_fd) == 400, "%u: %s", i, talk_answer);
    }
    pthread_join(sender, NULL);
    assert_serves(50);
}
END_TEST

/* A client that goes before its answer: the record is settled all the same, and the answer does not go to the next
 * client. */
START_TEST(test_door_client_goes) {
    struct linger reset = {.l_onoff = 1};
    serve_one();
    uint64_t before = RIG_COUNT(accepted);
    submit_and_hold(1);
    setsockopt(door_fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(door_fd);
    door_fd = talk_open(door_port());
    ck_assert(talk_say(door_fd, HEAD_OF("GET", "/healthz") "\r\n"));
    ck_assert_msg(talk_read(door_fd) == 200 && talk_has("ok\n"), "%s", talk_answer);
    door_hold_broker(false);
    RIG_WAIT(RIG_COUNT(accepted) == before + 1);
    ck_assert(talk_say(door_fd, HEAD_OF("GET", "/healthz") "Connection: close\r\n\r\n"));
    ck_assert_uint_eq(talk_count(door_fd), 1);
    ck_assert(talk_has("ok\n"));
}
END_TEST

static void *stop_door(void *arg) {
    flk_http_door_stop(arg);
    return NULL;
}

static bool is_refusing(void) {
    int other = talk_open(door_port());
    ck_assert(talk_say(other, HEAD_OF("GET", "/healthz") "\r\n"));
    bool refusing = talk_read(other) == 503;
    close(other);
    return refusing;
}

/* A door that stops answers its submissions, and only then closes. */
START_TEST(test_door_stops_in_order) {
    enum { LONGER_THAN_QUIET_MS = 3500 };
    pthread_t stopper;
    flk_http_door_t *stopped = door_rig;
    serve_one();
    submit_and_hold(1);
    ck_assert_int_eq(pthread_create(&stopper, NULL, stop_door, &stopped), 0);
    RIG_WAIT(is_refusing());
    poll(NULL, 0, LONGER_THAN_QUIET_MS); /* a stop that did not wait for the answer would be through by then */
    door_hold_broker(false);
    ck_assert_msg(talk_read(door_fd) == 200 && talk_has("\"accepted\":true"), "%s", talk_answer);
    ck_assert(talk_closes(door_fd));
    pthread_join(stopper, NULL);
    door_rig = NULL;
}
END_TEST

/* Expect: 100-continue is answered before the body is sent; a request that is refused by its head gets no 100; an
 * HTTP/1.0 client gets none either. */
START_TEST(test_door_expect) {
    char head[512];
    char *text = door_pcs_text(1, 0);
    snprintf(head, sizeof head, SUBMIT_HEAD "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n", strlen(text));
    ck_assert(talk_say(door_fd, head));
    ck_assert_int_eq(talk_read(door_fd), 100);
    ck_assert(talk_say(door_fd, text));
    ck_assert_int_eq(talk_read(door_fd), 200);
    ck_assert(talk_say(door_fd, SUBMIT_HEAD "Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n"));
    assert_problem(talk_read(door_fd), 413);
    ck_assert(talk_closes(door_fd));
    close(door_fd);
    door_fd = talk_open(door_port());
    snprintf(head, sizeof head,
             "POST /v1/pcs/submit HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
             "Content-Length: %zu\r\n\r\n%s",
             strlen(text), "");
    ck_assert(talk_say(door_fd, head));
    ck_assert(talk_say(door_fd, text));
    ck_assert_int_eq(talk_read(door_fd), 200);
    free(text);
}
END_TEST

static const struct {
    const char *request;
    int status;
    const char *header; /* that the answer must have; NULL: none in particular */
} refusals[] = {
    {HEAD_OF("GET", "/v1/pcs/submit") "\r\n", 405, "\r\nAllow: POST\r\n"},
    {HEAD_OF("PUT", "/v1/pcs/submit") "Content-Length: 2\r\n\r\n{}", 405, "\r\nAllow: POST\r\n"},
    {HEAD_OF("DELETE", "/v1/pcs/submit") "\r\n", 405, "\r\nAllow: POST\r\n"},
    {HEAD_OF("OPTIONS", "/v1/pcs/submit") "Origin: http://x\r\nAccess-Control-Request-Method: POST\r\n\r\n", 405,
     "\r\nAllow: POST\r\n"},
    {HEAD_OF("POST", "/v1/pcs/submit") "Content-Length: 2\r\n\r\n{}", 415, NULL},
    {HEAD_OF("POST", "/v1/pcs/submit") "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}", 415, NULL},
    {HEAD_OF("POST", "/v1/pcs/submit") "Content-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n{}", 415, NULL},
    {HEAD_OF("POST", "/v1/pcs/submit/below") "Content-Length: 0\r\n\r\n", 404, NULL},
    {HEAD_OF("GET", "/") "\r\n", 404, NULL},
    {HEAD_OF("GET", "/../../etc/passwd") "\r\n", 404, NULL},
    {HEAD_OF("TRACE", "/v1/pcs/submit") "\r\n", 405, "\r\nAllow: POST\r\n"},
    {HEAD_OF("BREW", "/v1/pcs/submit") "\r\n", 405, "\r\nAllow: POST\r\n"},
    {HEAD_OF("GET", "/metrics%00/../healthz") "\r\n", 404, NULL},
    {HEAD_OF("POST", "/v1/pcs/submit%00") "Content-Length: 0\r\n\r\n", 404, NULL},
    {HEAD_OF("POST", "/v1/pcs/submit?x") "Content-Length: 0\r\n\r\n", 404, NULL},
    {HEAD_OF("POST", "//v1/pcs/submit") "Content-Length: 0\r\n\r\n", 404, NULL},
    {SUBMIT_HEAD "\r\n", 411, NULL},
    {"POST /v1/pcs/submit HTTP/1.0\r\nContent-Type: application/json\r\n\r\n", 411, NULL},
    {SUBMIT_HEAD "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", 415, "\r\nAccept-Encoding: identity\r\n"},
    {SUBMIT_HEAD "Content-Encoding: identity, br\r\nContent-Length: 2\r\n\r\n{}", 415,
     "\r\nAccept-Encoding: identity\r\n"},
    {SUBMIT_HEAD "Content-Length: 1048577\r\n\r\n", 413, NULL},
    {SUBMIT_HEAD "Content-Length: 99999999999999999999999999\r\n\r\n", 413, NULL},
    {HEAD_OF("POST", "/metrics") "Content-Length: 0\r\n\r\n", 405, "\r\nAllow: GET, HEAD\r\n"},
    {HEAD_OF("POST", "/healthz") "Content-Length: 0\r\n\r\n", 405, "\r\nAllow: GET, HEAD\r\n"},
};

/* A request that is no submission is refused with a problem, and the connection closes behind it. */
START_TEST(test_door_refusals) {
    ck_assert(talk_say(door_fd, refusals[_i].request));
    assert_problem(talk_read(door_fd), refusals[_i].status);
    ck_assert_msg(refusals[_i].header == NULL || talk_has(refusals[_i].header), "%s", talk_answer);
    ck_assert(talk_has("\r\nConnection: close\r\n"));
    ck_assert(talk_closes(door_fd));
    ck_assert_uint_eq(RIG_COUNT(ingest), 0);
}
END_TEST

/* HEAD gets the head of the answer that GET would get, and no body. */
START_TEST(test_door_head) {
    ck_assert(talk_say(door_fd, HEAD_OF("HEAD", "/v1/pcs/submit") "Connection: close\r\n\r\n"));
    ck_assert_uint_eq(talk_count(door_fd), 1);
    ck_assert(talk_has("HTTP/1.1 405 ") && talk_has("\r\nAllow: POST\r\n"));
    ck_assert_str_eq(strstr(talk_answer, "\r\n\r\n"), "\r\n\r\n");
}
END_TEST

/* A throttled submission is a 429 whose connection goes on; so is a 503 while the log is ill, and the next one. */
START_TEST(test_door_keeps_alive) {
    char *text = door_pcs_text(1, 0);
    assert_serves(0);
    flk_throttle_init(&rig.gateway.throttle, 1);
    say_submit("", text);
    ck_assert_int_eq(talk_read(door_fd), 200);
    say_submit("", text);
    assert_problem(talk_read(door_fd), 429);
    flk_throttle_init(&rig.gateway.throttle, 0);
    atomic_store(&rig.gateway.draining, true);
    say_submit("", text);
    assert_problem(talk_read(door_fd), 503);
    atomic_store(&rig.gateway.draining, false);
    rig_fail(FLK_IO_SYNC, "/inbox/", EIO);
    say_submit("", text);
    assert_problem(talk_read(door_fd), 503);
    say_submit("", text);
    assert_problem(talk_read(door_fd), 503);
    rig_heal();
    RIG_WAIT(flk_wal_healthy(rig.gateway.inbox));
    assert_serves(2);
    ck_assert_uint_eq(RIG_COUNT(throttled), 1);
    ck_assert_uint_eq(RIG_COUNT(refused), 3);
    free(text);
}
END_TEST

/* A body that is cut off, or whose chunks make no sense, is no submission: 400 where the client still reads, nothing
 * kept. */
START_TEST(test_door_cut_bodies) {
    static const char *const cut[] = {SUBMIT_HEAD "Content-Length: 100\r\n\r\n{\"schema\":",
                                      SUBMIT_HEAD "Transfer-Encoding: chunked\r\n\r\n64\r\n{\"schema\":",
                                      SUBMIT_HEAD "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"};
    for (unsigned i = 0; i < FLK_COUNT_OF(cut); i++) {
        ck_assert(talk_say(door_fd, cut[i]));
        shutdown(door_fd, SHUT_WR);
        assert_problem(talk_read(door_fd), 400);
        ck_assert(talk_closes(door_fd));
        close(door_fd);
        door_fd = talk_open(door_port());
    }
    ck_assert_uint_eq(RIG_COUNT(ingest), 0);
    ck_assert_uint_eq(RIG_COUNT(http_refused), 3);
    assert_serves(1);
}
END_TEST

/* A chunked body over the limit is refused once it is over it. */
START_TEST(test_door_chunked_too_large) {
    enum { CHUNK = 65536 };
    static char chunk[CHUNK + 16];
    int bytes = snprintf(chunk, sizeof chunk, "%x\r\n", CHUNK);
    memset(chunk + bytes, ' ', CHUNK);
    strcpy(chunk + bytes + CHUNK, "\r\n");
    ck_assert(talk_say(door_fd, SUBMIT_HEAD "Transfer-Encoding: chunked\r\n\r\n"));
    for (int i = 0; i < FLK_PCS_BODY_BYTES_MAX / CHUNK + 2; i++) {
        if (!talk_send(door_fd, chunk, (size_t)bytes + CHUNK + 2)) {
            break;
        }
    }
    assert_problem(talk_read(door_fd), 413);
}
END_TEST

/* The relay does not come to answer in time: the door answers 503 by itself, the connection goes on, and the record is
 * verified when the log does; with and without the connection's thread, and for a client that has said that it is
 * through. */
START_TEST(test_door_log_hangs) {
    char *text = door_pcs_text(1, 0);
    if (_i > 0) {
        serve_one();
    }
    uint64_t before = RIG_COUNT(accepted);
    rig_hang(FLK_IO_SYNC, "/inbox/");
    say_submit("", text);
    if (_i > 1) {
        ck_assert_int_eq(shutdown(door_fd, SHUT_WR), 0);
    }
    assert_problem(talk_read(door_fd), 503);
    ck_assert_uint_eq(RIG_COUNT(timeouts), 1);
    rig_heal();
    RIG_WAIT(RIG_COUNT(accepted) == before + 1);
    ck_assert_uint_eq(RIG_COUNT(timeouts), 1);
    free(text);
}
END_TEST

static bool knock_stops;
static unsigned knocks, not_found; /* atomic */

/* A client that connects again and again, and asks. One that is not served while the door closes gives up soon. */
static void *knock(void *arg) {
    unsigned port = *(unsigned *)arg;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_usec = 100000};
    char answer[64];
    while (!__atomic_load_n(&knock_stops, __ATOMIC_SEQ_CST)) {
        int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(client, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        if (connect(client, (struct sockaddr *)&address, sizeof address) == 0 &&
            talk_say(client, SUBMIT_HEAD "Content-Length: 0\r\n\r\n") && read(client, answer, sizeof answer) > 12) {
            unsigned wrong = strncmp(answer, "HTTP/1.1 404", 12) == 0;
            __atomic_fetch_add(&not_found, wrong, __ATOMIC_SEQ_CST);
            __atomic_fetch_add(&knocks, 1, __ATOMIC_SEQ_CST);
        }
        close(client);
    }
    return NULL;
}

/* No request ever finds a door without handlers, however early it comes: none is told 404, which would be for good. */
START_TEST(test_door_early_requests) {
    enum { STARTS = 20 };
    unsigned port = door_port();
    char listen[32];
    pthread_t client;
    close(door_fd);
    flk_http_door_stop(&door_rig);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", port);
    setenv("FLK_HTTP_LISTEN", listen, 1);
    flk_settings_destroy(&rig.settings);
    ck_assert_int_eq(flk_settings_load(FLK_PROGRAM_GATEWAY, &rig.settings, errmsg), FLK_OK);
    rig.gateway.settings = rig.settings;
    knock_stops = false;
    ck_assert_int_eq(pthread_create(&client, NULL, knock, &port), 0);
    for (int i = 0; i < STARTS; i++) {
        unsigned before = __atomic_load_n(&knocks, __ATOMIC_SEQ_CST);
        ck_assert_msg(flk_http_door_start(&rig.gateway, &door_rig, errmsg) == FLK_OK, "%s", errmsg);
        RIG_WAIT(__atomic_load_n(&knocks, __ATOMIC_SEQ_CST) > before);
        flk_http_door_stop(&door_rig);
    }
    __atomic_store_n(&knock_stops, true, __ATOMIC_SEQ_CST);
    pthread_join(client, NULL);
    ck_assert_uint_eq(not_found, 0);
    door_fd = -1;
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_door");
    TCase *tcase = tcase_create("door");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, door_setup, door_teardown);
    tcase_add_test(tcase, test_door_bodies);
    tcase_add_test(tcase, test_door_blanks);
    tcase_add_test(tcase, test_door_pipelined);
    tcase_add_test(tcase, test_door_pipelined_order);
    tcase_add_test(tcase, test_door_reader_stops);
    tcase_add_test(tcase, test_door_client_goes);
    tcase_add_test(tcase, test_door_stops_in_order);
    tcase_add_test(tcase, test_door_expect);
    tcase_add_loop_test(tcase, test_door_refusals, 0, FLK_COUNT_OF(refusals));
    tcase_add_test(tcase, test_door_head);
    tcase_add_test(tcase, test_door_keeps_alive);
    tcase_add_test(tcase, test_door_cut_bodies);
    tcase_add_test(tcase, test_door_chunked_too_large);
    tcase_add_test(tcase, test_door_early_requests);
    suite_add_tcase(suite, tcase);
    TCase *hurried = tcase_create("hurried");
    tcase_set_timeout(hurried, 120);
    tcase_add_checked_fixture(hurried, door_setup_hurried, door_teardown);
    tcase_add_loop_test(hurried, test_door_log_hangs, 0, 3);
    suite_add_tcase(suite, hurried);
    return suite_run(suite);
}
