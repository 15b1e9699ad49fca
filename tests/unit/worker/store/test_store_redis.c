/* SPDX-License-Identifier: MIT */
/* The Redis store against real servers: the contract, over one server, over shards and while shards change; outages. */
#include "tests/unit/rig/store_contract.h"

#include "tests/unit/rig/redis_rig.h"
#include "tests/unit/rig/store_cut.h"
#include "tests/unit/rig/store_probe.h"
#include "tests/unit/rig/suite.h"
#include "worker/store/redis/shards.h"
#include "worker/store/redis/watch.h"

enum { RIGS = 3, TIMEOUT_MS = 500 };

static redis_rig_t rigs[RIGS];
static char address_one[64], address_two[128], address_three[192];

static void setup_servers(void) {
    setup();
    probe_setup();
    for (int i = 0; i < RIGS; i++) {
        rigs[i] = (redis_rig_t){0};
        redis_rig_spawn(&rigs[i], dir);
    }
    for (int i = 0; i < RIGS; i++) {
        redis_rig_wait(&rigs[i]);
    }
    snprintf(address_one, sizeof address_one, "%s", rigs[0].address);
    snprintf(address_two, sizeof address_two, "%s,%s", rigs[0].address, rigs[1].address);
    snprintf(address_three, sizeof address_three, "%s,%s,%s", rigs[0].address, rigs[1].address, rigs[2].address);
}

static void teardown_servers(void) {
    for (int i = 0; i < RIGS; i++) {
        redis_rig_kill(&rigs[i]);
    }
    probe_teardown();
    teardown();
}

static flk_store_options_t redis_options(const char *addr, const char *former) {
    flk_store_options_t options = options_for("redis");
    options.redis_addr = addr;
    options.redis_former = former;
    options.redis_user = options.redis_password = options.redis_ca_file = "";
    options.connect_timeout_ms = 2000;
    options.metrics = registry;
    return options;
}

/* For the contract: one server; three shards; a third shard that came to two. */
flk_store_options_t backend_options(int backend) {
    return redis_options(backend == 0 ? address_one : address_three, backend == 2 ? address_two : "");
}

/* A store that gives up soon. */
static flk_store_t *open_hasty(const char *addr) {
    flk_store_options_t options = redis_options(addr, "");
    options.timeout_ms = TIMEOUT_MS;
    options.connect_timeout_ms = TIMEOUT_MS;
    return open_with(&options);
}

static flk_store_t *open_through(unsigned port) {
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    return open_hasty(address);
}

/* ---- the life of an outcome ---- */

/* An outcome is there for its time to live by the server's clock, and is forgotten after it; then another may be
 * put. */
START_TEST(test_redis_forgets_after_ttl) {
    flk_store_t *store = open_backend(0);
    check_server_forgets(store);
    flk_store_close(&store);
}
END_TEST

/* Outcomes survive a restart of a server that appends to a file; the store connects again by itself. */
START_TEST(test_redis_restart_keeps_outcomes) {
    flk_store_t *store = open_hasty(address_one);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "kept", &item));
    redis_rig_stop(&rigs[0]);
    ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
    redis_rig_start(&rigs[0], dir);
    wait_until(try_lookup(store, 1) == FLK_OK);
    ck_assert(!put_one(store, 1, "other", &item) && item_is(&item, "kept"));
    ck_assert_uint_eq(figure("flk_store_emptied_total"), 0);
    flk_store_close(&store);
}
END_TEST

/* A value that is no outcome of ours is damage, told as such. */
START_TEST(test_redis_strange_value) {
    flk_store_t *store = open_backend(0);
    flk_store_item_t item = item_of(1, ""), *at = &item;
    char command[128] = "LPUSH flk:";
    for (size_t i = 0; i < FLK_STORE_KEY_BYTES; i++) {
        snprintf(command + strlen(command), 3, "%02x", item.key[i]);
    }
    strcat(command, " x");
    (void)redis_rig_do(&rigs[0], command);
    ck_assert_int_eq(flk_store_lookup(store, &at, 1, errmsg), FLK_E_CORRUPT);
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"corrupt\"}"), 1);
    ck_assert_int_eq(try_lookup(store, 2), FLK_OK);
    flk_store_close(&store);
}
END_TEST

