/* SPDX-License-Identifier: MIT */
/* The relay between played doors and played brokers, with real logs: verdicts, trouble, credit, links that come and
 * go. */
#include "common/wal/follow/follow.h"
#include "proto/stored_outcome.h"
#include "tests/unit/rig/gateway_rig.h"

enum { CREDIT = 1000 };

/* A verdict acks the record, counts it, and reaches the client with its flags: 200, 202, duplicates, conflicts, and
 * refusals with their problem. */
START_TEST(test_relay_verdicts) {
    static const struct {
        uint32_t status, flags;
    } verdicts[] = {
        {200, 0}, {202, 0}, {200, FLK_FLAG_DUPLICATE}, {202, FLK_FLAG_DUPLICATE | FLK_FLAG_CONFLICT}, {400, 0},
        {401, 0}, {413, 0}};
    played_t *broker = rig_start_met(CREDIT);
    for (unsigned i = 0; i < FLK_COUNT_OF(verdicts); i++) {
        flk_submission_t *client = http_post(i);
        uint64_t lsn = played_submit(broker);
        ck_assert_uint_eq(rig_unacked(), 1);
        played_verdict(broker, lsn, verdicts[i].status, verdicts[i].flags);
        flk_answer_t answer = http_wait(client, verdicts[i].status);
        ck_assert_uint_eq(answer.flags, verdicts[i].flags);
        ck_assert_str_eq(answer.problem.field, verdicts[i].status >= 400 ? "sig" : "");
        ck_assert_uint_eq(rig_unacked(), 0);
    }
    ck_assert_uint_eq(RIG_COUNT(accepted), 1);
    ck_assert_uint_eq(RIG_COUNT(escalated), 1);
    ck_assert_uint_eq(RIG_COUNT(dedup_hits), 2);
    ck_assert_uint_eq(RIG_COUNT(conflicts), 1);
    ck_assert_uint_eq(RIG_COUNT(rejected_400), 1);
    ck_assert_uint_eq(RIG_COUNT(rejected_401), 1);
    ck_assert_uint_eq(RIG_COUNT(rejected_413), 1);
}
END_TEST

static uint64_t answers_counted(const char *door, unsigned code) {
    char *text, pattern[96];
    size_t text_bytes;
    ck_assert_int_eq(flk_metrics_render(rig.gateway.registry, &text, &text_bytes), FLK_OK);
    snprintf(pattern, sizeof pattern, "\nflk_request_seconds_count{door=\"%s\",code=\"%u\"} ", door, code);
    const char *at = strstr(text, pattern);
    ck_assert_msg(at != NULL, "no %s", pattern);
    uint64_t count = strtoull(at + strlen(pattern), NULL, 10);
    free(text);
    return count;
}

/* Latencies are told apart by the status of the answer: at the ZeroMQ door here. */
START_TEST(test_relay_latency_by_status) {
    static const unsigned statuses[] = {200, 202, 400, 401, 413};
    agent_t agent;
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    for (unsigned i = 0; i < FLK_COUNT_OF(statuses); i++) {
        agent_submit(&agent, i);
        played_verdict(broker, played_submit(broker), statuses[i], 0);
        agent_expect(&agent, FLK_VERDICT);
    }
    agent_submit(&agent, 9);
    played_trouble(broker, FLK_UNAVAILABLE, played_submit(broker), 1);
    agent_expect(&agent, FLK_UNAVAILABLE);
    for (unsigned i = 0; i < FLK_COUNT_OF(statuses); i++) {
        ck_assert_uint_eq(answers_counted("zmq", statuses[i]), 1);
    }
    ck_assert_uint_eq(answers_counted("zmq", 503), 1);
    ck_assert_uint_eq(answers_counted("zmq", 429), 0);
    agent_close(&agent);
}
END_TEST

static void follow_next(flk_wal_follow_t *follow, flk_wal_follow_item_t *item) {
    flk_err_t err = flk_wal_follow_next(follow, RIG_DEADLINE_MS, item, errmsg);
    ck_assert_msg(err == FLK_OK && !item->is_gap, "%s: %s", flk_err_text(err), errmsg);
    ck_assert_ptr_nonnull(item->record.body);
}

