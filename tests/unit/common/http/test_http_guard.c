/* SPDX-License-Identifier: MIT */
/* The framing guard, on a real socket: what it lets pass is read as one request, what it refuses is never read as two. */
#include <civetweb.h>
#include <stdatomic.h>

#include "common/http/guard.h"
#include "common/http/http.h"
#include "tests/unit/rig/http_talk.h"
#include "tests/unit/rig/suite.h"

static struct mg_context *context;
static unsigned port;
static atomic_uint served;
static char errmsg[FLK_ERRMSG_BYTES];

/* Answers with the number of bytes that the body has. */
static int on_request(struct mg_connection *connection, void *arg) {
    char body[4096], text[16];
    int bytes = 0, got;
    (void)arg;
    while ((got = mg_read(connection, body, sizeof body)) > 0) {
        bytes += got;
    }
    atomic_fetch_add(&served, 1);
    snprintf(text, sizeof text, "%d", got < 0 ? got : bytes);
    flk_http_send(
        connection,
        &(flk_http_answer_t){.status = 200, .content_type = "text/plain", .body = text, .body_bytes = strlen(text)});
    return 200;
}

static flk_err_t attach(struct mg_context *made, void *arg) {
    (void)arg;
    mg_set_request_handler(made, "**", on_request, NULL);
    return FLK_OK;
}

static void setup(void) {
    flk_http_options_t options = {.listen = "127.0.0.1:0",
                                  .threads = 4,
                                  .queue = 4,
                                  .request_timeout_ms = 2000,
                                  .keep_alive_ms = 2000,
                                  .attach = attach};
    ck_assert_msg(flk_http_start(&options, &context, &port, errmsg) == FLK_OK, "%s", errmsg);
    atomic_store(&served, 0);
}

static void teardown(void) {
    flk_http_stop(&context);
}

/* What may pass: how it is framed, and how many bytes of body that makes. */
static const struct {
    const char *request, *bytes;
} good[] = {
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "0"},
    {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 00005\r\n\r\nhello", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", "0"},
    {"POST / HTTP/1.1\r\nhost:x\r\ncontent-length:5\r\n\r\nhello", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nh\r\n4\r\nello\r\n0\r\n\r\n", "5"},
    {"POST / HTTP/1.1\r\nX:\r\nHost: x\r\nY:   \r\n\r\n", "0"},
    {"GET /a HTTP/1.0\r\n\r\n", "0"},
    {"GET /a HTTP/1.0\r\nX: y\r\n\r\n", "0"},
    {"OPTIONS / HTTP/1.0\r\n\r\n", "0"},
};

/* A request that can be read in one way only is served, and its body has the length that it says. */
START_TEST(test_guard_passes) {
    int fd = talk_open(port);
    ck_assert(talk_say(fd, good[_i].request));
    ck_assert_msg(talk_read(fd) == 200, "%s: %s", good[_i].request, talk_answer);
    const char *body = strstr(talk_answer, "\r\n\r\n") + 4;
    ck_assert_msg(strcmp(body, good[_i].bytes) == 0, "%s: %s bytes", good[_i].request, body);
    close(fd);
}
END_TEST

#define PIGGYBACK "GET /second HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"

/* What must not: header fields, as they follow "POST / HTTP/1.1\r\n". */
static const char *const bad[] = {
    "Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n",
    "Host: x\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
    "Host: x\r\nContent-Length: 5\r\nContent-Length: 5\r\n",
    "Host: x\r\nContent-Length: 5, 5\r\n",
    "Host: x\r\nContent-Length: +5\r\n",
    "Host: x\r\nContent-Length: -5\r\n",
    "Host: x\r\nContent-Length: 0x5\r\n",
    "Host: x\r\nContent-Length: 5abc\r\n",
    "Host: x\r\nContent-Length: 5 5\r\n",
    "Host: x\r\nContent-Length: 5 \r\n",
    "Host: x\r\nContent-Length:\r\n",
    "Host: x\r\nContent-Length : 5\r\n",
    "Host: x\r\nTransfer-Encoding : chunked\r\n",
    "Host: x\r\nTransfer-Encoding: xchunked\r\n",
    "Host: x\r\nTransfer-Encoding: chunked, identity\r\n",
    "Host: x\r\nTransfer-Encoding: identity\r\n",
    "Host: x\r\nTransfer-Encoding: identity, chunked\r\n",
    "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Host: x\r\nTransfer-Encoding:\r\n",
    "Content-Length: 5\r\n",
    "Host: x\r\nHost: x\r\nContent-Length: 5\r\n",
    "Host : x\r\nContent-Length: 5\r\n",
    "Host: x\r\nX: a\r\n b\r\nContent-Length: 52\r\n",
    "Host: x\r\n Content-Length: 52\r\n",
    " Host: x\r\nContent-Length: 5\r\n",
    "Host: x\r\n\x80: y\r\nContent-Length: 52\r\n",
    "Host: x\r\n: y\r\nContent-Length: 52\r\n",
    "Host: x\r\nno colon\r\nContent-Length: 52\r\n",
    "Host: x\r\n\tX: y\r\nContent-Length: 52\r\n",
    "Host: x\nContent-Length: 52\r\n",
    "Host: x\r\nX: y\nContent-Length: 52\r\n",
    "Host: x\r\nX: y\rContent-Length: 52\r\n",
    "Host: x\r\n\rContent-Length: 52\r\n",
    "Host: x\r\nContent-Length: 0\r\n\rTransfer-Encoding: chunked\r\n",
    "\rHost: x\r\nContent-Length: 5\r\n",
};

