/* SPDX-License-Identifier: MIT */
/* How a server that stops takes leave of its clients. */
#include <errno.h>
#include <pthread.h>

#include "common/http/server.h"
#include "tests/unit/rig/http_talk.h"
#include "tests/unit/rig/suite.h"

static const char get[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
static flk_http_server_t *server;
static char errmsg[FLK_ERRMSG_BYTES];

static void on_request(flk_http_request_t *request, void *arg) {
    const flk_http_answer_t answer = {.status = 200, .content_type = "text/plain", .body = "", .body_bytes = 0};
    (void)arg;
    flk_http_send(request, &answer);
}

static void setup(void) {
    const flk_http_route_t route = {"/", "GET", on_request, NULL, FLK_HTTP_EXACT};
    const flk_http_options_t options = {.listen = "127.0.0.1:0",
                                        .threads = 8,
                                        .queue = 4,
                                        .write_timeout_ms = 2000,
                                        .keep_alive_ms = 60000,
                                        .routes = &route,
                                        .routes_len = 1};
    ck_assert_msg(flk_http_start(&options, &server, errmsg) == FLK_OK, "%s", errmsg);
}

static void teardown(void) {
    flk_http_stop(&server);
}

static void *stop(void *arg) {
    (void)arg;
    flk_http_stop(&server);
    return NULL;
}

static int kept(void) {
    int fd = talk_open(flk_http_port(server));
    ck_assert(talk_say(fd, get));
    ck_assert_int_eq(talk_read(fd), 200);
    ck_assert(!talk_has("Connection: close"));
    return fd;
}

/* From the drain on each answer says that the connection ends, and it does. */
START_TEST(test_leave_drains) {
    int fd = kept();
    flk_http_drain(server);
    ck_assert(talk_say(fd, get));
    ck_assert_int_eq(talk_read(fd), 200);
    ck_assert(talk_has("\r\nConnection: close\r\n"));
    ck_assert(talk_closes(fd));
    close(fd);
}
END_TEST

/* No kept connection ends without a word: an idle one is told after a second of silence; then the server reads on until
 * the client closes, so that a request that was on its way is no reset in its place. A client that never closes is not
 * waited for without end. */
START_TEST(test_leave_idle) {
    enum { QUIET_MS = 1000, IN_VAIN_MS = 2000, SLOW_MS = 5000 };
    char byte;
    pthread_t thread;
    uint64_t began_ms = flk_mono_ms();
    int fds[] = {kept(), kept(), kept()};
    ck_assert_int_eq(pthread_create(&thread, NULL, stop, NULL), 0);
    for (unsigned i = 0; i < FLK_COUNT_OF(fds); i++) {
        ck_assert_int_eq(talk_read(fds[i]), 503);
        ck_assert(talk_has("\r\nConnection: close\r\n") && talk_has("\r\nRetry-After: 1\r\n"));
        ck_assert_int_eq(read(fds[i], &byte, 1), 0);
    }
    ck_assert_uint_ge(flk_mono_ms() - began_ms, QUIET_MS);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(talk_say(fds[0], get));
        ck_assert_int_eq(read(fds[0], &byte, 1), 0); /* no reset */
    }
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    uint64_t took_ms = flk_mono_ms() - began_ms;
    ck_assert(took_ms >= QUIET_MS + IN_VAIN_MS && took_ms < QUIET_MS + IN_VAIN_MS + SLOW_MS);
    close(fds[2]);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_leave");
    TCase *tcase = tcase_create("leave");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_leave_drains);
    tcase_add_test(tcase, test_leave_idle);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
