/* SPDX-License-Identifier: MIT */
/* Both transports and the delivery loop against doors that refuse, throttle, hang up, keep silent or come back: every
 * parcel ends exactly once, as it should. */
#include "tests/unit/rig/agent_doors.h"
#include "tests/unit/rig/agent_parts.h"

#include "agent/send/delivery_loop.h"

/* ---- parcels ---- */

/* A valid PCS whose shard tells its number. */
static flk_parcel_t *make_parcel(unsigned number) {
    flk_pcs_t *pcs = malloc(sizeof *pcs);
    char *json, errmsg[FLK_ERRMSG_BYTES];
    size_t json_bytes;
    flk_parcel_t *parcel;
    flk_pcs_init(pcs);
    strcpy(pcs->version, FLK_PCS_VERSION);
    strcpy(pcs->merkle_root, "ab");
    snprintf(pcs->shard_id, sizeof pcs->shard_id, "s%u", number);
    pcs->scales_len = pcs->counts_len = 2;
    pcs->scales[0] = pcs->counts[0].scale = 2;
    pcs->scales[1] = pcs->counts[1].scale = 4;
    pcs->counts[0].cells = pcs->counts[1].cells = 1;
    pcs->attempt = 1;
    pcs->has_attempt = true;
    flk_pcs_set_id(pcs);
    ck_assert_int_eq(flk_pcs_to_json(pcs, &json, &json_bytes), FLK_OK);
    ck_assert_msg(flk_parcel_new(json, json_bytes, &parcel, errmsg) == FLK_OK, "%s", errmsg);
    parcel->lsn = number;
    flk_id_from_lsn(77, number, &parcel->id);
    free(json);
    flk_pcs_fini(pcs);
    free(pcs);
    return parcel;
}

/* ---- one run of a delivery loop ---- */

typedef struct run {
    unsigned verdicts, accepted, escalated, duplicates, conflicts, refused, misplaced, expired, given_up;
    uint32_t tries_max;
    flk_reply_t last;
    bool done[DOOR_SEEN_MAX];
} run_t;

static void on_done(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply) {
    run_t *run = arg;
    ck_assert_msg(!run->done[parcel->lsn], "parcel %llu ended twice", (unsigned long long)parcel->lsn);
    run->done[parcel->lsn] = true;
    run->verdicts += reply->kind == FLK_REPLY_VERDICT;
    run->accepted += reply->kind == FLK_REPLY_VERDICT && reply->status == 200;
    run->escalated += reply->kind == FLK_REPLY_VERDICT && reply->status == 202;
    run->duplicates += reply->duplicate;
    run->conflicts += reply->conflict;
    run->refused += reply->kind == FLK_REPLY_REFUSED;
    run->misplaced += reply->kind == FLK_REPLY_MISPLACED;
    run->expired += reply->kind == FLK_REPLY_EXPIRED;
    run->given_up += reply->kind == FLK_REPLY_LATER;
    run->tries_max = parcel->tries > run->tries_max ? parcel->tries : run->tries_max;
    run->last = *reply;
    flk_parcel_destroy(&parcel);
}

static flk_transport_options_t transport_options(const char *endpoint) {
    return (flk_transport_options_t){.endpoint = endpoint, .heartbeat_ms = 1000, .parallel = 4, .timeout_ms = 5000};
}

/* Sends `count` parcels and returns when all have ended, within 30 s. */
static void deliver(const flk_transport_options_t *options, uint32_t tries, unsigned count, run_t *run) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_delivery_loop_t *loop;
    memset(run, 0, sizeof *run);
    ck_assert_msg(
        flk_delivery_loop_new(options, (flk_delivery_limits_t){.tries = tries}, on_done, run, &loop, errmsg) == FLK_OK,
        "%s", errmsg);
    unsigned given = 0;
    uint64_t deadline_ms = flk_mono_ms() + 30000;
    while (given < count || flk_delivery_loop_held(loop) > 0) {
        while (given < count && flk_delivery_loop_wants(loop)) {
            flk_delivery_loop_take(loop, make_parcel(given++));
        }
        flk_delivery_loop_turn(loop, 100, NULL, 0);
        ck_assert_msg(flk_mono_ms() < deadline_ms, "%zu parcels have no answer", flk_delivery_loop_held(loop));
    }
    ck_assert_uint_eq(run->verdicts + run->refused + run->misplaced + run->expired + run->given_up, count);
    flk_delivery_loop_destroy(&loop);
}