static void assert_refused(int fd, const char *what, const char *expected) {
    unsigned answers = talk_count(fd);
    ck_assert_msg(answers == 1, "%u answers to %s: %s", answers, what, talk_answer);
    ck_assert_msg(strncmp(talk_answer, expected, strlen(expected)) == 0, "%s: %s", what, talk_answer);
    ck_assert_msg(talk_has("application/problem+json"), "%s: %s", what, talk_answer);
    ck_assert_uint_eq(atomic_load(&served), 0);
    close(fd);
}

/* A request that two servers could read in two ways is refused, and nothing behind it is read as a request. */
START_TEST(test_guard_refuses) {
    char request[1024];
    int fd = talk_open(port);
    snprintf(request, sizeof request, "POST / HTTP/1.1\r\n%s\r\n" PIGGYBACK, bad[_i]);
    ck_assert(talk_say(fd, request));
    assert_refused(fd, bad[_i], "HTTP/1.1 4");
}
END_TEST

/* HTTP/1.0 knows no chunks, and lines that are dropped show there too, without any field before them. */
START_TEST(test_guard_refuses_old) {
    static const char *const heads[] = {"Host: x\r\nTransfer-Encoding: chunked\r\n", " Content-Length: 52\r\n",
                                        "\x80: y\r\nContent-Length: 52\r\n", ":y\r\nContent-Length: 52\r\n"};
    char request[1024];
    int fd = talk_open(port);
    snprintf(request, sizeof request, "POST / HTTP/1.0\r\nConnection: keep-alive\r\n%s\r\n" PIGGYBACK, heads[_i]);
    if (_i > 0) {
        snprintf(request, sizeof request, "POST / HTTP/1.0\r\n%s\r\n" PIGGYBACK, heads[_i]);
    }
    ck_assert(talk_say(fd, request));
    assert_refused(fd, heads[_i], "HTTP/1.1 4");
}
END_TEST

/* Lines that end with LF alone are refused, also where no header field shows it. */
START_TEST(test_guard_refuses_lone_lf) {
    static const char *const requests[] = {"GET / HTTP/1.1\nHost: x\n\n" PIGGYBACK, "GET / HTTP/1.0\n\n" PIGGYBACK,
                                           "GET / HTTP/1.1\r\nHost: x\n\n" PIGGYBACK};
    int fd = talk_open(port);
    ck_assert(talk_say(fd, requests[_i]));
    assert_refused(fd, requests[_i], "HTTP/1.1 400");
}
END_TEST

/* civetweb keeps 64 fields and forgets the rest: more than 63 are refused, 63 pass. */
START_TEST(test_guard_counts_fields) {
    char request[4096] = "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
    unsigned fields = _i == 0 ? 61 : 70;
    for (unsigned i = 0; i < fields; i++) {
        strcat(request, "X: y\r\n");
    }
    strcat(request, _i == 0 ? "\r\n" : "Content-Length: 52\r\n\r\n" PIGGYBACK);
    int fd = talk_open(port);
    ck_assert(talk_say(fd, request));
    if (_i == 0) {
        ck_assert_uint_eq(talk_count(fd), 1);
        ck_assert_uint_eq(atomic_load(&served), 1);
        close(fd);
    } else {
        assert_refused(fd, "70 fields", "HTTP/1.1 431");
    }
}
END_TEST

/* Chunks whose framing is wrong end the body as an error, and the connection. */
START_TEST(test_guard_chunks) {
    static const char *const bodies[] = {
        "5 \r\nhello\r\n0\r\n\r\n",  "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n",
        "-1\r\nhello\r\n0\r\n\r\n",  "5\nhello\r\n0\r\n\r\n",    "5\r\nhelloo\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello", "g\r\nhello\r\n0\r\n\r\n",  "\r\n0\r\n\r\n",
        "8000000000000000\r\nhello"};
    char request[1024];
    int fd = talk_open(port);
    snprintf(request, sizeof request, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s" PIGGYBACK,
             bodies[_i]);
    ck_assert(talk_say(fd, request));
    shutdown(fd, SHUT_WR);
    ck_assert_uint_le(talk_count(fd), 1);
    ck_assert_uint_eq(atomic_load(&served), 1);
    ck_assert_msg(talk_has("\r\n\r\n-"), "%s: %s", bodies[_i], talk_answer);
    close(fd);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_guard");
    TCase *tcase = tcase_create("guard");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_loop_test(tcase, test_guard_passes, 0, FLK_COUNT_OF(good));
    tcase_add_loop_test(tcase, test_guard_refuses, 0, FLK_COUNT_OF(bad));
    tcase_add_loop_test(tcase, test_guard_refuses_old, 0, 4);
    tcase_add_loop_test(tcase, test_guard_refuses_lone_lf, 0, 3);
    tcase_add_loop_test(tcase, test_guard_counts_fields, 0, 2);
    tcase_add_loop_test(tcase, test_guard_chunks, 0, 10);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
