/* SPDX-License-Identifier: MIT */
/* The contract of worker/store/store.h for the backends without a server, and their common behaviour beyond it. */
#include "tests/unit/rig/store_contract.h"
#include "tests/unit/rig/suite.h"

static const char *const backends[] = {"memory", "lmdb"};

flk_store_options_t backend_options(int backend) {
    return options_for(backends[backend]);
}

/* An outcome is there until its time to live is over, not a millisecond less or more; then another may be put. */
START_TEST(test_store_forgets_after_ttl) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "old", &item));
    pass_ms(59999);
    ck_assert(lookup_one(store, 1, &item));
    ck_assert(!put_one(store, 1, "new", &item));
    pass_ms(1);
    ck_assert(!lookup_one(store, 1, &item));
    flk_store_set_ttl(store, 1000);
    ck_assert(put_one(store, 1, "new", &item));
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "new"));
    pass_ms(1000);
    ck_assert(!lookup_one(store, 1, &item));
    flk_store_close(&store);
}
END_TEST

/* Outcomes outlive the process's last store on the backend, with their expiry. */
START_TEST(test_store_restart_keeps_outcomes) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "kept", &item));
    pass_ms(30000);
    ck_assert(put_one(store, 2, "kept longer", &item));
    flk_store_close(&store);

    store = open_backend(_i);
    ck_assert(lookup_one(store, 1, &item) && item_is(&item, "kept"));
    ck_assert(!put_one(store, 2, "other", &item) && item_is(&item, "kept longer"));
    flk_store_close(&store);

    pass_ms(30000);
    store = open_backend(_i);
    ck_assert(!lookup_one(store, 1, &item));
    ck_assert(lookup_one(store, 2, &item));
    flk_store_close(&store);
}
END_TEST

/* The directory belongs to its owner alone, and so does every file in it. */
START_TEST(test_store_files_are_private) {
    flk_store_t *store = open_backend(_i);
    flk_store_item_t item;
    ck_assert(put_one(store, 1, "x", &item));
    flk_store_close(&store);
    char command[160];
    snprintf(command, sizeof command, "test -z \"$(find %s/store -type d ! -perm 700 -o -type f ! -perm 600)\"", dir);
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* A directory that cannot be made stops the opening with a line that names it. */
START_TEST(test_store_refuses_a_bad_directory) {
    char path[96];
    snprintf(path, sizeof path, "%s/file", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fclose(file);
    flk_store_options_t options = options_for(backends[_i]);
    options.data_dir = path;
    flk_store_t *store;
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_IO);
    ck_assert_ptr_null(store);
    ck_assert_ptr_nonnull(strstr(errmsg, path));
}
END_TEST

/* A backend that does not exist is a wrong setting. */
START_TEST(test_store_refuses_an_unknown_backend) {
    flk_store_options_t options = options_for("tape");
    flk_store_t *store;
    ck_assert_int_eq(flk_store_open(&options, &store, errmsg), FLK_E_CONFIG);
    ck_assert_ptr_nonnull(strstr(errmsg, "tape"));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("store");
    TCase *tcase = tcase_create("contract");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_set_timeout(tcase, 600);
    add_store_contract(tcase, (int)FLK_COUNT_OF(backends));
    const TTest *const cases[] = {
        test_store_forgets_after_ttl,
        test_store_restart_keeps_outcomes,
        test_store_files_are_private,
        test_store_refuses_a_bad_directory,
    };
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        tcase_add_loop_test(tcase, cases[i], 0, (int)FLK_COUNT_OF(backends));
    }
    tcase_add_test(tcase, test_store_refuses_an_unknown_backend);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
