/* SPDX-License-Identifier: MIT */
/* Dead letters: stored before they are answered, counted once, answered without workers from then on. */
#include <sys/stat.h>

#include "tests/unit/rig/gateway_rig.h"

enum { CREDIT = 1000 };

static void dead_letter(played_t *broker, uint64_t lsn) {
    played_verdict(broker, lsn, 202, FLK_FLAG_DEAD_LETTER);
}

static flk_wal_options_t wal_options(void) {
    return (flk_wal_options_t){.low_water_bytes = 1};
}

static char *dlq_dir(void) {
    static char dir[96];
    snprintf(dir, sizeof dir, "%s/dlq", rig.dir);
    return dir;
}

/* The n-th PCS, parsed. */
static flk_submission_t *submission_of(uint64_t n, flk_pcs_reader_t *reader) {
    flk_pcs_t pcs;
    uint8_t body[4096];
    zmq_msg_t message;
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_LOG);
    pcs_make(n, 0.5, &pcs);
    size_t bytes = flk_pcs_to_msgpack(&pcs, body);
    flk_pcs_fini(&pcs);
    ck_assert_int_eq(zmq_msg_init_size(&message, bytes), 0);
    memcpy(zmq_msg_data(&message), body, bytes);
    flk_submission_set_msgpack(submission, &message);
    flk_submission_parse(submission, reader);
    submission->dead_letter = FLK_DEAD_LETTER_LOST;
    return submission;
}

static void on_stored(void *arg, flk_submission_t *submission, flk_err_t err) {
    (void)submission;
    ck_assert_int_eq(err, FLK_OK);
    __atomic_store_n((bool *)arg, true, __ATOMIC_SEQ_CST);
}

/* The set of contents holds all that were put in, and nothing else, however much it grows; a restart reads it back from
 * the log. */
START_TEST(test_dlq_contents) {
    enum { LETTERS = 500 };
    flk_dlq_t *dlq;
    bool stored = false;
    flk_wal_options_t options = wal_options();
    ck_assert_int_eq(flk_dlq_open(dlq_dir(), &options, on_stored, &stored, &dlq, errmsg), FLK_OK);
    flk_pcs_reader_t *reader = flk_pcs_reader_new();
    for (uint64_t n = 0; n < LETTERS; n++) {
        flk_submission_t *submission = submission_of(n, reader);
        __atomic_store_n(&stored, false, __ATOMIC_SEQ_CST);
        flk_dlq_append(dlq, submission);
        RIG_WAIT(__atomic_load_n(&stored, __ATOMIC_SEQ_CST));
        ck_assert(!flk_dlq_contains(dlq, submission, reader));
        flk_dlq_remember(dlq, submission, reader);
        flk_dlq_remember(dlq, submission, reader);
        flk_submission_unref(&submission);
    }
    for (int life = 0; life < 2; life++) {
        ck_assert_uint_eq(flk_dlq_len(dlq), LETTERS);
        for (uint64_t n = 0; n < 2 * LETTERS; n++) {
            flk_submission_t *submission = submission_of(n, reader);
            ck_assert(flk_dlq_contains(dlq, submission, reader) == (n < LETTERS));
            flk_submission_unref(&submission);
        }
        flk_dlq_close(&dlq);
        if (life == 0) {
            ck_assert_int_eq(flk_dlq_open(dlq_dir(), &options, on_stored, &stored, &dlq, errmsg), FLK_OK);
        }
    }
    flk_pcs_reader_destroy(&reader);
}
END_TEST

/* A PCS that a broker gave up is stored, then answered 202 with that flag and counted once; sent again, also after a
 * restart, it is answered as a duplicate and reaches no broker. */