typedef enum kind { HTTP, ZMQ } kind_t;

/* One door with a script, one run against it. */
static void deliver_to(kind_t kind, const step_t *script, size_t script_len, uint32_t tries, unsigned count,
                       door_t *door, run_t *run) {
    (kind == HTTP ? (void)door_http_open(door, script, script_len) : door_zmq_open(door, NULL, script, script_len));
    flk_transport_options_t options = transport_options(door->endpoint);
    options.timeout_ms = 400;
    for (size_t i = 0; i < script_len; i++) {
        if (script[i] == STEP_HANG_UP) {
            options.heartbeat_ms = 100; /* notice it before the deadline */
        }
    }
    deliver(&options, tries, count, run);
    door_close(door);
}

static door_t door;
static run_t run;

/* ---- both doors ---- */

/* Many parcels: each arrives once and has its verdict; no more are under way at once than asked for. */
START_TEST(test_delivery_many) {
    deliver_to(_i == 0 ? HTTP : ZMQ, NULL, 0, 1, 500, &door, &run);
    ck_assert_uint_eq(run.accepted, 500);
    ck_assert_uint_eq(door.seen, 500);
    ck_assert_int_le(atomic_load(&door.at_once_max), 4);
}
END_TEST

/* Verdicts carry status, reasons, duplicate and conflict as the door said; one without a pcs_id is another
 * implementation's, and counts. */
START_TEST(test_delivery_verdicts) {
    static const step_t script[] = {STEP_ACCEPT,   STEP_DUPLICATE, STEP_ESCALATE,
                                    STEP_ESCALATE, STEP_CONFLICT,  STEP_OTHER};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 6, 1, 6, &door, &run);
    ck_assert_uint_eq(run.accepted, 4);
    ck_assert_uint_eq(run.escalated, 2);
    ck_assert_uint_eq(run.duplicates, 2);
    ck_assert_uint_eq(run.conflicts, 1);
    static const step_t escalate[] = {STEP_ESCALATE};
    deliver_to(_i == 0 ? HTTP : ZMQ, escalate, 1, 1, 1, &door, &run);
    ck_assert_uint_eq(run.last.reasons, 1u << FLK_REASON_DEGRADED);
}
END_TEST

/* A permanent refusal ends the parcel at its first try, with the reason that the door gave. */
START_TEST(test_delivery_refused) {
    static const step_t script[] = {STEP_REFUSE}, unsigned_[] = {STEP_SIGNATURE};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 1, 8, 1, &door, &run);
    ck_assert_uint_eq(run.refused, 1);
    ck_assert_uint_eq(door.seen, 1);
    ck_assert_uint_eq(run.last.status, 400);
    ck_assert_str_eq(run.last.text,
                     _i == 0 ? "HTTP 400 D_hat: must be a number" : "VERDICT 400 D_hat: must be a number");
    deliver_to(_i == 0 ? HTTP : ZMQ, unsigned_, 1, 8, 1, &door, &run);
    ck_assert_uint_eq(run.last.status, 401);
    ck_assert_uint_eq(run.refused, 1);
}
END_TEST

/* An answer that is not a gateway's says nothing about the PCS, with any status: it waits, and is answered later. */
START_TEST(test_delivery_strangers) {
    static const step_t script[] = {STEP_PROXY_502, STEP_PROXY_404,     STEP_PROXY_403,
                                    STEP_PROXY_405, STEP_PROXY_401,     STEP_REDIRECT,
                                    STEP_BARE_400,  STEP_FRAMEWORK_400, STEP_OTHER_STATUS};
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        deliver_to(_i == 0 ? HTTP : ZMQ, script + i, 1, 1, 1, &door, &run);
        ck_assert_msg(run.given_up == 1, "step %zu: %s", i, run.last.text);
        ck_assert_ptr_null(strstr(run.last.text, "secret"));
        ck_assert_str_ne(run.last.text, "");
    }
    deliver_to(_i == 0 ? HTTP : ZMQ, script, FLK_COUNT_OF(script), 0, 3, &door, &run);
    ck_assert_uint_eq(run.accepted, 3);
}
END_TEST

