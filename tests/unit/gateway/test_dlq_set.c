/* SPDX-License-Identifier: MIT */
#include "gateway/dlq_set.h"

#include <string.h>

#include "tests/unit/rig/suite.h"

/* Ids that crowd around few places, several digests for each. */
static flk_dlq_key_t key_of(uint32_t n) {
    flk_dlq_key_t key = {{0}, {0}};
    const uint32_t id = 1 + n / 5;
    key.pcs_id[0] = (uint8_t)(id % 7);
    memcpy(key.pcs_id + 8, &id, sizeof id);
    memcpy(key.digest, &n, sizeof n);
    return key;
}

/* The set holds exactly the keys that were put in and not taken out, however it grew and in any order of leaving; an id
 * is known for as long as one of its digests is. */
START_TEST(test_dlq_set_add_and_remove) {
    enum { KEYS = 300 };
    flk_dlq_set_t set = {0};
    for (uint32_t n = 0; n < KEYS; n++) {
        const flk_dlq_key_t key = key_of(n);
        ck_assert(!flk_dlq_set_contains(&set, &key));
        ck_assert_int_eq(flk_dlq_set_add(&set, &key), FLK_OK);
        ck_assert_int_eq(flk_dlq_set_add(&set, &key), FLK_OK);
        ck_assert_uint_eq(atomic_load(&set.len), n + 1);
    }
    for (uint32_t step = 0; step < 5; step++) {
        for (uint32_t n = step; n < KEYS; n += 5) {
            const flk_dlq_key_t key = key_of(n);
            ck_assert(flk_dlq_set_has_id(&set, key.pcs_id));
            flk_dlq_set_remove(&set, &key);
            flk_dlq_set_remove(&set, &key);
        }
        for (uint32_t n = 0; n < KEYS; n++) {
            const flk_dlq_key_t key = key_of(n);
            ck_assert(flk_dlq_set_contains(&set, &key) == (n % 5 > step));
            ck_assert(flk_dlq_set_has_id(&set, key.pcs_id) == (step < 4));
        }
    }
    ck_assert_uint_eq(atomic_load(&set.len), 0);
    flk_dlq_set_fini(&set);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dlq_set");
    TCase *tcase = tcase_create("dlq_set");
    tcase_add_test(tcase, test_dlq_set_add_and_remove);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
