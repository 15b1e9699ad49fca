/* SPDX-License-Identifier: MIT */
/* How fast a body must come, on a real socket: a late one is cut for reading only, so its answer still goes out. */
#include "common/http/server.h"
#include "tests/unit/rig/http_talk.h"
#include "tests/unit/rig/suite.h"

enum { GRACE_MS = 300, LONG_MS = 60000 };

static flk_http_server_t *server;
static char errmsg[FLK_ERRMSG_BYTES];
static int fd;

static void on_request(flk_http_request_t *request, void *arg) {
    char body[64];
    size_t got = 1;
    flk_err_t err = FLK_OK;
    (void)arg;
    while (err == FLK_OK && got > 0) {
        err = flk_http_request_body(request, body, sizeof body, &got);
    }
    flk_http_send_problem(request, &(flk_http_answer_t){.status = err == FLK_E_TIMEOUT ? 408 : 400}, "read", NULL);
}

static void setup(void) {
    const flk_http_route_t route = {"/", "POST", on_request, NULL, FLK_HTTP_EXACT};
    flk_http_options_t options = {.listen = "127.0.0.1:0",
                                  .threads = 8,
                                  .queue = 4,
                                  .write_timeout_ms = 2000,
                                  .keep_alive_ms = 2000,
                                  .body_deadline_ms = LONG_MS,
                                  .body_grace_ms = GRACE_MS,
                                  .body_bytes_per_ms = 1000,
                                  .routes = &route,
                                  .routes_len = 1};
    ck_assert_msg(flk_http_start(&options, &server, errmsg) == FLK_OK, "%s", errmsg);
    fd = talk_open(flk_http_port(server));
}

static void teardown(void) {
    close(fd);
    flk_http_stop(&server);
}

/* A body that does not come, and one that drips, whether in its bytes or only in the framing of its chunks, is late
 * soon; the client reads why. */
START_TEST(test_pace_late) {
    static const struct {
        const char *head, *drip;
    } slow[] = {{"Content-Length: 100\r\n\r\n", ""},
                {"Content-Length: 100000\r\n\r\n", "x"},
                {"Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n"},
                {"Transfer-Encoding: chunked\r\n\r\n5;", "x"},
                {"Transfer-Encoding: chunked\r\n\r\n0\r\n", "X: y\r\n"}};
    struct timeval patience = {.tv_usec = 20000};
    char request[256], byte = 0;
    uint64_t began_ms = flk_mono_ms();
    snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: x\r\n%s", slow[_i].head);
    ck_assert(talk_say(fd, request));
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    while (recv(fd, &byte, 1, MSG_PEEK) < 0 && flk_mono_ms() - began_ms < LONG_MS / 2) {
        (void)!talk_say(fd, slow[_i].drip);
    }
    ck_assert_int_eq(talk_read(fd), 408);
    ck_assert_uint_ge(flk_mono_ms() - began_ms, GRACE_MS);
    ck_assert_uint_lt(flk_mono_ms() - began_ms, LONG_MS / 2);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_pace");
    TCase *tcase = tcase_create("pace");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_pace_late, 0, 5);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
