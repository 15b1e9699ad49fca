/* SPDX-License-Identifier: MIT */
/* Addresses of Redis servers, and which of them keeps an id. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/redis/shards.h"

static const flk_redis_defaults_t defaults = {.user = "du", .password = "dp", .database = 3};

static const struct {
    const char *address, *host;
    unsigned port, database;
    bool tls;
    const char *user, *password, *name;
} good[] = {
    {"redis", "redis", 6379, 3, false, "du", "dp", "redis:6379/3"},
    {"127.0.0.1:7000", "127.0.0.1", 7000, 3, false, "du", "dp", "127.0.0.1:7000/3"},
    {"[::1]", "::1", 6379, 3, false, "du", "dp", "[::1]:6379/3"},
    {"[::1]:7000", "::1", 7000, 3, false, "du", "dp", "[::1]:7000/3"},
    {"redis://h", "h", 6379, 3, false, "du", "dp", "h:6379/3"},
    {"redis://h:1/", "h", 1, 3, false, "du", "dp", "h:1/3"},
    {"redis://h:65535/0", "h", 65535, 0, false, "du", "dp", "h:65535/0"},
    {"REDIS://u:p@h/5", "h", 6379, 5, false, "u", "p", "h:6379/5"},
    {"redis://p@h", "h", 6379, 3, false, "", "p", "h:6379/3"},
    {"redis://:p@h", "h", 6379, 3, false, "", "p", "h:6379/3"},
    {"rediss://u%40:p%3a%2F%40@[::1]:7/1", "::1", 7, 1, true, "u@", "p:/@", "[::1]:7/1"},
    {"redis://u:p@p@h", "h", 6379, 3, false, "u", "p@p", "h:6379/3"},
};

/* Each form of an address gives host, port, database, credentials and name. */
START_TEST(test_redis_shards_parse) {
    flk_redis_shard_t shard;
    char errmsg[FLK_ERRMSG_BYTES];
    ck_assert_int_eq(flk_redis_shard_parse(good[_i].address, &defaults, &shard, errmsg), FLK_OK);
    ck_assert_str_eq(shard.host, good[_i].host);
    ck_assert_uint_eq(shard.port, good[_i].port);
    ck_assert_uint_eq(shard.database, good[_i].database);
    ck_assert_int_eq(shard.tls, good[_i].tls);
    ck_assert_str_eq(shard.user, good[_i].user);
    ck_assert_str_eq(shard.password, good[_i].password);
    ck_assert_str_eq(shard.name, good[_i].name);
}
END_TEST

static const char *const bad[] = {
    "",
    ":1",
    "h:",
    "h:0",
    "h:65536",
    "h:1x",
    "h:+1",
    "[::1",
    "[]",
    "[::1]x",
    "redis://",
    "redis:///0",
    "redis://h/x",
    "redis://h?",
    "redis://h/1/2",
    "redis://u:p@",
    "redis://%@h",
    "redis://%4@h",
    "redis://%g0@h",
    "redis://%00@h",
    "h:1:2",
    "redis://h/9999999",
    "redis://h/-1",
};

/* A text that is none is refused, and not quoted. */
START_TEST(test_redis_shards_refuse) {
    flk_redis_shard_t shard;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    ck_assert_int_eq(flk_redis_shard_parse(bad[_i], &defaults, &shard, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "host:port"));
}
END_TEST

static flk_redis_shard_t shards[8];
static const flk_redis_shard_t *pointers[8];

static void make_shards(size_t len, unsigned first_port) {
    for (size_t i = 0; i < len; i++) {
        char address[32], errmsg[FLK_ERRMSG_BYTES];
        snprintf(address, sizeof address, "10.0.0.1:%u", first_port + (unsigned)i);
        ck_assert_int_eq(
            flk_redis_shard_parse(address, &(flk_redis_defaults_t){.user = "", .password = ""}, &shards[i], errmsg),
            FLK_OK);
        pointers[i] = &shards[i];
    }
}

static void make_id(uint8_t id[32], uint64_t n) {
    for (size_t i = 0; i < 32; i++) {
        n = n * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        id[i] = (uint8_t)(n >> 56);
    }
}

/* The documented rule, worked out by another implementation of XXH64. */
START_TEST(test_redis_shards_vectors) {
    static const struct {
        uint8_t byte; /* 32 times */
        size_t shard;
    } vectors[] = {{0x00, 0}, {0x11, 2}, {0x22, 1}, {0x33, 1}, {0x44, 3}, {0x55, 3}, {0x66, 3}, {0x77, 1},
                   {0x88, 0}, {0x99, 1}, {0xaa, 1}, {0xbb, 1}, {0xcc, 2}, {0xdd, 2}, {0xee, 2}, {0xff, 1}};
    make_shards(4, 6379);
    for (size_t i = 0; i < FLK_COUNT_OF(vectors); i++) {
        uint8_t id[32];
        memset(id, vectors[i].byte, sizeof id);
        ck_assert_uint_eq(flk_redis_shard_pick(pointers, 4, id, sizeof id), vectors[i].shard);
    }
}
END_TEST

/* For any servers, each has its share of the ids, and one more takes its share from all alike while nothing moves
 * between the old ones. */
START_TEST(test_redis_shards_spread) {
    enum { IDS = 60000 };
    for (size_t len = 2; len < 8; len++) {
        size_t moved = 0, kept[8] = {0}, taken[8] = {0};
        make_shards(len + 1, 1 + 1000 * (unsigned)_i);
        for (uint64_t n = 0; n < IDS; n++) {
            uint8_t id[32];
            make_id(id, n);
            size_t before = flk_redis_shard_pick(pointers, len, id, sizeof id);
            size_t after = flk_redis_shard_pick(pointers, len + 1, id, sizeof id);
            ck_assert(after == before || after == len);
            moved += after == len;
            kept[before]++;
            taken[before] += after == len;
        }
        ck_assert_double_eq_tol((double)moved * (double)(len + 1) / IDS, 1.0, 0.05);
        for (size_t i = 0; i < len; i++) {
            ck_assert_double_eq_tol((double)kept[i] * (double)len / IDS, 1.0, 0.05);
            ck_assert_double_eq_tol((double)taken[i] * (double)(len * (len + 1)) / IDS, 1.0, 0.10);
        }
    }
}
END_TEST

/* The order of the list does not matter. */
START_TEST(test_redis_shards_any_order) {
    make_shards(5, 7000);
    for (uint64_t n = 0; n < 1000; n++) {
        uint8_t id[32];
        make_id(id, n);
        const flk_redis_shard_t *picked = pointers[flk_redis_shard_pick(pointers, 5, id, sizeof id)];
        const flk_redis_shard_t *turned[5];
        for (size_t i = 0; i < 5; i++) {
            turned[i] = pointers[(i + 1 + n % 4) % 5];
        }
        ck_assert_ptr_eq(turned[flk_redis_shard_pick(turned, 5, id, sizeof id)], picked);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("redis_shards");
    TCase *tcase = tcase_create("redis_shards");
    tcase_add_loop_test(tcase, test_redis_shards_parse, 0, (int)FLK_COUNT_OF(good));
    tcase_add_loop_test(tcase, test_redis_shards_refuse, 0, (int)FLK_COUNT_OF(bad));
    tcase_add_test(tcase, test_redis_shards_vectors);
    tcase_add_loop_test(tcase, test_redis_shards_spread, 0, 5);
    tcase_add_test(tcase, test_redis_shards_any_order);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
