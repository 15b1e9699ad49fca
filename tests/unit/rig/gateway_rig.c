/* SPDX-License-Identifier: MIT */
#include "tests/unit/rig/gateway_rig.h"

#include "tests/unit/rig/ports.h"

rig_t rig;
char errmsg[FLK_ERRMSG_BYTES];

void rig_set(const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    setenv(name, text, 1);
}

void rig_start(void) {
    ck_assert_msg(flk_settings_load(FLK_PROGRAM_GATEWAY, &rig.settings, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_msg(flk_gateway_start(&rig.gateway, rig.settings, errmsg) == FLK_OK, "%s", errmsg);
    rig.running = true;
}

void rig_stop(void) {
    if (rig.running) {
        flk_gateway_stop(&rig.gateway);
        flk_settings_destroy(&rig.settings);
        rig.running = false;
    }
}

uint64_t rig_unacked(void) {
    flk_wal_stats_t stats;
    flk_wal_stats(rig.gateway.inbox, &stats);
    return stats.unacked;
}

uint64_t rig_recovered(void) {
    flk_wal_stats_t stats;
    flk_wal_stats(rig.gateway.inbox, &stats);
    return stats.recovered;
}

static uint64_t rig_ended(void) {
    return RIG_COUNT(throttled) + RIG_COUNT(refused) + RIG_COUNT(accepted) + RIG_COUNT(escalated) +
           RIG_COUNT(dedup_hits) + RIG_COUNT(rejected_400) + RIG_COUNT(rejected_401) + RIG_COUNT(rejected_413);
}

void rig_check_books(void) {
    RIG_WAIT(RIG_COUNT(ingest) + rig_recovered() == rig_ended() + rig_unacked());
}

static void rig_endpoint(char endpoint[64]) {
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", rig_free_port());
}

void rig_setup(void) {
    rig = (rig_t){.context = zmq_ctx_new(), .reader = flk_pcs_reader_new()};
    flk_log_init("rig", getenv("RIG_LOG") != NULL ? FLK_LOG_DEBUG : FLK_LOG_ERROR, FLK_LOG_TEXT);
    ck_assert_int_ge(sodium_init(), 0);
    strcpy(rig.dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/flk-gateway-XXXXXX" : "/tmp/flk-gateway-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(rig.dir));
    for (size_t i = 0; i < RIG_BROKERS; i++) {
        rig_endpoint(rig.brokers[i].endpoint);
    }
    rig_endpoint(rig.door);
    setenv("FLK_DATA_DIR", rig.dir, 1);
    setenv("FLK_FRONTENDS", rig.brokers[0].endpoint, 1);
    setenv("FLK_ZMQ_LISTEN", rig.door, 1);
    rig_set("FLK_HEARTBEAT_MS", 60000);
    rig_set("FLK_REQUEST_TIMEOUT_MS", RIG_TIMEOUT_MS);
    rig_set("FLK_WAL_LOW_WATER_BYTES", 0);
    rig_set("FLK_WAL_SEGMENT_BYTES", 1 << 20);
    rig_set("FLK_INFLIGHT_MAX", 16384);
}

void played_up(played_t *broker) {
    RIG_WAIT(flk_link_bind(rig.context, broker->endpoint, NULL, FLK_ROLE_AGENT, &broker->socket, errmsg) == FLK_OK);
    flk_message_init(&broker->message);
}

/* Without a word, as one that is killed. */
static void played_down(played_t *broker) {
    if (broker->socket != NULL) {
        flk_message_fini(&broker->message);
        flk_link_close(&broker->socket);
    }
}

bool played_next_of_all(played_t *broker, uint64_t wait_ms) {
    uint64_t until = flk_mono_ms() + wait_ms, now;
    flk_err_t err;
    while ((err = flk_link_recv(broker->socket, true, &broker->message, errmsg)) == FLK_E_AGAIN &&
           (now = flk_mono_ms()) < until) {
        zmq_pollitem_t item = {.socket = broker->socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, (long)(until - now));
    }
    ck_assert(err == FLK_OK || err == FLK_E_AGAIN);
    return err == FLK_OK;
}

void played_say(played_t *broker, flk_frame_t frame, const void *body, size_t body_bytes) {
    ck_assert_int_eq(flk_link_send_copy(broker->socket, &broker->gateway, &frame, body, body_bytes), FLK_OK);
}

/* Remembers which PCS was submitted under which LSN, so that verdicts can be about it. */
static void note_submit(flk_message_t *message) {
    flk_pcs_t pcs;
    flk_pcs_fault_t fault;
    uint64_t lsn;
    zmq_msg_t *body = &message->body;
    if (!rig.running || !flk_id_to_lsn(&message->frame.id, flk_wal_id(rig.gateway.inbox), &lsn)) {
        return;
    }
    while (lsn >= rig.ids_len) {
        uint64_t more = rig.ids_len * 2 + 64;
        rig.ids = realloc(rig.ids, more * sizeof *rig.ids);
        ck_assert_ptr_nonnull(rig.ids);
        memset(rig.ids + rig.ids_len, 0, (more - rig.ids_len) * sizeof *rig.ids);
        rig.ids_len = more;
    }
    ck_assert_int_eq(flk_pcs_from_msgpack(rig.reader, zmq_msg_data(body), zmq_msg_size(body), &pcs, &fault), FLK_OK);
    memcpy(rig.ids[lsn], pcs.id, sizeof rig.ids[lsn]);
    flk_pcs_fini(&pcs);
}

bool played_next(played_t *broker, flk_kind_t kind, uint64_t wait_ms) {
    uint64_t until = flk_mono_ms() + wait_ms, now;
    while ((now = flk_mono_ms()) <= until && played_next_of_all(broker, until - now)) {
        broker->gateway = broker->message.route;
        if (broker->message.frame.kind == FLK_SUBMIT) {
            note_submit(&broker->message);
        }
        if (broker->message.frame.kind == kind) {
            return true;
        }
        if (broker->message.frame.kind == FLK_PING) {
            (void)!flk_link_send(broker->socket, &broker->gateway, &(flk_frame_t){.kind = FLK_PONG, .known = true},
                                 NULL);
        }
    }
    return false;
}

bool played_linked(const played_t *broker) {
    char labels[96];
    snprintf(labels, sizeof labels, "broker=\"%s\"", broker->endpoint);
    return flk_gauge_value(flk_metrics_gauge(rig.gateway.registry, "flk_broker_link_up", labels, "")) != 0;
}

void played_meet(played_t *broker, uint32_t credit) {
    ck_assert(played_next(broker, FLK_HELLO, RIG_DEADLINE_MS));
    played_say(broker, (flk_frame_t){.kind = FLK_WELCOME, .credit = credit, .heartbeat_ms = 60000}, NULL, 0);
}

uint64_t played_lsn(played_t *broker) {
    uint64_t lsn;
    ck_assert(flk_id_to_lsn(&broker->message.frame.id, flk_wal_id(rig.gateway.inbox), &lsn));
    return lsn;
}

uint64_t played_submit(played_t *broker) {
    ck_assert_msg(played_next(broker, FLK_SUBMIT, RIG_DEADLINE_MS), "no SUBMIT came");
    return played_lsn(broker);
}

flk_id_t id_of(uint64_t lsn) {
    flk_id_t id;
    flk_id_from_lsn(flk_wal_id(rig.gateway.inbox), lsn, &id);
    return id;
}

flk_outcome_record_t played_outcome(uint64_t lsn, uint32_t status) {
    flk_outcome_record_t record = {.outcome = {.status = (uint16_t)status, .budget = 0.25, .policy_version = "p1"}};
    memset(record.pcs_id, 'a', FLK_PCS_ID_HEX);
    if (lsn < rig.ids_len && rig.ids[lsn][0] != '\0') {
        memcpy(record.pcs_id, rig.ids[lsn], sizeof record.pcs_id);
    }
    record.outcome.reasons = status == FLK_STATUS_ESCALATED ? 1u << FLK_REASON_BUDGET_MISMATCH : 0;
    return record;
}

void played_verdict(played_t *broker, uint64_t lsn, uint32_t status, uint32_t flags) {
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = id_of(lsn), .status = status, .flags = flags};
    uint8_t body[FLK_OUTCOME_BYTES];
    size_t body_bytes;
    if (status >= 400) {
        flk_problem_t problem = {.field = "sig", .detail = "played"};
        body_bytes = flk_problem_encode(&problem, body);
    } else {
        flk_outcome_record_t record = played_outcome(lsn, status);
        body_bytes = flk_outcome_encode(&record, body);
    }
    played_say(broker, frame, body, body_bytes);
}

void played_trouble(played_t *broker, flk_kind_t kind, uint64_t lsn, uint32_t retry_ms) {
    played_say(broker, (flk_frame_t){.kind = kind, .id = id_of(lsn), .retry_ms = retry_ms, .name = "played"}, NULL, 0);
}

played_t *rig_start_met(uint32_t credit) {
    played_t *broker = &rig.brokers[0];
    played_up(broker);
    rig_start();
    played_meet(broker, credit);
    RIG_WAIT(played_linked(broker));
    return broker;
}

static void http_tell(flk_submission_t *submission, flk_answer_t *answer) {
    http_client_t *client = submission->client;
    char text[FLK_ANSWER_BYTES];
    ck_assert_uint_gt(flk_answer_print(answer, text), 0); /* as the door does */
    client->answer = *answer;
    zmq_msg_init(&client->answer.encoded);
    ck_assert_int_eq(sem_post(&client->done), 0);
}

void http_forget(flk_submission_t *submission) {
    http_client_t *client = submission->client;
    sem_destroy(&client->done);
    free(client);
    flk_submission_unref(&submission);
}

flk_submission_t *http_prepare(uint64_t n) {
    flk_pcs_t pcs;
    pcs_make(n, 0.5, &pcs);
    return http_prepare_pcs(&pcs);
}

flk_submission_t *http_prepare_pcs(flk_pcs_t *pcs) {
    char *json;
    size_t json_bytes;
    flk_answer_t answer;
    ck_assert_int_eq(flk_pcs_to_json(pcs, &json, &json_bytes), FLK_OK);
    flk_pcs_fini(pcs);
    ck_assert_msg(flk_admission_admit(&rig.gateway, json_bytes, &answer) == FLK_OK, "%s", answer.problem.detail);
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_HTTP);
    ck_assert_ptr_nonnull(submission);
    submission->began_ns = flk_mono_ns();
    submission->deadline_ms = flk_mono_ms() + rig.gateway.request_timeout_ms;
    http_client_t *client = calloc(1, sizeof *client);
    ck_assert(client != NULL && sem_init(&client->done, 0, 0) == 0);
    submission->tell = http_tell;
    submission->client = client;
    flk_submission_set_json(submission, json, json_bytes);
    flk_submission_ref(submission);
    return submission;
}

