/* SPDX-License-Identifier: MIT */
/* The door for internal agents: a ROUTER on the relay's thread. A SUBMIT takes the same way as an HTTP request:
 * admitted, parsed, appended; its answer carries the id that the agent chose.
 *
 * Malformed and unknown frames are counted and ignored: they have no id to be answered under. An agent with as many
 * unanswered submissions as its credit is told BUSY. An answer for an agent that is gone, or does not read, is
 * dropped: the agent sends again and gets the outcome. An agent whose key is taken out of the lists is put out
 * (flk_zmq_door_judge): it is no longer heard, and gets no answer to its submissions here. */
#include "gateway/zmq_door.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "gateway/admission.h"
#include "gateway/agents.h"
#include "gateway/ingest.h"
#include "gateway/relay_internal.h"

enum { CREDIT_MAX = 1024, OVER_CREDIT_RETRY_MS = 100 };

typedef struct flk_zmq_door {
    void *socket; /* ROUTER; NULL: no door */
    flk_id_t instance;
    flk_agents_t *agents;     /* known at the door */
    uint64_t keys_generation; /* of the lists by which they were judged */
} flk_zmq_door_t;

static uint32_t credit(const flk_gateway_t *gateway) {
    return gateway->inflight_max < CREDIT_MAX ? (uint32_t)gateway->inflight_max : CREDIT_MAX;
}

flk_err_t flk_zmq_door_init(flk_relay_t *relay, char *errmsg) {
    const flk_settings_t *settings = relay->gateway->settings;
    const char *endpoint = flk_settings_str(settings, FLK_SET_ZMQ_LISTEN);
    relay->door = flk_start_alloc(sizeof *relay->door);
    relay->door->agents = flk_agents_new(credit(relay->gateway));
    flk_id_random(&relay->door->instance);
    if (strcmp(endpoint, "off") == 0) {
        return FLK_OK;
    }
    flk_err_t err = flk_link_bind(relay->context, endpoint, relay->zap, FLK_ROLE_AGENT, &relay->door->socket, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_ZMQ_LISTEN");
    }
    return err;
}

/* ---- answering ---- */

static void send_frame(flk_relay_t *relay, const flk_route_t *route, const flk_frame_t *frame, zmq_msg_t *body) {
    if (flk_link_send(relay->door->socket, route, frame, body) != FLK_OK) {
        flk_counter_add(relay->gateway->metrics.unroutable, 1);
    }
}

static void send_problem(flk_relay_t *relay, const flk_route_t *route, const flk_frame_t *frame,
                         const flk_problem_t *problem) {
    uint8_t body[FLK_PROBLEM_BYTES];
    size_t body_bytes = flk_problem_encode(problem, body);
    if (flk_link_send_copy(relay->door->socket, route, frame, body, body_bytes) != FLK_OK) {
        flk_counter_add(relay->gateway->metrics.unroutable, 1);
    }
}

static void answer_agent(flk_relay_t *relay, const flk_route_t *route, const flk_id_t *id, flk_answer_t *answer) {
    flk_frame_t frame = {.kind = FLK_VERDICT, .id = *id, .status = answer->status, .flags = answer->flags};
    if (answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED) {
        send_frame(relay, route, &frame, &answer->encoded);
    } else if (answer->status == 503 || answer->status == 429) {
        frame.kind = answer->status == 503 ? FLK_UNAVAILABLE : FLK_BUSY;
        frame.retry_ms = answer->retry_ms;
        memcpy(frame.name, answer->problem.detail, strnlen(answer->problem.detail, FLK_NAME_MAX));
        send_frame(relay, route, &frame, NULL);
    } else {
        send_problem(relay, route, &frame, &answer->problem);
    }
}

/* flk_tell_fn: sends the answer to the agent and gives its credit back. */
static void tell(flk_submission_t *submission, flk_answer_t *answer) {
    flk_relay_t *relay = submission->client;
    flk_latency_answered(&relay->gateway->metrics.latency, FLK_DOOR_ZMQ, answer->status, submission->began_ns);
    if (!flk_agents_give(relay->door->agents, &submission->route)) {
        flk_counter_add(relay->gateway->metrics.unroutable, 1);
        return;
    }
    answer_agent(relay, &submission->route, &submission->client_id, answer);
}

/* ---- submissions ---- */

static flk_submission_t *new_submission(flk_relay_t *relay, flk_message_t *message) {
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_ZMQ);
    if (submission != NULL) {
        submission->tell = tell;
        submission->client = relay;
        submission->route = message->route;
        submission->client_id = message->frame.id;
        submission->began_ns = flk_mono_ns();
        submission->deadline_ms = relay->now_ms + relay->gateway->request_timeout_ms;
        flk_submission_set_msgpack(submission, &message->body);
    }
    return submission;
}

/* Out of memory for the submission itself; its place was taken. */
static void refuse_for_memory(flk_gateway_t *gateway, size_t body_bytes, flk_answer_t *answer) {
    flk_admission_leave(gateway, body_bytes);
    flk_admission_refuse(gateway, 503, "out of memory", FLK_RETRY_MS, answer);
}

