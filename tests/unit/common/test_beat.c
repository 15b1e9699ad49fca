/* SPDX-License-Identifier: MIT */
#include "common/beat.h"
#include "tests/unit/rig/suite.h"

/* A process lives while each of its loops has turned within its own bound; the first that has not is named with its
 * time. */
START_TEST(test_beat_names_the_loop_that_hangs) {
    static flk_beat_t fast, slow;
    char why[FLK_ERRMSG_BYTES];
    ck_assert(flk_beats_alive(flk_mono_ms(), why)); /* no loop at all */
    flk_beat_start(&fast, "relay", 10000);
    flk_beat_start(&slow, "log's writer", 30000);
    flk_beat_turn(&fast, 100000);
    flk_beat_turn(&slow, 100000);
    ck_assert(flk_beats_alive(110000, why));
    ck_assert(!flk_beats_alive(112500, why));
    ck_assert_str_eq(why, "the relay has not turned for 12 s");
    flk_beat_turn(&fast, 131000);
    ck_assert(!flk_beats_alive(131000, why));
    ck_assert_str_eq(why, "the log's writer has not turned for 31 s");
    ck_assert(flk_beats_alive(90000, NULL)); /* the look was before the turn */
    flk_beat_stop(&slow);
    ck_assert(flk_beats_alive(131000, NULL));
    flk_beat_stop(&fast);
    flk_beat_stop(&fast);
    ck_assert(flk_beats_alive(999999, NULL));
}
END_TEST

/* A loop that just began counts as turning, and one that ended is asked no more, in any order. */
START_TEST(test_beat_begins_and_ends) {
    static flk_beat_t beats[3];
    for (int i = 0; i < 3; i++) {
        flk_beat_start(&beats[i], "loop", 1000);
    }
    ck_assert(flk_beats_alive(flk_mono_ms(), NULL));
    flk_beat_stop(&beats[1]);
    flk_beat_stop(&beats[2]);
    ck_assert(!flk_beats_alive(flk_mono_ms() + 5000, NULL));
    flk_beat_stop(&beats[0]);
    ck_assert(flk_beats_alive(flk_mono_ms() + 5000, NULL));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("beat");
    TCase *tcase = tcase_create("beat");
    tcase_add_test(tcase, test_beat_names_the_loop_that_hangs);
    tcase_add_test(tcase, test_beat_begins_and_ends);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
