/* SPDX-License-Identifier: MIT */
/* The door for internal agents: a ROUTER on the relay's thread. A SUBMIT takes the same way as an HTTP request: admitted,
 * appended, parsed beside the sync; its answer carries the id that the agent chose. Malformed and unknown frames are counted
 * and ignored: whoever sends them has no id to be answered under. */
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "gateway/agents.h"
#include "gateway/ingest.h"
#include "gateway/relay_internal.h"

flk_err_t flk_zmq_door_init(flk_relay_t *relay, char *errmsg) {
    const flk_settings_t *settings = relay->gateway->settings;
    const char *endpoint = flk_settings_str(settings, FLK_SET_ZMQ_LISTEN);
    relay->agents = flk_agents_new();
    flk_id_random(&relay->door_instance);
    if (strcmp(endpoint, "off") == 0) {
        return FLK_OK;
    }
    flk_err_t err =
        flk_link_bind(relay->context, endpoint, flk_settings_bool(settings, FLK_SET_PLAINTEXT), &relay->door, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "FLK_ZMQ_LISTEN");
    }
    return err;
}

static void send(flk_relay_t *relay, const flk_route_t *route, const flk_frame_t *frame, zmq_msg_t *body) {
    if (flk_link_send(relay->door, route, frame, body) != FLK_OK) {
        flk_counter_add(relay->gateway->metrics.door_unroutable, 1); /* gone: it will ask again, and find the outcome */
    }
}

void flk_zmq_door_answer(flk_relay_t *relay, const flk_submission_t *submission, flk_answer_t *answer) {
    flk_frame_t frame = {
        .kind = FLK_VERDICT, .id = submission->client_id, .status = answer->status, .flags = answer->flags};
    if (answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED) {
        send(relay, &submission->route, &frame, &answer->outcome);
        return;
    }
    if (answer->status == 503 || answer->status == 429) {
        frame.kind = answer->status == 503 ? FLK_UNAVAILABLE : FLK_BUSY;
        frame.retry_ms = answer->retry_ms;
        memcpy(frame.name, answer->problem.detail, strnlen(answer->problem.detail, FLK_NAME_MAX));
        send(relay, &submission->route, &frame, NULL);
        return;
    }
    uint8_t body[FLK_PROBLEM_BYTES];
    size_t body_bytes = flk_problem_encode(&answer->problem, body);
    if (flk_link_send_copy(relay->door, &submission->route, &frame, body, body_bytes) != FLK_OK) {
        flk_counter_add(relay->gateway->metrics.door_unroutable, 1);
    }
}

static void submit(flk_relay_t *relay, flk_message_t *message) {
    flk_gateway_t *gateway = relay->gateway;
    flk_submission_t refused = {.route = message->route, .client_id = message->frame.id};
    flk_answer_t answer;
    if (flk_ingest_admit(gateway, &answer) != FLK_OK) {
        flk_zmq_door_answer(relay, &refused, &answer);
        return;
    }
    flk_submission_t *submission = flk_submission_new(FLK_DOOR_ZMQ);
    if (submission == NULL) {
        flk_ingest_leave(gateway);
        flk_answer_problem(&answer, 503, "", "out of memory", 1000);
        flk_zmq_door_answer(relay, &refused, &answer);
        return;
    }
    submission->route = message->route;
    submission->client_id = message->frame.id;
    submission->began_ns = flk_mono_ns();
    submission->deadline_ms = relay->now_ms + gateway->request_timeout_ms;
    flk_submission_set_msgpack(submission, &message->body);
    flk_ages_move(&relay->watched, submission);
    flk_ingest_start(gateway, submission, relay->reader);
}

static void take(flk_relay_t *relay, flk_message_t *message) {
    const flk_frame_t *frame = &message->frame;
    bool known = flk_agents_heard(relay->agents, &message->route, relay->now_ms);
    switch (frame->kind) {
    case FLK_SUBMIT:
        submit(relay, message);
        break;
    case FLK_HELLO: {
        flk_frame_t welcome = {.kind = FLK_WELCOME,
                               .id = relay->door_instance,
                               .credit = FLK_DOOR_CREDIT,
                               .heartbeat_ms =
                                   (uint32_t)flk_settings_uint(relay->gateway->settings, FLK_SET_HEARTBEAT_MS)};
        if (flk_agents_add(relay->agents, &message->route, relay->now_ms) == FLK_OK) {
            send(relay, &message->route, &welcome, NULL);
        }
        break;
    }
    case FLK_PING:
        send(relay, &message->route, &(flk_frame_t){.kind = FLK_PONG, .id = relay->door_instance, .known = known},
             NULL);
        break;
    case FLK_GOODBYE:
        flk_agents_remove(relay->agents, &message->route);
        break;
    case FLK_PONG:
        break;
    default:
        flk_counter_add(relay->gateway->metrics.door_unknown, 1);
        break;
    }
}

size_t flk_zmq_door_receive(flk_relay_t *relay) {
    char errmsg[FLK_ERRMSG_BYTES];
    size_t taken = 0;
    while (relay->door != NULL && taken < FLK_RELAY_BATCH) {
        flk_err_t err = flk_link_recv(relay->door, true, &relay->message, errmsg);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        taken++;
        if (err == FLK_OK) {
            take(relay, &relay->message);
        } else {
            flk_counter_add(err == FLK_E_NOT_FOUND ? relay->gateway->metrics.door_unknown
                                                   : relay->gateway->metrics.door_malformed,
                            1);
        }
    }
    return taken;
}

void flk_zmq_door_tick(flk_relay_t *relay) {
    flk_agents_sweep(relay->agents, relay->now_ms);
}

void flk_zmq_door_fini(flk_relay_t *relay) {
    flk_agents_destroy(&relay->agents);
    flk_link_close(&relay->door);
}
