/* SPDX-License-Identifier: MIT */
/* flk-replay over logs that the test wrote, with marks of its own choice. */
#include "gateway/replay/verbs.h"
#include "proto/inbox_format.h"
#include "tests/unit/rig/pcs_maker.h"
#include "tests/unit/rig/wal_fixture.h"

static flk_settings_t *settings;
static char said[65536]; /* standard output of the last verb */

static uint64_t put(flk_wal_t *wal, uint64_t n, double coh_star) {
    flk_pcs_t pcs;
    uint8_t body[4096];
    uint64_t lsn;
    pcs_make(n, coh_star, &pcs);
    ck_assert_uint_le(flk_pcs_msgpack_bound(&pcs), sizeof body);
    uint32_t bytes = (uint32_t)flk_pcs_to_msgpack(&pcs, body);
    ck_assert_int_eq(flk_wal_append_wait(wal, FLK_BODY_MSGPACK, body, bytes, &lsn, errmsg), FLK_OK);
    return lsn;
}

static void mark(flk_wal_t *wal, uint64_t lsn, uint16_t status, uint16_t flags, uint32_t reasons) {
    ck_assert(flk_wal_ack(wal, lsn, (flk_wal_mark_t){.status = status, .flags = flags, .detail = reasons}));
}

static flk_wal_t *make_log(const char *name) {
    flk_wal_t *wal = NULL;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    flk_wal_options_t options = {.dir = path, .low_water_bytes = 1};
    ck_assert_msg(flk_wal_open(&options, &wal, errmsg) == FLK_OK, "%s", errmsg);
    return wal;
}

/* Runs the verb with its output kept in `said`. */
static int run(flk_verb_t verb, flk_filter_t filter, const char *name) {
    char path[PATH_MAX];
    flk_replay_options_t options = {.verb = verb, .json = true, .filter = filter};
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *terminal = stdout;
    stdout = fmemopen(said, sizeof said, "w");
    ck_assert_ptr_nonnull(stdout);
    int status = verb == FLK_VERB_AUDIT   ? flk_replay_audit(&options, settings, path)
                 : verb == FLK_VERB_STATS ? flk_replay_stats(&options, path)
                                          : flk_replay_dlq(&options, path);
    fclose(stdout);
    stdout = terminal;
    return status;
}

static void assert_said(const char *words) {
    ck_assert_msg(strstr(said, words) != NULL, "%s is not in %s", words, said);
}

static const uint32_t degraded = 1u << FLK_REASON_DEGRADED, dead = 1u << FLK_REASON_DEAD_LETTER;

/* Answers that the rules give are no differences: first, duplicate, conflict with other content, dead letter, no answer
 * yet. A duplicate of a record in another log is unproven. */
START_TEST(test_replay_audit_agrees) {
    flk_wal_t *wal = make_log("inbox");
    mark(wal, put(wal, 1, 0.5), 200, 0, 0);
    mark(wal, put(wal, 1, 0.5), 200, FLK_FLAG_DUPLICATE, 0);
    mark(wal, put(wal, 1, 0.6), 200, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT, 0);
    mark(wal, put(wal, 2, 0.5), 202, FLK_FLAG_DEAD_LETTER, dead);
    mark(wal, put(wal, 3, 0.5), 200, FLK_FLAG_DUPLICATE, 0);
    mark(wal, put(wal, 4, 1.5), 202, 0, 1u << FLK_REASON_COH_STAR_OUT_OF_BOUNDS);
    mark(wal, put(wal, 5, 1.5), 202, 0, 0); /* of before reasons were kept */
    (void)put(wal, 6, 0.5);
    flk_wal_close(&wal);
    ck_assert_int_eq(run(FLK_VERB_AUDIT, (flk_filter_t){0}, "inbox"), FLK_EXIT_OK);
    assert_said("\"records\":8,\"agree\":6,\"differences\":0,\"unacked\":1,\"unproven\":1,\"dead_letters\":1");
}
END_TEST

/* Each kind of wrong mark is a difference of its own, and only of the records that the filter asks for. */
START_TEST(test_replay_audit_differs) {
    flk_wal_t *wal = make_log("inbox");
    mark(wal, put(wal, 1, 0.5), 202, 0, degraded); /* is a 200 */
    mark(wal, put(wal, 2, 1.5), 202, 0, degraded); /* for another reason */
    mark(wal, put(wal, 3, 0.5), 401, 0, 0);        /* signing is off */
    uint64_t right = put(wal, 4, 0.5);
    mark(wal, right, 200, 0, 0);
    mark(wal, put(wal, 4, 0.5), 200, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT, 0); /* the same content */
    mark(wal, put(wal, 4, 0.6), 200, FLK_FLAG_DUPLICATE, 0);                     /* other content */
    mark(wal, put(wal, 4, 0.5), 202, FLK_FLAG_DUPLICATE, degraded);              /* unlike the first one's */
    mark(wal, put(wal, 5, 0.5), 200, FLK_FLAG_DEAD_LETTER, 0);                   /* a dead letter is a 202 */
    mark(wal, put(wal, 6, 0.5), 200, FLK_FLAG_CONFLICT, 0);                      /* with nothing */
    flk_wal_close(&wal);
    ck_assert_int_eq(run(FLK_VERB_AUDIT, (flk_filter_t){0}, "inbox"), FLK_EXIT_FAILED);
    assert_said("\"records\":9,\"agree\":1,\"differences\":8,");
    ck_assert_int_eq(run(FLK_VERB_AUDIT, (flk_filter_t){.lsn = right}, "inbox"), FLK_EXIT_OK);
    ck_assert_int_eq(run(FLK_VERB_AUDIT, (flk_filter_t){.status = 401}, "inbox"), FLK_EXIT_FAILED);
    assert_said("\"records\":1,\"agree\":0,\"differences\":1,");
}
END_TEST

