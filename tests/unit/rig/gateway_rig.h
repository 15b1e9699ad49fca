/* SPDX-License-Identifier: MIT */
/* A real gateway, without its HTTP door, in a directory of its own: real logs, the real relay, and brokers, agents and HTTP threads
 * that the test plays by hand. For tests only. */
#ifndef FLK_TESTS_UNIT_GATEWAY_RIG_H
#define FLK_TESTS_UNIT_GATEWAY_RIG_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/io.h"
#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/ingest.h"
#include "proto/body.h"
#include "tests/unit/rig/pcs_maker.h"
#include "tests/unit/rig/suite.h"

enum {
    RIG_DEADLINE_MS = 20000,
    RIG_BROKERS = 2,
    RIG_AGENTS_MAX = 64,
    RIG_TIMEOUT_MS = 60000, /* of requests, unless a test sets another */
};

/* Waits for a condition with a deadline; a test that waits in vain fails. */
#define RIG_WAIT(condition)                                                                                            \
    for (uint64_t give_up_ms_ = flk_mono_ms() + RIG_DEADLINE_MS; !(condition); poll(NULL, 0, 2)) {                     \
        ck_assert_msg(flk_mono_ms() < give_up_ms_, "waited in vain for: %s", #condition);                              \
    }

#define RIG_COUNT(name) flk_counter_value(rig.gateway.metrics.name)

/* A broker that says what the test says. */
typedef struct played {
    void *socket; /* ROUTER; NULL: down */
    char endpoint[64];
    flk_message_t message; /* the last one received */
    flk_route_t gateway;   /* where the last HELLO came from */
} played_t;

typedef struct rig {
    char dir[64];
    flk_settings_t *settings;
    flk_gateway_t gateway;
    bool running;
    void *context; /* of what the test plays */
    played_t brokers[RIG_BROKERS];
    char door[64];                /* ZeroMQ door */
    void *agents[RIG_AGENTS_MAX]; /* sockets: what a failed test leaves open would block the end of the context */
} rig_t;

static rig_t rig;
static char errmsg[FLK_ERRMSG_BYTES];

/* ---- the gateway ---- */

static inline void rig_set(const char *name, uint64_t value) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    setenv(name, text, 1);
}

static inline void rig_start(void) {
    ck_assert_msg(flk_settings_load(FLK_PROGRAM_GATEWAY, &rig.settings, errmsg) == FLK_OK, "%s", errmsg);
    ck_assert_msg(flk_gateway_start(&rig.gateway, rig.settings, errmsg) == FLK_OK, "%s", errmsg);
    rig.running = true;
}

static inline void rig_stop(void) {
    if (rig.running) {
        flk_gateway_stop(&rig.gateway);
        flk_settings_destroy(&rig.settings);
        rig.running = false;
    }
}

static inline uint64_t rig_unacked(void) {
    flk_wal_stats_t stats;
    flk_wal_stats(rig.gateway.inbox, &stats);
    return stats.unacked;
}

static inline uint64_t rig_recovered(void) {
    flk_wal_stats_t stats;
    flk_wal_stats(rig.gateway.inbox, &stats);
    return stats.recovered;
}

static inline uint64_t rig_ended(void) {
    return RIG_COUNT(throttled) + RIG_COUNT(refused) + RIG_COUNT(accepted) + RIG_COUNT(escalated) +
           RIG_COUNT(dedup_hits) + RIG_COUNT(rejected_400) + RIG_COUNT(rejected_401) + RIG_COUNT(rejected_413);
}

/* gateway.h says: each submission is counted once. Between requests; ack and count are two steps. */
static inline void rig_check_books(void) {
    RIG_WAIT(RIG_COUNT(ingest) + rig_recovered() == rig_ended() + rig_unacked());
}

/* Free at this moment; nobody else asks for it soon. */
static inline void rig_endpoint(char endpoint[64]) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    close(fd);
    snprintf(endpoint, 64, "tcp://127.0.0.1:%u", ntohs(address.sin_port));
}

