/* SPDX-License-Identifier: MIT */
/* Pending submissions go to the linked broker that has the fewest, as far as its credit goes. What a broker has is on its
 * `sent` list until a verdict; when the link is lost, or met again, that list goes back to the front of the pending ones:
 * the other side may have lost everything, and sending twice is harmless (same id). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "gateway/relay_internal.h"

static void requeue(flk_relay_t *relay, flk_broker_link_t *broker) {
    while (broker->sent.last != NULL) {
        flk_submission_t *submission = broker->sent.last;
        flk_submissions_remove(&broker->sent, submission);
        submission->state = FLK_SUBMISSION_PENDING;
        flk_submissions_push_front(&relay->pending, submission);
    }
}

static void note(flk_relay_t *relay, flk_broker_link_t *broker, flk_uplink_event_t event) {
    bool was_up = flk_gauge_value(broker->up) != 0;
    if (event == FLK_UPLINK_MET) {
        requeue(relay, broker);
        flk_gauge_set(broker->up, 1);
        if (!was_up) {
            atomic_fetch_add(&relay->linked, 1);
        }
        flk_log(FLK_LOG_INFO, "broker_linked", FLK_S("broker", broker->uplink.endpoint),
                FLK_U("credit", broker->uplink.credit));
    } else if (event == FLK_UPLINK_LOST) {
        flk_log(FLK_LOG_WARN, "broker_lost", FLK_S("broker", broker->uplink.endpoint),
                FLK_U("requeued", broker->sent.len));
        requeue(relay, broker);
        flk_gauge_set(broker->up, 0);
        if (was_up) {
            atomic_fetch_sub(&relay->linked, 1);
        }
    }
}

void flk_brokers_unlist(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->state == FLK_SUBMISSION_PENDING) {
        flk_submissions_remove(&relay->pending, submission);
    } else if (submission->state == FLK_SUBMISSION_SENT) {
        flk_submissions_remove(&relay->brokers[submission->link].sent, submission);
    }
}

/* ---- receiving ---- */

static void bury(flk_relay_t *relay, flk_submission_t *submission) {
    flk_brokers_unlist(relay, submission);
    flk_inflight_remove(relay->table, submission);
    atomic_store_explicit(&relay->inflight, flk_inflight_len(relay->table), memory_order_relaxed);
    if (submission->door == FLK_DOOR_LOG) {
        relay->redrive.outstanding--;
    }
    flk_ages_remove(submission);
    submission->state = FLK_SUBMISSION_BURYING;
    flk_log(FLK_LOG_ERROR, "dead_letter", FLK_U("lsn", submission->entry.lsn),
            FLK_S("do", "the PCS took its workers with it; see the worker's log, then re-drive it"));
    flk_dlq_bury(relay->gateway->dlq, submission);
}

static void take_verdict(flk_relay_t *relay, flk_submission_t *submission, flk_message_t *message) {
    const flk_frame_t *frame = &message->frame;
    char errmsg[FLK_ERRMSG_BYTES];
    flk_redrive_progress(relay);
    if (frame->flags & FLK_FLAG_DEAD_LETTER) {
        bury(relay, submission);
        return;
    }
    if (frame->status == FLK_STATUS_ACCEPTED || frame->status == FLK_STATUS_ESCALATED) {
        flk_relay_settle(relay, submission, (uint16_t)frame->status, frame->flags, &message->body, NULL);
        return;
    }
    flk_problem_t problem;
    flk_err_t err = flk_problem_decode(zmq_msg_data(&message->body), zmq_msg_size(&message->body), &problem, errmsg);
    if (err != FLK_OK || frame->status < 400 || frame->status > 499) {
        flk_log(FLK_LOG_ERROR, "verdict_unreadable", FLK_U("status", frame->status),
                FLK_U("lsn", submission->entry.lsn));
        flk_relay_defer(relay, submission, 1000, "the worker's answer could not be read");
        return;
    }
    flk_relay_settle(relay, submission, (uint16_t)frame->status, frame->flags, NULL, &problem);
}

static void take(flk_relay_t *relay, flk_message_t *message) {
    const flk_frame_t *frame = &message->frame;
    uint64_t lsn;
    flk_submission_t *submission = NULL;
    if (flk_id_to_lsn(&frame->id, flk_wal_id(relay->gateway->inbox), &lsn)) {
        submission = flk_inflight_find(relay->table, lsn);
    }
    if (submission == NULL) {
        flk_counter_add(relay->gateway->metrics.stale_verdicts, 1);
        return;
    }
    switch (frame->kind) {
    case FLK_VERDICT:
        take_verdict(relay, submission, message);
        break;
    case FLK_UNAVAILABLE:
    case FLK_BUSY:
        flk_redrive_trouble(relay, frame->retry_ms);
        flk_relay_defer(relay, submission, frame->retry_ms, frame->name);
        break;
    default:
        flk_counter_add(relay->gateway->metrics.door_unknown, 1);
        break;
    }
}

