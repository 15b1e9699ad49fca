/* SPDX-License-Identifier: MIT */
/* Codec, stores and the policy's loader when the n-th allocation or system call fails: an error
 * that says so, no leak, no half-made result, and a store keeps all that it took. */
#include "tests/unit/rig/fail_nth.h"

#include <jansson.h>

#include "common/pcs/policy/load.h"
#include "tests/unit/rig/pcs_maker.h"
#include "tests/unit/rig/store_fixture.h"
#include "tests/unit/rig/suite.h"

typedef flk_err_t attempt_fn(void); /* once; nothing is left over after any answer. No ck_assert: it allocates. */

/* Until it passes without a hit. With a hit it may pass, if the failed call was not needed, else it answers
 * `expected`. */
static void fail_each(attempt_fn *attempt, fail_kind_t kind, flk_err_t expected, unsigned calls_min, const char *what) {
    unsigned n = 0, hits = 1;
    while (hits > 0) {
        fail_arm(kind, ++n, 1);
        flk_err_t err = attempt();
        hits = fail_disarm();
        ck_assert_msg(err == FLK_OK || (hits > 0 && err == expected), "%s %u: %s", what, n, flk_err_text(err));
    }
    printf("%s: %u calls failed in turn\n", what, n - 1);
    ck_assert_uint_ge(n - 1, calls_min);
}

/* ---- codec ---- */

static char *json;
static size_t json_bytes, msgpack_bytes;
static uint8_t msgpack[4096];

static void make_bodies(void) {
    static double v_star[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    flk_pcs_t pcs;
    pcs_make(1, 0.5, &pcs);
    pcs.v_star = malloc(sizeof v_star);
    memcpy(pcs.v_star, v_star, sizeof v_star);
    pcs.v_star_len = FLK_COUNT_OF(v_star);
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
    ck_assert_uint_le(flk_pcs_msgpack_bound(&pcs), sizeof msgpack);
    msgpack_bytes = flk_pcs_to_msgpack(&pcs, msgpack);
    flk_pcs_fini(&pcs);
}

static flk_err_t through_json(void) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    char *again = NULL;
    size_t again_bytes = 0;
    flk_err_t err = flk_pcs_from_json(json, json_bytes, &pcs, &fault);
    if (err == FLK_OK) {
        err = flk_pcs_to_json(&pcs, &again, &again_bytes);
        FLK_ASSERT(err != FLK_OK || (again_bytes == json_bytes && memcmp(again, json, json_bytes) == 0));
        if (err == FLK_OK) {
            free(again);
        }
        flk_pcs_fini(&pcs);
    }
    return err;
}

static flk_err_t through_msgpack(void) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    if (reader == NULL) {
        return FLK_E_NOMEM;
    }
    flk_err_t err = flk_pcs_from_msgpack(reader, msgpack, msgpack_bytes, &pcs, &fault);
    if (err == FLK_OK) {
        uint8_t again[sizeof msgpack];
        size_t bytes = flk_pcs_to_msgpack(&pcs, again);
        FLK_ASSERT(bytes == msgpack_bytes && memcmp(again, msgpack, bytes) == 0);
        flk_pcs_fini(&pcs);
    }
    flk_pcs_reader_destroy(&reader);
    return err;
}

/* Memory that is missing is FLK_E_NOMEM, and leaves nothing behind. */
START_TEST(test_codec_any_allocation_may_fail) {
    make_bodies();
    fail_each(through_json, FAIL_ALLOCATION, FLK_E_NOMEM, 1, "JSON");
    fail_each(through_msgpack, FAIL_ALLOCATION, FLK_E_NOMEM, 1, "msgpack");
    free(json);
}
END_TEST

/* ---- policy ---- */

static flk_err_t load_policy(void) {
    static char path[96];
    flk_policy_t policy;
    snprintf(path, sizeof path, "%s/policy.json", dir);
    return flk_policy_load(path, &policy, errmsg);
}

/* A policy that cannot be read whole is refused. Settings and keys need no loop: flk_start_alloc gives their memory, or
 * ends the process with a line. */
