/* SPDX-License-Identifier: MIT */
/* The Redis store against a played server, for answers that a real one gives by chance or never. */
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>

#include "tests/unit/rig/cut_proxy.h"
#include "tests/unit/rig/store_probe.h"

enum { TIMEOUT_MS = 400 };
#define NIL "$-1\r\n"
#define OK  "+OK\r\n"

/* The server's replies to outcomes, one after the other; everything else is answered as a sound server does. */
static struct {
    const char *replies[8];
    atomic_int next;
    unsigned pause_ms; /* between bytes of a reply */
} script;

static struct {
    int listener, client;
    unsigned port;
    pthread_t thread;
    atomic_bool stop;
    char in[65536];
    size_t in_bytes;
    char address[32];
} server;

static void say(const char *reply) {
    unsigned pause_ms = script.pause_ms; /* once the reply is out, the test may change the script */
    size_t bytes = strlen(reply), step = pause_ms != 0 ? 1 : bytes;
    for (size_t at = 0; at < bytes && !atomic_load(&server.stop); at += step) {
        if (send(server.client, reply + at, step, MSG_NOSIGNAL) < 0) {
            return;
        }
        poll(NULL, 0, (int)pause_ms);
    }
}

static void answer(const char *command, const char *key) {
    if (strcasecmp(command, "INFO") == 0) {
        say("$36\r\nrole:master\r\nmaxmemory_policy:none\r\n\r\n");
    } else if (strcasecmp(command, "CONFIG") == 0) {
        say("-ERR unknown command\r\n");
    } else if (strcmp(key, "flk:generation") == 0) {
        say("$16\r\n0123456789abcdef\r\n");
    } else {
        int next = atomic_fetch_add(&script.next, 1);
        ck_assert_int_lt(next, (int)FLK_COUNT_OF(script.replies));
        if (script.replies[next] != NULL) {
            say(script.replies[next]);
        }
    }
}

/* Takes one command from the input; false when it is not all there yet. */
static bool take_command(void) {
    char words[2][128] = {"", ""};
    char *at = server.in, *end = server.in + server.in_bytes;
    long count = server.in_bytes > 0 ? strtol(at + 1, NULL, 10) : 0;
    at = memchr(at, '\n', server.in_bytes);
    for (long i = 0; i < count; i++) {
        char *line = at != NULL ? at + 1 : end;
        char *line_end = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;
        size_t bytes = line_end != NULL ? strtoul(line + 1, NULL, 10) : 0;
        if (line_end == NULL || line_end + 1 + bytes + 2 > end) {
            return false;
        }
        if (i < 2) {
            snprintf(words[i], sizeof words[i], "%.*s", (int)bytes, line_end + 1);
        }
        at = line_end + bytes + 2;
    }
    if (at == NULL || count == 0) {
        return false;
    }
    server.in_bytes = (size_t)(end - at - 1);
    memmove(server.in, at + 1, server.in_bytes);
    answer(words[0], words[1]);
    return true;
}

static void serve_client(void) {
    server.in_bytes = 0;
    while (!atomic_load(&server.stop)) {
        struct pollfd polled = {.fd = server.client, .events = POLLIN};
        if (poll(&polled, 1, 10) <= 0) {
            continue;
        }
        ssize_t got = read(server.client, server.in + server.in_bytes, sizeof server.in - server.in_bytes);
        if (got <= 0) {
            return;
        }
        server.in_bytes += (size_t)got;
        while (take_command()) {
        }
    }
}

static void *server_main(void *arg) {
    (void)arg;
    while (!atomic_load(&server.stop)) {
        struct pollfd polled = {.fd = server.listener, .events = POLLIN};
        if (poll(&polled, 1, 10) == 1 && (server.client = accept(server.listener, NULL, NULL)) >= 0) {
            serve_client();
            close(server.client);
        }
    }
    return NULL;
}

static flk_store_t *store;

static void setup_server(void) {
    setup();
    probe_setup();
    memset(&script, 0, sizeof script);
    atomic_store(&server.stop, false);
    server.port = rig_free_port();
    server.listener = cut_socket(server.port, true);
    ck_assert_int_ge(server.listener, 0);
    ck_assert_int_eq(pthread_create(&server.thread, NULL, server_main, NULL), 0);
    snprintf(server.address, sizeof server.address, "127.0.0.1:%u", server.port);
    flk_store_options_t options = options_for("redis");
    options.redis_addr = server.address;
    options.redis_former = options.redis_user = options.redis_password = options.redis_ca_file = "";
    options.connect_timeout_ms = options.timeout_ms = TIMEOUT_MS;
    options.metrics = registry;
    store = open_with(&options);
}

static void teardown_server(void) {
    atomic_store(&server.stop, true);
    pthread_join(server.thread, NULL);
    close(server.listener);
    flk_store_close(&store);
    probe_teardown();
    teardown();
}