/* ---- outages ---- */

/* A store may be opened while its server is away: it answers UNAVAILABLE in time, and works once the server is
 * there. */
START_TEST(test_redis_starts_without_a_server) {
    redis_rig_stop(&rigs[0]);
    flk_store_t *store = open_hasty(address_one);
    ck_unavailable(try_put(store, 1, "x"), TIMEOUT_MS);
    ck_unavailable(flk_store_health(store, errmsg), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, rigs[0].address));
    redis_rig_start(&rigs[0], dir);
    wait_until(flk_store_health(store, errmsg) == FLK_OK);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    ck_assert_uint_eq(figure("flk_store_connections"), 1);
    flk_store_close(&store);
    ck_assert_uint_eq(figure("flk_store_connections"), 0);
    ck_assert_uint_eq(figure("flk_store_connections_wanted"), 0);
}
END_TEST

/* A server that stands still: UNAVAILABLE within the store timeout each time, few attempts to connect, and back by
 * itself. */
START_TEST(test_redis_server_stands_still) {
    flk_store_t *store = open_hasty(address_one);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    redis_rig_signal(&rigs[0], SIGSTOP);
    uint64_t until_ms = flk_mono_ms() + 4000, calls = 0;
    while (flk_mono_ms() < until_ms) {
        ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
        calls++;
        poll(NULL, 0, 20);
    }
    ck_assert_uint_ge(calls, 20); /* after the first ones it fails at once */
    ck_assert_uint_le(figure("flk_store_dials_total{result=\"failed\"}"), 10);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"timeout\"}"), 1);
    redis_rig_signal(&rigs[0], SIGCONT);
    uint64_t began_ms = flk_mono_ms();
    wait_until(try_lookup(store, 1) == FLK_OK);
    ck_assert_uint_le(flk_mono_ms() - began_ms, 5000);
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "x"));
    flk_store_close(&store);
}
END_TEST

/* Connections that the server has, the asking one too. */
static long long clients(void) {
    redisContext *context = redis_rig_connect(&rigs[0]);
    redisReply *reply = redisCommand(context, "INFO clients");
    const char *at = strstr(reply->str, "connected_clients:");
    ck_assert_ptr_nonnull(at);
    long long number = strtoll(at + strlen("connected_clients:"), NULL, 10);
    freeReplyObject(reply);
    redisFree(context);
    return number;
}

/* A connection that the server closed while it was idle, by its `timeout` or by an administrator, costs no call. */
START_TEST(test_redis_idle_closed) {
    flk_store_t *store = open_hasty(address_one);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    uint64_t unavailable = figure("flk_store_errors_total{kind=\"unavailable\"}");
    (void)redis_rig_do(&rigs[0], "CONFIG SET timeout 1");
    for (uint64_t n = 0; n < 12; n++) {
        ck_assert_msg(try_put(store, 100 + n, "x") == FLK_OK, "%llu: %s", (unsigned long long)n, errmsg);
        if (n % 6 == 0) {
            wait_until(clients() == 1); /* that asks */
        } else {
            (void)redis_rig_do(&rigs[0], "CLIENT KILL TYPE normal SKIPME yes");
        }
        flk_err_t err = n % 2 == 0 ? try_lookup(store, 1) : flk_store_health(store, errmsg);
        ck_assert_msg(err == FLK_OK, "%llu: %s", (unsigned long long)n, errmsg);
    }
    (void)redis_rig_do(&rigs[0], "CONFIG SET timeout 0");
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"unavailable\"}"), unavailable);
    flk_store_close(&store);
}
END_TEST

