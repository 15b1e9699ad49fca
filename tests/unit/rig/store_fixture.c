/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/store_fixture.h"

char dir[64];
char errmsg[FLK_ERRMSG_BYTES];
int64_t now_ms;

int64_t test_clock(void) {
    return __atomic_load_n(&now_ms, __ATOMIC_RELAXED);
}

void pass_ms(int64_t ms) {
    __atomic_fetch_add(&now_ms, ms, __ATOMIC_RELAXED);
}

void setup(void) {
    snprintf(dir, sizeof dir, "/tmp/flk-store-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    now_ms = START_MS;
}

void teardown(void) {
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    ck_assert_int_eq(system(command), 0);
}

flk_store_options_t options_for(const char *backend) {
    return (flk_store_options_t){
        .backend = backend,
        .data_dir = dir,
        .ttl_ms = 60000,
        .timeout_ms = 10000,
        .lmdb_map_bytes = 1 << 20,
        .snapshot_ms = 3600000,
        .clock = test_clock,
    };
}

flk_store_t *open_with(const flk_store_options_t *options) {
    flk_store_t *store;
    ck_assert_msg(flk_store_open(options, &store, errmsg) == FLK_OK, "%s", errmsg);
    return store;
}

void item_key(flk_store_item_t *item, uint64_t n) {
    for (size_t i = 0; i < FLK_STORE_KEY_BYTES; i++) {
        item->key[i] = (uint8_t)(n >> (8 * (i % 8)));
    }
}

flk_store_item_t item_of(uint64_t n, const char *value) {
    flk_store_item_t item = {.value_bytes = (uint16_t)strlen(value)};
    item_key(&item, n);
    memcpy(item.value, value, item.value_bytes);
    return item;
}

bool item_is(const flk_store_item_t *item, const char *value) {
    return item->value_bytes == strlen(value) && memcmp(item->value, value, item->value_bytes) == 0;
}

bool put_one(flk_store_t *store, uint64_t n, const char *value, flk_store_item_t *item) {
    *item = item_of(n, value);
    flk_err_t err = flk_store_put(store, &item, 1, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return !item->found;
}

bool lookup_one(flk_store_t *store, uint64_t n, flk_store_item_t *item) {
    *item = (flk_store_item_t){0};
    item_key(item, n);
    flk_err_t err = flk_store_lookup(store, &item, 1, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
    return item->found;
}
