/* SPDX-License-Identifier: MIT */
/* The agent's outbox when the n-th system call or allocation fails: a PCS that it called durable is delivered, answered
 * or buried, once. */
#include "tests/unit/rig/fail_nth.h"
#include "tests/unit/rig/wal_fixture.h"

#include "agent/send/outbox.h"
#include "tests/unit/rig/pcs_maker.h"

enum { LETTERS = 12 };

/* The orders to the outbox, and its answers. */
typedef struct life {
    bool durable[LETTERS], settled[LETTERS], buried[LETTERS];
} life_t;

static char *json_of(uint64_t number, size_t *bytes) {
    flk_pcs_t pcs;
    char *json;
    pcs_make(number, 0.5, &pcs);
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, bytes), FLK_OK);
    flk_pcs_fini(&pcs);
    return json;
}

/* The letters are made before anything is armed. */
static struct {
    char *json;
    size_t bytes;
} letters[LETTERS];

static char *copy_of(int number) {
    char *json = __real_malloc(letters[number].bytes + 1);
    memcpy(json, letters[number].json, letters[number].bytes + 1);
    return json;
}

static flk_settings_t *settings;

static void append_all(flk_outbox_t *outbox, life_t *life) {
    for (int i = 0; i < LETTERS; i++) {
        char *json = copy_of(i);
        if (flk_outbox_append(outbox, FLK_RECORD_READY, json, letters[i].bytes) != FLK_OK) {
            free(json);
            continue;
        }
        while (flk_outbox_syncing(outbox) > 0) { /* no ck_assert while something is armed: it allocates */
            usleep(100);
        }
        if (flk_outbox_fault(outbox) != FLK_OK) {
            return; /* as the agent does: it takes no more input */
        }
        life->durable[i] = true;
    }
}

static void answer_all(flk_outbox_t *outbox, life_t *life) {
    uint64_t unreadable = 0;
    flk_parcel_t *parcel;
    flk_err_t err;
    for (int turn = 0; turn < 4 * LETTERS && (err = flk_outbox_next(outbox, &parcel, &unreadable)) != FLK_E_NOT_FOUND;
         turn++) {
        if (err != FLK_OK) {
            continue;
        }
        size_t number = (size_t)parcel->pcs.epoch;
        FLK_ASSERT(number < LETTERS);
        if (number % 3 == 0) {
            flk_outbox_settle(outbox, parcel, 200);
            life->settled[number] = true;
        } else if (number % 3 == 1) {
            life->buried[number] = flk_outbox_bury(outbox, parcel, "refused", 400, errmsg) == FLK_OK;
        }
        flk_parcel_destroy(&parcel);
    }
    (void)!flk_outbox_flush(outbox, errmsg);
}

static void live(life_t *life) {
    flk_outbox_t *outbox = NULL;
    if (flk_outbox_open(settings, FLK_OUTBOX_PENDING, &outbox, errmsg) == FLK_OK) {
        append_all(outbox, life);
        answer_all(outbox, life);
        flk_outbox_close(&outbox);
    }
}

/* How often each letter is in a log. */
static void count_letters(flk_outbox_source_t from, unsigned counts[LETTERS]) {
    flk_outbox_t *outbox = NULL;
    flk_parcel_t *parcel;
    uint64_t unreadable = 0;
    ck_assert_msg(flk_outbox_open(settings, from, &outbox, errmsg) == FLK_OK, "%s", errmsg);
    while (flk_outbox_next(outbox, &parcel, &unreadable) == FLK_OK) {
        ck_assert_uint_lt(parcel->pcs.epoch, LETTERS);
        counts[parcel->pcs.epoch]++;
        flk_parcel_destroy(&parcel);
    }
    ck_assert_uint_eq(unreadable, 0);
    flk_outbox_close(&outbox);
}

static void check_life(const life_t *life, const char *what, unsigned n) {
    unsigned pending[LETTERS] = {0}, dead[LETTERS] = {0};
    count_letters(FLK_OUTBOX_PENDING, pending);
    count_letters(FLK_OUTBOX_DEAD, dead);
    for (int i = 0; i < LETTERS; i++) {
        ck_assert_msg(pending[i] <= 1, "%s %u: letter %d is there %u times", what, n, i, pending[i]);
        ck_assert_msg(!life->durable[i] || life->settled[i] || pending[i] + dead[i] > 0, "%s %u: letter %d was lost",
                      what, n, i);
        ck_assert_msg(!life->buried[i] || dead[i] > 0, "%s %u: dead letter %d was lost", what, n, i);
        ck_assert_msg(dead[i] == 0 || i % 3 == 1, "%s %u: letter %d was not to be buried", what, n, i);
    }
}

static void fail_each(fail_kind_t kind, unsigned times, const char *what) {
    unsigned n = 0, hits = 1;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s/*", dir);
    while (hits > 0) {
        life_t life = {0};
        n++;
        fail_arm(kind, n, times);
        live(&life);
        hits = fail_disarm();
        check_life(&life, what, n);
        ck_assert_int_eq(system(command), 0);
    }
    printf("outbox, %s: %u calls failed in turn\n", what, n - 1);
    ck_assert_uint_gt(n, 20);
}

/* Any call fails while letters are taken in, answered and buried: each durable one is in one of the two logs. */
START_TEST(test_outbox_any_call_may_fail) {
    ck_assert_int_eq(setenv("FLK_DATA_DIR", dir, 1), 0);
    ck_assert_int_eq(setenv("FLK_WAL_SEGMENT_BYTES", "65536", 1), 0);
    ck_assert_int_eq(setenv("FLK_WAL_LOW_WATER_BYTES", "1048576", 1), 0);
    ck_assert_int_eq(setenv("FLK_LOG_LEVEL", "error", 1), 0);
    ck_assert_msg(flk_settings_load(FLK_PROGRAM_AGENT, &settings, errmsg) == FLK_OK, "%s", errmsg);
    for (int i = 0; i < LETTERS; i++) {
        letters[i].json = json_of((uint64_t)i, &letters[i].bytes);
    }
    fail_each(FAIL_EIO, 1, "EIO");
    fail_each(FAIL_ENOSPC, 8, "ENOSPC eight times");
    fail_each(FAIL_EINTR, 1, "EINTR");
    fail_each(FAIL_SHORT, 1, "half done");
    fail_each(FAIL_ALLOCATION, 1, "no memory");
    for (int i = 0; i < LETTERS; i++) {
        free(letters[i].json);
    }
    flk_settings_destroy(&settings);
}
END_TEST

int main(void) {
    TCase *tcase = tcase_create("outbox: fail the n-th");
    tcase_add_test(tcase, test_outbox_any_call_may_fail);
    return run_suite(tcase);
}