/* However long a server stands still, it finds few connections of ours when it goes on, and soon one. */
START_TEST(test_redis_stall_leaves_no_connections) {
    flk_store_t *store = open_hasty(address_one);
    wait_until(try_put(store, 1, "x") == FLK_OK);
    redis_rig_signal(&rigs[0], SIGSTOP);
    uint64_t until_ms = flk_mono_ms() + 4000;
    while (flk_mono_ms() < until_ms) {
        ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
        poll(NULL, 0, 20);
    }
    redis_rig_signal(&rigs[0], SIGCONT);
    ck_assert_int_le(clients(), 12);
    wait_until(try_lookup(store, 1) == FLK_OK);
    wait_until(clients() == 2);
    flk_store_close(&store);
}
END_TEST

/* A server that stands still while a batch is put: the outcome is unknown, and asking again finds one. */
START_TEST(test_redis_unknown_put) {
    flk_store_t *store = open_hasty(address_one);
    ck_assert_int_eq(try_lookup(store, 1), FLK_OK);
    redis_rig_signal(&rigs[0], SIGSTOP);
    ck_unavailable(try_put(store, 1, "first"), TIMEOUT_MS);
    redis_rig_signal(&rigs[0], SIGCONT);
    wait_until(try_lookup(store, 1) == FLK_OK);
    flk_store_item_t item;
    ck_assert(!put_one(store, 1, "second", &item));
    ck_assert(item_is(&item, "first"));
    flk_store_close(&store);
}
END_TEST

/* One shard of three away: keys of the others are served while it is. */
START_TEST(test_redis_shard_away) {
    flk_store_t *store = open_hasty(address_three);
    uint64_t away = 0, served = 0;
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK);
    redis_rig_stop(&rigs[2]);
    for (uint64_t n = 0; n < 60; n++) {
        flk_err_t err = try_put(store, n, "x");
        ck_assert(err == FLK_OK || err == FLK_E_UNAVAILABLE);
        away += err != FLK_OK;
        served += err == FLK_OK;
    }
    ck_assert_uint_ge(away, 8);
    ck_assert_uint_ge(served, 25);
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_E_UNAVAILABLE);
    flk_store_close(&store);
}
END_TEST

/* A server that comes back without its data is warned of and counted, once for all stores of the process. */
START_TEST(test_redis_restarted_empty) {
    flk_store_t *store = open_hasty(address_one), *other = open_hasty(address_one);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "before", &item));
    ck_assert(lookup_one(other, 1, &item));
    redis_rig_stop(&rigs[0]);
    redis_rig_wipe(&rigs[0]);
    redis_rig_start(&rigs[0], dir);
    wait_until(try_lookup(store, 1) == FLK_OK && try_lookup(other, 1) == FLK_OK);
    ck_assert_uint_eq(figure("flk_store_emptied_total"), 1);
    ck_assert_uint_eq(logged("store_emptied", "WARN", rigs[0].address), 1);
    ck_assert(put_one(store, 1, "after", &item));
    ck_assert(lookup_one(other, 1, &item) && item_is(&item, "after"));
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* A new mark is told once, also when a connection tells late of the mark before it. */
START_TEST(test_redis_mark_told_late) {
    const struct {
        const char *mark;
        bool lost;
    } told[] = {{"a", false}, {"a", false}, {"b", true}, {"a", false}, {"b", false}, {"c", true}, {"b", false}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        ck_assert_msg(flk_redis_watch_generation("late", told[i].mark) == told[i].lost, "%zu: %s", i, told[i].mark);
    }
}
END_TEST