flk_submission_t *http_post(uint64_t n) {
    flk_submission_t *submission = http_prepare(n);
    flk_ingest_start(&rig.gateway, submission, NULL);
    return submission;
}

flk_answer_t http_wait(flk_submission_t *submission, unsigned status) {
    struct timespec until;
    http_client_t *client = submission->client;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += RIG_DEADLINE_MS / 1000;
    while (sem_timedwait(&client->done, &until) != 0) {
        ck_assert_msg(errno == EINTR, "no answer came");
    }
    flk_answer_t answer = client->answer;
    ck_assert_msg(answer.status == status, "%u, not %u: %s", answer.status, status, answer.problem.detail);
    http_forget(submission);
    return answer;
}

void http_give_up(flk_submission_t *submission) {
    ck_assert(flk_submission_claim(submission));
    atomic_fetch_sub(&rig.gateway.awaited, 1);
    flk_counter_add(rig.gateway.metrics.timeouts, 1);
    http_forget(submission);
}

/* The place of a socket in the rig; of NULL: a free one. */
static void **agent_place(const void *socket) {
    size_t i = 0;
    while (i < RIG_AGENTS_MAX && rig.agents[i] != socket) {
        i++;
    }
    ck_assert_uint_lt(i, RIG_AGENTS_MAX);
    return &rig.agents[i];
}

