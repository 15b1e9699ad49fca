/* SPDX-License-Identifier: MIT */
/* The ZeroMQ door: one DEALER, many submissions under way, as many as the gateway gives credit for.
 *   send -> a place in the table -> SUBMIT when the link is up and credit is left -> VERDICT, UNAVAILABLE or BUSY with
 *   the same id -> on_reply.
 * A lost link (uplink.h notices) takes all that was sent over it along: it is sent again after the next WELCOME. A
 * parcel without an answer for timeout_ms, link or no link, is given back to be tried later; a late answer finds no
 * place and is ignored: the next try gets the stored outcome. */
#include "agent/send/transport.h"

#include <stdlib.h>
#include <string.h>

#include "proto/body.h"
#include "proto/uplink.h"

enum { TURN_FRAMES_MAX = 256 };

typedef struct place {
    flk_parcel_t *parcel; /* NULL: free */
    bool sent;            /* over the link as it is now */
    uint64_t deadline_ms;
} place_t;

typedef struct door {
    flk_transport_t base;
    void *context;
    flk_uplink_t uplink;
    place_t *places;   /* options.parallel */
    uint32_t sent;     /* places that hold credit */
    bool work_to_send; /* some place is unsent */
    flk_message_t message;
} door_t;

/* Frees the place, then gives the parcel back: the owner may send it again at once. */
static void finish_place(door_t *door, place_t *place, const flk_reply_t *reply) {
    flk_parcel_t *parcel = place->parcel;
    door->sent -= place->sent;
    *place = (place_t){0};
    flk_transport_finish(&door->base, parcel, reply);
}

/* The PCS as msgpack in a new message; false: out of memory. */
static bool encode_pcs(const flk_parcel_t *parcel, zmq_msg_t *body) {
    uint8_t *bytes = malloc(flk_pcs_msgpack_bound(&parcel->pcs));
    if (bytes == NULL) {
        return false;
    }
    size_t used = flk_pcs_to_msgpack(&parcel->pcs, bytes);
    bool made = zmq_msg_init_size(body, used) == 0;
    if (made) {
        memcpy(zmq_msg_data(body), bytes, used);
    }
    free(bytes);
    return made;
}

/* Sends one; false: the link takes no more now. */
static bool send_place(door_t *door, place_t *place) {
    zmq_msg_t body;
    if (!encode_pcs(place->parcel, &body)) {
        flk_reply_t reply = {.kind = FLK_REPLY_LATER};
        flk_reply_say(&reply, "out of memory");
        finish_place(door, place, &reply);
        return true;
    }
    flk_frame_t frame = {.kind = FLK_SUBMIT, .id = place->parcel->id};
    if (flk_link_send(door->uplink.socket, NULL, &frame, &body) != FLK_OK) {
        zmq_msg_close(&body);
        return false;
    }
    place->sent = true;
    door->sent++;
    return true;
}

static void send_waiting(door_t *door) {
    if (door->uplink.state != FLK_UPLINK_UP || !door->work_to_send) {
        return;
    }
    door->work_to_send = false;
    for (uint32_t i = 0; i < door->base.options.parallel; i++) {
        place_t *place = &door->places[i];
        if (place->parcel != NULL && !place->sent && (door->sent >= door->uplink.credit || !send_place(door, place))) {
            door->work_to_send = true;
            return;
        }
    }
}

static void door_send(flk_transport_t *transport, flk_parcel_t *parcel) {
    door_t *door = (door_t *)transport;
    uint32_t i = 0;
    while (door->places[i].parcel != NULL) {
        i++;
        FLK_ASSERT(i < transport->options.parallel);
    }
    door->places[i] = (place_t){.parcel = parcel, .deadline_ms = flk_mono_ms() + transport->options.timeout_ms};
    door->work_to_send = true;
}

/* ---- answers ---- */

static place_t *find_place(door_t *door, const flk_id_t *id) {
    for (uint32_t i = 0; i < door->base.options.parallel; i++) {
        place_t *place = &door->places[i];
        if (place->parcel != NULL && flk_id_equal(&place->parcel->id, id)) {
            return place;
        }
    }
    return NULL;
}

/* Reads a 200 or 202; false: its body is no outcome for this PCS. */
static bool read_outcome(const flk_message_t *message, const flk_parcel_t *parcel, flk_reply_t *reply) {
    flk_outcome_record_t record;
    zmq_msg_t *body = (zmq_msg_t *)&message->body; /* libzmq's getters take no const */
    if (flk_outcome_decode(zmq_msg_data(body), zmq_msg_size(body), &record, NULL) != FLK_OK ||
        strcmp(record.pcs_id, parcel->pcs.id) != 0) {
        return false;
    }
    reply->duplicate = (message->frame.flags & FLK_FLAG_DUPLICATE) != 0;
    reply->conflict = (message->frame.flags & FLK_FLAG_CONFLICT) != 0;
    reply->reasons = record.outcome.reasons;
    memcpy(reply->rules, record.outcome.rules, sizeof reply->rules);
    return true;
}

static void read_verdict(const flk_message_t *message, const flk_parcel_t *parcel, flk_reply_t *reply) {
    flk_problem_t problem;
    zmq_msg_t *body = (zmq_msg_t *)&message->body;
    bool ours = flk_problem_decode(zmq_msg_data(body), zmq_msg_size(body), &problem, NULL) == FLK_OK;
    reply->status = message->frame.status;
    reply->kind = flk_reply_kind_of(reply->status, ours);
    if (reply->kind == FLK_REPLY_VERDICT && !read_outcome(message, parcel, reply)) {
        reply->kind = FLK_REPLY_LATER;
        flk_reply_say(reply, "VERDICT %u: no outcome for this PCS in the body", reply->status);
    } else if (reply->kind != FLK_REPLY_VERDICT && ours) {
        flk_reply_say(reply, "VERDICT %u%s%s: %s", reply->status, problem.field[0] == '\0' ? "" : " ", problem.field,
                      problem.detail);
    } else if (reply->kind != FLK_REPLY_VERDICT) {
        flk_reply_say(reply, "VERDICT %u: no problem in the body", reply->status);
    }
}