/* A long heartbeat, so that a test which is busy elsewhere is not a lost broker. */
static inline void rig_setup(void) {
    rig = (rig_t){.context = zmq_ctx_new()};
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

/* ---- brokers ---- */

/* libzmq lets go of a port a while after the socket was closed. */
static inline void played_up(played_t *broker) {
    RIG_WAIT(flk_link_bind(rig.context, broker->endpoint, NULL, FLK_ROLE_AGENT, &broker->socket, errmsg) == FLK_OK);
    flk_message_init(&broker->message);
}

/* Without a word, as one that is killed. */
static inline void played_down(played_t *broker) {
    if (broker->socket != NULL) {
        flk_message_fini(&broker->message);
        flk_link_close(&broker->socket);
    }
}

/* The next message whatever it is. False: none within wait_ms. */
static inline bool played_next_of_all(played_t *broker, uint64_t wait_ms) {
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

static inline void played_say(played_t *broker, flk_frame_t frame, const void *body, size_t body_bytes) {
    ck_assert_int_eq(flk_link_send_copy(broker->socket, &broker->gateway, &frame, body, body_bytes), FLK_OK);
}

/* The next message of a kind; PINGs are answered, others passed over. False: none within wait_ms. */
static inline bool played_next(played_t *broker, flk_kind_t kind, uint64_t wait_ms) {
    uint64_t until = flk_mono_ms() + wait_ms, now;
    while ((now = flk_mono_ms()) <= until && played_next_of_all(broker, until - now)) {
        broker->gateway = broker->message.route;
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

static inline bool played_linked(const played_t *broker) {
    char labels[96];
    snprintf(labels, sizeof labels, "broker=\"%s\"", broker->endpoint);
    return flk_gauge_value(flk_metrics_gauge(rig.gateway.registry, "flk_broker_link_up", labels, "")) != 0;
}

/* Answers the gateway's HELLO and waits until the link is up. */
static inline void played_meet(played_t *broker, uint32_t credit) {
    ck_assert(played_next(broker, FLK_HELLO, RIG_DEADLINE_MS));
    played_say(broker, (flk_frame_t){.kind = FLK_WELCOME, .credit = credit, .heartbeat_ms = 60000}, NULL, 0);
}

/* Expects a SUBMIT and gives its LSN. */
static inline uint64_t played_submit(played_t *broker) {
    uint64_t lsn;
    ck_assert_msg(played_next(broker, FLK_SUBMIT, RIG_DEADLINE_MS), "no SUBMIT came");
    ck_assert(flk_id_to_lsn(&broker->message.frame.id, flk_wal_id(rig.gateway.inbox), &lsn));
    return lsn;
}

static inline flk_id_t id_of(uint64_t lsn) {
    flk_id_t id;
    flk_id_from_lsn(flk_wal_id(rig.gateway.inbox), lsn, &id);
    return id;
}

/* A verdict, with an outcome or a problem as its status asks for. */
static inline void played_verdict(played_t *broker, uint64_t lsn, uint32_t status, uint32_t flags) {
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = id_of(lsn), .status = status, .flags = flags};
    uint8_t body[FLK_OUTCOME_BYTES];
    size_t body_bytes;
    if (status >= 400) {
        flk_problem_t problem = {.field = "sig", .detail = "played"};
        body_bytes = flk_problem_encode(&problem, body);
    } else {
        flk_outcome_record_t record = {.outcome = {.status = (uint16_t)status, .budget = 0.25, .policy_version = "p1"}};
        memset(record.pcs_id, 'a', FLK_PCS_ID_HEX);
        record.outcome.reasons = status == FLK_STATUS_ESCALATED ? 1u << FLK_REASON_BUDGET_MISMATCH : 0;
        body_bytes = flk_outcome_encode(&record, body);
    }
    played_say(broker, frame, body, body_bytes);
}

static inline void played_trouble(played_t *broker, flk_kind_t kind, uint64_t lsn, uint32_t retry_ms) {
    played_say(broker, (flk_frame_t){.kind = kind, .id = id_of(lsn), .retry_ms = retry_ms, .name = "played"}, NULL, 0);
}

/* Starts the gateway with one broker, met. */
static inline played_t *rig_start_met(uint32_t credit) {
    played_t *broker = &rig.brokers[0];
    played_up(broker);
    rig_start();
    played_meet(broker, credit);
    RIG_WAIT(played_linked(broker));
    return broker;
}

/* ---- HTTP clients ---- */

typedef struct http_client {
    sem_t done;
    flk_answer_t answer; /* … when done */
} http_client_t;

static inline void http_tell(flk_submission_t *submission, flk_answer_t *answer) {
    http_client_t *client = submission->client;
    client->answer = *answer;
    zmq_msg_init(&client->answer.outcome);
    ck_assert_int_eq(sem_post(&client->done), 0);
}

static inline void http_forget(flk_submission_t *submission) {
    http_client_t *client = submission->client;
    sem_destroy(&client->done);
    free(client);
    flk_submission_unref(&submission);
}

/* The n-th PCS as JSON, admitted but not yet on its way. */
static inline flk_submission_t *http_prepare(uint64_t n) {
    flk_pcs_t pcs;
    char *json;
    size_t json_bytes;
    flk_answer_t answer;
    pcs_make(n, 0.5, &pcs);
    ck_assert_int_eq(flk_pcs_to_json(&pcs, &json, &json_bytes), FLK_OK);
    flk_pcs_fini(&pcs);
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

static inline flk_submission_t *http_post(uint64_t n) {
    flk_submission_t *submission = http_prepare(n);
    flk_ingest_start(&rig.gateway, submission, NULL);
    return submission;
}

/* Waits for the answer, which must have this status, and gives it; the submission is let go. */
static inline flk_answer_t http_wait(flk_submission_t *submission, unsigned status) {
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

/* The HTTP door gives up at the deadline and answers by itself. */
static inline void http_give_up(flk_submission_t *submission) {
    ck_assert(flk_submission_claim(submission));
    atomic_fetch_sub(&rig.gateway.awaited, 1);
    flk_counter_add(rig.gateway.metrics.timeouts, 1);
    http_forget(submission);
}

/* ---- agents ---- */

typedef struct agent {
    void *socket;
    flk_message_t message; /* the last one received */
} agent_t;

/* The place of a socket in the rig; of NULL: a free one. */
static inline void **agent_place(const void *socket) {
    size_t i = 0;
    while (i < RIG_AGENTS_MAX && rig.agents[i] != socket) {
        i++;
    }
    ck_assert_uint_lt(i, RIG_AGENTS_MAX);
    return &rig.agents[i];
}

static inline void agent_open(agent_t *agent) {
    void **place = agent_place(NULL);
    ck_assert_int_eq(flk_link_connect(rig.context, rig.door, NULL, &(flk_server_t){0}, place, errmsg), FLK_OK);
    agent->socket = *place;
    flk_message_init(&agent->message);
}

static inline void agent_close(agent_t *agent) {
    flk_message_fini(&agent->message);
    flk_link_close(agent_place(agent->socket));
    agent->socket = NULL;
}

/* Sends; waits for the connection if need be. */
static inline void agent_say(agent_t *agent, flk_frame_t frame, const void *body, size_t body_bytes) {
    flk_err_t err = FLK_E_UNAVAILABLE;
    RIG_WAIT((err = flk_link_send_copy(agent->socket, NULL, &frame, body, body_bytes)) != FLK_E_UNAVAILABLE);
    ck_assert_int_eq(err, FLK_OK);
}

/* The next message. False: none within wait_ms. */
static inline bool agent_next(agent_t *agent, uint64_t wait_ms) {
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

static inline const flk_frame_t *agent_expect(agent_t *agent, flk_kind_t kind) {
    ck_assert_msg(agent_next(agent, RIG_DEADLINE_MS), "no %s came", flk_kind_name(kind));
    ck_assert_str_eq(flk_kind_name(agent->message.frame.kind), flk_kind_name(kind));
    return &agent->message.frame;
}

static inline flk_id_t agent_id(uint64_t n) {
    flk_id_t id;
    flk_id_from_lsn(0xa6e27, n, &id);
    return id;
}

/* The n-th PCS under the n-th id. */
static inline void agent_submit(agent_t *agent, uint64_t n) {
    flk_pcs_t pcs;
    uint8_t body[4096];
    pcs_make(n, 0.5, &pcs);
    ck_assert_uint_le(flk_pcs_msgpack_bound(&pcs), sizeof body);
    size_t body_bytes = flk_pcs_to_msgpack(&pcs, body);
    flk_pcs_fini(&pcs);
    agent_say(agent, (flk_frame_t){.kind = FLK_SUBMIT, .id = agent_id(n)}, body, body_bytes);
}

static inline bool agent_answered(const agent_t *agent, uint64_t n) {
    flk_id_t id = agent_id(n);
    return flk_id_equal(&agent->message.frame.id, &id);
}

/* ---- the disk ---- */

/* What the io hook does to operations on files whose path has a part in it. */
static struct {
    flk_io_op_t op;
    const char *part;
    int error;   /* to fail with; 0: none */
    bool hang;   /* … or to wait for as long as this stands; atomic */
    int waiting; /* who does; atomic */
} rig_fault;

static inline int rig_on_io(flk_io_op_t op, const char *path, void *arg) {
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

/* From now on: operations `op` on paths with `part` fail with `error`. */
static inline void rig_fail(flk_io_op_t op, const char *part, int error) {
    rig_fault.op = op;
    rig_fault.part = part;
    __atomic_store_n(&rig_fault.error, error, __ATOMIC_SEQ_CST);
    flk_io_set_fault(rig_on_io, NULL);
}

/* From now on, until rig_heal, they hang. */
static inline void rig_hang(flk_io_op_t op, const char *part) {
    __atomic_store_n(&rig_fault.hang, true, __ATOMIC_SEQ_CST);
    rig_fail(op, part, 0);
}

static inline void rig_heal(void) {
    __atomic_store_n(&rig_fault.error, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&rig_fault.hang, false, __ATOMIC_SEQ_CST);
}

static inline void rig_teardown(void) {
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
    snprintf(command, sizeof command, "rm -rf %s", rig.dir);
    ck_assert_int_eq(system(command), 0);
}

#endif