/* A gateway that has no place for PCS at this address ends the parcel at once: ENDPOINT is wrong. */
START_TEST(test_delivery_misplaced) {
    static const step_t script[] = {STEP_ELSEWHERE};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 1, 0, 1, &door, &run);
    ck_assert_uint_eq(run.misplaced, 1);
    ck_assert_uint_eq(door.seen, 1);
}
END_TEST

/* With a limit on age a parcel that is older ends with its next failed try, a younger one waits. */
START_TEST(test_delivery_expires) {
    static const step_t down[] = {STEP_DOWN, STEP_DOWN, STEP_DOWN, STEP_DOWN};
    char errmsg[FLK_ERRMSG_BYTES];
    flk_delivery_loop_t *loop;
    door_zmq_open(&door, NULL, down, FLK_COUNT_OF(down));
    flk_transport_options_t options = transport_options(door.endpoint);
    memset(&run, 0, sizeof run);
    flk_delivery_limits_t limits = {.age_ms = 60000};
    ck_assert_int_eq(flk_delivery_loop_new(&options, limits, on_done, &run, &loop, errmsg), FLK_OK);
    flk_parcel_t *parcels[] = {make_parcel(0), make_parcel(1)};
    parcels[0]->made_ms = flk_wall_ms() - 61000;
    parcels[1]->made_ms = flk_wall_ms();
    flk_delivery_loop_take(loop, parcels[0]);
    flk_delivery_loop_take(loop, parcels[1]);
    for (uint64_t deadline_ms = flk_mono_ms() + 20000; flk_delivery_loop_held(loop) > 0;) {
        flk_delivery_loop_turn(loop, 10, NULL, 0);
        ck_assert_uint_lt(flk_mono_ms(), deadline_ms);
    }
    flk_delivery_loop_destroy(&loop);
    door_close(&door);
    ck_assert_uint_eq(run.expired, 1);
    ck_assert_uint_eq(run.accepted, 1);
}
END_TEST

/* Parcels that nobody answers do not hold up those behind them, and do not grow without bound. */
START_TEST(test_delivery_stubborn) {
    char errmsg[FLK_ERRMSG_BYTES];
    flk_delivery_loop_t *loop;
    flk_transport_options_t options = transport_options("http://127.0.0.1:9/v1/pcs/submit");
    memset(&run, 0, sizeof run);
    ck_assert_int_eq(flk_delivery_loop_new(&options, (flk_delivery_limits_t){0}, on_done, &run, &loop, errmsg), FLK_OK);
    size_t given = 0, first_full = 0;
    for (uint64_t deadline_ms = flk_mono_ms() + 60000; flk_mono_ms() < deadline_ms && given < 2048;) {
        while (flk_delivery_loop_wants(loop) && given < 2048) {
            flk_parcel_t *parcel = make_parcel((unsigned)given++);
            parcel->tries = FLK_STUBBORN_TRIES - 1; /* its next failure is the one that counts */
            parcel->ready = true;
            flk_delivery_loop_take(loop, parcel);
        }
        first_full = first_full == 0 ? given : first_full;
        flk_delivery_loop_turn(loop, 10, NULL, 0);
        if (given >= FLK_STUBBORN_MAX && !flk_delivery_loop_wants(loop)) {
            break;
        }
    }
    ck_assert_uint_le(first_full, 4 * options.parallel + 64);
    ck_assert_uint_ge(given, FLK_STUBBORN_MAX);
    ck_assert_uint_le(given, FLK_STUBBORN_MAX + first_full);
    ck_assert_str_ne(flk_delivery_loop_why(loop), "");
    flk_delivery_loop_destroy(&loop);
}
END_TEST

