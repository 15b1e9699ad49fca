/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/store_contract.h"

#include <poll.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { IDS = 20000 };
#else
enum { IDS = 100000 };
#endif

flk_store_t *open_backend(int backend) {
    flk_store_options_t options = backend_options(backend);
    return open_with(&options);
}

/* A key that was put is found; another one is not; order and repeats in a lookup are kept. */
START_TEST(test_store_finds_what_was_put) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t items[4], *batch[] = {&items[0], &items[1], &items[2], &items[3]};
    ck_assert(put_one(store, 1, "one", &items[0]));
    ck_assert(put_one(store, 2, "two", &items[0]));
    const uint64_t keys[] = {2, 3, 1, 2};
    for (int i = 0; i < 4; i++) {
        items[i] = (flk_store_item_t){.found = i % 2 == 0};
        item_key(&items[i], keys[i]);
    }
    ck_assert_int_eq(flk_store_lookup(store, batch, 4, errmsg), FLK_OK);
    ck_assert(items[0].found && item_is(&items[0], "two"));
    ck_assert(!items[1].found);
    ck_assert(items[2].found && item_is(&items[2], "one"));
    ck_assert(items[3].found && item_is(&items[3], "two"));
    ck_assert_int_eq(flk_store_health(store, errmsg), FLK_OK);
    flk_store_close(&store);
}
END_TEST

/* The first write wins: a later one of the same key changes nothing and gets the first value. */
START_TEST(test_store_first_write_wins) {
    flk_store_t *store = open_backend(_i), *other = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 7, "first", &item));
    ck_assert(item_is(&item, "first"));
    ck_assert(!put_one(store, 7, "second, longer", &item));
    ck_assert(item_is(&item, "first"));
    ck_assert(!put_one(other, 7, "third", &item));
    ck_assert(item_is(&item, "first"));
    ck_assert(lookup_one(other, 7, &item));
    ck_assert(item_is(&item, "first"));
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* The first of equal keys in one batch wins, and the others get its value. */
START_TEST(test_store_repeats_in_a_batch) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t items[] = {item_of(1, "a"), item_of(2, "b"), item_of(1, "c"), item_of(1, "d")};
    flk_store_item_t *batch[] = {&items[0], &items[1], &items[2], &items[3]};
    ck_assert_int_eq(flk_store_put(store, batch, 4, errmsg), FLK_OK);
    ck_assert(!items[0].found && !items[1].found && items[2].found && items[3].found);
    ck_assert(item_is(&items[2], "a") && item_is(&items[3], "a"));
    flk_store_item_t item;
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "a"));
    flk_store_close(&store);
}
END_TEST

/* An empty batch is no error. */
START_TEST(test_store_empty_batch) {
    flk_store_t *store = open_backend(_i);
    ck_assert_int_eq(flk_store_lookup(store, NULL, 0, errmsg), FLK_OK);
    ck_assert_int_eq(flk_store_put(store, NULL, 0, errmsg), FLK_OK);
    flk_store_close(&store);
}
END_TEST

/* Values are any bytes, from none to the most; keys too. */
START_TEST(test_store_is_binary_safe) {
    flk_store_t *store = open_backend(_i);
    const uint16_t sizes[] = {0, 1, 255, FLK_STORE_VALUE_BYTES_MAX};
    for (size_t s = 0; s < FLK_COUNT_OF(sizes); s++) {
        flk_store_item_t put = {.value_bytes = sizes[s]}, *at = &put, got = {0};
        memset(put.key, s == 0 ? 0 : 0xff, sizeof put.key);
        put.key[s] = 0;
        for (size_t i = 0; i < sizes[s]; i++) {
            put.value[i] = (uint8_t)(i % 3 == 0 ? 0 : 255 - i);
        }
        ck_assert_int_eq(flk_store_put(store, &at, 1, errmsg), FLK_OK);
        ck_assert(!put.found);
        memcpy(got.key, put.key, sizeof got.key);
        at = &got;
        ck_assert_int_eq(flk_store_lookup(store, &at, 1, errmsg), FLK_OK);
        ck_assert(got.found);
        ck_assert_uint_eq(got.value_bytes, sizes[s]);
        ck_assert_mem_eq(got.value, put.value, sizes[s]);
    }
    flk_store_close(&store);
}
END_TEST

