/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/worker_fixture.h"
#include "common/pcs/keyring_load.h"

char errmsg[FLK_ERRMSG_BYTES];

flk_rules_t *rules_of(const char *version) {
    flk_rules_t *rules = flk_start_alloc(sizeof *rules);
    ck_assert_int_eq(
        flk_keyring_new(&(flk_keyring_options_t){.alg = FLK_SIGN_HMAC, .hmac_key = TEST_KEY}, &rules->keyring, errmsg),
        FLK_OK);
    flk_policy_default(&rules->policy);
    snprintf(rules->policy.version, sizeof rules->policy.version, "%s", version);
    rules->ttl_ms = 3600000;
    return rules;
}

void pcs_of(uint64_t n, double coh_star, flk_pcs_t *pcs) {
    pcs_make(n, coh_star, pcs);
    flk_signer_t *signer;
    ck_assert_int_eq(flk_signer_new(FLK_SIGN_HMAC, TEST_KEY, "", &signer, errmsg), FLK_OK);
    flk_signer_sign(signer, pcs);
    flk_signer_destroy(&signer);
}

void body_of_pcs(const flk_pcs_t *pcs, body_t *body) {
    ck_assert_uint_le(flk_pcs_msgpack_bound(pcs), sizeof body->data);
    body->bytes = flk_pcs_to_msgpack(pcs, body->data);
}

void body_of(uint64_t n, body_t *body) {
    flk_pcs_t pcs;
    pcs_of(n, 0.5, &pcs);
    body_of_pcs(&pcs, body);
}

flk_id_t submission(uint64_t n) {
    flk_id_t id;
    flk_id_from_lsn(42, n, &id);
    return id;
}

flk_table_t *told_table;
int told_lookups, told_puts, told_items; /* calls and items so far; atomic */
flk_err_t told_lookup_err, told_put_err; /* the answers of calls; atomic */
uint32_t told_block_ms;                  /* how long each call takes before that, or until it is told 0; atomic */

static void told_block(void) {
    uint64_t until_ms = flk_mono_ms() + __atomic_load_n(&told_block_ms, __ATOMIC_SEQ_CST);
    while (flk_mono_ms() < until_ms && __atomic_load_n(&told_block_ms, __ATOMIC_SEQ_CST) != 0) {
        poll(NULL, 0, 2);
    }
}

static flk_err_t told_lookup(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *why) {
    (void)store;
    __atomic_fetch_add(&told_lookups, 1, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&told_items, (int)items_len, __ATOMIC_SEQ_CST);
    told_block();
    for (size_t i = 0; i < items_len; i++) {
        flk_table_get(told_table, items[i], 0);
    }
    flk_errmsg(why, "told to fail");
    return __atomic_load_n(&told_lookup_err, __ATOMIC_SEQ_CST);
}

static flk_err_t told_put(flk_store_t *store, flk_store_item_t *const *items, size_t items_len, char *why) {
    (void)store;
    __atomic_fetch_add(&told_puts, 1, __ATOMIC_SEQ_CST);
    told_block();
    flk_err_t err = __atomic_load_n(&told_put_err, __ATOMIC_SEQ_CST);
    for (size_t i = 0; err == FLK_OK && i < items_len; i++) {
        ck_assert_int_eq(flk_table_put(told_table, items[i], 0, INT64_MAX), FLK_OK);
    }
    flk_errmsg(why, "told to fail");
    return err;
}

static flk_err_t told_health(flk_store_t *store, char *why) {
    (void)store;
    flk_errmsg(why, "told to fail");
    flk_err_t err = __atomic_load_n(&told_lookup_err, __ATOMIC_SEQ_CST);
    return err != FLK_OK ? err : __atomic_load_n(&told_put_err, __ATOMIC_SEQ_CST);
}

static void told_tick(flk_store_t *store, uint64_t mono_ms) {
    (void)store;
    (void)mono_ms;
}

static void told_close(flk_store_t *store) {
    free(store);
}

const flk_store_ops_t told_ops = {
    .name = "told",
    .close = told_close,
    .lookup = told_lookup,
    .put = told_put,
    .health = told_health,
    .tick = told_tick,
};

flk_store_t *told_store_new(void) {
    told_store_t *store = flk_start_alloc(sizeof *store);
    store->base.ops = &told_ops;
    return &store->base;
}

void told_setup(void) {
    ck_assert_int_ge(sodium_init(), 0);
    told_table = flk_table_new(UINT64_MAX);
    told_lookups = told_puts = told_items = 0;
    told_lookup_err = told_put_err = FLK_OK;
    told_block_ms = 0;
}

void told_teardown(void) {
    flk_table_destroy(&told_table);
}