/* FLK_OK: *submission is on its way. Otherwise `answer` tells why not. */
static flk_err_t let_in(flk_relay_t *relay, flk_message_t *message, flk_submission_t **submission,
                        flk_answer_t *answer) {
    size_t body_bytes = zmq_msg_size(&message->body);
    flk_err_t err = flk_admission_admit(relay->gateway, body_bytes, answer);
    if (err == FLK_OK) {
        *submission = new_submission(relay, message);
        if (*submission == NULL) {
            refuse_for_memory(relay->gateway, body_bytes, answer);
            err = FLK_E_NOMEM;
        }
    }
    return err;
}

static void submit(flk_relay_t *relay, flk_message_t *message) {
    flk_answer_t answer;
    flk_submission_t *submission;
    if (flk_agents_take(relay->door->agents, &message->route, flk_zap_user(message), relay->now_ms) != FLK_OK) {
        flk_admission_observe(relay->gateway);
        flk_admission_refuse(relay->gateway, 429, "over credit", OVER_CREDIT_RETRY_MS, &answer);
        answer_agent(relay, &message->route, &message->frame.id, &answer);
    } else if (let_in(relay, message, &submission, &answer) != FLK_OK) {
        flk_agents_give(relay->door->agents, &message->route);
        answer_agent(relay, &message->route, &message->frame.id, &answer);
    } else if (flk_ingest_start(relay->gateway, submission, relay->reader)) {
        flk_list_push(&relay->watched, &submission->by_age); /* it cannot have come back: this thread takes arrivals */
    }
}

/* ---- receiving ---- */

static void welcome(flk_relay_t *relay, const flk_message_t *message) {
    const flk_gateway_t *gateway = relay->gateway;
    flk_frame_t frame = {.kind = FLK_WELCOME,
                         .id = relay->door->instance,
                         .credit = credit(gateway),
                         .heartbeat_ms = (uint32_t)flk_settings_uint(gateway->settings, FLK_SET_HEARTBEAT_MS)};
    if (flk_agents_introduce(relay->door->agents, &message->route, flk_zap_user(message), relay->now_ms) == FLK_OK) {
        send_frame(relay, &message->route, &frame, NULL); /* else it asks again */
    }
}

static void take_frame(flk_relay_t *relay, flk_message_t *message) {
    bool known = flk_agents_heard(relay->door->agents, &message->route, relay->now_ms);
    switch (message->frame.kind) {
    case FLK_SUBMIT:
        submit(relay, message);
        break;
    case FLK_HELLO:
        welcome(relay, message);
        break;
    case FLK_PING:
        send_frame(relay, &message->route,
                   &(flk_frame_t){.kind = FLK_PONG, .id = relay->door->instance, .known = known}, NULL);
        break;
    case FLK_GOODBYE:
        flk_agents_remove(relay->door->agents, &message->route);
        break;
    case FLK_PONG:
        break;
    default:
        flk_counter_add(relay->gateway->metrics.unknown, 1);
        break;
    }
}

size_t flk_zmq_door_receive(flk_relay_t *relay) {
    size_t taken = 0;
    while (relay->door->socket != NULL && taken < FLK_RELAY_BATCH) {
        flk_err_t err = flk_link_recv(relay->door->socket, true, &relay->message, NULL);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        taken++;
        if (!flk_zap_admits(relay->zap, relay->door->socket, &relay->message)) {
            continue;
        }
        if (err == FLK_OK) {
            take_frame(relay, &relay->message);
        } else {
            flk_relay_count_unread(relay, err);
        }
    }
    return taken;
}

void flk_zmq_door_judge(flk_relay_t *relay) {
    uint64_t generation = flk_zap_generation(relay->zap);
    if (generation != relay->door->keys_generation) {
        relay->door->keys_generation = generation;
        flk_agents_judge(relay->door->agents, relay->zap, relay->door->socket);
    }
}

void flk_zmq_door_sweep(flk_relay_t *relay) {
    flk_agents_sweep(relay->door->agents, relay->now_ms);
}

static void say_goodbye(void *arg, const flk_route_t *route) {
    flk_relay_t *relay = arg;
    send_frame(relay, route, &(flk_frame_t){.kind = FLK_GOODBYE, .id = relay->door->instance}, NULL);
}

/* An agent that is told goes elsewhere, or waits for the next gateway here, instead of sending into a closed door. */
void flk_zmq_door_fini(flk_relay_t *relay) {
    flk_zmq_door_t *door = relay->door;
    if (door == NULL) {
        return;
    }
    if (door->socket != NULL) {
        flk_agents_each(door->agents, say_goodbye, relay);
    }
    flk_agents_destroy(&door->agents);
    flk_link_close(&door->socket);
    free(door);
    relay->door = NULL;
}

int flk_zmq_door_poll(const flk_relay_t *relay, zmq_pollitem_t *items) {
    if (relay->door->socket == NULL) {
        return 0;
    }
    items[0] = (zmq_pollitem_t){.socket = relay->door->socket, .events = ZMQ_POLLIN};
    return 1;
}