/* A server that is flushed under a connection that stands is noticed at the next lookups, and works on. */
START_TEST(test_redis_flushed) {
    flk_store_t *store = open_hasty(address_one), *other = open_hasty(address_one);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    ck_assert_int_eq(try_put(other, 2, "x"), FLK_OK);
    (void)redis_rig_do(&rigs[0], "FLUSHALL");
    ck_assert_int_eq(try_lookup(store, 1), FLK_OK);
    ck_assert_int_eq(try_lookup(other, 1), FLK_OK);
    wait_until(try_lookup(store, 1) == FLK_OK && try_lookup(other, 1) == FLK_OK);
    ck_assert_uint_eq(figure("flk_store_emptied_total"), 1);
    ck_assert_uint_eq(logged("store_emptied", NULL, NULL), 1);
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* Wherever the connection breaks in a put: store_cut.h has the promise. */
START_TEST(test_redis_cut_anywhere) {
    flk_store_t *direct = open_hasty(address_one);
    check_cut_anywhere("redis", direct, open_through, rigs[0].port, 3, _i == 0 ? CUT_REQUEST : CUT_REPLY);
    flk_store_close(&direct);
}
END_TEST

/* ---- servers that refuse ---- */

/* A replica is refused when connecting, and a server that becomes one stops being written to. */
START_TEST(test_redis_replica) {
    char command[64];
    flk_store_t *store = open_hasty(address_one);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    snprintf(command, sizeof command, "REPLICAOF 127.0.0.1 %u", rigs[1].port);
    (void)redis_rig_do(&rigs[0], command);
    ck_unavailable(try_put(store, 2, "x"), TIMEOUT_MS);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"read_only\"}"), 1);
    wait_until(logged("store_connect_failed", "replica", NULL) > 0);
    ck_unavailable(flk_store_health(store, errmsg), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "replica"));
    (void)redis_rig_do(&rigs[0], "REPLICAOF NO ONE");
    wait_until(try_put(store, 2, "x") == FLK_OK);
    flk_store_close(&store);
}
END_TEST

/* A wrong password is UNAVAILABLE with the reason, and no password is ever logged; the right one, by settings or in the
 * address, works. */
START_TEST(test_redis_passwords) {
    (void)redis_rig_do(&rigs[0], "ACL SETUSER flk on >pa:ss@word ~flk:* +@all -config");
    (void)redis_rig_do(&rigs[0], "CONFIG SET requirepass default-secret");
    flk_store_options_t options = redis_options(address_one, "");
    options.timeout_ms = TIMEOUT_MS;
    flk_store_t *store = open_with(&options);
    ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "NOAUTH"));
    flk_store_close(&store);

    options.redis_password = "wrong-secret";
    store = open_with(&options);
    ck_unavailable(try_lookup(store, 1), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "WRONGPASS"));
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"auth\"}"), 1);
    flk_store_close(&store);

    options.redis_password = "default-secret";
    store = open_with(&options);
    ck_assert_int_eq(try_lookup(store, 1), FLK_OK);
    flk_store_close(&store);

    char address[160];
    snprintf(address, sizeof address, "redis://flk:pa%%3ass%%40word@%s/0", rigs[0].address);
    options.redis_addr = address;
    store = open_with(&options);
    ck_assert_int_eq(try_put(store, 1, "x"), FLK_OK);
    ck_assert_uint_eq(logged("secret", NULL, NULL), 0);
    ck_assert_uint_eq(logged("pa:ss", NULL, NULL) + logged("pa%3ass", NULL, NULL), 0);
    flk_store_close(&store);
}
END_TEST

/* A server out of memory refuses puts with its reason and goes on answering lookups; with memory it is well again. */
START_TEST(test_redis_out_of_memory) {
    flk_store_t *store = open_hasty(address_one);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "x", &item));
    (void)redis_rig_do(&rigs[0], "CONFIG SET maxmemory 1");
    ck_unavailable(try_put(store, 2, "x"), TIMEOUT_MS);
    ck_assert_ptr_nonnull(strstr(errmsg, "maxmemory"));
    ck_assert_uint_eq(figure("flk_store_errors_total{kind=\"no_memory\"}"), 1);
    ck_unavailable(flk_store_health(store, errmsg), TIMEOUT_MS);
    ck_assert(lookup_one(store, 1, &item) && !lookup_one(store, 2, &item));
    (void)redis_rig_do(&rigs[0], "CONFIG SET maxmemory 0");
    ck_assert_int_eq(try_put(store, 2, "x"), FLK_OK);
    ck_assert_uint_eq(figure("flk_store_dials_total{result=\"ok\"}"), 1);
    flk_store_close(&store);
}
END_TEST

