/* SPDX-License-Identifier: MIT */
/* The framing guard, on a real socket: a head that it lets pass is read as one request, a refused one is never read as
 * two. */
#include <stdatomic.h>

#include "common/http/server.h"
#include "tests/unit/rig/http_talk.h"
#include "tests/unit/rig/suite.h"

static flk_http_server_t *server;
static unsigned port;
static atomic_uint served;
static char errmsg[FLK_ERRMSG_BYTES];

/* Answers with the number of bytes that the body has; a minus: it was malformed. */
static void on_request(flk_http_request_t *request, void *arg) {
    char body[4096], text[16];
    size_t bytes = 0, got = 1;
    flk_err_t err = FLK_OK;
    (void)arg;
    while (err == FLK_OK && got > 0) {
        err = flk_http_request_body(request, body, sizeof body, &got);
        bytes += got;
    }
    atomic_fetch_add(&served, 1);
    snprintf(text, sizeof text, err == FLK_OK ? "%zu" : "-%zu", bytes);
    flk_http_send(request, &(flk_http_answer_t){
                               .status = 200, .content_type = "text/plain", .body = text, .body_bytes = strlen(text)});
}

static void setup(void) {
    static const char methods[] = "GET, HEAD, POST, OPTIONS";
    const flk_http_route_t routes[] = {{"/", methods, on_request, NULL, FLK_HTTP_EXACT},
                                       {"/a", methods, on_request, NULL, FLK_HTTP_EXACT},
                                       {"/second", methods, on_request, NULL, FLK_HTTP_EXACT}};
    flk_http_options_t options = {.listen = "127.0.0.1:0",
                                  .threads = 4,
                                  .queue = 4,
                                  .write_timeout_ms = 2000,
                                  .keep_alive_ms = 2000,
                                  .body_deadline_ms = 10000,
                                  .body_grace_ms = 10000,
                                  .body_bytes_per_ms = 1,
                                  .routes = routes,
                                  .routes_len = FLK_COUNT_OF(routes)};
    ck_assert_msg(flk_http_start(&options, &server, errmsg) == FLK_OK, "%s", errmsg);
    port = flk_http_port(server);
    atomic_store(&served, 0);
}

static void teardown(void) {
    flk_http_stop(&server);
}

/* Heads that pass: their framing, and the bytes of body that it gives. */
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
    {"POST / HTTP/1.1\r\nHost:\t x \t\r\nContent-Length: \t5\t \r\n\r\nhello", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding:\tchunked \r\n\r\n5\r\nhello\r\n0\r\n\r\n", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
     "0005 ; a=b;c=\"d;e\"\r\nhello\r\n00;x\r\nTrailer: y\r\nZ:\r\n\r\n",
     "5"},
    {"POST / HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello", "5"},
    {"POST http://x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello", "5"},
    {"POST https://[::1]:80/a HTTP/1.1\r\nHost: other\r\nContent-Length: 5\r\n\r\nhello", "5"},
    {"POST / HTTP/1.7\r\nHost:\r\nContent-Length: 5\r\n\r\nhello", "5"},
    {"POST / HTTP/1.1\r\nHost: x\r\nX: \x80\xff y\r\nContent-Length: 5\r\n\r\nhello", "5"},
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

/* Heads that must not pass: header fields, as they follow "POST / HTTP/1.1\r\n". */
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
    "Host: x\r\nX: a\x01\r\nContent-Length: 52\r\n",
    "Host: x\r\nX: \x7f\r\nContent-Length: 52\r\n",
    "Host: a b\r\nContent-Length: 52\r\n",
    "Host: a/b\r\nContent-Length: 52\r\n",
    "Host: x\r\nContent-Type: a\r\nContent-Type: b\r\n",
    "Host: x\r\nAuthorization: a\r\nAuthorization: b\r\n",
    "Host: x\r\nTransfer-Encoding: chunked, chunked\r\n",
    "Host: x\r\nTransfer-Encoding: chunked, gzip\r\n",
    "Host: x\r\nTransfer-Encoding: ,chunked\r\nContent-Length: 0\r\n",
    "Host: x\r\nExpect: 200-ok\r\nContent-Length: 0\r\n",
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
    assert_refused(fd, bad[_i], "HTTP/1.1 ");
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

/* Nothing stands before a request line: neither an empty line nor a blank of any kind, at the first request of a
 * connection or behind another one, in one packet or byte by byte. The bytes behind it are never read as a request,
 * nor as a body. */
START_TEST(test_guard_refuses_what_is_in_front) {
    static const char *const fronts[] = {"\r\n", "\r\n\r\n", "\n", "\n\n",      "\r",        " ",
                                         "\t",   "\v",       "\f", " \r\n\r\n", "\r\n \r\n", "\t\r\n\r\n"};
    char request[1024];
    bool behind = _i % 2 > 0, slowly = _i / 2 % 2 > 0;
    const char *front = fronts[_i / 4];
    snprintf(request, sizeof request, "%s%sPOST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 52\r\n\r\n" PIGGYBACK,
             behind ? "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" : "", front);
    int fd = talk_open(port);
    for (size_t at = 0; slowly && at < strlen(request) && talk_send(fd, request + at, 1); at++) {
    }
    ck_assert(slowly || talk_say(fd, request));
    unsigned answers = talk_count(fd);
    ck_assert_msg(answers == (behind ? 2 : 1), "%u answers: %s", answers, talk_answer);
    ck_assert_msg(talk_has("nothing may stand before the request line"), "%s", talk_answer);
    ck_assert_uint_eq(atomic_load(&served), behind);
    close(fd);
}
END_TEST