/* The log keeps a decision: the outcome as the verdict had it, the pcs_id, the id of the key; of a refusal the
 * pcs_id alone. */
START_TEST(test_relay_keeps_what_was_decided) {
    played_t *broker = rig_start_met(CREDIT);
    char inbox[96];
    uint8_t body[FLK_OUTCOME_BYTES];
    flk_wal_follow_t *follow;
    flk_wal_follow_item_t item;
    flk_outcome_record_t back;
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    const flk_outcome_record_t outcome = played_outcome(lsn, 202);
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = id_of(lsn), .status = 202, .key = "agent-1", .cpu_us = 5};
    played_say(broker, frame, body, flk_outcome_encode(&outcome, body));
    http_wait(client, 202);
    client = http_post(2);
    played_verdict(broker, played_submit(broker), 401, 0);
    http_wait(client, 401);
    snprintf(inbox, sizeof inbox, "%s/inbox", rig.dir);
    ck_assert_msg(flk_wal_follow_open(inbox, 0, &follow, errmsg) == FLK_OK, "%s", errmsg);
    follow_next(follow, &item);
    ck_assert(item.record.lsn == lsn && item.ending.mark.status == 202 && item.ending.has_subject);
    ck_assert_str_eq(item.ending.key, "agent-1");
    ck_assert_msg(flk_stored_outcome_read(item.ending.subject, item.ending.outcome, item.ending.outcome_bytes, &back,
                                          errmsg) == FLK_OK,
                  "%s", errmsg);
    ck_assert_str_eq(back.pcs_id, outcome.pcs_id);
    ck_assert(back.outcome.reasons == outcome.outcome.reasons && flk_id_equal(&back.origin, &outcome.origin));
    follow_next(follow, &item);
    ck_assert(item.ending.mark.status == 401 && item.ending.has_subject && item.ending.outcome_bytes == 0);
    ck_assert_str_eq(item.ending.key, "");
    flk_wal_follow_close(&follow);
}
END_TEST

/* A body that is no PCS reaches neither the log nor a broker: 400 with the field, or 413, at both doors. */
START_TEST(test_relay_malformed) {
    static const char text[] = "{\"schema\":1}";
    static uint8_t large[FLK_PCS_BODY_BYTES_MAX + 1];
    flk_wal_stats_t stats;
    agent_t agent;
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_prepare(1);
    size_t admitted = atomic_load(&rig.gateway.admitted_bytes);
    memcpy(client->json, text, sizeof text);
    client->entry.body_bytes = sizeof text - 1;
    atomic_fetch_sub(&rig.gateway.admitted_bytes, admitted - (sizeof text - 1));
    flk_ingest_start(&rig.gateway, client, NULL);
    flk_answer_t answer = http_wait(client, 400);
    ck_assert_str_ne(answer.problem.detail, "");
    agent_open(&agent);
    agent_say(&agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(1)}, "\xc1", 1);
    ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->status, 400);
    agent_say(&agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(2)}, large, sizeof large);
    ck_assert_uint_eq(agent_expect(&agent, FLK_VERDICT)->status, 413);
    ck_assert_uint_eq(RIG_COUNT(rejected_400), 2);
    ck_assert_uint_eq(RIG_COUNT(rejected_413), 1);
    flk_wal_stats(rig.gateway.inbox, &stats);
    ck_assert_uint_eq(stats.records_total, 0);
    RIG_WAIT(atomic_load(&rig.gateway.admitted) == 0);
    ck_assert_uint_eq(atomic_load(&rig.gateway.admitted_bytes), 0);
    ck_assert_uint_eq(atomic_load(&rig.gateway.awaited), 0);
    ck_assert(!played_next(broker, FLK_SUBMIT, 100));
    agent_close(&agent);
}
END_TEST

/* Without a verdict the client is told 503 by the deadline, once; a verdict that comes later settles and counts the
 * record all the same, once. */
