/* SPDX-License-Identifier: MIT */
/* An exchange on a socket pair, as the server and a handler use it: answers that go out at once, later, and never. */
#include "common/http/exchange.h"

#include <errno.h>
#include <poll.h>

#include "tests/unit/rig/http_talk.h"
#include "tests/unit/rig/suite.h"

enum { BODY_BYTES = 1000, FILL_MAX = 10000 };

static flk_http_exchange_t exchange;
static atomic_bool draining;
static int ours, theirs;
static unsigned ended; /* how often `answered` was called */
static char body[BODY_BYTES];
static const flk_http_answer_t answer = {
    .status = 200, .content_type = "text/plain", .body = body, .body_bytes = BODY_BYTES};

static void on_answered(flk_http_exchange_t *of) {
    ck_assert_ptr_eq(of, &exchange);
    ended++;
}

static void setup(void) {
    int pair[2], small = 1;
    memset(body, 'x', sizeof body);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    setsockopt(ours, SOL_SOCKET, SO_SNDBUF, &small, sizeof small); /* as small as it gets */
    ended = 0;
    draining = false;
    flk_http_exchange_init(&exchange, &draining, on_answered);
}

static void teardown(void) {
    flk_http_exchange_fini(&exchange);
    close(ours);
    close(theirs);
}

static void begin(void) {
    flk_http_exchange_begin(&exchange, ours, false);
}

static flk_http_exchange_news_t tick(uint64_t now_ms) {
    return flk_http_exchange_tick(&exchange, now_ms);
}

/* Leaves no room in the socket. */
static size_t fill(void) {
    char bytes[64] = "";
    size_t filled = 0;
    ssize_t sent;
    while ((sent = send(ours, bytes, sizeof bytes, MSG_DONTWAIT)) > 0) {
        filled += (size_t)sent;
    }
    return filled;
}

static void drop(size_t bytes) {
    char byte;
    while (bytes-- > 0) {
        ck_assert_int_eq(read(theirs, &byte, 1), 1);
    }
}

static bool has_more(void) {
    struct pollfd item = {.fd = theirs, .events = POLLIN};
    return poll(&item, 1, 0) > 0;
}

/* An answer is out and the exchange closed when the call returns; the next one follows it. */
START_TEST(test_exchange_at_once) {
    for (unsigned i = 1; i <= 3; i++) {
        begin();
        flk_http_exchange_answer(&exchange, &answer);
        ck_assert_uint_eq(ended, i);
        ck_assert(!flk_http_exchange_await(&exchange));
        ck_assert_int_eq(talk_read(theirs), 200);
        ck_assert_uint_eq(strlen(strstr(talk_answer, "\r\n\r\n") + 4), BODY_BYTES);
    }
    ck_assert_int_eq(tick(UINT64_MAX), FLK_EXCHANGE_NONE);
    ck_assert(!has_more());
}
END_TEST

static void *await_it(void *arg) {
    (void)!flk_http_exchange_await(&exchange);
    __atomic_store_n((bool *)arg, true, __ATOMIC_SEQ_CST);
    return NULL;
}

/* A client that does not read holds up its own connection only, and gets its answer whole once it reads. */
START_TEST(test_exchange_slow_reader) {
    bool woken = false;
    pthread_t thread;
    begin();
    size_t filled = fill();
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert_uint_eq(ended, 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, await_it, &woken), 0);
    ck_assert_int_eq(tick(flk_mono_ms()), FLK_EXCHANGE_PENDING);
    ck_assert(!__atomic_load_n(&woken, __ATOMIC_SEQ_CST));
    drop(filled);
    ck_assert_int_eq(tick(flk_mono_ms()), FLK_EXCHANGE_NONE);
    ck_assert_int_eq(talk_read(theirs), 200);
    ck_assert_uint_eq(strlen(strstr(talk_answer, "\r\n\r\n") + 4), BODY_BYTES);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(ended, 1);
    ck_assert(!has_more());
}
END_TEST

/* A client that never reads has its connection ended, and its thread is let go. */
START_TEST(test_exchange_never_reads) {
    char byte;
    begin();
    size_t filled = fill();
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert_int_eq(tick(flk_mono_ms() + 5000), FLK_EXCHANGE_PENDING);
    ck_assert_int_eq(tick(flk_mono_ms() + 20000), FLK_EXCHANGE_IN_VAIN);
    ck_assert(!flk_http_exchange_await(&exchange));
    ck_assert_uint_eq(ended, 1);
    drop(filled);
    ck_assert_int_eq(read(theirs, &byte, 1), 0);
}
END_TEST

/* The last answer of a connection says so. */
START_TEST(test_exchange_closes) {
    flk_http_exchange_begin(&exchange, ours, true);
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert_int_eq(talk_read(theirs), 200);
    ck_assert(talk_has("\r\nConnection: close\r\n"));
}
END_TEST

/* A client that is gone costs nothing: the exchange closes, no signal comes. */
START_TEST(test_exchange_client_gone) {
    begin();
    shutdown(theirs, SHUT_RDWR);
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert_uint_eq(ended, 1);
}
END_TEST

static bool says_yes;
static unsigned asked;

static bool on_overdue(void *arg) {
    ck_assert_ptr_eq(arg, &asked);
    asked++;
    return says_yes;
}

/* An exchange over its limit is answered 503 when no thread else will; before that, and when one will, it is left
 * alone. */
START_TEST(test_exchange_overdue) {
    asked = 0;
    says_yes = false;
    begin();
    flk_http_exchange_limit(&exchange, 1000, "because", on_overdue, &asked);
    ck_assert_int_eq(tick(999), FLK_EXCHANGE_PENDING);
    ck_assert_uint_eq(asked, 0);
    ck_assert_int_eq(tick(1000), FLK_EXCHANGE_PENDING);
    ck_assert_uint_eq(asked, 1);
    ck_assert(!has_more());
    says_yes = true;
    ck_assert_int_eq(tick(1001), FLK_EXCHANGE_NONE);
    ck_assert_int_eq(talk_read(theirs), 503);
    ck_assert(talk_has("because") && talk_has("\r\nRetry-After: 1\r\n"));
    ck_assert_int_eq(tick(1002), FLK_EXCHANGE_NONE);
    ck_assert_uint_eq(asked, 2);
    begin(); /* the limit was that one's */
    ck_assert_int_eq(tick(UINT64_MAX), FLK_EXCHANGE_PENDING);
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert_uint_eq(asked, 2);
}
END_TEST

/* An answer that is printed while the server drains ends its connection, though its request came before. */
START_TEST(test_exchange_drains) {
    begin();
    draining = true;
    flk_http_exchange_answer(&exchange, &answer);
    ck_assert(flk_http_exchange_await(&exchange));
    ck_assert_int_eq(talk_read(theirs), 200);
    ck_assert(talk_has("\r\nConnection: close\r\n"));
    flk_http_exchange_renew(&exchange);
    ck_assert(!flk_http_exchange_await(&exchange));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_exchange");
    TCase *tcase = tcase_create("exchange");
    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_exchange_at_once);
    tcase_add_test(tcase, test_exchange_slow_reader);
    tcase_add_test(tcase, test_exchange_never_reads);
    tcase_add_test(tcase, test_exchange_closes);
    tcase_add_test(tcase, test_exchange_client_gone);
    tcase_add_test(tcase, test_exchange_overdue);
    tcase_add_test(tcase, test_exchange_drains);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
