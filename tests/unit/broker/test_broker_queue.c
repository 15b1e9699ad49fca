/* SPDX-License-Identifier: MIT */
/* The broker's containers: queue, table of deliveries, peers, roster. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "broker/delivery.h"
#include "broker/roster.h"
#include "tests/unit/rig/suite.h"

static flk_deliveries_t table;
static flk_gateway_peer_t gateway;

static void setup(void) {
    ck_assert_int_eq(flk_deliveries_init(&table, 100, 1 << 20), FLK_OK);
    memset(&gateway, 0, sizeof gateway);
}

static void teardown(void) {
    flk_deliveries_fini(&table);
}

static flk_id_t id_of(uint64_t lsn) {
    flk_id_t id;
    flk_id_from_lsn(77, lsn, &id);
    return id;
}

static flk_err_t add(uint64_t lsn, size_t body_bytes, flk_delivery_t **delivery) {
    flk_id_t id = id_of(lsn);
    zmq_msg_t body;
    ck_assert_int_eq(zmq_msg_init_size(&body, body_bytes), 0);
    memset(zmq_msg_data(&body), (int)lsn, body_bytes);
    flk_err_t err = flk_deliveries_add(&table, &id, &gateway, &body, 1, delivery);
    zmq_msg_close(&body);
    return err;
}

static flk_delivery_t *added(uint64_t lsn) {
    flk_delivery_t *delivery;
    ck_assert_int_eq(add(lsn, 10, &delivery), FLK_OK);
    return delivery;
}

/* Pushed deliveries come out in order; those put back to the front come out before them. */
START_TEST(test_queue_keeps_order) {
    flk_queue_t queue = {0};
    flk_delivery_t *one = added(1), *two = added(2), *three = added(3);
    ck_assert_ptr_null(flk_queue_pop(&queue));
    flk_queue_push(&queue, two);
    flk_queue_push(&queue, three);
    flk_queue_push_front(&queue, one);
    ck_assert_uint_eq(queue.count, 3);
    ck_assert_ptr_eq(flk_queue_pop(&queue), one);
    ck_assert_ptr_eq(flk_queue_pop_last(&queue), three);
    ck_assert_ptr_eq(flk_queue_pop(&queue), two);
    ck_assert_ptr_null(flk_queue_pop(&queue));
    ck_assert_ptr_null(flk_queue_pop_last(&queue));
    ck_assert_uint_eq(queue.count, 0);
}
END_TEST

/* Removing the first, the last, a middle one and the only one leaves the others as they were. */
START_TEST(test_queue_removes_anywhere) {
    flk_queue_t queue = {0};
    flk_delivery_t *all[5];
    for (uint64_t i = 0; i < 5; i++) {
        flk_queue_push(&queue, all[i] = added(i));
    }
    flk_queue_remove(&queue, all[2]);
    flk_queue_remove(&queue, all[0]);
    flk_queue_remove(&queue, all[4]);
    ck_assert_ptr_eq(queue.head, all[1]);
    ck_assert_ptr_eq(queue.tail, all[3]);
    ck_assert_ptr_eq(flk_queue_pop(&queue), all[1]);
    flk_queue_remove(&queue, all[3]);
    ck_assert_ptr_null(queue.head);
    ck_assert_ptr_null(queue.tail);
}
END_TEST

/* The limits by count and by bytes hold exactly, and a removal makes room again. */
START_TEST(test_deliveries_hold_their_limits) {
    flk_delivery_t *delivery, *first = NULL;
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_int_eq(add(i, 100, &delivery), FLK_OK);
        first = first == NULL ? delivery : first;
    }
    ck_assert_int_eq(add(100, 1, &delivery), FLK_E_FULL);
    ck_assert_uint_eq(table.bytes, 10000);
    flk_deliveries_remove(&table, first);
    ck_assert_int_eq(add(100, (1 << 20) - 9900 + 1, &delivery), FLK_E_TOO_LARGE);
    ck_assert_int_eq(add(100, (1 << 20) - 9900, &delivery), FLK_OK);
    ck_assert_uint_eq(table.bytes, 1 << 20);
}
END_TEST

static size_t longest_chain(void) {
    size_t longest = 0;
    for (uint64_t i = 0; i <= table.mask; i++) {
        size_t len = 0;
        for (const flk_delivery_t *at = table.buckets[i]; at != NULL; at = at->bucket_next) {
            len++;
        }
        longest = len > longest ? len : longest;
    }
    return longest;
}

/* Ids are a peer's choice: ones that agree in any of their bits hang in chains as short as a log's own. */
START_TEST(test_deliveries_of_chosen_ids_spread) {
    flk_deliveries_fini(&table);
    ck_assert_int_eq(flk_deliveries_init(&table, 5000, 1 << 20), FLK_OK);
    for (uint64_t i = 0; i < 4096; i++) {
        flk_delivery_t *delivery = added(i << 4 * _i);
        ck_assert_ptr_eq(flk_deliveries_find(&table, &delivery->id), delivery);
    }
    ck_assert_uint_lt(longest_chain(), 20);
}
END_TEST