START_TEST(test_relay_deadline) {
    agent_t agent;
    rig_set("FLK_REQUEST_TIMEOUT_MS", 300);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    ck_assert_uint_ge(http_wait(client, 503).retry_ms, 1);
    agent_open(&agent);
    agent_submit(&agent, 2);
    uint64_t other = played_submit(broker);
    ck_assert_uint_ge(agent_expect(&agent, FLK_UNAVAILABLE)->retry_ms, 1);
    RIG_WAIT(RIG_COUNT(timeouts) == 2);
    ck_assert_uint_eq(rig_unacked(), 2);
    played_verdict(broker, lsn, 200, 0);
    played_verdict(broker, other, 202, 0);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == 1);
    RIG_WAIT(RIG_COUNT(escalated) == 1);
    ck_assert(!agent_next(&agent, 100));
    RIG_WAIT(atomic_load(&rig.gateway.admitted) == 0);
    ck_assert_uint_eq(atomic_load(&rig.gateway.admitted_bytes), 0);
    agent_close(&agent);
}
END_TEST

/* An HTTP thread that gave up by itself is not counted as a timeout again by the relay. */
START_TEST(test_relay_client_gave_up) {
    rig_set("FLK_REQUEST_TIMEOUT_MS", 200);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    http_give_up(client);
    flk_submission_t *later = http_post(2);
    http_wait(later, 503); /* so the first one's deadline has been seen to as well */
    RIG_WAIT(RIG_COUNT(timeouts) == 2);
    played_verdict(broker, lsn, 200, 0);
    RIG_WAIT(RIG_COUNT(accepted) == 1);
    ck_assert_uint_eq(RIG_COUNT(timeouts), 2);
}
END_TEST

/* UNAVAILABLE and BUSY are a 503 at once, with a time to come back that has a limit; the record is driven again and
 * counted when it has its verdict, once. */
START_TEST(test_relay_trouble) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    played_trouble(broker, FLK_UNAVAILABLE, lsn, 700);
    ck_assert_uint_eq(http_wait(client, 503).retry_ms, 700);
    client = http_post(2);
    uint64_t other = played_submit(broker);
    played_trouble(broker, FLK_BUSY, other, 0);
    ck_assert_uint_ge(http_wait(client, 503).retry_ms, 1);
    ck_assert_uint_eq(rig_unacked(), 2);
    ck_assert_uint_eq(played_submit(broker), lsn);
    ck_assert_uint_eq(played_submit(broker), other);
    played_verdict(broker, lsn, 200, 0);
    played_verdict(broker, other, 200, 0);
    RIG_WAIT(rig_unacked() == 0);
    RIG_WAIT(RIG_COUNT(accepted) == 2);
    RIG_WAIT(RIG_COUNT(unavailable) == 2);
    RIG_WAIT(RIG_COUNT(redriven) == 2);
    client = http_post(3);
    played_trouble(broker, FLK_UNAVAILABLE, played_submit(broker), UINT32_MAX);
    ck_assert_uint_le(http_wait(client, 503).retry_ms, 60000);
}
END_TEST

/* Answers that make no sense do no harm: of a status that is no verdict, without a readable problem, for a record
 * that never was or of another log, a second time, of a kind that no broker sends, no frame at all. */
START_TEST(test_relay_nonsense) {
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker);
    flk_id_t foreign;
    flk_id_from_lsn(flk_wal_id(rig.gateway.inbox) + 1, lsn, &foreign);
    played_say(broker, (flk_frame_t){.kind = FLK_VERDICT, .id = foreign, .status = 200}, "x", 1);
    played_verdict(broker, lsn + 1000000, 200, 0);
    played_trouble(broker, FLK_BUSY, lsn + 1000000, 1);
    played_say(broker, (flk_frame_t){.kind = FLK_WORK, .id = id_of(lsn)}, "x", 1);
    ck_assert_int_ge(zmq_send(broker->socket, broker->gateway.id, broker->gateway.bytes, ZMQ_SNDMORE), 0);
    ck_assert_int_ge(zmq_send(broker->socket, "?", 1, 0), 0);
    played_verdict(broker, lsn, 200, 0);
    http_wait(client, 200);
    played_verdict(broker, lsn, 200, 0);
    RIG_WAIT(RIG_COUNT(stale_verdicts) == 4);
    ck_assert_uint_eq(RIG_COUNT(unknown), 1);
    ck_assert_uint_eq(RIG_COUNT(malformed), 1);
    ck_assert_uint_eq(RIG_COUNT(accepted), 1);
}
END_TEST

