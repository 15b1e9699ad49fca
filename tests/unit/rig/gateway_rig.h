/* SPDX-License-Identifier: MIT */
/* A real gateway, without its HTTP door, in a directory of its own: real logs, the real relay, and brokers, agents
 * and HTTP threads that the test plays by hand. For tests only. */
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
#include "gateway/answer.h"
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

/* A broker that the test plays. */
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
    void *context; /* of the played parts */
    played_t brokers[RIG_BROKERS];
    char door[64];                /* ZeroMQ door */
    void *agents[RIG_AGENTS_MAX]; /* sockets: one left open by a failed test would block the end of the context */
    flk_pcs_reader_t *reader;
    char (*ids)[FLK_PCS_ID_HEX + 1]; /* heap: by LSN, the pcs_id of a submission to a broker; "" for none */
    uint64_t ids_len;
} rig_t;

extern rig_t rig;
extern char errmsg[FLK_ERRMSG_BYTES];

/* ---- the gateway ---- */

void rig_set(const char *name, uint64_t value);

void rig_start(void);

void rig_stop(void);

uint64_t rig_unacked(void);

uint64_t rig_recovered(void);

/* gateway.h says: each submission is counted once. Between requests; ack and count are two steps. */
void rig_check_books(void);

/* A long heartbeat, so that a test which is busy elsewhere is not a lost broker. */
void rig_setup(void);

/* ---- brokers ---- */

/* libzmq lets go of a port a while after the socket was closed. */
void played_up(played_t *broker);

/* The next message of any kind. False: none within wait_ms. */
bool played_next_of_all(played_t *broker, uint64_t wait_ms);

void played_say(played_t *broker, flk_frame_t frame, const void *body, size_t body_bytes);

/* The next message of a kind; PINGs are answered, others passed over. False: none within wait_ms. */
bool played_next(played_t *broker, flk_kind_t kind, uint64_t wait_ms);

bool played_linked(const played_t *broker);

/* Answers the gateway's HELLO and waits until the link is up. */
void played_meet(played_t *broker, uint32_t credit);

/* Expects a SUBMIT and gives its LSN. */
uint64_t played_submit(played_t *broker);
/* The LSN of the SUBMIT that was received last. */
uint64_t played_lsn(played_t *broker);

flk_id_t id_of(uint64_t lsn);

/* An outcome of that status for the PCS that was submitted under `lsn`. */
flk_outcome_record_t played_outcome(uint64_t lsn, uint32_t status);

/* A verdict, with an outcome or a problem as its status asks for. */
void played_verdict(played_t *broker, uint64_t lsn, uint32_t status, uint32_t flags);

void played_trouble(played_t *broker, flk_kind_t kind, uint64_t lsn, uint32_t retry_ms);

/* Starts the gateway with one broker, met. */
played_t *rig_start_met(uint32_t credit);

/* ---- HTTP clients ---- */

typedef struct http_client {
    sem_t done;
    flk_answer_t answer; /* … when done */
} http_client_t;

void http_forget(flk_submission_t *submission);

/* The n-th PCS as JSON, admitted but not yet on its way. */
flk_submission_t *http_prepare(uint64_t n);
flk_submission_t *http_prepare_pcs(flk_pcs_t *pcs); /* ends `pcs` */

flk_submission_t *http_post(uint64_t n);

/* Waits for the answer, which must have this status, and gives it; the submission is let go. */
flk_answer_t http_wait(flk_submission_t *submission, unsigned status);

/* The HTTP door gives up at the deadline and answers by itself. */
void http_give_up(flk_submission_t *submission);

/* ---- agents ---- */

typedef struct agent {
    void *socket;
    flk_message_t message; /* the last one received */
} agent_t;

void agent_open(agent_t *agent);

void agent_close(agent_t *agent);

/* Sends; waits for the connection if need be. */
void agent_say(agent_t *agent, flk_frame_t frame, const void *body, size_t body_bytes);

/* The next message. False: none within wait_ms. */
bool agent_next(agent_t *agent, uint64_t wait_ms);

const flk_frame_t *agent_expect(agent_t *agent, flk_kind_t kind);

flk_id_t agent_id(uint64_t n);

/* The n-th PCS under the n-th id. */
void agent_submit(agent_t *agent, uint64_t n);
void agent_submit_pcs(agent_t *agent, uint64_t n, flk_pcs_t *pcs); /* under the n-th id; ends `pcs` */

bool agent_answered(const agent_t *agent, uint64_t n);

/* ---- the disk ---- */

/* The io hook's effect on operations on files whose path has a part in it. */
extern struct rig_fault {
    flk_io_op_t op;
    const char *part;
    int error;   /* to fail with; 0: none */
    bool hang;   /* … or to wait for as long as this stands; atomic */
    int waiting; /* the caller; atomic */
} rig_fault;

/* From now on: operations `op` on paths with `part` fail with `error`. */
void rig_fail(flk_io_op_t op, const char *part, int error);

/* From now on, until rig_heal, they hang. */
void rig_hang(flk_io_op_t op, const char *part);

void rig_heal(void);

void rig_teardown(void);

#endif