/* A server that may evict, or that keeps nothing on disk, is warned of when it is met, once. */
START_TEST(test_redis_warns_of_loss) {
    (void)redis_rig_do(&rigs[0], "CONFIG SET maxmemory-policy volatile-lru");
    (void)redis_rig_do(&rigs[1], "CONFIG SET appendonly no");
    flk_store_t *store = open_hasty(address_three), *other = open_hasty(address_three);
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK);
    ck_assert_int_eq(flk_store_health(other, errmsg), FLK_OK);
    ck_assert_uint_eq(logged("store_may_evict", "WARN", rigs[0].address), 1);
    ck_assert_uint_eq(logged("store_not_persistent", "WARN", rigs[1].address), 1);
    ck_assert_uint_eq(logged("store_may_evict", NULL, NULL), 1);
    ck_assert_uint_eq(logged("store_not_persistent", NULL, NULL), 1);
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* Addresses that are none, twice the same shard, and TLS where hiredis has none, stop the start with one line that
 * does not show the password. */
START_TEST(test_redis_refuses_bad_addresses) {
    static const char *const bad[] = {"", "redis://u:hidden@:6379", "127.0.0.1:6379,redis://:hidden@127.0.0.1/0",
#ifndef FLK_HAVE_REDIS_TLS
                                      "rediss://u:hidden@localhost"
#endif
    };
    for (size_t i = 0; i < FLK_COUNT_OF(bad) && bad[i] != NULL; i++) {
        flk_store_options_t options = redis_options(bad[i], "");
        flk_store_t *store;
        ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CONFIG);
        ck_assert_ptr_nonnull(strstr(errmsg, "REDIS_ADDR"));
        ck_assert_ptr_null(strstr(errmsg, "hidden"));
    }
}
END_TEST

/* ---- shards that change ---- */

enum { IDS = 20000 };

static void put_ids(flk_store_t *store, const char *value, unsigned *first) {
    static flk_store_item_t items[BATCH], *batch[BATCH];
    *first = 0;
    for (uint64_t n = 0; n < IDS; n += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            items[i] = item_of(n + i, value);
            batch[i] = &items[i];
        }
        ck_assert_msg(flk_store_put(store, batch, BATCH, errmsg) == FLK_OK, "%s", errmsg);
        for (uint64_t i = 0; i < BATCH; i++) {
            *first += !items[i].found;
            ck_assert(!items[i].found || item_is(&items[i], "old"));
        }
    }
}

static unsigned look_for_ids(flk_store_t *store) {
    static flk_store_item_t items[BATCH], *batch[BATCH];
    unsigned found = 0;
    for (uint64_t n = 0; n < IDS; n += BATCH) {
        for (uint64_t i = 0; i < BATCH; i++) {
            item_key(&items[i], n + i);
            batch[i] = &items[i];
        }
        ck_assert_msg(flk_store_lookup(store, batch, BATCH, errmsg) == FLK_OK, "%s", errmsg);
        for (uint64_t i = 0; i < BATCH; i++) {
            found += items[i].found;
            ck_assert(!items[i].found || item_is(&items[i], "old"));
        }
    }
    return found;
}

/* With two shards and then a third, a third of the keys belongs elsewhere; with the former list none of them is new, by
 * lookup nor by put, and once touched it is where it belongs. */