/* ---- verdicts that do not fit ---- */

typedef struct unfit {
    uint32_t status;         /* of the frame */
    uint32_t outcome_status; /* 0: no outcome, but `body` */
    const char *body;
    const char *part, *other; /* in the encoded outcome: this is replaced by that, of the same length */
} unfit_t;

#define QUARTER      "\xcb\x3f\xd0\0\0\0\0\0\0" /* the budget, as msgpack has it */
#define NOT_A_NUMBER "\xcb\x7f\xf8\0\0\0\0\0\0"
#define INFINITE     "\xcb\x7f\xf0\0\0\0\0\0\0"
static const unfit_t unfit[] = {
    {200, 0, "\xc1\xc1\xc1", NULL, NULL},
    {202, 0, "", NULL, NULL},
    {200, 200, NULL, QUARTER, NOT_A_NUMBER},
    {200, 200, NULL, QUARTER, INFINITE},
    {200, 200, NULL, "pcs_id", "another"}, /* its pcs_id is another one */
    {202, 202, NULL, "pcs_id", "none"},
    {200, 200, NULL, "\xa2p1", "\xa2\r\n"},
    {200, 202, NULL, NULL, NULL},
    {202, 200, NULL, NULL, NULL},
    {0, 200, NULL, NULL, NULL},
    {201, 200, NULL, NULL, NULL},
    {400, 0, "x", NULL, NULL},
    {403, 0, NULL, NULL, NULL},
    {404, 0, NULL, NULL, NULL},
    {407, 0, NULL, NULL, NULL},
    {429, 0, NULL, NULL, NULL},
    {503, 0, NULL, NULL, NULL},
    {599, 200, NULL, NULL, NULL},
};

static void replace(uint8_t *bytes, size_t len, const char *part, const char *other, size_t part_bytes) {
    uint8_t *at = memmem(bytes, len, part, part_bytes);
    ck_assert_ptr_nonnull(at);
    memcpy(at, other, part_bytes);
}

static void say_unfit(played_t *broker, uint64_t lsn, const unfit_t *verdict) {
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = id_of(lsn), .status = verdict->status};
    uint8_t body[FLK_OUTCOME_BYTES];
    if (verdict->body != NULL) {
        played_say(broker, frame, verdict->body, strlen(verdict->body));
        return;
    }
    if (verdict->outcome_status == 0) {
        flk_problem_t problem = {.detail = "played"};
        played_say(broker, frame, body, flk_problem_encode(&problem, body));
        return;
    }
    flk_outcome_record_t record = played_outcome(lsn, verdict->outcome_status);
    if (verdict->part != NULL && strcmp(verdict->part, "pcs_id") == 0) {
        memset(record.pcs_id, strcmp(verdict->other, "none") == 0 ? '\0' : 'b', FLK_PCS_ID_HEX);
    }
    size_t bytes = flk_outcome_encode(&record, body);
    if (verdict->part != NULL && verdict->part[0] != 'p') {
        replace(body, bytes, verdict->part, verdict->other, verdict->part[0] == QUARTER[0] ? sizeof QUARTER - 1 : 3);
    }
    played_say(broker, frame, body, bytes);
}

/* The SUBMIT of a record that was not seen yet; those of the re-drive are passed over. */
static uint64_t played_newest(played_t *broker) {
    uint64_t seen = rig.ids_len, lsn;
    while (seen > 0 && rig.ids[seen - 1][0] == '\0') {
        seen--;
    }
    do {
        lsn = played_submit(broker);
    } while (lsn < seen);
    return lsn;
}

/* A verdict whose body cannot be read, is about another PCS, contradicts its frame, or whose status is none, is not
 * taken: at both doors 503 with the same words, nothing is acked or counted as a verdict, and the record gets its
 * true verdict later. */
