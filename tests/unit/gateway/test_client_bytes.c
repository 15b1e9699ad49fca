/* SPDX-License-Identifier: MIT */
#include "gateway/client_bytes.h"

#include <check.h>
#include <string.h>

#include "tests/unit/rig/suite.h"

#define SECOND_NS UINT64_C(1000000000)

static flk_client_bytes_t *clients;
static uint32_t retry_ms;

static void setup(void) {
    clients = flk_client_bytes_new(1000);
}

static void teardown(void) {
    flk_client_bytes_destroy(&clients);
}

static flk_http_peer_t client_of(uint32_t number) {
    flk_http_peer_t client = {.bytes = {[0] = 0x20, [1] = 0x01}};
    memcpy(client.bytes + 4, &number, sizeof number);
    return client;
}

/* One second's worth and the body that goes over it pass; then the client waits that off, and another one does not. */
START_TEST(test_client_bytes_wait) {
    flk_http_peer_t one = client_of(1), other = client_of(2);
    ck_assert(flk_client_bytes_may(clients, &one, SECOND_NS, &retry_ms));
    flk_client_bytes_take(clients, &one, 1000, SECOND_NS);
    ck_assert(flk_client_bytes_may(clients, &one, SECOND_NS, &retry_ms));
    flk_client_bytes_take(clients, &one, 4000, SECOND_NS);
    ck_assert(!flk_client_bytes_may(clients, &one, SECOND_NS, &retry_ms));
    ck_assert_uint_ge(retry_ms, 4000);
    ck_assert_uint_le(retry_ms, 4001);
    ck_assert(flk_client_bytes_may(clients, &other, SECOND_NS, &retry_ms));
    ck_assert(!flk_client_bytes_may(clients, &one, 4 * SECOND_NS, &retry_ms));
    ck_assert(flk_client_bytes_may(clients, &one, 5 * SECOND_NS + 1, &retry_ms));
}
END_TEST

/* A flood of addresses with little debt does not make the table forget one with much. */
START_TEST(test_client_bytes_flood) {
    flk_http_peer_t debtor = client_of(0);
    flk_client_bytes_take(clients, &debtor, 1000000, SECOND_NS);
    for (uint32_t number = 1; number < 100000; number++) {
        flk_http_peer_t client = client_of(number);
        flk_client_bytes_take(clients, &client, 10, SECOND_NS);
    }
    ck_assert(!flk_client_bytes_may(clients, &debtor, SECOND_NS, &retry_ms));
}
END_TEST

/* Without a rate there is no bound. */
START_TEST(test_client_bytes_off) {
    flk_http_peer_t client = client_of(1);
    flk_client_bytes_t *none = flk_client_bytes_new(0);
    flk_client_bytes_take(none, &client, UINT64_MAX, SECOND_NS);
    ck_assert(flk_client_bytes_may(none, &client, SECOND_NS, &retry_ms));
    flk_client_bytes_destroy(&none);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("client_bytes");
    TCase *tcase = tcase_create("client_bytes");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, test_client_bytes_wait);
    tcase_add_test(tcase, test_client_bytes_flood);
    tcase_add_test(tcase, test_client_bytes_off);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