/* Throttled: the next try comes no sooner than the door asked, counts as an attempt, and is the same PCS. */
START_TEST(test_delivery_busy) {
    static const step_t script[] = {STEP_BUSY};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 1, 8, 1, &door, &run);
    ck_assert_uint_eq(run.accepted, 1);
    ck_assert_uint_eq(door.seen, 2);
    ck_assert_uint_ge(door.log[1].at_ms - door.log[0].at_ms, _i == 0 ? 1000 : 300);
    ck_assert_uint_eq(door.log[0].attempt, 1);
    ck_assert_uint_eq(door.log[1].attempt, 2);
    ck_assert_str_eq(door.log[0].pcs_id, door.log[1].pcs_id);
}
END_TEST

/* Passing trouble of every kind is tried again until it passes: 503, no answer, a hung-up connection, a
 * stranger's 200, a verdict on another PCS. */
START_TEST(test_delivery_passing_trouble) {
    static const step_t script[] = {STEP_DOWN, STEP_FOREIGN, STEP_MIXED_UP, STEP_HANG_UP, STEP_SILENT, STEP_DOWN};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 6, 8, 3, &door, &run);
    ck_assert_uint_eq(run.accepted, 3);
    ck_assert_uint_ge(door.seen, 9);
}
END_TEST

/* After the last try the parcel is given up, and no sooner. */
START_TEST(test_delivery_last_try) {
    static const step_t script[] = {STEP_DOWN, STEP_DOWN, STEP_DOWN, STEP_DOWN};
    deliver_to(_i == 0 ? HTTP : ZMQ, script, 4, 3, 1, &door, &run);
    ck_assert_uint_eq(run.given_up, 1);
    ck_assert_uint_eq(run.tries_max, 3);
    ck_assert_uint_eq(door.seen, 3);
    ck_assert_uint_eq(run.last.status, 503);
}
END_TEST

/* Trouble with half of all answers costs tries, never a parcel; seeds are printed. */
START_TEST(test_delivery_random_trouble) {
    uint64_t random = agent_seed();
    static step_t script[60];
    for (size_t i = 0; i < FLK_COUNT_OF(script); i++) {
        static const step_t steps[] = {STEP_ACCEPT,  STEP_DUPLICATE, STEP_ESCALATE, STEP_DOWN,
                                       STEP_FOREIGN, STEP_MIXED_UP,  STEP_HANG_UP};
        script[i] = steps[agent_below(&random, FLK_COUNT_OF(steps))];
    }
    deliver_to(_i == 0 ? HTTP : ZMQ, script, FLK_COUNT_OF(script), 0, 100, &door, &run);
    ck_assert_uint_eq(run.verdicts, 100);
}
END_TEST

/* Nobody listens: every parcel is given up after its tries, with a reason that says so. */
START_TEST(test_delivery_nobody_listens) {
    flk_transport_options_t options =
        transport_options(_i == 0 ? "http://127.0.0.1:9/v1/pcs/submit" : "tcp://127.0.0.1:9");
    options.timeout_ms = 200;
    deliver(&options, 2, 6, &run);
    ck_assert_uint_eq(run.given_up, 6);
    ck_assert_uint_eq(run.tries_max, 2);
    ck_assert_uint_eq(run.last.status, 0);
    ck_assert_ptr_nonnull(strstr(run.last.text, "connect"));
}
END_TEST

/* ---- one door only ---- */

/* Slow answers overlap: all posts that may be under way at once are. */
START_TEST(test_http_parallel) {
    static const step_t script[] = {STEP_SILENT, STEP_SILENT, STEP_SILENT, STEP_SILENT};
    deliver_to(HTTP, script, 4, 1, 4, &door, &run);
    ck_assert_uint_eq(run.given_up, 4);
    ck_assert_int_eq(atomic_load(&door.at_once_max), 4);
}
END_TEST

/* The gateway restarts with other memory and the same address: unanswered submissions are sent again under the same
 * ids. */