START_TEST(test_relay_unfit_verdicts) {
    agent_t agent;
    char said[2][FLK_NAME_MAX + 1];
    played_t *broker = rig_start_met(CREDIT);
    agent_open(&agent);
    for (unsigned i = 0; i < FLK_COUNT_OF(unfit); i++) {
        flk_submission_t *client = http_post(2 * i);
        say_unfit(broker, played_newest(broker), &unfit[i]);
        snprintf(said[0], sizeof said[0], "%.*s", FLK_NAME_MAX, http_wait(client, 503).problem.detail);
        agent_submit(&agent, 2 * i + 1);
        say_unfit(broker, played_newest(broker), &unfit[i]);
        snprintf(said[1], sizeof said[1], "%s", agent_expect(&agent, FLK_UNAVAILABLE)->name);
        ck_assert_msg(strcmp(said[0], said[1]) == 0, "case %u: %s; %s", i, said[0], said[1]);
        ck_assert_uint_eq(rig_unacked(), 2 * i + 2);
    }
    ck_assert_uint_eq(RIG_COUNT(accepted) + RIG_COUNT(escalated) + RIG_COUNT(rejected_400), 0);
    for (uint64_t lsn = 1; lsn <= 2 * FLK_COUNT_OF(unfit); lsn++) {
        played_verdict(broker, lsn, 200, 0); /* some are under way again */
    }
    for (uint64_t until_ms = flk_mono_ms() + RIG_DEADLINE_MS; rig_unacked() > 0;) {
        ck_assert_uint_lt(flk_mono_ms(), until_ms);
        if (played_next(broker, FLK_SUBMIT, 100)) {
            played_verdict(broker, played_lsn(broker), 200, 0);
        }
    }
    RIG_WAIT(RIG_COUNT(accepted) == 2 * FLK_COUNT_OF(unfit));
    agent_close(&agent);
}
END_TEST

static uint64_t resident_kib(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*u %llu", &pages), 1);
    fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

/* Memory does not grow with verdicts that cannot be read, whichever door waits for them. */
START_TEST(test_relay_unfit_verdicts_leave_nothing) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const uint64_t kib_max = UINT64_MAX / 2; /* sanitizers keep freed memory, and see leaks by themselves */
#else
    const uint64_t kib_max = 4096;
#endif
    enum { VERDICTS = 6000, WARM_UP = 1000 };
    uint64_t before_kib = 0;
    static char text[6000]; /* too large for ZeroMQ to keep it within its message */
    memset(text, 'x', sizeof text - 1);
    const unfit_t garbage = {.status = 200, .body = text};
    played_t *broker = rig_start_met(CREDIT);
    for (unsigned i = 0; i < VERDICTS; i++) {
        if (i == WARM_UP) {
            before_kib = resident_kib();
        }
        flk_submission_t *client = http_post(0);
        say_unfit(broker, played_newest(broker), &garbage);
        http_wait(client, 503);
    }
    ck_assert_uint_lt(resident_kib(), before_kib + kib_max);
}
END_TEST

/* A gateway never has more outstanding at a broker than its credit, and sends on, oldest first, as answers come. */
START_TEST(test_relay_credit) {
    enum { SENT = 10, SMALL = 3 };
    flk_submission_t *clients[SENT];
    uint64_t last = 0;
    played_t *broker = rig_start_met(SMALL);
    for (unsigned i = 0; i < SENT; i++) {
        clients[i] = http_post(i);
    }
    for (unsigned i = 0; i < SMALL - 1; i++) {
        played_submit(broker);
    }
    for (unsigned i = 0; i < SENT; i++) {
        uint64_t lsn = i < SENT - SMALL + 1 ? played_submit(broker) : 0;
        ck_assert(lsn == 0 || lsn > last);
        last = lsn != 0 ? lsn : last;
        ck_assert(!played_next(broker, FLK_SUBMIT, 50));
        played_verdict(broker, 1 + i, 200, 0);
    }
    for (unsigned i = 0; i < SENT; i++) {
        http_wait(clients[i], 200);
    }
}
END_TEST