START_TEST(test_dlq_stores_first) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    dead_letter(broker, played_submit(broker));
    ck_assert_uint_eq(http_wait(client, 202).flags, FLK_FLAG_DEAD_LETTER);
    ck_assert_uint_eq(RIG_COUNT(dead_letters), 1);
    ck_assert_uint_eq(RIG_COUNT(escalated), 1);
    ck_assert_uint_eq(rig_unacked(), 0);
    ck_assert_uint_eq(http_wait(http_post(1), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(RIG_COUNT(dedup_hits), 1);
    rig_check_books();
    rig_stop();
    rig_start();
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 1);
    ck_assert_uint_eq(http_wait(http_post(1), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(rig_unacked(), 0);
    played_meet(broker, CREDIT);
    RIG_WAIT(played_linked(broker));
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
}
END_TEST

/* PCS 1 in one of its contents. */
static flk_pcs_t content(const char *sig, uint64_t attempt, bool degraded) {
    flk_pcs_t pcs;
    pcs_make(1, 0.5, &pcs);
    snprintf(pcs.sig, sizeof pcs.sig, "%s", sig);
    pcs.has_attempt = attempt > 0;
    pcs.attempt = attempt;
    pcs.has_ft = pcs.degraded = degraded;
    return pcs;
}

static flk_submission_t *post(const char *sig, uint64_t attempt, bool degraded) {
    flk_pcs_t pcs = content(sig, attempt, degraded);
    flk_submission_t *client = http_prepare_pcs(&pcs);
    flk_ingest_start(&rig.gateway, client, NULL);
    return client;
}

/* The queue answers for the content that it holds and for no other: a PCS of that id with another signature, or
 * another member that is not signed, goes to a worker, also after a restart. The same content again is a dead letter
 * at either door, whichever attempt it is. */
START_TEST(test_dlq_other_content) {
    agent_t agent;
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = post("", 1, false);
    dead_letter(broker, played_submit(broker));
    http_wait(client, 202);
    for (int life = 0; life < 2; life++) {
        static const struct {
            const char *sig;
            bool degraded;
        } others[] = {{"AAAA", false}, {"", true}};
        for (size_t i = 0; i < FLK_COUNT_OF(others); i++) {
            client = post(others[i].sig, 1, others[i].degraded);
            played_verdict(broker, played_submit(broker), 200, 0);
            ck_assert_uint_eq(http_wait(client, 200).flags, 0);
        }
        ck_assert_uint_eq(http_wait(post("", 2, false), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
        agent_open(&agent);
        flk_pcs_t pcs = content("", 3, false);
        agent_submit_pcs(&agent, 1, &pcs);
        ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
        agent_close(&agent);
        rig_check_books();
        rig_stop();
        rig_start();
        played_meet(broker, CREDIT);
        RIG_WAIT(played_linked(broker));
    }
    client = post("AAAA", 1, false);
    dead_letter(broker, played_submit(broker));
    http_wait(client, 202);
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 2);
    ck_assert_uint_eq(http_wait(post("", 1, false), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(http_wait(post("AAAA", 1, false), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
}
END_TEST

/* A record that is old and never gets a verdict that fits, while others get theirs, is a dead letter after the tries
 * that are set, and its segment is settled; one that nobody can verify, because the store is away for all, is not,
 * however often it is tried. */
START_TEST(test_dlq_never_settles) {
    enum { TRIES = 3 };
    rig_set("FLK_UNSETTLED_TRIES", TRIES);
    rig_set("FLK_UNSETTLED_AGE_S", 0);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    const uint64_t lsn = played_submit(broker);
    played_trouble(broker, FLK_UNAVAILABLE, lsn, 1);
    http_wait(client, 503);
    for (unsigned i = 0; i < TRIES + 2; i++) { /* an outage */
        ck_assert_uint_eq(played_submit(broker), lsn);
        played_trouble(broker, i % 2 == 0 ? FLK_UNAVAILABLE : FLK_BUSY, lsn, 1);
    }
    ck_assert_uint_eq(rig_unacked(), 1);
    for (unsigned i = 1; i < TRIES; i++) { /* the first one counts in an outage, too */
        client = http_post(1 + i);
        uint64_t other = played_submit(broker);
        while (other == lsn) {
            played_trouble(broker, FLK_BUSY, lsn, 1);
            other = played_submit(broker);
        }
        played_verdict(broker, other, 200, 0);
        http_wait(client, 200);
        ck_assert_uint_eq(RIG_COUNT(dead_letters_unsettled), 0);
        ck_assert_uint_eq(played_submit(broker), lsn);
        played_trouble(broker, FLK_UNAVAILABLE, lsn, 1);
    }
    RIG_WAIT(RIG_COUNT(dead_letters_unsettled) == 1 && rig_unacked() == 0);
    ck_assert_uint_eq(RIG_COUNT(dead_letters), 0);
    ck_assert_uint_eq(http_wait(http_post(1), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
    client = http_post(77);
    uint64_t unfit = played_submit(broker);
    for (unsigned i = 0; i <= TRIES; i++) { /* verdicts that do not fit count by themselves */
        played_say(broker, (flk_frame_t){.kind = FLK_VERDICT, .id = id_of(unfit), .status = 200}, "x", 1);
        ck_assert(i == TRIES || played_submit(broker) == unfit);
    }
    http_wait(client, 503);
    RIG_WAIT(RIG_COUNT(dead_letters_unsettled) == 2);
    unsetenv("FLK_UNSETTLED_TRIES");
    unsetenv("FLK_UNSETTLED_AGE_S");
}
END_TEST

/* By default a record has a day: none of many failed tries makes it a dead letter before. */
START_TEST(test_dlq_not_before_its_age) {
    rig_set("FLK_UNSETTLED_TRIES", 1);
    played_t *broker = rig_start_met(CREDIT);
    unsetenv("FLK_UNSETTLED_TRIES");
    flk_submission_t *client = http_post(1);
    const uint64_t lsn = played_submit(broker);
    for (unsigned i = 0; i < 4; i++) {
        played_say(broker, (flk_frame_t){.kind = FLK_VERDICT, .id = id_of(lsn), .status = 200}, "x", 1);
        ck_assert_uint_eq(played_submit(broker), lsn);
    }
    http_wait(client, 503);
    played_verdict(broker, lsn, 200, 0);
    RIG_WAIT(rig_unacked() == 0);
    ck_assert_uint_eq(RIG_COUNT(dead_letters_unsettled), 0);
}
END_TEST

/* The same PCS under way several times is stored once, however often it is given up. */
START_TEST(test_dlq_stored_once) {
    enum { TIMES = 4 };
    flk_submission_t *clients[TIMES];
    uint64_t lsns[TIMES];
    played_t *broker = rig_start_met(CREDIT);
    for (unsigned i = 0; i < TIMES; i++) {
        clients[i] = http_post(1);
        lsns[i] = played_submit(broker);
    }
    for (unsigned i = 0; i < TIMES; i++) {
        dead_letter(broker, lsns[i]);
        http_wait(clients[i], 202);
    }
    flk_wal_stats_t stats;
    ck_assert_uint_eq(RIG_COUNT(dead_letters), 1);
    ck_assert_uint_eq(RIG_COUNT(escalated), 1);
    ck_assert_uint_eq(RIG_COUNT(dedup_hits), TIMES - 1);
    flk_wal_stats(rig.gateway.inbox, &stats);
    ck_assert_uint_eq(stats.unacked, 0);
}
END_TEST

/* A crash between the two logs: the record that is left in the inbox is settled at the next start without a worker. */
START_TEST(test_dlq_crash_between) {
    bool stored = false;
    flk_dlq_t *dlq;
    flk_wal_options_t options = wal_options();
    rig_set("FLK_REQUEST_TIMEOUT_MS", 100);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1), *letter = http_prepare(1);
    played_submit(broker);
    http_wait(client, 503);
    rig_stop();
    flk_submission_parse(letter, NULL);
    letter->dead_letter = FLK_DEAD_LETTER_LOST;
    ck_assert_int_eq(flk_dlq_open(dlq_dir(), &options, on_stored, &stored, &dlq, errmsg), FLK_OK);
    flk_dlq_append(dlq, letter);
    RIG_WAIT(__atomic_load_n(&stored, __ATOMIC_SEQ_CST));
    flk_dlq_close(&dlq);
    flk_submission_t *other = letter;
    flk_submission_unref(&other);
    http_forget(letter);
    rig_start();
    ck_assert_uint_eq(rig_recovered(), 1);
    played_meet(broker, CREDIT);
    RIG_WAIT(rig_unacked() == 0);
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
}
END_TEST

/* A log that cannot store: the client is told 503; the PCS is not handed to workers again; once the disk is back it
 * is stored and counted, once. */
START_TEST(test_dlq_log_fails) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    rig_fail(FLK_IO_WRITE, "/dlq/", EIO);
    dead_letter(broker, lsn);
    http_wait(client, 503);
    ck_assert(!played_next(broker, FLK_SUBMIT, 3000));
    ck_assert_uint_eq(rig_unacked(), 1);
    played_verdict(broker, lsn, 200, 0); /* a record given up stays so */
    RIG_WAIT(RIG_COUNT(stale_verdicts) == 1);
    rig_heal();
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(dead_letters) == 1);
    RIG_WAIT(RIG_COUNT(escalated) == 1);
    ck_assert_uint_eq(atomic_load(&rig.gateway.admitted), 0);
    ck_assert_uint_eq(http_wait(http_post(1), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
}
END_TEST

/* A log that hangs: the agent gets its 503 by the deadline all the same. Stopped then, nothing is lost. */
START_TEST(test_dlq_log_hangs) {
    agent_t agent;
    rig_set("FLK_REQUEST_TIMEOUT_MS", 300);
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    agent_submit(&agent, 1);
    uint64_t lsn = played_submit(broker);
    rig_hang(FLK_IO_SYNC, "/dlq/");
    dead_letter(broker, lsn);
    agent_expect(&agent, FLK_UNAVAILABLE);
    ck_assert_uint_eq(rig_unacked(), 1);
    rig_check_books();
    rig_heal();
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(dead_letters) == 1);
    ck_assert(!agent_next(&agent, 50));
    agent_close(&agent);
}
END_TEST

/* Stopped while a dead letter waits to be stored, the gateway keeps the record; the next life drives it, as it knows
 * of no dead letter. */
START_TEST(test_dlq_stopped_in_between) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    rig_fail(FLK_IO_WRITE, "/dlq/", EIO);
    dead_letter(broker, lsn);
    http_wait(client, 503);
    rig_check_books();
    rig_stop();
    rig_heal();
    rig_start();
    played_meet(broker, CREDIT);
    ck_assert_uint_eq(played_submit(broker), lsn);
    dead_letter(broker, lsn);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(dead_letters) == 1);
}
END_TEST

/* ---- orders ---- */

static const char *order_path(void) {
    static char path[128];
    snprintf(path, sizeof path, "%s/order", dlq_dir());
    return path;
}

static void leave_order(const char *text) {
    ck_assert_int_eq(flk_io_replace(order_path(), text, strlen(text), errmsg), FLK_OK);
}

/* Two dead letters, of PCS 1 and 2. */
static played_t *start_with_two(void) {
    played_t *broker = rig_start_met(CREDIT);
    for (uint64_t n = 1; n <= 2; n++) {
        flk_submission_t *client = http_post(n);
        dead_letter(broker, played_submit(broker));
        http_wait(client, 202);
    }
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 2);
    return broker;
}

/* An order to replay one of two: that one goes to a worker again, as a new record, and is a dead letter no more, now
 * and after a restart; the other one stays. An order that was carried out is gone. */
START_TEST(test_dlq_order_replay) {
    played_t *broker = start_with_two();
    leave_order("replay\n1\nend\n");
    played_verdict(broker, played_submit(broker), 200, 0);
    RIG_WAIT(access(order_path(), F_OK) != 0);
    RIG_WAIT(rig_unacked() == 0);
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 1);
    flk_submission_t *client = http_post(1);
    played_verdict(broker, played_submit(broker), 200, FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(http_wait(client, 200).flags, FLK_FLAG_DUPLICATE);
    ck_assert_uint_eq(http_wait(http_post(2), 202).flags, FLK_FLAG_DEAD_LETTER | FLK_FLAG_DUPLICATE);
    rig_check_books();
    rig_stop();
    rig_start();
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 1);
}
END_TEST

/* A letter that takes its workers with it once more is stored once more. */
START_TEST(test_dlq_order_replay_of_a_poison) {
    played_t *broker = start_with_two();
    leave_order("replay\n1\n2\nend\n");
    dead_letter(broker, played_submit(broker));
    dead_letter(broker, played_submit(broker));
    RIG_WAIT(access(order_path(), F_OK) != 0);
    RIG_WAIT(rig_unacked() == 0);
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 2);
    ck_assert_uint_eq(RIG_COUNT(dead_letters), 4);
}
END_TEST

/* An order to purge: the letters are gone, and their PCS may come again. */
START_TEST(test_dlq_order_purge) {
    played_t *broker = start_with_two();
    leave_order("purge\n1\n2\n77\nend\n");
    RIG_WAIT(access(order_path(), F_OK) != 0);
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 0);
    flk_submission_t *client = http_post(2);
    played_verdict(broker, played_submit(broker), 200, 0);
    ck_assert_uint_eq(http_wait(client, 200).flags, 0);
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
}
END_TEST

/* A file that is no order from the first line to the last is removed, and nothing is done. */
START_TEST(test_dlq_order_refused) {
    static const char *const texts[] = {"",
                                        "replay",
                                        "replay\n1\n",
                                        "purge\n2\n1\nend\n",
                                        "eat\nend\n",
                                        "purge\n1\n1\nend\n",
                                        "purge\nx\nend\n",
                                        "purge\n0\nend\n"};
    start_with_two();
    for (size_t i = 0; i < FLK_COUNT_OF(texts); i++) {
        leave_order(texts[i]);
        RIG_WAIT(access(order_path(), F_OK) != 0);
        ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 2);
    }
}
END_TEST