/* Puts `value` in the place of `stale`; true when it is there now. */
static bool replace_one(flk_store_t *store, uint64_t n, const char *stale, const char *value, flk_store_item_t *item) {
    *item = item_of(n, value);
    item->stale = (const uint8_t *)stale;
    item->stale_bytes = (uint16_t)strlen(stale);
    ck_assert_msg(flk_store_put(store, &item, 1, errmsg) == FLK_OK, "%s", errmsg);
    return !item->found;
}

/* A value gives way to another one only while it is the stale one that the put names; where there is none, it is put.
 */
START_TEST(test_store_replaces_the_stale_only) {
    flk_store_t *store = open_backend(_i), *other = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "damaged", &item));
    ck_assert(!replace_one(store, 1, "damage", "no", &item) && item_is(&item, "damaged"));
    ck_assert(!replace_one(store, 1, "", "no", &item) && item_is(&item, "damaged"));
    ck_assert(replace_one(store, 1, "damaged", "first", &item));
    ck_assert(lookup_one(other, 1, &item) && item_is(&item, "first"));
    ck_assert(!replace_one(other, 1, "damaged", "second", &item) && item_is(&item, "first"));
    ck_assert(!put_one(other, 1, "third", &item) && item_is(&item, "first"));
    ck_assert(replace_one(store, 2, "damaged", "none there", &item));
    ck_assert(lookup_one(store, 2, &item) && item_is(&item, "none there"));
    ck_assert(put_one(store, 3, "", &item));
    ck_assert(replace_one(store, 3, "", "was empty", &item));
    ck_assert(lookup_one(store, 3, &item) && item_is(&item, "was empty"));
    flk_store_close(&store);
    flk_store_close(&other);
}
END_TEST

/* In one batch: stale ones, others, and two of one key, of which the first takes the place. */
START_TEST(test_store_replaces_in_a_batch) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t item, items[] = {item_of(1, "a"), item_of(2, "b"), item_of(3, "c"), item_of(1, "d")};
    flk_store_item_t *batch[] = {&items[0], &items[1], &items[2], &items[3]};
    ck_assert(put_one(store, 1, "damaged", &item));
    ck_assert(put_one(store, 2, "two", &item));
    items[0].stale = items[3].stale = (const uint8_t *)"damaged";
    items[0].stale_bytes = items[3].stale_bytes = 7;
    ck_assert_msg(flk_store_put(store, batch, 4, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert(!items[0].found && items[1].found && !items[2].found && items[3].found);
    ck_assert(item_is(&items[1], "two") && item_is(&items[3], "a"));
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "a"));
    flk_store_close(&store);
}
END_TEST

void *race(void *arg) {
    struct racer *racer = arg;
    flk_store_item_t *item = &racer->item;
    pthread_barrier_wait(racer->start);
    racer->err = flk_store_put(racer->store, &item, 1, racer->errmsg);
    return NULL;
}

/* Of 64 threads that put one id at once, one is first, and all have its value; so it is when they all put in the place
 * of a value that is stale. */
static void race_on_one_id(int backend, const char *stale) {
    static struct racer racers[RACERS];
    pthread_barrier_t start;
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, RACERS), 0);
    for (int i = 0; i < RACERS; i++) {
        char value[32];
        snprintf(value, sizeof value, "racer %d", i);
        racers[i] = (struct racer){.store = open_backend(backend), .start = &start, .item = item_of(1, value)};
        racers[i].item.stale = (const uint8_t *)stale;
        racers[i].item.stale_bytes = (uint16_t)(stale != NULL ? strlen(stale) : 0);
    }
    for (int i = 0; i < RACERS; i++) {
        ck_assert_int_eq(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
    }
    const flk_store_item_t *first = NULL;
    for (int i = 0; i < RACERS; i++) {
        ck_assert_msg(racers[i].err == FLK_OK, "%s", racers[i].errmsg);
        if (!racers[i].item.found) {
            ck_assert_ptr_null(first);
            first = &racers[i].item;
        }
    }
    ck_assert_ptr_nonnull(first);
    for (int i = 0; i < RACERS; i++) {
        ck_assert_uint_eq(racers[i].item.value_bytes, first->value_bytes);
        ck_assert_mem_eq(racers[i].item.value, first->value, first->value_bytes);
        flk_store_close(&racers[i].store);
    }
    pthread_barrier_destroy(&start);
}