void agent_open(agent_t *agent) {
    void **place = agent_place(NULL);
    ck_assert_int_eq(flk_link_connect(rig.context, rig.door, NULL, &(flk_server_t){0}, place, errmsg), FLK_OK);
    agent->socket = *place;
    flk_message_init(&agent->message);
}

void agent_close(agent_t *agent) {
    flk_message_fini(&agent->message);
    flk_link_close(agent_place(agent->socket));
    agent->socket = NULL;
}

void agent_say(agent_t *agent, flk_frame_t frame, const void *body, size_t body_bytes) {
    flk_err_t err = FLK_E_UNAVAILABLE;
    RIG_WAIT((err = flk_link_send_copy(agent->socket, NULL, &frame, body, body_bytes)) != FLK_E_UNAVAILABLE);
    ck_assert_int_eq(err, FLK_OK);
}

bool agent_next(agent_t *agent, uint64_t wait_ms) {
    uint64_t until = flk_mono_ms() + wait_ms, now;
    flk_err_t err;
    while ((err = flk_link_recv(agent->socket, false, &agent->message, errmsg)) == FLK_E_AGAIN &&
           (now = flk_mono_ms()) < until) {
        zmq_pollitem_t item = {.socket = agent->socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, (long)(until - now));
    }
    ck_assert(err == FLK_OK || err == FLK_E_AGAIN);
    return err == FLK_OK;
}