/* A pipe in the place of an order keeps no relay waiting for its writer. */
START_TEST(test_dlq_order_is_no_pipe) {
    played_t *broker = start_with_two();
    ck_assert_int_eq(mkfifo(order_path(), 0600), 0);
    for (uint64_t n = 3; n <= 5; n++) {
        flk_submission_t *client = http_post(n);
        played_verdict(broker, played_submit(broker), 200, 0);
        http_wait(client, 200);
        usleep(500000); /* each second it looks for an order */
    }
    leave_order("purge\n1\n2\nend\n");
    RIG_WAIT(access(order_path(), F_OK) != 0);
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 0);
}
END_TEST

/* While the inbox takes nothing, a letter stays where it is; the order ends all the same. */
START_TEST(test_dlq_order_without_an_inbox) {
    played_t *broker = start_with_two();
    rig_fail(FLK_IO_WRITE, "/inbox/", EIO);
    leave_order("replay\n1\nend\n");
    RIG_WAIT(access(order_path(), F_OK) != 0);
    rig_heal();
    ck_assert_uint_eq(flk_dlq_len(rig.gateway.dlq), 2);
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("dlq");
    TCase *tcase = tcase_create("dlq");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
    tcase_add_test(tcase, test_dlq_contents);
    tcase_add_test(tcase, test_dlq_stores_first);
    tcase_add_test(tcase, test_dlq_other_content);
    tcase_add_test(tcase, test_dlq_never_settles);
    tcase_add_test(tcase, test_dlq_not_before_its_age);
    tcase_add_test(tcase, test_dlq_stored_once);
    tcase_add_test(tcase, test_dlq_crash_between);
    tcase_add_test(tcase, test_dlq_log_fails);
    tcase_add_test(tcase, test_dlq_log_hangs);
    tcase_add_test(tcase, test_dlq_stopped_in_between);
    tcase_add_test(tcase, test_dlq_order_replay);
    tcase_add_test(tcase, test_dlq_order_replay_of_a_poison);
    tcase_add_test(tcase, test_dlq_order_purge);
    tcase_add_test(tcase, test_dlq_order_refused);
    tcase_add_test(tcase, test_dlq_order_is_no_pipe);
    tcase_add_test(tcase, test_dlq_order_without_an_inbox);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