START_TEST(test_store_race_on_one_id) {
    race_on_one_id(_i, NULL);
}
END_TEST

START_TEST(test_store_race_to_replace) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "damaged", &item));
    race_on_one_id(_i, "damaged");
    flk_store_close(&store);
}
END_TEST

static void fill_batch(flk_store_item_t *items, uint64_t from, int seed) {
    for (uint64_t i = 0; i < BATCH; i++) {
        char value[32];
        snprintf(value, sizeof value, "%d:%llu", seed, (unsigned long long)(from + i));
        items[i] = item_of(from + i, value);
    }
}

/* Calls and errors are counted in the registry. */
START_TEST(test_store_counts) {
    flk_metrics_t *metrics = flk_metrics_new();
    flk_store_options_t options = backend_options(_i);
    options.metrics = metrics;
    flk_store_t *store = open_with(&options);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "x", &item));
    char *text;
    size_t text_bytes;
    ck_assert_int_eq(flk_metrics_render(metrics, &text, &text_bytes), FLK_OK);
    ck_assert_ptr_nonnull(strstr(text, "flk_store_seconds_count{op=\"put\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "flk_store_errors_total{kind=\"unavailable\"} 0\n"));
    free(text);
    flk_store_close(&store);
    flk_metrics_destroy(&metrics);
}
END_TEST

/* Very many ids go in, and are all found again with their own values, also by a store that is opened later. */
START_TEST(test_store_many_ids) {
    uint64_t ids = getenv("FLK_TEST_LONG") != NULL ? 1000000 : IDS;
    static flk_store_item_t items[BATCH], *batch[BATCH];
    for (int i = 0; i < BATCH; i++) {
        batch[i] = &items[i];
    }
    flk_store_t *store = open_backend(_i);
    uint64_t began_ms = flk_mono_ms();
    for (uint64_t n = 0; n < ids; n += BATCH) {
        fill_batch(items, n, 1);
        ck_assert_msg(flk_store_put(store, batch, BATCH, errmsg) == FLK_OK, "%s", errmsg);
        ck_assert(!items[0].found && !items[BATCH - 1].found);
    }
    uint64_t put_ms = flk_mono_ms() - began_ms;
    flk_store_close(&store);
    store = open_backend(_i);
    began_ms = flk_mono_ms();
    for (uint64_t n = 0; n < ids; n += BATCH) {
        fill_batch(items, n, 2);
        ck_assert_int_eq(flk_store_lookup(store, batch, BATCH, errmsg), FLK_OK);
        for (uint64_t i = 0; i < BATCH; i++) {
            char value[32];
            snprintf(value, sizeof value, "1:%llu", (unsigned long long)(n + i));
            ck_assert(items[i].found && item_is(&items[i], value));
        }
    }
    printf("%s: %llu ids put in %llu ms, looked up in %llu ms\n", backend_options(_i).backend, (unsigned long long)ids,
           (unsigned long long)put_ms, (unsigned long long)(flk_mono_ms() - began_ms));
    flk_store_close(&store);
}
END_TEST

bool see(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
         int64_t expires_ms) {
    struct seen *seen = arg;
    bool ours = key[0] < 3 && value_bytes == 1 && value[0] == 'a' + key[0];
    if (ours) {
        seen->count[key[0]]++;
        seen->expires_ms[key[0]] = expires_ms;
    }
    seen->others += !ours;
    return seen->count[0] + seen->count[1] + seen->count[2] != seen->stop_after;
}

static void add_part(void *arg, const char *part, uint64_t outcomes, uint64_t bytes) {
    ck_assert_ptr_nonnull(part);
    ck_assert_uint_gt(bytes, 0);
    *(uint64_t *)arg += outcomes;
}

/* All outcomes can be looked through, each with its value and its expiry, for which an item may have a time to live of
 * its own; and measured. */