START_TEST(test_zmq_gateway_restarts) {
    static const step_t silent[] = {STEP_SILENT, STEP_SILENT, STEP_SILENT, STEP_SILENT};
    char errmsg[FLK_ERRMSG_BYTES], endpoint[64];
    flk_delivery_loop_t *loop;
    door_zmq_open(&door, NULL, silent, 4);
    strcpy(endpoint, door.endpoint);
    flk_transport_options_t options = transport_options(endpoint);
    options.timeout_ms = 20000;
    options.heartbeat_ms = 100;
    memset(&run, 0, sizeof run);
    ck_assert_int_eq(flk_delivery_loop_new(&options, (flk_delivery_limits_t){.tries = 1}, on_done, &run, &loop, errmsg),
                     FLK_OK);
    for (unsigned i = 0; i < 4; i++) {
        flk_delivery_loop_take(loop, make_parcel(i));
    }
    uint64_t deadline_ms = flk_mono_ms() + 20000;
    size_t seen = 0;
    while (seen < 4 && flk_mono_ms() < deadline_ms) {
        flk_delivery_loop_turn(loop, 10, NULL, 0);
        pthread_mutex_lock(&door.lock);
        seen = door.seen;
        pthread_mutex_unlock(&door.lock);
    }
    ck_assert_uint_eq(seen, 4);
    door_close(&door);
    door_zmq_open(&door, endpoint, NULL, 0);
    while (flk_delivery_loop_held(loop) > 0 && flk_mono_ms() < deadline_ms) {
        flk_delivery_loop_turn(loop, 10, NULL, 0);
    }
    ck_assert_uint_eq(run.accepted, 4);
    ck_assert_uint_eq(run.tries_max, 1);
    flk_delivery_loop_destroy(&loop);
    door_close(&door);
}
END_TEST

/* More is asked to be under way than the gateway gives credit for: it gets its credit and no more at once. */
START_TEST(test_zmq_credit) {
    static step_t silent[64];
    char errmsg[FLK_ERRMSG_BYTES];
    flk_delivery_loop_t *loop;
    for (size_t i = 0; i < FLK_COUNT_OF(silent); i++) {
        silent[i] = STEP_SILENT;
    }
    door_zmq_open(&door, NULL, silent, FLK_COUNT_OF(silent));
    flk_transport_options_t options = transport_options(door.endpoint);
    options.parallel = 32;
    memset(&run, 0, sizeof run);
    ck_assert_int_eq(flk_delivery_loop_new(&options, (flk_delivery_limits_t){.tries = 1}, on_done, &run, &loop, errmsg),
                     FLK_OK);
    for (unsigned i = 0; i < 32; i++) {
        flk_delivery_loop_take(loop, make_parcel(i));
    }
    uint64_t deadline_ms = flk_mono_ms() + 1000; /* long enough for a second batch, were there one */
    while (flk_mono_ms() < deadline_ms) {
        flk_delivery_loop_turn(loop, 10, NULL, 0);
    }
    flk_delivery_loop_destroy(&loop); /* with parcels under way: no leak */
    door_close(&door);
    ck_assert_uint_eq(door.seen, DOOR_CREDIT);
}
END_TEST

/* ---- parts ---- */

/* An end point that cannot be is refused at once, with its name. */
START_TEST(test_delivery_wrong_endpoint) {
    static const char *const wrong[] = {"ftp://x",          "127.0.0.1:8080",         "",
                                        "http://",          "tcp://192.0.2.1:5550",   "http://[::1",
                                        "ftp://u:hidden@x", "http://u:hidden@h:port/"};
    for (size_t i = 0; i < FLK_COUNT_OF(wrong); i++) {
        char errmsg[FLK_ERRMSG_BYTES] = "";
        flk_delivery_loop_t *loop = NULL;
        flk_transport_options_t options = transport_options(wrong[i]);
        ck_assert_msg(flk_delivery_loop_new(&options, (flk_delivery_limits_t){.tries = 1}, on_done, NULL, &loop,
                                            errmsg) == FLK_E_CONFIG,
                      "%s", wrong[i]);
        ck_assert_msg(strstr(errmsg, "ENDPOINT") != NULL && strstr(errmsg, "hidden") == NULL, "%s", errmsg);
    }
}
END_TEST

/* Each status: answered, refused for ever, a wrong address, or to be tried later. Only a gateway's own answer ends a
 * PCS. */
