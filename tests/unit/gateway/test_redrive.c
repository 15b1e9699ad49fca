/* SPDX-License-Identifier: MIT */
/* Un-acked records get their verdict without a client: after a restart, after trouble, around unreadable places. */
#include <fcntl.h>
#include <glob.h>

#include "tests/unit/rig/gateway_rig.h"

enum { CREDIT = 1000, WINDOW = 256 };

/* ---- a log as an earlier life left it ---- */

static flk_wal_t *inbox_open(void) {
    char dir[96];
    flk_wal_t *wal;
    snprintf(dir, sizeof dir, "%s/inbox", rig.dir);
    flk_wal_options_t options = {.dir = dir, .low_water_bytes = 1, .segment_bytes_max = 1 << 20};
    ck_assert_msg(flk_wal_open(&options, &wal, errmsg) == FLK_OK, "%s", errmsg);
    return wal;
}

static void inbox_put(flk_wal_t *wal, uint8_t kind, const void *body, size_t body_bytes) {
    flk_err_t err = flk_wal_append_wait(wal, kind, body, (uint32_t)body_bytes, NULL, errmsg);
    ck_assert_msg(err == FLK_OK, "%s", errmsg);
}

static void inbox_put_pcs(flk_wal_t *wal, uint64_t n) {
    flk_pcs_t pcs;
    char *json;
    size_t json_bytes;
    pcs_make(n, 0.5, &pcs);
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
    flk_pcs_fini(&pcs);
    inbox_put(wal, FLK_BODY_JSON, json, json_bytes);
    free(json);
}

static void inbox_fill(size_t records) {
    flk_wal_t *wal = inbox_open();
    for (size_t i = 0; i < records; i++) {
        inbox_put_pcs(wal, i);
    }
    flk_wal_close(&wal);
}

/* ---- tests ---- */

/* After a restart each un-acked record is driven once, oldest first, no more than a window of them at once, beside new
 * submissions. */
START_TEST(test_redrive_after_restart) {
    enum { RECORDS = 3000 };
    inbox_fill(RECORDS);
    played_t *broker = rig_start_met(UINT32_MAX);
    ck_assert_uint_eq(rig_recovered(), RECORDS);
    uint64_t first = played_submit(broker);
    for (uint64_t i = 1; i < WINDOW; i++) {
        ck_assert_uint_eq(played_submit(broker), first + i);
    }
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
    flk_submission_t *client = http_post(RECORDS);
    uint64_t lsn = played_submit(broker);
    played_verdict(broker, lsn, 200, 0);
    http_wait(client, 200);
    for (uint64_t i = 0; i < RECORDS; i++) {
        played_verdict(broker, first + i, i % 2 ? 200 : 202, 0);
        if (i + WINDOW < RECORDS) {
            ck_assert_uint_eq(played_submit(broker), first + i + WINDOW);
        }
        ck_assert_uint_le(flk_relay_inflight(rig.gateway.relay), WINDOW);
    }
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(redriven) == RECORDS);
    RIG_WAIT(RIG_COUNT(accepted) == RECORDS / 2 + 1);
    RIG_WAIT(RIG_COUNT(escalated) == RECORDS / 2);
}
END_TEST

/* Records that cannot be verified now, more of them than a window, do not hold up those behind them. */
START_TEST(test_redrive_is_fair) {
    enum { STUCK = WINDOW + 100, RECORDS = STUCK + 50 };
    uint64_t settled = 0;
    inbox_fill(RECORDS);
    played_t *broker = rig_start_met(UINT32_MAX);
    for (uint64_t give_up_ms = flk_mono_ms() + RIG_DEADLINE_MS; settled < RECORDS - STUCK;) {
        ck_assert_uint_lt(flk_mono_ms(), give_up_ms);
        uint64_t lsn = played_submit(broker);
        if (lsn <= STUCK) {
            played_trouble(broker, FLK_UNAVAILABLE, lsn, 1);
        } else {
            played_verdict(broker, lsn, 200, 0);
            settled++;
        }
    }
    RIG_WAIT(rig_unacked() == STUCK);
}
END_TEST

/* In an outage the rests grow: records are tried again, less and less often; with the first verdict that is over. */
START_TEST(test_redrive_backs_off) {
    enum { RECORDS = 3, TRIES = 5 };
    uint64_t tried_ms[TRIES];
    inbox_fill(RECORDS);
    played_t *broker = rig_start_met(UINT32_MAX);
    for (unsigned i = 0; i < TRIES; i++) {
        tried_ms[i] = 0;
        for (unsigned k = 0; k < RECORDS; k++) {
            uint64_t lsn = played_submit(broker);
            tried_ms[i] = tried_ms[i] != 0 ? tried_ms[i] : flk_mono_ms();
            played_trouble(broker, FLK_UNAVAILABLE, lsn, 1);
        }
    }
    ck_assert_uint_ge(tried_ms[TRIES - 1] - tried_ms[TRIES - 2], 800); /* half of 1600 at least, the rest is chance */
    for (unsigned k = 0; k < RECORDS; k++) {
        played_verdict(broker, played_submit(broker), 200, 0);
    }
    RIG_WAIT(rig_unacked() == 0);
}
END_TEST

/* A record whose broker neither answers nor goes is sent again after sixty timeouts, whether its client waited or
 * the log drove it; the answer to either settles it. */
