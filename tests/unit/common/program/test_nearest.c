/* SPDX-License-Identifier: MIT */
#include "common/program/nearest.h"

#include <stdlib.h>

#include "common/base.h"
#include "tests/unit/rig/suite.h"

static const char *const names[] = {"up",     "status", "demo", "submit",   "doctor",  "wal",
                                    "worker", "store",  "dlq",  "settings", "gateway", NULL};

static const char *name_of(const void *list, size_t index) {
    return ((const char *const *)list)[index];
}

/* A mistyped name gets the one that it is nearest to, a begun one the only one that begins so, and nonsense none. */
START_TEST(test_nearest_names) {
    static const char *const pairs[][2] = {
        {"stauts", "status"}, {"sta", "status"},        {"wokrer", "worker"}, {"wall", "wal"},       {"upp", "up"},
        {"dcotor", "doctor"}, {"sett", "settings"},     {"s", NULL},          {"x", NULL},           {"", NULL},
        {"st", NULL},         {"something else", NULL}, {"dl", "dlq"},        {"gatewya", "gateway"}};
    for (size_t i = 0; i < FLK_COUNT_OF(pairs); i++) {
        const char *nearest = flk_nearest(pairs[i][0], name_of, names);
        if (pairs[i][1] == NULL) {
            ck_assert_msg(nearest == NULL, "%s: %s", pairs[i][0], nearest);
        } else {
            ck_assert_str_eq(nearest, pairs[i][1]);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("nearest");
    TCase *tests = tcase_create("nearest");
    tcase_add_test(tests, test_nearest_names);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