static size_t receive_from(flk_relay_t *relay, flk_broker_link_t *broker) {
    char errmsg[FLK_ERRMSG_BYTES];
    size_t taken = 0;
    while (taken < FLK_RELAY_BATCH && broker->uplink.socket != NULL) {
        flk_err_t err = flk_link_recv(broker->uplink.socket, false, &relay->message, errmsg);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        taken++;
        if (err != FLK_OK) {
            flk_counter_add(relay->gateway->metrics.door_malformed, 1);
            continue;
        }
        flk_uplink_event_t event = flk_uplink_heard(&broker->uplink, &relay->message.frame, relay->now_ms);
        if (event == FLK_UPLINK_YOURS) {
            take(relay, &relay->message);
        } else {
            note(relay, broker, event);
        }
    }
    return taken;
}

size_t flk_brokers_receive(flk_relay_t *relay) {
    size_t taken = 0;
    for (size_t i = 0; i < relay->brokers_len; i++) {
        taken += receive_from(relay, &relay->brokers[i]);
    }
    return taken;
}

/* ---- sending ---- */

static flk_broker_link_t *least_loaded(flk_relay_t *relay) {
    flk_broker_link_t *best = NULL;
    for (size_t i = 0; i < relay->brokers_len; i++) {
        flk_broker_link_t *broker = &relay->brokers[i];
        bool room = broker->uplink.state == FLK_UPLINK_UP && broker->sent.len < broker->uplink.credit;
        if (room && (best == NULL || broker->sent.len < best->sent.len)) {
            best = broker;
        }
    }
    return best;
}

/* False: the link turned out to be lost. */
static bool send_one(flk_relay_t *relay, flk_broker_link_t *broker, flk_submission_t *submission) {
    flk_frame_t frame = {.kind = FLK_SUBMIT};
    flk_id_from_lsn(flk_wal_id(relay->gateway->inbox), submission->entry.lsn, &frame.id);
    zmq_msg_t body; /* a second handle on the same bytes: the first stays here, to send again */
    zmq_msg_init(&body);
    FLK_ASSERT(zmq_msg_copy(&body, &submission->pcs) == 0);
    if (flk_link_send(broker->uplink.socket, NULL, &frame, &body) != FLK_OK) {
        zmq_msg_close(&body);
        flk_uplink_drop(&broker->uplink, relay->now_ms);
        note(relay, broker, FLK_UPLINK_LOST);
        return false;
    }
    zmq_msg_close(&body);
    flk_submissions_remove(&relay->pending, submission);
    submission->state = FLK_SUBMISSION_SENT;
    submission->link = (unsigned)(broker - relay->brokers);
    flk_submissions_push(&broker->sent, submission);
    return true;
}

void flk_brokers_dispatch(flk_relay_t *relay) {
    while (relay->pending.first != NULL) {
        flk_broker_link_t *broker = least_loaded(relay);
        if (broker == NULL || !send_one(relay, broker, relay->pending.first)) {
            break;
        }
    }
}

void flk_brokers_tick(flk_relay_t *relay) {
    for (size_t i = 0; i < relay->brokers_len; i++) {
        flk_broker_link_t *broker = &relay->brokers[i];
        note(relay, broker, flk_uplink_tick(&broker->uplink, relay->now_ms));
    }
}

/* ---- start and stop ---- */

typedef struct adding {
    flk_relay_t *relay;
    flk_err_t err;
    char *errmsg;
} adding_t;

static void add(void *arg, const char *endpoint, size_t index) {
    adding_t *adding = arg;
    flk_relay_t *relay = adding->relay;
    if (adding->err != FLK_OK) {
        return;
    }
    if (index >= FLK_BROKERS_MAX) {
        flk_errmsg(adding->errmsg, "FLK_FRONTENDS: at most %d brokers are allowed", FLK_BROKERS_MAX);
        adding->err = FLK_E_CONFIG;
        return;
    }
    flk_broker_link_t *broker = &relay->brokers[relay->brokers_len++];
    flk_frame_t greeting = {.kind = FLK_HELLO, .name = "gateway"};
    flk_id_random(&greeting.id);
    const flk_settings_t *settings = relay->gateway->settings;
    adding->err = flk_uplink_init(
        &broker->uplink, relay->context, endpoint, flk_settings_bool(settings, FLK_SET_PLAINTEXT), &greeting,
        (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS), relay->now_ms, adding->errmsg);
    if (adding->err != FLK_OK) {
        flk_errmsg_prefix(adding->errmsg, "FLK_FRONTENDS");
        return;
    }
    snprintf(broker->labels, sizeof broker->labels, "broker=\"%s\"", endpoint);
    broker->up = flk_metrics_gauge(relay->gateway->registry, "flk_broker_link_up", broker->labels,
                                   "Whether the link to this broker is up.");
}

flk_err_t flk_brokers_init(flk_relay_t *relay, char *errmsg) {
    adding_t adding = {.relay = relay, .errmsg = errmsg};
    if (flk_settings_each(flk_settings_str(relay->gateway->settings, FLK_SET_FRONTENDS), add, &adding) == 0) {
        flk_errmsg(errmsg, "FLK_FRONTENDS names no broker");
        return FLK_E_CONFIG;
    }
    return adding.err;
}

void flk_brokers_fini(flk_relay_t *relay) {
    for (size_t i = 0; i < relay->brokers_len; i++) {
        flk_uplink_fini(&relay->brokers[i].uplink);
    }
}