START_TEST(test_store_shows_all) {
    flk_store_t *store = open_backend(_i);
    flk_store_options_t options = backend_options(_i);
    bool server = strcmp(options.backend, "memory") != 0 && strcmp(options.backend, "lmdb") != 0;
    flk_store_item_t items[] = {item_of(0, "a"), item_of(1, "b"), item_of(2, "c")};
    flk_store_item_t *batch[] = {&items[0], &items[1], &items[2]};
    items[1].ttl_ms = 3600000;
    int64_t before_ms = server ? flk_wall_ms() : test_clock();
    ck_assert_int_eq(flk_store_put(store, batch, 3, errmsg), FLK_OK);
    struct seen seen = {0};
    ck_assert_msg(flk_store_visit(store, see, &seen, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_uint_eq(seen.others, 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_ge(seen.count[i], 1); /* twice where it is on two shards */
        int64_t left_ms = seen.expires_ms[i] - before_ms, ttl_ms = i == 1 ? 3600000 : 60000;
        ck_assert_msg(left_ms >= ttl_ms - 10 && left_ms < ttl_ms + 20000, "%lld", (long long)left_ms);
    }
    uint64_t outcomes = 0;
    ck_assert_msg(flk_store_measure(store, add_part, &outcomes, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_uint_ge(outcomes, 3);
    ck_assert_uint_le(outcomes, 3 + 6); /* Redis has two keys more a server */
    seen = (struct seen){.stop_after = 1};
    ck_assert_int_eq(flk_store_visit(store, see, &seen, errmsg), FLK_OK);
    ck_assert_uint_eq(seen.count[0] + seen.count[1] + seen.count[2], 1);
    flk_store_close(&store);
}
END_TEST

static bool see_each(void *arg, const uint8_t key[FLK_STORE_KEY_BYTES], const uint8_t *value, size_t value_bytes,
                     int64_t expires_ms) {
    uint8_t *seen = arg;
    uint64_t n = key[0] | (uint64_t)key[1] << 8;
    ck_assert_uint_lt(n, 5000);
    ck_assert(value_bytes > 2 && value[1] == ':');
    ck_assert_int_gt(expires_ms, 0);
    seen[n] = 1;
    return true;
}

/* Looking through goes on from page to page until the last outcome. */
START_TEST(test_store_shows_many) {
    static flk_store_item_t items[BATCH], *batch[BATCH];
    static uint8_t seen[5000];
    memset(seen, 0, sizeof seen);
    flk_store_t *store = open_backend(_i);
    for (uint64_t n = 0; n + BATCH <= sizeof seen; n += BATCH) {
        fill_batch(items, n, 1);
        for (int i = 0; i < BATCH; i++) {
            batch[i] = &items[i];
        }
        ck_assert_int_eq(flk_store_put(store, batch, BATCH, errmsg), FLK_OK);
    }
    ck_assert_msg(flk_store_visit(store, see_each, seen, errmsg) == FLK_OK, "%s", errmsg);
    for (uint64_t n = 0; n < sizeof seen / BATCH * BATCH; n++) {
        ck_assert_uint_eq(seen[n], 1);
    }
    flk_store_close(&store);
}
END_TEST

void check_server_forgets(flk_store_t *store) {
    flk_store_item_t item;
    flk_store_set_ttl(store, 1000);
    uint64_t began_ms = flk_mono_ms();
    ck_assert(put_one(store, 1, "old", &item));
    ck_assert(!put_one(store, 1, "new", &item));
    while (lookup_one(store, 1, &item)) {
        ck_assert_uint_lt(flk_mono_ms() - began_ms, 10000);
        poll(NULL, 0, 5);
    }
    ck_assert_uint_ge(flk_mono_ms() - began_ms, 1000);
    ck_assert(put_one(store, 1, "new", &item));
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "new"));
}

void add_store_contract(TCase *tcase, int backends_len) {
    const TTest *const cases[] = {
        test_store_finds_what_was_put,
        test_store_first_write_wins,
        test_store_repeats_in_a_batch,
        test_store_empty_batch,
        test_store_is_binary_safe,
        test_store_race_on_one_id,
        test_store_many_ids,
        test_store_counts,
        test_store_shows_all,
        test_store_shows_many,
        test_store_replaces_the_stale_only,
        test_store_replaces_in_a_batch,
        test_store_race_to_replace,
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        tcase_add_loop_test(tcase, cases[i], 0, backends_len);
    }
}