/* A body that is no PCS must have been answered 400. */
START_TEST(test_replay_audit_malformed) {
    flk_wal_t *wal = make_log("inbox");
    uint64_t right, wrong;
    ck_assert_int_eq(flk_wal_append_wait(wal, FLK_BODY_JSON, "{", 1, &right, errmsg), FLK_OK);
    ck_assert_int_eq(flk_wal_append_wait(wal, FLK_BODY_JSON, "{", 1, &wrong, errmsg), FLK_OK);
    mark(wal, right, 400, 0, 0);
    mark(wal, wrong, 200, 0, 0);
    flk_wal_close(&wal);
    ck_assert_int_eq(run(FLK_VERB_AUDIT, (flk_filter_t){0}, "inbox"), FLK_EXIT_FAILED);
    assert_said("\"agree\":1,\"differences\":1,");
}
END_TEST

/* dlq purge takes out the matches of the filter; dlq replay moves the rest into the inbox, where it waits un-acked. */
START_TEST(test_replay_dead_letters_moved) {
    char id[FLK_PCS_ID_HEX + 1];
    flk_pcs_t pcs;
    flk_wal_t *queue = make_log("dlq"), *inbox = make_log("inbox");
    for (uint64_t n = 1; n <= 3; n++) {
        (void)put(queue, n, 0.5);
    }
    pcs_make(2, 0.5, &pcs);
    strcpy(id, pcs.id);
    const flk_filter_t waiting = {.unacked = true}, second = {.unacked = true, .id = id};
    ck_assert_int_eq(run(FLK_VERB_DLQ_PURGE, second, "dlq"), FLK_EXIT_FAILED); /* its owner is here */
    flk_wal_close(&queue);
    ck_assert_int_eq(run(FLK_VERB_DLQ_REPLAY, waiting, "dlq"), FLK_EXIT_FAILED); /* the inbox' owner is */
    flk_wal_close(&inbox);
    ck_assert_int_eq(run(FLK_VERB_DLQ_PURGE, second, "dlq"), FLK_EXIT_OK);
    assert_said("\"purged\":1");
    ck_assert_int_eq(run(FLK_VERB_DLQ_REPLAY, waiting, "dlq"), FLK_EXIT_OK);
    assert_said("\"replayed\":2");
    ck_assert_int_eq(run(FLK_VERB_STATS, waiting, "dlq"), FLK_EXIT_OK);
    assert_said("\"records\":0");
    ck_assert_int_eq(run(FLK_VERB_STATS, waiting, "inbox"), FLK_EXIT_OK);
    assert_said("\"records\":2,\"unacked\":2,");
}
END_TEST

/* A moment is told by date, with and without time and zone, by Unix seconds, or by how long ago it was. */
START_TEST(test_replay_filter_time) {
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } rows[] = {{"1970-01-02", 86400000},
                {"1970-01-01T00:01:00Z", 60000},
                {"1970-01-01T01:01:00.5+01:00", 60000},
                {"1969-12-31T23:01:00-01:00", 60000},
                {"60", 60000},
                {"60s", 940000},
                {"1m", 940000},
                {"1x", -1},
                {"", -1},
                {"soon", -1},
                {"1970-01-01T00", -1},
                {"1970-13-01", -1},
                {"1970-01-01T00:01:00+01", -1},
                {"99999999999999999999", -1}};
    for (size_t i = 0; i < FLK_COUNT_OF(rows); i++) {
        int64_t ms = -1;
        bool read = flk_filter_parse_time(rows[i].text, 1000000, &ms);
        ck_assert_msg(read == (rows[i].ms >= 0) && ms == rows[i].ms, "%s: %lld", rows[i].text, (long long)ms);
    }
}
END_TEST

int main(void) {
    FLK_ASSERT(flk_settings_load(FLK_PROGRAM_REPLAY, &settings, errmsg) == FLK_OK);
    TCase *tcase = tcase_create("replay");
    tcase_add_test(tcase, test_replay_audit_agrees);
    tcase_add_test(tcase, test_replay_audit_differs);
    tcase_add_test(tcase, test_replay_audit_malformed);
    tcase_add_test(tcase, test_replay_dead_letters_moved);
    tcase_add_test(tcase, test_replay_filter_time);
    int status = run_suite(tcase);
    flk_settings_destroy(&settings);
    return status;
}
