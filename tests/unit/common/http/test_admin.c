/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <check.h>
#include <jansson.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/http/admin.h"
#include "tests/unit/rig/suite.h"

static flk_metrics_t *metrics;
static flk_admin_t *admin;
static atomic_bool ready = true;
static char errmsg[FLK_ERRMSG_BYTES];
static char answer[1 << 16];

static bool is_ready(void *arg, char *why) {
    (void)arg;
    flk_errmsg(why, "the \"disk\" is full");
    return ready;
}

static flk_admin_options_t options(const char *user, const char *pass) {
    return (flk_admin_options_t){.metrics = metrics, .ready = is_ready, .user = user, .pass = pass};
}

static void start(const char *user, const char *pass) {
    flk_admin_options_t made = options(user, pass);
    ck_assert_msg(flk_admin_start("127.0.0.1:0", &made, &admin, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_uint_gt(flk_admin_port(admin), 0);
}

static void setup(void) {
    ck_assert_int_ge(sodium_init(), 0);
    metrics = flk_metrics_new();
    flk_counter_add(flk_metrics_counter(metrics, "flk_t_total", NULL, "Help."), 3);
    ready = true;
}

static void teardown(void) {
    flk_admin_stop(&admin);
    flk_metrics_destroy(&metrics);
}

/* Sends `request` as it is and reads until the other side closes; returns the status code. */
static int talk_to(unsigned port, const char *request) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(send(fd, request, strlen(request), MSG_NOSIGNAL), (ssize_t)strlen(request));
    size_t len = 0;
    ssize_t got;
    while ((got = read(fd, answer + len, sizeof answer - 1 - len)) > 0) {
        len += (size_t)got;
    }
    answer[len] = '\0';
    close(fd);
    int status = 0;
    ck_assert_msg(got == 0 && sscanf(answer, "HTTP/1.1 %d ", &status) == 1, "answer: %s", answer);
    return status;
}

static int ask(const char *method, const char *path, const char *headers) {
    char request[1024];
    snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s\r\n", method, path, headers);
    return talk_to(flk_admin_port(admin), request);
}

static const char *body(void) {
    const char *end = strstr(answer, "\r\n\r\n");
    ck_assert_ptr_nonnull(end);
    return end + 4;
}

static void assert_has(const char *part) {
    ck_assert_msg(strstr(answer, part) != NULL, "'%s' is not in:\n%s", part, answer);
}

static void assert_problem(int status) {
    assert_has("\r\nContent-Type: application/problem+json\r\n");
    json_t *problem = json_loads(body(), JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(problem != NULL, "not JSON: %s", body());
    ck_assert_int_eq(json_integer_value(json_object_get(problem, "status")), status);
    ck_assert(json_is_string(json_object_get(problem, "title")) && json_is_string(json_object_get(problem, "detail")));
    json_decref(problem);
}

/* A living process answers /healthz with 200; each answer forbids caching and sniffing and hides the server. */
START_TEST(test_admin_healthz) {
    start("", "");
    ck_assert_int_eq(ask("GET", "/healthz", ""), 200);
    ck_assert_str_eq(body(), "ok\n");
    assert_has("\r\nCache-Control: no-store\r\n");
    assert_has("\r\nX-Content-Type-Options: nosniff\r\n");
    assert_has("\r\nDate: ");
    assert_has("\r\nContent-Length: 3\r\n");
    ck_assert_ptr_null(strcasestr(answer, "server:"));
    ck_assert_ptr_null(strcasestr(answer, "civetweb"));
}
END_TEST

/* /readyz follows the callback: 200, or 503 with the reason and Retry-After. */
START_TEST(test_admin_readyz) {
    start("", "");
    ck_assert_int_eq(ask("GET", "/readyz", ""), 200);
    ck_assert_str_eq(body(), "{\"ready\":true,\"reason\":\"\"}\n");
    ready = false;
    ck_assert_int_eq(ask("GET", "/readyz", ""), 503);
    ck_assert_str_eq(body(), "{\"ready\":false,\"reason\":\"the \\\"disk\\\" is full\"}\n");
    assert_has("\r\nRetry-After: 1\r\n");
}
END_TEST

/* Without credentials set, /metrics is open and in the text format that Prometheus asks for. */
START_TEST(test_admin_metrics_open) {
    start("", "");
    ck_assert_int_eq(ask("GET", "/metrics", ""), 200);
    assert_has("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    assert_has("\nflk_t_total 3\n");
}
END_TEST

/* /health says OK to a client that asks the way of the playbook. */
START_TEST(test_admin_health) {
    start("", "");
    ck_assert_int_eq(ask("GET", "/health", ""), 200);
    ck_assert_str_eq(body(), "OK");
}
END_TEST

/* HEAD announces the length and sends no body. */
START_TEST(test_admin_head) {
    start("", "");
    ck_assert_int_eq(ask("HEAD", "/healthz", ""), 200);
    assert_has("\r\nContent-Length: 3\r\n");
    ck_assert_str_eq(body(), "");
}
END_TEST

/* With credentials set, only the right user and password see /metrics; the other pages stay open. */
START_TEST(test_admin_metrics_auth) {
    start("ops", "pa:ss");
    static const char *const wrong[] = {
        "",                                        /* none */
        "Authorization: Basic b3BzOnBhOnNz1\r\n",  /* longer */
        "Authorization: Basic b3BzOnBhOnM=\r\n",   /* ops:pa:s */
        "Authorization: Basic b3A6cGE6c3M=\r\n",   /* op:pa:ss */
        "Authorization: Basic \r\n",               /* empty */
        "Authorization: Bearer b3BzOnBhOnNz\r\n",  /* another scheme */
        "Authorization: Basic !!!\r\n",            /* not base64 */
        "X-Authorization: Basic b3BzOnBhOnNz\r\n", /* another header */
    };
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
        ck_assert_msg(ask("GET", "/metrics", wrong[i]) == 401, "passed: %s", wrong[i]);
        assert_has("\r\nWWW-Authenticate: Basic realm=\"flk metrics\"");
        assert_problem(401);
        ck_assert_ptr_null(strstr(answer, "flk_t_total"));
    }
    ck_assert_int_eq(ask("GET", "/metrics", "Authorization: Basic b3BzOnBhOnNz\r\n"), 200);
    ck_assert_int_eq(ask("GET", "/metrics", "authorization: basic b3BzOnBhOnNz\r\n"), 200);
    ck_assert_int_eq(ask("GET", "/healthz", ""), 200);
}
END_TEST

/* Another method gets 405 with Allow, a CORS preflight too; another path, also one below a page, gets 404. */
START_TEST(test_admin_refuses) {
    start("", "");
    ck_assert_int_eq(ask("POST", "/metrics", "Content-Length: 0\r\n"), 405);
    assert_has("\r\nAllow: GET, HEAD\r\n");
    assert_problem(405);
    ck_assert_int_eq(ask("OPTIONS", "/metrics", "Origin: http://x\r\nAccess-Control-Request-Method: GET\r\n"), 405);
    ck_assert_ptr_null(strcasestr(answer, "access-control"));
    static const char *const paths[] = {"/",         "/metrics/x",        "/metricsx",
                                        "/healthz/", "/../../etc/passwd", "/index.html"};
    for (size_t i = 0; i < FLK_COUNT_OF(paths); i++) {
        ck_assert_msg(ask("GET", paths[i], "") == 404, "%s: %s", paths[i], answer);
        assert_problem(404);
    }
}
END_TEST

/* A refused request is not repeated in the answer. */
START_TEST(test_admin_malformed_request) {
    start("", "");
    ck_assert_int_eq(talk_to(flk_admin_port(admin), "alice@example.com\r\n\r\n"), 400);
    assert_problem(400);
    ck_assert_ptr_null(strstr(answer, "alice"));
}
END_TEST

/* A port in use gives one line that names the address and the reason; nonsense does too. */
START_TEST(test_admin_cannot_listen) {
    start("", "");
    char taken[64], line[128];
    snprintf(taken, sizeof taken, "127.0.0.1:%u", flk_admin_port(admin));
    flk_admin_t *second = NULL;
    flk_admin_options_t made = options("", "");
    ck_assert_int_eq(flk_admin_start(taken, &made, &second, errmsg), FLK_E_LOCKED);
    snprintf(line, sizeof line, "cannot listen on %s: Address already in use", taken);
    ck_assert_str_eq(errmsg, line);
    ck_assert_ptr_null(second);
    ck_assert_int_eq(flk_admin_start("nonsense", &made, &second, errmsg), FLK_E_CONFIG);
    ck_assert_msg(strncmp(errmsg, "cannot listen on nonsense: ", 27) == 0, "%s", errmsg);
}
END_TEST

/* "off" is no listener and no error. */
START_TEST(test_admin_off) {
    flk_admin_options_t made = options("", "");
    ck_assert_int_eq(flk_admin_start("off", &made, &admin, errmsg), FLK_OK);
    ck_assert_ptr_null(admin);
}
END_TEST

/* The pages can be routes of a server that has routes of its own, beside a second server of the same process. */
START_TEST(test_admin_routes) {
    flk_http_server_t *server;
    flk_http_route_t routes[FLK_ADMIN_ROUTES];
    flk_admin_t *pages;
    flk_admin_options_t made = options("", "");
    start("", "");
    ck_assert_int_eq(flk_admin_new(&made, &pages), FLK_OK);
    flk_admin_routes(pages, routes);
    flk_http_options_t http = {.listen = "127.0.0.1:0",
                               .threads = 2,
                               .queue = 4,
                               .write_timeout_ms = 5000,
                               .routes = routes,
                               .routes_len = FLK_ADMIN_ROUTES};
    ck_assert_msg(flk_http_start(&http, &server, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_int_eq(talk_to(flk_http_port(server), "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
    flk_http_stop(&server);
    ck_assert_ptr_null(server);
    flk_admin_stop(&pages);
    ck_assert_int_eq(ask("GET", "/readyz", ""), 200); /* the other one did not stop */
}
END_TEST

static atomic_bool entered, stopping;

static void on_slow(flk_http_request_t *request, void *arg) {
    (void)arg;
    atomic_store(&entered, true);
    while (!atomic_load(&stopping)) {
        usleep(1000);
    }
    usleep(50000); /* the stop is under way for certain */
    flk_http_send(request,
                  &(flk_http_answer_t){.status = 200, .content_type = "text/plain", .body = "late", .body_bytes = 4});
}

static void *ask_slow(void *arg) {
    unsigned *port = arg;
    int status = talk_to(*port, "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    return status == 200 ? "answered" : NULL;
}

/* Stopping waits for the request that runs, and its answer arrives. */
START_TEST(test_http_stop_waits_for_requests) {
    flk_http_server_t *server;
    const flk_http_route_t slow = {"/slow", "GET", on_slow, NULL, FLK_HTTP_EXACT};
    flk_http_options_t http = {.listen = "127.0.0.1:0",
                               .threads = 2,
                               .queue = 4,
                               .write_timeout_ms = 5000,
                               .keep_alive_ms = 5000,
                               .routes = &slow,
                               .routes_len = 1};
    ck_assert_msg(flk_http_start(&http, &server, errmsg) == FLK_OK, "%s", errmsg);
    unsigned port = flk_http_port(server);
    atomic_store(&entered, false);
    atomic_store(&stopping, false);
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, ask_slow, &port), 0);
    while (!atomic_load(&entered)) {
        usleep(1000);
    }
    atomic_store(&stopping, true);
    flk_http_stop(&server);
    void *answered;
    pthread_join(thread, &answered);
    ck_assert_ptr_nonnull(answered);
    ck_assert_str_eq(body(), "late");
}
END_TEST

static void *scrape(void *arg) {
    (void)arg;
    char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < 25; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)flk_admin_port(admin)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        char text[16] = "";
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
            send(fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0) {
            recv(fd, text, 12, MSG_WAITALL);
        }
        close(fd);
        if (strcmp(text, "HTTP/1.1 200") != 0) {
            return "refused";
        }
    }
    return NULL;
}

/* More clients than threads are all served, one after the other. */
START_TEST(test_admin_many_clients) {
    start("", "");
    pthread_t threads[8];
    for (size_t i = 0; i < FLK_COUNT_OF(threads); i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, scrape, NULL), 0);
    }
    for (size_t i = 0; i < FLK_COUNT_OF(threads); i++) {
        void *failure;
        pthread_join(threads[i], &failure);
        ck_assert_ptr_null(failure);
    }
}
END_TEST

/* A problem is JSON with any text in it; a long text is cut, and `field` is kept. */
START_TEST(test_http_problem) {
    char out[FLK_HTTP_PROBLEM_BYTES];
    size_t bytes = flk_http_problem(out, sizeof out, 400, "Bad \"Request\"", "line\n\xff", "N_j");
    ck_assert_uint_eq(bytes, strlen(out));
    ck_assert_str_eq(out, "{\"type\":\"about:blank\",\"status\":400,\"title\":\"Bad \\\"Request\\\"\",\"detail\":"
                          "\"line\\n\\ufffd\",\"field\":\"N_j\"}");
    bytes = flk_http_problem(out, sizeof out, 404, "T", "D", NULL);
    ck_assert_uint_eq(bytes, strlen(out));
    ck_assert_str_eq(out, "{\"type\":\"about:blank\",\"status\":404,\"title\":\"T\",\"detail\":\"D\"}");

    char big[4096];
    memset(big, '\x02', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    for (size_t room = FLK_HTTP_PROBLEM_BYTES_MIN; room <= sizeof out; room++) {
        bytes = flk_http_problem(out, room, 400, big, big, big);
        ck_assert_uint_lt(bytes, room);
        json_t *problem = json_loads(out, 0, NULL);
        ck_assert_msg(problem != NULL, "not JSON: %s", out);
        ck_assert_uint_gt(json_string_length(json_object_get(problem, "field")), 10);
        json_decref(problem);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("admin");
    TCase *tests = tcase_create("admin");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, test_admin_healthz);
    tcase_add_test(tests, test_admin_readyz);
    tcase_add_test(tests, test_admin_metrics_open);
    tcase_add_test(tests, test_admin_health);
    tcase_add_test(tests, test_admin_head);
    tcase_add_test(tests, test_admin_metrics_auth);
    tcase_add_test(tests, test_admin_refuses);
    tcase_add_test(tests, test_admin_malformed_request);
    tcase_add_test(tests, test_admin_cannot_listen);
    tcase_add_test(tests, test_admin_off);
    tcase_add_test(tests, test_admin_routes);
    tcase_add_test(tests, test_http_stop_waits_for_requests);
    tcase_add_test(tests, test_admin_many_clients);
    tcase_add_test(tests, test_http_problem);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