START_TEST(test_redis_third_shard) {
    const unsigned ids = (IDS + BATCH - 1) / BATCH * BATCH;
    unsigned first;
    flk_store_options_t options = redis_options(address_two, "");
    flk_store_t *store = open_with(&options);
    put_ids(store, "old", &first);
    ck_assert_uint_eq(first, ids);
    flk_store_close(&store);

    options = redis_options(address_three, "");
    store = open_with(&options);
    unsigned moved = ids - look_for_ids(store);
    printf("%u of %u keys belong to the third shard: %.2f %% of a third\n", moved, ids, 300.0 * moved / ids);
    ck_assert_double_eq_tol(3.0 * moved / ids, 1.0, 0.05);
    flk_store_close(&store);

    options = redis_options(address_three, address_two);
    store = open_with(&options);
    if (_i == 0) {
        put_ids(store, "new", &first);
        ck_assert_uint_eq(first, 0);
    } else {
        ck_assert_uint_eq(look_for_ids(store), ids);
    }
    flk_store_close(&store);

    options = redis_options(address_three, "");
    store = open_with(&options);
    ck_assert_uint_eq(look_for_ids(store), ids);
    flk_store_close(&store);
}
END_TEST

struct mover {
    pthread_t thread;
    flk_store_t *store;
    const char *value;
    pthread_barrier_t *start;
    flk_err_t err;
    flk_store_item_t items[BATCH];
};

static void *move(void *arg) {
    struct mover *mover = arg;
    flk_store_item_t *batch[BATCH];
    pthread_barrier_wait(mover->start);
    for (size_t n = 0; n < BATCH; n++) {
        mover->items[n] = item_of(n, mover->value);
        batch[n] = &mover->items[n];
    }
    for (size_t n = 0; n < BATCH && mover->err == FLK_OK; n += 8) {
        mover->err = flk_store_put(mover->store, batch + n, 8, NULL);
    }
    return NULL;
}

/* While a cluster goes from one list of shards to another, worker by worker, workers of two successive steps that
 * put the same keys at once agree on the first write of each. */