/* A broker says GOODBYE: its submissions go to the other one, in order; both answer, and each record counts once. */
START_TEST(test_relay_goes_elsewhere) {
    enum { SENT = 20 };
    char both[160];
    flk_submission_t *clients[SENT];
    uint64_t lsns[SENT];
    played_t *first = &rig.brokers[0], *second = &rig.brokers[1];
    snprintf(both, sizeof both, "%s,%s", first->endpoint, second->endpoint);
    setenv("FLK_FRONTENDS", both, 1);
    rig_start_met(CREDIT); /* the second one is down from the start */
    for (unsigned i = 0; i < SENT; i++) {
        clients[i] = http_post(i);
        lsns[i] = played_submit(first);
    }
    played_up(second);
    played_meet(second, CREDIT);
    RIG_WAIT(played_linked(second));
    ck_assert(!played_next(second, FLK_SUBMIT, 50));
    played_say(first, (flk_frame_t){.kind = FLK_GOODBYE}, NULL, 0);
    for (unsigned i = 0; i < SENT; i++) {
        ck_assert_uint_eq(played_submit(second), lsns[i]);
    }
    RIG_WAIT(!played_linked(first));
    ck_assert(flk_gateway_ready(&rig.gateway, errmsg));
    played_meet(first, CREDIT); /* it comes back, and has finished everything by then */
    RIG_WAIT(played_linked(first));
    for (unsigned i = 0; i < SENT; i++) {
        played_verdict(i % 2 ? first : second, lsns[i], 200, 0);
        http_wait(clients[i], 200);
        played_verdict(i % 2 ? second : first, lsns[i], 200, 0);
    }
    RIG_WAIT(RIG_COUNT(stale_verdicts) == SENT);
    ck_assert_uint_eq(RIG_COUNT(accepted), SENT);
}
END_TEST

/* A broker that does not know the gateway any more is met again and gets, in order, everything that it has not
 * answered; its credit then counts from nothing. */
START_TEST(test_relay_met_again) {
    enum { SENT = 6 };
    flk_submission_t *clients[SENT];
    rig_set("FLK_HEARTBEAT_MS", 200);
    played_t *broker = rig_start_met(SENT);
    for (unsigned i = 0; i < SENT; i++) {
        clients[i] = http_post(i);
    }
    uint64_t first = played_submit(broker);
    for (unsigned i = 1; i < SENT; i++) {
        ck_assert_uint_eq(played_submit(broker), first + i);
    }
    played_verdict(broker, first + 2, 200, 0);
    http_wait(clients[2], 200);
    do {
        ck_assert(played_next_of_all(broker, RIG_DEADLINE_MS));
    } while (broker->message.frame.kind != FLK_PING);
    played_say(broker, (flk_frame_t){.kind = FLK_PONG, .known = false}, NULL, 0);
    played_meet(broker, SENT - 1);
    for (unsigned i = 0; i < SENT; i++) {
        if (i != 2) {
            ck_assert_uint_eq(played_submit(broker), first + i);
        }
    }
    for (unsigned i = 0; i < SENT; i++) {
        if (i != 2) {
            played_verdict(broker, first + i, 200, 0);
            http_wait(clients[i], 200);
        }
    }
    ck_assert_uint_eq(RIG_COUNT(accepted), SENT);
}
END_TEST

/* A gateway introduces itself as a host's process, so that a broker's log tells one from another; until it met a broker
 * it is not ready. */
START_TEST(test_relay_introduces_itself) {
    char host[256], name[FLK_NAME_MAX + 1];
    played_up(&rig.brokers[0]);
    rig_start();
    ck_assert(!flk_gateway_ready(&rig.gateway, errmsg));
    ck_assert_str_eq(errmsg, "no broker is linked");
    ck_assert(played_next(&rig.brokers[0], FLK_HELLO, RIG_DEADLINE_MS));
    ck_assert_int_eq(gethostname(host, sizeof host), 0);
    ck_assert_uint_lt((size_t)snprintf(name, sizeof name, "%s:%d", host, (int)getpid()), sizeof name);
    ck_assert_str_eq(rig.brokers[0].message.frame.name, name);
}
END_TEST