enum { FRONT_CASES = 12 * 4 };

/* Only a path that is there byte for byte is there: a path that a decoder, a cleaner of paths or a reader of queries
 * would turn into it is 404, and a byte that no target may have is 400. */
START_TEST(test_guard_targets) {
    static const struct {
        const char *target;
        int status;
    } targets[] = {
        {"/a", 200},
        {"/a?", 404},
        {"/a?x=y", 404},
        {"/a#", 404},
        {"/a#x", 404},
        {"/a;x", 404},
        {"/a;", 404},
        {"/a/", 404},
        {"//a", 404},
        {"/./a", 404},
        {"/x/../a", 404},
        {"/a%00", 404},
        {"/a%00/../a", 404},
        {"/%61", 404},
        {"/a%20", 404},
        {"/a.", 404},
        {"/A", 404},
        {"\\a", 404},
        {"/a%2f", 404},
        {"*", 404},
        {"a", 404},
        {"x:80", 404},
        {"http:/a", 404},
        {"ftp://x/a", 404},
        {"http://x/a", 200},
        {"http://x/a?y", 404},
        {"http://x//a", 404},
        {"http://x/./a", 404},
        {"http:///a", 400},
        {"http://x y/a", 400},
        {"http://u@x/a", 400},
        {"/a\x80", 400},
        {"/\xc3\xa4", 400},
        {"/a\x7f", 400},
        {"/a b", 400},
        {"/a\tb", 400},
        {"/a\x01", 400},
        {"", 400},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(targets); i++) {
        char request[256];
        snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", targets[i].target);
        int fd = talk_open(port);
        ck_assert(talk_say(fd, request));
        int status = talk_read(fd);
        ck_assert_msg(status == targets[i].status, "%s: %d", targets[i].target, status);
        close(fd);
    }
    int fd = talk_open(port);
    static const char with_nul[] = "GET /a\0 HTTP/1.1\r\nHost: x\r\n\r\n";
    ck_assert(talk_send(fd, with_nul, sizeof with_nul - 1));
    ck_assert_int_eq(talk_read(fd), 400);
    close(fd);
}
END_TEST

/* Each refusal of a request line has the status of its own reason. */
START_TEST(test_guard_request_lines) {
    static const struct {
        const char *request;
        int status;
    } lines[] = {
        {"GET /a HTTP/2.0\r\n\r\n", 505},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"GET /a http/1.1\r\n\r\n", 400},
        {"GET /a HTTP/1.1 \r\n\r\n", 400},
        {"GET  /a HTTP/1.1\r\n\r\n", 400},
        {"GET /a  HTTP/1.1\r\n\r\n", 400},
        {"GET /a HTTP/1.10\r\n\r\n", 400},
        {"GET /a HTTP/11\r\n\r\n", 400},
        {"GET /a\r\n\r\n", 400},
        {"GET\r\n\r\n", 400},
        {"G(T /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"\x16\x03\x01\x02\x00\x01", 400},
        {"FOO /a HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"TRACE /a HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"CONNECT /a HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"get /a HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"GE /a HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 200-ok\r\n\r\n", 417},
        {"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    };
    for (size_t i = 0; i < FLK_COUNT_OF(lines); i++) {
        int fd = talk_open(port);
        ck_assert(talk_say(fd, lines[i].request));
        int status = talk_read(fd);
        ck_assert_msg(status == lines[i].status, "%s: %d %s", lines[i].request, status, talk_answer);
        ck_assert(talk_has("\r\nConnection: close\r\n"));
        ck_assert(talk_closes(fd));
        close(fd);
    }
}
END_TEST

/* A request line over its limit is a 414, a head over its own a 431, and neither is waited for. */
START_TEST(test_guard_long_heads) {
    static char request[20000];
    memset(request, 'a', sizeof request);
    memcpy(request, "GET /", 5);
    int fd = talk_open(port);
    ck_assert(talk_send(fd, request, 9000));
    ck_assert_int_eq(talk_read(fd), 414);
    close(fd);
    memcpy(request, "GET /a HTTP/1.1\r\nHost: x\r\nX: ", 29);
    fd = talk_open(port);
    ck_assert(talk_send(fd, request, 17000));
    ck_assert_int_eq(talk_read(fd), 431);
    close(fd);
    ck_assert_uint_eq(atomic_load(&served), 0);
}
END_TEST

/* More than 63 fields are refused, 63 pass. */
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
    tcase_add_loop_test(tcase, test_guard_refuses_what_is_in_front, 0, FRONT_CASES);
    tcase_add_test(tcase, test_guard_targets);
    tcase_add_test(tcase, test_guard_request_lines);
    tcase_add_test(tcase, test_guard_long_heads);
    tcase_add_loop_test(tcase, test_guard_counts_fields, 0, 2);
    tcase_add_loop_test(tcase, test_guard_chunks, 0, 10);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