START_TEST(test_redis_step_by_step) {
    const char *const steps[][2] = {{address_two, ""}, {address_three, address_two}, {address_three, ""}};
    for (int round = 0; round < 10; round++) {
        static struct mover movers[4];
        pthread_barrier_t start;
        pthread_barrier_init(&start, NULL, 4);
        for (int i = 0; i < 4; i++) {
            const char *const *step = steps[_i + i % 2];
            flk_store_options_t options = redis_options(step[0], step[1]);
            static const char *const values[] = {"a", "b", "c", "d"};
            movers[i] = (struct mover){.store = open_with(&options), .value = values[i], .start = &start};
            ck_assert_int_eq(pthread_create(&movers[i].thread, NULL, move, &movers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(movers[i].thread, NULL);
            flk_store_close(&movers[i].store);
            ck_assert_int_eq(movers[i].err, FLK_OK);
        }
        pthread_barrier_destroy(&start);
        for (size_t n = 0; n < BATCH; n++) {
            int firsts = 0;
            for (int i = 0; i < 4; i++) {
                firsts += !movers[i].items[n].found;
                ck_assert_mem_eq(movers[i].items[n].value, movers[0].items[n].value, 1);
            }
            ck_assert_int_eq(firsts, 1);
        }
        for (int i = 0; i < RIGS; i++) {
            (void)redis_rig_do(&rigs[i], "FLUSHALL");
        }
    }
}
END_TEST

/* ---- TLS ---- */

#ifdef FLK_HAVE_REDIS_TLS

/* A CA in dir, a certificate of it for the name localhost alone, and another CA that signed nothing. */
static void make_certificates(void) {
    char command[1024];
    snprintf(
        command, sizeof command,
        "cd %s && for ca in ca other; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
        "-subj /CN=$ca -keyout $ca.key -out $ca.crt; done && openssl req -newkey ec -pkeyopt "
        "ec_paramgen_curve:P-256 -nodes -subj /CN=x -keyout server.key -out server.csr && printf "
        "subjectAltName=DNS:localhost > ext && openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key "
        "-CAcreateserial -days 2 -extfile ext -out server.crt",
        dir);
    const char *argv[] = {"sh", "-c", command, NULL};
    rig_run("/dev/null", 0, 0, argv);
}

static flk_store_t *open_tls(const char *host, unsigned port, const char *ca) {
    char address[64], ca_file[96];
    snprintf(address, sizeof address, "rediss://%s:%u", host, port);
    snprintf(ca_file, sizeof ca_file, "%s/%s", dir, ca);
    flk_store_options_t options = redis_options(address, "");
    options.timeout_ms = 2000;
    options.redis_ca_file = ca_file;
    return open_with(&options);
}

/* Over TLS the store works, with batches of any size, if the server's certificate is of a CA that we trust and for
 * the name that we asked for; otherwise it says which of these is wrong and sends nothing. */
START_TEST(test_redis_tls) {
    char port[16], files[3][96];
    unsigned tls_port = rig_free_port();
    make_certificates();
    snprintf(port, sizeof port, "%u", tls_port);
    snprintf(files[0], sizeof files[0], "%s/server.crt", dir);
    snprintf(files[1], sizeof files[1], "%s/server.key", dir);
    snprintf(files[2], sizeof files[2], "%s/ca.crt", dir);
    redis_rig_t rig = {.extra = {"--tls-port", port, "--tls-cert-file", files[0], "--tls-key-file", files[1],
                                 "--tls-ca-cert-file", files[2], "--tls-auth-clients", "no"}};
    redis_rig_start(&rig, dir);
    flk_store_t *store = open_tls("localhost", tls_port, "ca.crt");
    unsigned first;
    put_ids(store, "old", &first);
    ck_assert_uint_ge(first, IDS);
    ck_assert_uint_eq(look_for_ids(store), first);
    ck_assert_int_ge(redis_rig_do(&rig, "DBSIZE"), IDS);
    flk_store_close(&store);

    store = open_tls("127.0.0.1", tls_port, "ca.crt");
    ck_unavailable(try_put(store, 1, "x"), 2000);
    ck_assert_msg(strstr(errmsg, "mismatch") != NULL, "%s", errmsg);
    flk_store_close(&store);
    store = open_tls("localhost", tls_port, "other.crt");
    ck_unavailable(try_put(store, 1, "x"), 2000);
    ck_assert_msg(strstr(errmsg, "certificate") != NULL, "%s", errmsg);
    ck_assert_uint_ge(figure("flk_store_errors_total{kind=\"auth\"}"), 2);
    flk_store_close(&store);
    store = open_tls("localhost", tls_port, "missing.crt");
    ck_assert_int_ne(try_put(store, 1, "x"), FLK_OK);
    ck_assert_msg(strstr(errmsg, "FLK_REDIS_CA_FILE") != NULL, "%s", errmsg);
    flk_store_close(&store);
    redis_rig_kill(&rig);
}
END_TEST

#endif

int main(void) {
    signal(SIGPIPE, SIG_IGN);
    Suite *suite = suite_create("store_redis");
    TCase *tcase = tcase_create("redis");
    tcase_add_checked_fixture(tcase, setup_servers, teardown_servers);
    tcase_set_timeout(tcase, 600);
    add_store_contract(tcase, 3);
    const TTest *const cases[] = {
        test_redis_forgets_after_ttl,
        test_redis_restart_keeps_outcomes,
        test_redis_strange_value,
        test_redis_starts_without_a_server,
        test_redis_server_stands_still,
        test_redis_idle_closed,
        test_redis_stall_leaves_no_connections,
        test_redis_unknown_put,
        test_redis_shard_away,
        test_redis_restarted_empty,
        test_redis_flushed,
        test_redis_mark_told_late,
        test_redis_replica,
        test_redis_passwords,
        test_redis_out_of_memory,
        test_redis_warns_of_loss,
        test_redis_refuses_bad_addresses,
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        tcase_add_test(tcase, cases[i]);
    }
    tcase_add_loop_test(tcase, test_redis_cut_anywhere, 0, 2);
    tcase_add_loop_test(tcase, test_redis_third_shard, 0, 2);
    tcase_add_loop_test(tcase, test_redis_step_by_step, 0, 2);
#ifdef FLK_HAVE_REDIS_TLS
    tcase_add_test(tcase, test_redis_tls);
#endif
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