/* A broker that falls silent is lost after three periods; its submissions wait for the next broker. The gateway stays
 * ready for thirty periods more. */
START_TEST(test_relay_silence) {
    enum { HEARTBEAT_MS = 50 };
    rig_set("FLK_HEARTBEAT_MS", HEARTBEAT_MS);
    played_t *broker = rig_start_met(CREDIT);
    flk_submission_t *client = http_post(1);
    uint64_t lsn = played_submit(broker), since_ms = flk_mono_ms();
    RIG_WAIT(!played_linked(broker));
    ck_assert_uint_ge(flk_mono_ms() - since_ms, 2 * HEARTBEAT_MS);
    RIG_WAIT(!flk_gateway_ready(&rig.gateway, errmsg));
    ck_assert_uint_ge(flk_mono_ms() - since_ms, 32 * HEARTBEAT_MS);
    ck_assert_str_eq(errmsg, "no broker is linked");
    played_meet(broker, CREDIT);
    ck_assert_uint_eq(played_submit(broker), lsn);
    played_verdict(broker, lsn, 200, 0);
    http_wait(client, 200);
    ck_assert(flk_gateway_ready(&rig.gateway, errmsg));
}
END_TEST

/* The same broker twice, or more than there may be, is a wrong setting. */
START_TEST(test_relay_wrong_brokers) {
    static const struct {
        const char *brokers, *said;
    } cases[] = {
        {"tcp://127.0.0.1:1,tcp://127.0.0.1:2,tcp://127.0.0.1:1", "twice"},
        {",", "names no broker"},
        {"tcp://127.0.0.1:1,udp://127.0.0.1:1", "udp://"},
        {"ipc://1,ipc://2,ipc://3,ipc://4,ipc://5,ipc://6,ipc://7,ipc://8,ipc://9,ipc://a,ipc://b,ipc://c,ipc://d,ipc:/"
         "/e,"
         "ipc://f,ipc://g,ipc://h",
         "at most 16"},
    };
    setenv("FLK_ZMQ_LISTEN", "off", 1);
    ck_assert_int_eq(chdir(rig.dir), 0); /* for the ipc sockets */
    setenv("FLK_FRONTENDS", cases[_i].brokers, 1);
    ck_assert_int_eq(flk_settings_load(FLK_PROGRAM_GATEWAY, &rig.settings, errmsg), FLK_OK);
    ck_assert_int_eq(flk_gateway_start(&rig.gateway, rig.settings, errmsg), FLK_E_CONFIG);
    ck_assert_msg(strstr(errmsg, "FLK_FRONTENDS") != NULL && strstr(errmsg, cases[_i].said) != NULL, "%s", errmsg);
    flk_gateway_stop(&rig.gateway);
    flk_settings_destroy(&rig.settings);
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("relay_flow");
    TCase *tcase = tcase_create("flow");
    tcase_set_timeout(tcase, 120);
    tcase_add_checked_fixture(tcase, rig_setup, rig_teardown);
    tcase_add_test(tcase, test_relay_verdicts);
    tcase_add_test(tcase, test_relay_latency_by_status);
    tcase_add_test(tcase, test_relay_keeps_what_was_decided);
    tcase_add_test(tcase, test_relay_malformed);
    tcase_add_test(tcase, test_relay_deadline);
    tcase_add_test(tcase, test_relay_client_gave_up);
    tcase_add_test(tcase, test_relay_trouble);
    tcase_add_test(tcase, test_relay_nonsense);
    tcase_add_test(tcase, test_relay_unfit_verdicts);
    tcase_add_test(tcase, test_relay_unfit_verdicts_leave_nothing);
    tcase_add_test(tcase, test_relay_credit);
    tcase_add_test(tcase, test_relay_goes_elsewhere);
    tcase_add_test(tcase, test_relay_met_again);
    tcase_add_test(tcase, test_relay_introduces_itself);
    tcase_add_test(tcase, test_relay_silence);
    tcase_add_loop_test(tcase, test_relay_wrong_brokers, 0, 4);
    suite_add_tcase(suite, tcase);
    return suite_run(suite);
}