/* The table is as large as the most deliveries that were held at once, for any limit and any number that passed. */
START_TEST(test_deliveries_table_follows_them) {
    flk_deliveries_fini(&table);
    ck_assert_int_eq(flk_deliveries_init(&table, 1 << 20, 1 << 30), FLK_OK);
    for (uint64_t i = 0; i < 10000; i++) {
        flk_deliveries_remove(&table, added(i));
    }
    ck_assert_uint_lt(table.mask, 4096);
    flk_delivery_t *all[10000];
    for (uint64_t i = 0; i < FLK_COUNT_OF(all); i++) {
        all[i] = added(i);
    }
    ck_assert_uint_lt(longest_chain(), 20);
    for (uint64_t i = 0; i < FLK_COUNT_OF(all); i++) {
        ck_assert_ptr_eq(flk_deliveries_find(&table, &all[i]->id), all[i]);
        ck_assert_ptr_eq(flk_deliveries_find_number(&table, &all[i]->id, all[i]->number), all[i]);
    }
}
END_TEST

/* A delivery is found by its submission until it is settled, and by its number until it is removed. */
START_TEST(test_deliveries_are_found_until_they_end) {
    flk_delivery_t *one = added(1), *two = added(2);
    flk_id_t id = id_of(1), other = id_of(2), absent = id_of(3);
    ck_assert_ptr_eq(flk_deliveries_find(&table, &id), one);
    ck_assert_ptr_eq(flk_deliveries_find(&table, &other), two);
    ck_assert_ptr_null(flk_deliveries_find(&table, &absent));
    ck_assert_ptr_eq(flk_deliveries_find_number(&table, &id, one->number), one);
    ck_assert_ptr_null(flk_deliveries_find_number(&table, &id, two->number));
    flk_deliveries_settle(&table, one);
    ck_assert_uint_eq(table.bytes, 10);
    ck_assert_ptr_null(flk_deliveries_find(&table, &id));
    ck_assert_ptr_eq(flk_deliveries_find_number(&table, &id, one->number), one);
    flk_delivery_t *again = added(1); /* submitted again while the settled one is still in a hand */
    ck_assert_uint_ne(again->number, one->number);
    ck_assert_ptr_eq(flk_deliveries_find(&table, &id), again);
    flk_deliveries_remove(&table, one);
    ck_assert_ptr_eq(flk_deliveries_find(&table, &id), again);
}
END_TEST

/* A body is kept whole, whether it is small enough to be inside a receive buffer or not, and a full table leaves it
 * alone. */
START_TEST(test_deliveries_take_the_body_only_when_they_keep_it) {
    static const size_t sizes[] = {1, 33, 8192, 8193, 100000};
    for (size_t i = 0; i < FLK_COUNT_OF(sizes); i++) {
        flk_delivery_t *delivery;
        ck_assert_int_eq(add(i + 1, sizes[i], &delivery), FLK_OK);
        ck_assert_uint_eq(zmq_msg_size(&delivery->body), sizes[i]);
        const uint8_t *data = zmq_msg_data(&delivery->body);
        ck_assert_uint_eq(data[0], i + 1);
        ck_assert_uint_eq(data[sizes[i] - 1], i + 1);
    }
    flk_id_t id = id_of(50);
    zmq_msg_t body;
    ck_assert_int_eq(zmq_msg_init_size(&body, 2 << 20), 0);
    flk_delivery_t *delivery;
    ck_assert_int_eq(flk_deliveries_add(&table, &id, &gateway, &body, 1, &delivery), FLK_E_TOO_LARGE);
    ck_assert_uint_eq(zmq_msg_size(&body), 2 << 20);
    zmq_msg_close(&body);
}
END_TEST

/* A gateway that is gone lives exactly as long as deliveries point at it (asan sees both errors). */
START_TEST(test_deliveries_free_a_gone_gateway_with_the_last) {
    flk_gateway_peer_t *gone = calloc(1, sizeof *gone);
    flk_delivery_t *one = added(1), *two = added(2);
    flk_delivery_set_gateway(one, gone);
    flk_delivery_set_gateway(two, gone);
    ck_assert_uint_eq(gateway.deliveries, 0);
    gone->gone_ms = 5;
    flk_deliveries_remove(&table, one);
    ck_assert_uint_eq(gone->deliveries, 1);
    flk_delivery_set_gateway(two, &gateway);
    ck_assert_uint_eq(gateway.deliveries, 1);
}
END_TEST

static flk_route_t route_of(uint8_t number) {
    return (flk_route_t){.bytes = 5, .id = {0, 1, 2, 3, number}};
}