/* An outcome that expires between the SET that it beats and the GET that would read it is no winner: ours is put
 * again. */
START_TEST(test_redis_winner_expires) {
    script.replies[0] = NIL; /* SET NX: there is one */
    script.replies[1] = NIL; /* GET: there was one */
    script.replies[2] = OK;
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "ours", &item));
    ck_assert(item_is(&item, "ours"));
    ck_assert_int_eq(atomic_load(&script.next), 3);
}
END_TEST

/* The same, and then somebody else is first again: his is the outcome. */
START_TEST(test_redis_second_winner) {
    script.replies[0] = NIL;
    script.replies[1] = NIL;
    script.replies[2] = NIL;
    script.replies[3] = "$3\r\nhis\r\n";
    flk_store_item_t item;
    ck_assert(!put_one(store, 1, "ours", &item));
    ck_assert(item_is(&item, "his"));
}
END_TEST

/* A server that loses every value does not hold a batch for ever. */
START_TEST(test_redis_everything_vanishes) {
    for (size_t i = 0; i < FLK_COUNT_OF(script.replies); i++) {
        script.replies[i] = NIL;
    }
    ck_unavailable(try_put(store, 1, "ours"), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "vanish"));
}
END_TEST

static const struct {
    const char *reply;
    flk_err_t err;
} strange[] = {
    {":1\r\n", FLK_E_CORRUPT},
    {"*0\r\n", FLK_E_CORRUPT},
    {"-ERR something new\r\n", FLK_E_UNAVAILABLE},
    {"-MISCONF cannot write\r\n", FLK_E_UNAVAILABLE},
    {"?\r\n", FLK_E_UNAVAILABLE},
    {"$5\r\nab", FLK_E_UNAVAILABLE},
};

/* Answers that make no sense are errors, never outcomes. */
START_TEST(test_redis_strange_replies) {
    script.replies[0] = strange[_i].reply;
    ck_assert_int_eq(try_lookup(store, 1), strange[_i].err);
    for (size_t i = 0; i < FLK_COUNT_OF(script.replies); i++) {
        script.replies[i] = NIL;
    }
    atomic_store(&script.next, 0);
    wait_until(try_lookup(store, 1) == FLK_OK);
}
END_TEST

/* A value that is longer than any outcome is given up to where that ends: no outcome for its reader. */
START_TEST(test_redis_long_value) {
    static char reply[1100];
    snprintf(reply, sizeof reply, "$1025\r\n%01025d\r\n", 0);
    script.replies[0] = reply;
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item));
    ck_assert_uint_eq(item.value_bytes, FLK_STORE_VALUE_BYTES_MAX);
}
END_TEST

/* A server that answers byte by byte is given up at the store timeout, which is one for the whole batch. */
START_TEST(test_redis_slow_bytes) {
    script.replies[0] = NIL;
    ck_assert_int_eq(try_lookup(store, 1), FLK_OK);
    atomic_store(&script.next, 0);
    script.replies[0] = "$20\r\n01234567890123456789\r\n";
    script.pause_ms = TIMEOUT_MS / 10;
    ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"timeout\"}"), 1);
}
END_TEST

/* A reply that nobody asked for, behind another one or while the connection is idle, is never taken for the answer of a
 * later command: the connection is replaced. */
START_TEST(test_redis_reply_that_nobody_asked_for) {
    static const char unasked[] = "$3\r\nhis\r\n";
    script.replies[0] = _i == 0 ? NIL "$3\r\nhis\r\n" : NIL;
    for (size_t i = 1; i < FLK_COUNT_OF(script.replies); i++) {
        script.replies[i] = NIL;
    }
    flk_err_t err = try_lookup(store, 1);
    ck_assert(_i == 0 || err == FLK_OK);
    ck_assert(_i == 0 || send(server.client, unasked, sizeof unasked - 1, MSG_NOSIGNAL) > 0);
    flk_store_item_t item;
    wait_until(try_lookup(store, 2) == FLK_OK);
    ck_assert(!lookup_one(store, 2, &item));
    ck_assert_uint_eq(figure("flk_store_emptied_total"), 0);
}
END_TEST

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("redis_played");
    TCase *tcase = tcase_create("redis_played");
    tcase_add_checked_fixture(tcase, setup_server, teardown_server);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, test_redis_winner_expires);
    tcase_add_test(tcase, test_redis_second_winner);
    tcase_add_test(tcase, test_redis_everything_vanishes);
    tcase_add_loop_test(tcase, test_redis_strange_replies, 0, (int)FLK_COUNT_OF(strange));
    tcase_add_test(tcase, test_redis_long_value);
    tcase_add_test(tcase, test_redis_slow_bytes);
    tcase_add_loop_test(tcase, test_redis_reply_that_nobody_asked_for, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