const flk_frame_t *agent_expect(agent_t *agent, flk_kind_t kind) {
    ck_assert_msg(agent_next(agent, RIG_DEADLINE_MS), "no %s came", flk_kind_name(kind));
    ck_assert_str_eq(flk_kind_name(agent->message.frame.kind), flk_kind_name(kind));
    return &agent->message.frame;
}

flk_id_t agent_id(uint64_t n) {
    flk_id_t id;
    flk_id_from_lsn(0xa6e27, n, &id);
    return id;
}

void agent_submit(agent_t *agent, uint64_t n) {
    flk_pcs_t pcs;
    pcs_make(n, 0.5, &pcs);
    agent_submit_pcs(agent, n, &pcs);
}

void agent_submit_pcs(agent_t *agent, uint64_t n, flk_pcs_t *pcs) {
    uint8_t body[4096];
    ck_assert_uint_le(flk_pcs_msgpack_bound(pcs), sizeof body);
    size_t body_bytes = flk_pcs_to_msgpack(pcs, body);
    flk_pcs_fini(pcs);
    agent_say(agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(n)}, body, body_bytes);
}

bool agent_answered(const agent_t *agent, uint64_t n) {
    flk_id_t id = agent_id(n);
    return flk_id_equal(&agent->message.frame.id, &id);
}

struct rig_fault rig_fault;

static int rig_on_io(flk_io_op_t op, const char *path, void *arg) {
    (void)arg;
    if (op != rig_fault.op || path == NULL || strstr(path, rig_fault.part) == NULL) {
        return 0;
    }
    __atomic_fetch_add(&rig_fault.waiting, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&rig_fault.hang, __ATOMIC_SEQ_CST)) {
        poll(NULL, 0, 2);
    }
    __atomic_fetch_sub(&rig_fault.waiting, 1, __ATOMIC_SEQ_CST);
    return __atomic_load_n(&rig_fault.error, __ATOMIC_SEQ_CST);
}

void rig_fail(flk_io_op_t op, const char *part, int error) {
    rig_fault.op = op;
    rig_fault.part = part;
    __atomic_store_n(&rig_fault.error, error, __ATOMIC_SEQ_CST);
    flk_io_set_fault(rig_on_io, NULL);
}

void rig_hang(flk_io_op_t op, const char *part) {
    __atomic_store_n(&rig_fault.hang, true, __ATOMIC_SEQ_CST);
    rig_fail(op, part, 0);
}

void rig_heal(void) {
    __atomic_store_n(&rig_fault.error, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&rig_fault.hang, false, __ATOMIC_SEQ_CST);
}

void rig_teardown(void) {
    char command[96];
    rig_heal();
    if (rig.running) {
        rig_check_books();
    }
    rig_stop();
    flk_io_set_fault(NULL, NULL);
    for (size_t i = 0; i < RIG_BROKERS; i++) {
        played_down(&rig.brokers[i]);
    }
    for (size_t i = 0; i < RIG_AGENTS_MAX; i++) {
        flk_link_close(&rig.agents[i]);
    }
    zmq_ctx_term(rig.context);
    flk_pcs_reader_destroy(&rig.reader);
    free(rig.ids);
    snprintf(command, sizeof command, "rm -rf %s", rig.dir);
    ck_assert_int_eq(system(command), 0);
}