START_TEST(test_policy_any_call_may_fail) {
    char path[96];
    snprintf(path, sizeof path, "%s/policy.json", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs("{\"version\":\"v9\",\"base\":0.2}", file);
    ck_assert_int_eq(fclose(file), 0);
    fail_each(load_policy, FAIL_ALLOCATION, FLK_E_CONFIG, 1, "policy, no memory");
    fail_each(load_policy, FAIL_EIO, FLK_E_CONFIG, 2, "policy, EIO");
    fail_each(load_policy, FAIL_SHORT, FLK_OK, 1, "policy, half done");
}
END_TEST

/* ---- stores ---- */

enum { ITEMS = 16 };

/* Opens, puts, looks up, closes; `took` has the outcomes that the store answered FLK_OK for. */
static void use_store(const flk_store_options_t *options, bool took[ITEMS]) {
    flk_store_t *store = NULL;
    if (flk_store_open(options, &store, errmsg) != FLK_OK) {
        return;
    }
    for (uint64_t n = 0; n < ITEMS; n++) {
        char value[32];
        snprintf(value, sizeof value, "value %d", (int)n);
        flk_store_item_t item = item_of(n, value), *batch = &item;
        took[n] = flk_store_put(store, &batch, 1, errmsg) == FLK_OK;
        item = (flk_store_item_t){0};
        item_key(&item, n);
        bool found = flk_store_lookup(store, &batch, 1, errmsg) == FLK_OK && item.found;
        FLK_ASSERT(!found || item_is(&item, value));
        took[n] = took[n] && (!found || item_is(&item, value));
    }
    flk_store_close(&store);
}

/* The outcomes that the store had taken are there when it is opened on a working machine. The memory store keeps
 * nothing beyond its last snapshot, which may have failed: `all` is false then. */
static void check_store(const flk_store_options_t *options, const bool took[ITEMS], bool all, unsigned n) {
    flk_store_t *store = open_with(options);
    for (uint64_t key = 0; key < ITEMS; key++) {
        char value[32];
        snprintf(value, sizeof value, "value %d", (int)key);
        flk_store_item_t item = {0}, *batch = &item;
        item_key(&item, key);
        ck_assert_int_eq(flk_store_lookup(store, &batch, 1, errmsg), FLK_OK);
        ck_assert_msg(item.found || !all || !took[key], "%s %u: %d was lost", options->backend, n, (int)key);
        ck_assert_msg(!item.found || item_is(&item, value), "%s %u: %d is wrong", options->backend, n, (int)key);
    }
    flk_store_close(&store);
}

static void fail_each_of_store(const char *backend, fail_kind_t kind, const char *what) {
    const flk_store_options_t options = options_for(backend);
    const bool all = strcmp(backend, "lmdb") == 0;
    unsigned n = 0, hits = 1;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s/store", dir);
    while (hits > 0) {
        bool took[ITEMS] = {false};
        fail_arm(kind, ++n, 1);
        use_store(&options, took);
        hits = fail_disarm();
        check_store(&options, took, all || hits == 0, n);
        ck_assert_int_eq(system(command), 0);
    }
    printf("%s, %s: %u calls failed in turn\n", backend, what, n - 1);
    ck_assert_uint_gt(n, 2);
}

/* Outcomes that a store took on the way it has afterwards; refused ones it may have. */
START_TEST(test_store_any_call_may_fail) {
    fail_each_of_store("memory", FAIL_ALLOCATION, "no memory");
    fail_each_of_store("memory", FAIL_EIO, "EIO");
    fail_each_of_store("memory", FAIL_ENOSPC, "ENOSPC");
    fail_each_of_store("lmdb", FAIL_ALLOCATION, "no memory");
    fail_each_of_store("lmdb", FAIL_EIO, "EIO");
}
END_TEST

int main(void) {
    json_set_alloc_funcs(__wrap_malloc, free);
    Suite *suite = suite_create("fail the n-th");
    TCase *tcase = tcase_create("parts");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 240);
    tcase_add_test(tcase, test_codec_any_allocation_may_fail);
    tcase_add_test(tcase, test_policy_any_call_may_fail);
    tcase_add_test(tcase, test_store_any_call_may_fail);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