START_TEST(test_redrive_silent_broker) {
    rig_set("FLK_REQUEST_TIMEOUT_MS", 100);
    inbox_fill(1);
    played_t *broker = rig_start_met(CREDIT);
    const uint64_t driven = played_submit(broker);
    flk_submission_t *client = http_post(7);
    const uint64_t posted = played_submit(broker);
    http_wait(client, 503);
    const uint64_t first = played_submit(broker), second = played_submit(broker);
    ck_assert((first == driven && second == posted) || (first == posted && second == driven));
    played_verdict(broker, first, 200, 0);
    played_verdict(broker, second, 200, 0);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == 2);
}
END_TEST

/* A record that is no PCS by the rules of today, and one that was logged before it was found to be none, is settled
 * with a 400. */
START_TEST(test_redrive_malformed) {
    flk_wal_t *wal = inbox_open();
    inbox_put(wal, FLK_BODY_JSON, "{\"schema\":1}", 12);
    inbox_put(wal, FLK_BODY_MSGPACK, "\xc1", 1);
    inbox_put(wal, FLK_BODY_JSON, "", 0);
    inbox_put_pcs(wal, 1);
    flk_wal_close(&wal);
    played_t *broker = rig_start_met(CREDIT);
    played_verdict(broker, played_submit(broker), 200, 0);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(rejected_400) == 3);
    RIG_WAIT(RIG_COUNT(accepted) == 1);
}
END_TEST

/* A record of a kind that only a later version knows stays in the log and holds nobody up. */
START_TEST(test_redrive_unknown_kind) {
    flk_wal_t *wal = inbox_open();
    inbox_put(wal, 77, "later", 5);
    inbox_put_pcs(wal, 1);
    flk_wal_close(&wal);
    played_t *broker = rig_start_met(CREDIT);
    played_verdict(broker, played_submit(broker), 200, 0);
    RIG_WAIT(rig_unacked() == 1);
    RIG_WAIT(flk_gauge_value(rig.gateway.metrics.unreadable) == 1);
}
END_TEST

/* Flips a byte of the body of the n-th record, as found by its text. */
static void damage(const char *text) {
    static char content[1 << 20];
    char pattern[96];
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/inbox/*", rig.dir);
    ck_assert_int_eq(glob(pattern, 0, NULL, &found), 0);
    bool done = false;
    for (size_t i = 0; i < found.gl_pathc && !done; i++) {
        int fd = open(found.gl_pathv[i], O_RDWR | O_CLOEXEC);
        ssize_t bytes = read(fd, content, sizeof content);
        char *at = bytes > 0 ? memmem(content, (size_t)bytes, text, strlen(text)) : NULL;
        if (at != NULL) {
            ck_assert_int_eq(pwrite(fd, "#", 1, at - content), 1);
            done = true;
        }
        close(fd);
    }
    globfree(&found);
    ck_assert(done);
}

/* A record that the disk changed behind the log's back is passed over and reported; the others are driven. */
START_TEST(test_redrive_damaged) {
    enum { RECORDS = 5 };
    rig_set("FLK_REQUEST_TIMEOUT_MS", 100);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *clients[RECORDS];
    uint64_t lsns[RECORDS];
    for (unsigned i = 0; i < RECORDS; i++) {
        clients[i] = http_post(1000 + i);
        lsns[i] = played_submit(broker);
    }
    damage("\"epoch\":1002");
    for (unsigned i = 0; i < RECORDS; i++) {
        played_trouble(broker, FLK_UNAVAILABLE, lsns[i], 1);
        http_wait(clients[i], 503);
    }
    for (unsigned i = 0; i < RECORDS; i++) {
        if (i != 2) {
            ck_assert_uint_eq(played_submit(broker), lsns[i]);
            played_verdict(broker, lsns[i], 200, 0);
        }
    }
    RIG_WAIT(rig_unacked() == 1);
    RIG_WAIT(flk_gauge_value(rig.gateway.metrics.unreadable) >= 1);
    RIG_WAIT(RIG_COUNT(accepted) == RECORDS - 1);
}
END_TEST

/* A segment that cannot be read now does not keep those behind it from being driven, and is driven once it can be
 * read. */
START_TEST(test_redrive_io_error) {
    enum { BODY_BYTES = 600000 };
    static char large[BODY_BYTES];
    flk_wal_t *wal = inbox_open();
    inbox_put_pcs(wal, 1);
    memset(large, ' ', sizeof large);
    inbox_put(wal, FLK_BODY_JSON, large, sizeof large);
    inbox_put(wal, FLK_BODY_JSON, large, sizeof large); /* does not fit: the next segment */
    inbox_put_pcs(wal, 2);
    flk_wal_close(&wal);
    played_t *broker = &rig.brokers[0];
    played_up(broker);
    rig_start();
    rig_fail(FLK_IO_OPEN, "/inbox/", EIO); /* but for open records */
    played_meet(broker, CREDIT);
    RIG_WAIT(flk_gauge_value(rig.gateway.metrics.unreadable) > 1); /* both segments were tried */
    rig_heal();
    for (int i = 0; i < 2; i++) {
        played_verdict(broker, played_submit(broker), 200, 0);
    }
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(flk_gauge_value(rig.gateway.metrics.unreadable) == 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("redrive");
    TCase *tcase = tcase_create("redrive");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
    tcase_add_test(tcase, test_redrive_after_restart);
    tcase_add_test(tcase, test_redrive_is_fair);
    tcase_add_test(tcase, test_redrive_backs_off);
    tcase_add_test(tcase, test_redrive_silent_broker);
    tcase_add_test(tcase, test_redrive_malformed);
    tcase_add_test(tcase, test_redrive_unknown_kind);
    tcase_add_test(tcase, test_redrive_damaged);
    tcase_add_test(tcase, test_redrive_io_error);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