/* Peers are found by route, and by instance once they introduced themselves. */
START_TEST(test_peers_are_found_by_route_and_instance) {
    static flk_peers_t peers;
    memset(&peers, 0, sizeof peers);
    static flk_peer_t all[200];
    memset(all, 0, sizeof all);
    for (uint8_t i = 0; i < 200; i++) {
        flk_route_t route = route_of(i);
        flk_peers_add(&peers, &all[i], &route, "", 1);
        ck_assert(!flk_peer_introduced(&all[i]));
        flk_id_t instance = id_of(i);
        flk_peers_introduce(&peers, &all[i], &instance, "name");
    }
    flk_id_t renamed = id_of(1000), before = id_of(7);
    flk_peers_introduce(&peers, &all[7], &renamed, "renamed");
    ck_assert_ptr_null(flk_peers_by_instance(&peers, &before));
    ck_assert_ptr_eq(flk_peers_by_instance(&peers, &renamed), &all[7]);
    for (uint8_t i = 0; i < 200; i += 2) {
        flk_peers_remove(&peers, &all[i]);
    }
    for (uint8_t i = 0; i < 200; i++) {
        flk_route_t route = route_of(i);
        flk_id_t instance = i == 7 ? renamed : id_of(i);
        flk_peer_t *expected = i % 2 == 0 ? NULL : &all[i];
        ck_assert_ptr_eq(flk_peers_by_route(&peers, &route), expected);
        ck_assert_ptr_eq(flk_peers_by_instance(&peers, &instance), expected);
    }
    ck_assert_uint_eq(peers.count, 100);
    ck_assert_ptr_eq(peers.first, &all[1]);
    ck_assert_ptr_eq(peers.last, &all[199]);
}
END_TEST

/* The worker with the least in hand comes first, of equals the one that waited longest; a worker that is full, leaves
 * or is set aside does not come at all. */
START_TEST(test_roster_prefers_the_least_loaded) {
    static flk_roster_t roster;
    memset(&roster, 0, sizeof roster);
    flk_worker_peer_t a = {.credit = 2}, b = {.credit = 2}, c = {.credit = 1000};
    ck_assert_ptr_null(flk_roster_least(&roster));
    flk_roster_update(&roster, &a);
    flk_roster_update(&roster, &b);
    c.hand.count = 999; /* beyond the last list */
    flk_roster_update(&roster, &c);
    ck_assert_ptr_eq(flk_roster_least(&roster), &a);
    a.hand.count = 1;
    flk_roster_update(&roster, &a);
    ck_assert_ptr_eq(flk_roster_least(&roster), &b);
    b.hand.count = 1;
    flk_roster_update(&roster, &b);
    ck_assert_ptr_eq(flk_roster_least(&roster), &a);
    a.hand.count = 2; /* full */
    flk_roster_update(&roster, &a);
    b.leaving = true;
    flk_roster_update(&roster, &b);
    ck_assert_ptr_eq(flk_roster_least(&roster), &c);
    c.reserved = true;
    flk_roster_update(&roster, &c);
    ck_assert_ptr_null(flk_roster_least(&roster));
    a.hand.count = 0;
    flk_roster_update(&roster, &a);
    ck_assert_ptr_eq(flk_roster_least(&roster), &a);
    flk_roster_remove(&roster, &a);
    flk_roster_remove(&roster, &a); /* twice is allowed */
    ck_assert_ptr_null(flk_roster_least(&roster));
}
END_TEST

static uint64_t fnv(const uint8_t *bytes, size_t len) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 32;
}

/* Routes are a peer's choice, too: those that a known hash puts into one bucket hang in many chains. */
START_TEST(test_peers_with_chosen_routes_spread) {
    static flk_peers_t peers;
    static flk_peer_t all[200];
    size_t len = 0;
    for (uint64_t n = 0; len < FLK_COUNT_OF(all); n++) {
        flk_route_t route = {.bytes = sizeof n};
        memcpy(route.id, &n, sizeof n);
        if (fnv(route.id, route.bytes) % FLK_PEER_BUCKETS == 0) {
            flk_peers_add(&peers, &all[len++], &route, "", 1);
        }
    }
    for (size_t i = 0; i < FLK_PEER_BUCKETS; i++) {
        size_t chain = 0;
        for (const flk_peer_t *at = peers.by_route[i]; at != NULL; at = at->route_next) {
            chain++;
        }
        ck_assert_uint_lt(chain, 10);
    }
    for (size_t i = 0; i < len; i++) {
        ck_assert_ptr_eq(flk_peers_by_route(&peers, &all[i].route), &all[i]);
        flk_peers_remove(&peers, &all[i]);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("broker_queue");
    TCase *tc = tcase_create("broker_queue");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_queue_keeps_order);
    tcase_add_test(tc, test_queue_removes_anywhere);
    tcase_add_test(tc, test_deliveries_hold_their_limits);
    tcase_add_loop_test(tc, test_deliveries_of_chosen_ids_spread, 0, 14);
    tcase_add_test(tc, test_deliveries_table_follows_them);
    tcase_add_test(tc, test_peers_with_chosen_routes_spread);
    tcase_add_test(tc, test_deliveries_are_found_until_they_end);
    tcase_add_test(tc, test_deliveries_take_the_body_only_when_they_keep_it);
    tcase_add_test(tc, test_deliveries_free_a_gone_gateway_with_the_last);
    tcase_add_test(tc, test_peers_are_found_by_route_and_instance);
    tcase_add_test(tc, test_roster_prefers_the_least_loaded);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