START_TEST(test_reply_kinds) {
    static const struct {
        unsigned status;
        flk_reply_kind_t kind;
    } cases[] = {
        {200, FLK_REPLY_VERDICT}, {202, FLK_REPLY_VERDICT},   {400, FLK_REPLY_REFUSED},   {401, FLK_REPLY_REFUSED},
        {413, FLK_REPLY_REFUSED}, {404, FLK_REPLY_MISPLACED}, {405, FLK_REPLY_MISPLACED}, {415, FLK_REPLY_LATER},
        {301, FLK_REPLY_LATER},   {403, FLK_REPLY_LATER},     {408, FLK_REPLY_LATER},     {425, FLK_REPLY_LATER},
        {429, FLK_REPLY_LATER},   {500, FLK_REPLY_LATER},     {502, FLK_REPLY_LATER},     {503, FLK_REPLY_LATER},
        {504, FLK_REPLY_LATER},   {204, FLK_REPLY_LATER},     {0, FLK_REPLY_LATER}};
    for (size_t i = 0; i < FLK_COUNT_OF(cases); i++) {
        flk_reply_kind_t stranger = cases[i].kind == FLK_REPLY_VERDICT ? FLK_REPLY_VERDICT : FLK_REPLY_LATER;
        ck_assert_msg(flk_reply_kind_of(cases[i].status, true) == cases[i].kind, "%u", cases[i].status);
        ck_assert_msg(flk_reply_kind_of(cases[i].status, false) == stranger, "%u", cases[i].status);
    }
}
END_TEST

/* Back-off doubles up to its cap, is never sooner than the door asked, and spreads over its whole range. */
START_TEST(test_backoff) {
    uint64_t random = agent_seed();
    for (uint32_t tries = 1; tries < 100; tries++) {
        uint64_t most = tries > 8 ? FLK_BACKOFF_MS_MAX : (uint64_t)FLK_BACKOFF_MS_FIRST << (tries - 1);
        most = most > FLK_BACKOFF_MS_MAX ? FLK_BACKOFF_MS_MAX : most;
        uint64_t least_seen = UINT64_MAX, most_seen = 0;
        for (int i = 0; i < 2000; i++) {
            uint64_t ms = flk_backoff_ms(tries, 1234, agent_random(&random));
            least_seen = ms < least_seen ? ms : least_seen;
            most_seen = ms > most_seen ? ms : most_seen;
        }
        ck_assert_uint_ge(least_seen, 1234);
        ck_assert_uint_le(most_seen, 1234 + most);
        ck_assert_uint_lt(least_seen, 1234 + most / 20 + 2);
        ck_assert_uint_gt(most_seen, 1234 + most - most / 20 - 2);
    }
    ck_assert_uint_le(flk_backoff_ms(1, UINT32_MAX, 0), FLK_REPLY_RETRY_MS_MAX); /* a door may be wrong about 49 days */
}
END_TEST

int main(void) {
    Suite *suite = suite_create("agent_delivery");
    TCase *tests = tcase_create("transport");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, test_delivery_many, 0, 2);
    tcase_add_loop_test(tests, test_delivery_verdicts, 0, 2);
    tcase_add_loop_test(tests, test_delivery_refused, 0, 2);
    tcase_add_loop_test(tests, test_delivery_strangers, 0, 2);
    tcase_add_loop_test(tests, test_delivery_misplaced, 0, 2);
    tcase_add_test(tests, test_delivery_expires);
    tcase_add_test(tests, test_delivery_stubborn);
    tcase_add_loop_test(tests, test_delivery_busy, 0, 2);
    tcase_add_loop_test(tests, test_delivery_passing_trouble, 0, 2);
    tcase_add_loop_test(tests, test_delivery_last_try, 0, 2);
    tcase_add_loop_test(tests, test_delivery_random_trouble, 0, 2);
    tcase_add_loop_test(tests, test_delivery_nobody_listens, 0, 2);
    tcase_add_test(tests, test_http_parallel);
    tcase_add_test(tests, test_zmq_gateway_restarts);
    tcase_add_test(tests, test_zmq_credit);
    tcase_add_test(tests, test_delivery_wrong_endpoint);
    tcase_add_test(tests, test_reply_kinds);
    tcase_add_test(tests, test_backoff);
    suite_add_tcase(suite, tests);
    return suite_run(suite);
}