static void take_answer(door_t *door, const flk_message_t *message) {
    const flk_frame_t *frame = &message->frame;
    place_t *place = find_place(door, &frame->id);
    flk_reply_t reply = {.kind = FLK_REPLY_LATER, .retry_ms = frame->retry_ms};
    if (place == NULL) {
        return;
    }
    if (frame->kind == FLK_VERDICT) {
        read_verdict(message, place->parcel, &reply);
    } else if (frame->kind == FLK_UNAVAILABLE || frame->kind == FLK_BUSY) {
        reply.status = frame->kind == FLK_BUSY ? 429 : 503;
        flk_reply_say(&reply, "%s: %s", flk_kind_name(frame->kind), frame->name);
    } else {
        return;
    }
    finish_place(door, place, &reply);
}

/* ---- turns ---- */

static void take_event(door_t *door, flk_uplink_event_t event) {
    if (event == FLK_UPLINK_YOURS) {
        take_answer(door, &door->message);
    } else if (event == FLK_UPLINK_MET || event == FLK_UPLINK_LOST) {
        for (uint32_t i = 0; i < door->base.options.parallel; i++) {
            door->places[i].sent = false;
        }
        door->sent = 0;
        door->work_to_send = true;
    }
}

static bool receive_frames(door_t *door, uint64_t now_ms) {
    bool any = false;
    for (int i = 0; i < TURN_FRAMES_MAX && door->uplink.socket != NULL; i++) {
        flk_err_t err = flk_link_recv(door->uplink.socket, false, &door->message, NULL);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        any = true;
        if (err == FLK_OK) { /* malformed and unknown frames are ignored */
            take_event(door, flk_uplink_heard(&door->uplink, &door->message.frame, now_ms));
        }
    }
    return any;
}

/* Gives back parcels that waited too long; returns the milliseconds until the next deadline. */
static uint64_t expire_places(door_t *door, uint64_t now_ms) {
    uint64_t next_ms = UINT32_MAX;
    for (uint32_t i = 0; i < door->base.options.parallel; i++) {
        place_t *place = &door->places[i];
        if (place->parcel == NULL) {
            continue;
        }
        if (place->deadline_ms <= now_ms) {
            flk_reply_t reply = {.kind = FLK_REPLY_LATER};
            flk_reply_say(&reply, place->sent ? "no answer within %u ms" : "no connection to the gateway within %u ms",
                          door->base.options.timeout_ms);
            finish_place(door, place, &reply);
        } else if (place->deadline_ms - now_ms < next_ms) {
            next_ms = place->deadline_ms - now_ms;
        }
    }
    return next_ms;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

static void door_turn(flk_transport_t *transport, uint32_t timeout_ms, const int *fds, size_t fds_len) {
    door_t *door = (door_t *)transport;
    uint64_t now_ms = flk_mono_ms();
    bool any = receive_frames(door, now_ms);
    take_event(door, flk_uplink_tick(&door->uplink, now_ms));
    uint64_t wait_ms = least(timeout_ms, expire_places(door, now_ms));
    send_waiting(door);
    wait_ms = least(wait_ms, door->uplink.heartbeat_ms / 4 + 1);
    if (door->uplink.state == FLK_UPLINK_GREETING && door->uplink.spoke_ms == 0) {
        wait_ms = least(wait_ms, 10); /* the connection is being made: greet as soon as it stands */
    }
    if (any) {
        return;
    }
    zmq_pollitem_t items[1 + FLK_TRANSPORT_FDS_MAX];
    int items_len = 0;
    for (size_t i = 0; i < fds_len; i++) {
        items[items_len++] = (zmq_pollitem_t){.fd = fds[i], .events = ZMQ_POLLIN};
    }
    if (door->uplink.socket != NULL) {
        items[items_len++] = (zmq_pollitem_t){.socket = door->uplink.socket, .events = ZMQ_POLLIN};
    }
    (void)zmq_poll(items, items_len, (long)wait_ms);
    (void)receive_frames(door, flk_mono_ms());
    send_waiting(door);
}

static void door_close(flk_transport_t *transport) {
    door_t *door = (door_t *)transport;
    flk_uplink_fini(&door->uplink);
    flk_message_fini(&door->message);
    zmq_ctx_term(door->context);
    free(door->places);
    free(door);
}

flk_err_t flk_transport_zmq_open(const flk_transport_options_t *options, flk_transport_t **transport, char *errmsg) {
    static const flk_transport_ops_t ops = {.close = door_close, .send = door_send, .turn = door_turn};
    door_t *door = flk_start_alloc(sizeof *door);
    door->base = (flk_transport_t){.ops = &ops, .options = *options};
    door->context = zmq_ctx_new();
    door->places = flk_start_alloc(options->parallel * sizeof *door->places);
    FLK_ASSERT(door->context != NULL);
    flk_message_init(&door->message);
    flk_frame_t hello = {.kind = FLK_HELLO, .name = "flk-agent"};
    flk_id_random(&hello.id);
    flk_err_t err = flk_uplink_init(&door->uplink, door->context, options->endpoint, options->security, &hello,
                                    options->heartbeat_ms, flk_mono_ms(), errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "ENDPOINT");
        door_close(&door->base);
        return err;
    }
    *transport = &door->base;
    return FLK_OK;
}
