/* SPDX-License-Identifier: MIT */
/* Pending submissions go to the linked broker that has the fewest, as far as its credit goes. Submissions stay on a
 * broker's `sent` list until a verdict; when the link is lost, or met again, that list goes back to the front of the
 * pending ones: the other side may have lost everything, and sending twice is harmless (same id, and the first
 * verdict wins).
 *
 * A verdict is decoded once and checked before anything is done with it: its status, its numbers, its pcs_id. A verdict
 * that does not fit is not taken: the client is told 503, the record stays un-acked. A verdict for a record that is not
 * in memory any more, because no client waited and places were short, still settles it in the log. UNAVAILABLE and BUSY
 * make the re-drive rest; the client learns when to come back. */
#include "gateway/brokers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/escape.h"
#include "common/log.h"
#include "gateway/dlq_put.h"
#include "gateway/redrive.h"
#include "gateway/relay_internal.h"
#include "gateway/settle.h"
#include "proto/uplink.h"

enum { UNFIT_LOG_MS = 1000 };

typedef struct broker {
    flk_uplink_t uplink;
    flk_list_t sent; /* by state: its submissions */
    bool up;
    flk_gauge_t *up_gauge;
    flk_counter_t *unfit_counter;
    char labels[192];         /* of these metrics */
    uint64_t unfit;           /* verdicts that were not taken since the last line in the log */
    uint64_t unfit_logged_ms; /* … when that was */
} broker_t;

struct flk_brokers {
    broker_t all[FLK_BROKERS_MAX];
    size_t len;
    atomic_size_t linked;     /* those that are up */
    _Atomic uint64_t lost_ms; /* when one was lost last; 0: never */
};

static void requeue(flk_relay_t *relay, broker_t *broker) {
    while (broker->sent.last != NULL) {
        flk_submission_t *submission = flk_by_state(broker->sent.last);
        submission->state = FLK_SUBMISSION_PENDING;
        flk_list_push_front(&relay->pending, &submission->by_state);
    }
}

static void set_up(flk_relay_t *relay, broker_t *broker, bool up) {
    if (broker->up != up) {
        broker->up = up;
        flk_gauge_set(broker->up_gauge, up);
        if (!up) {
            atomic_store(&relay->brokers->lost_ms, relay->now_ms); /* before the count, as it is read */
        }
        (void)(up ? atomic_fetch_add(&relay->brokers->linked, 1) : atomic_fetch_sub(&relay->brokers->linked, 1));
    }
}

static void note(flk_relay_t *relay, broker_t *broker, flk_uplink_event_t event) {
    if (event == FLK_UPLINK_MET) {
        flk_log(FLK_LOG_INFO, "broker_linked", FLK_S("broker", broker->uplink.endpoint),
                FLK_U("credit", broker->uplink.credit));
    } else if (event == FLK_UPLINK_LOST) {
        flk_log(FLK_LOG_WARN, "broker_lost", FLK_S("broker", broker->uplink.endpoint),
                FLK_U("requeued", broker->sent.len));
    } else {
        return;
    }
    requeue(relay, broker);
    set_up(relay, broker, event == FLK_UPLINK_MET);
}

/* ---- receiving ---- */

/* The submission that waits for the answer in `frame`. NULL: none; then *lsn is that of a record of this log that the
 * answer may still settle, or 0. */
static flk_submission_t *waiting_for(const flk_relay_t *relay, const flk_frame_t *frame, uint64_t *lsn) {
    flk_submission_t *submission = NULL;
    bool ours = flk_id_to_lsn(&frame->id, flk_wal_id(relay->gateway->inbox), lsn);
    if (ours) {
        submission = flk_inflight_find(relay->table, *lsn);
    }
    bool given_up = submission != NULL && submission->state == FLK_SUBMISSION_DEAD; /* that stands */
    if (!ours || given_up) {
        *lsn = 0;
        return NULL;
    }
    return submission;
}

/* A verdict that is not taken: the record stays un-acked and gets another one. Logged once a second for each broker. */
static void refuse_verdict(flk_relay_t *relay, broker_t *broker, uint64_t lsn, flk_submission_t *submission,
                           const char *why) {
    broker->unfit++;
    flk_counter_add(broker->unfit_counter, 1);
    if (relay->now_ms - broker->unfit_logged_ms >= UNFIT_LOG_MS) {
        flk_log(FLK_LOG_ERROR, "verdict_unfit", FLK_S("broker", broker->uplink.endpoint), FLK_S("why", why),
                FLK_U("status", relay->message.frame.status), FLK_U("lsn", lsn), FLK_U("verdicts", broker->unfit),
                FLK_S("do", "see the workers behind this broker: one gives answers that are no verdicts"));
        broker->unfit_logged_ms = relay->now_ms;
        broker->unfit = 0;
    }
    flk_redrive_trouble(relay, FLK_RETRY_MS);
    if (submission != NULL) {
        flk_dlq_put_off(relay, submission, 0, "the verdict did not fit; the record is kept and verified again", true);
    }
}

static void take_dead_letter(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission != NULL) {
        flk_dlq_put_begin(relay, submission, FLK_DEAD_LETTER_LOST);
    } else {
        flk_counter_add(relay->gateway->metrics.stale_verdicts, 1);
    }
}

static void take_verdict(flk_relay_t *relay, broker_t *broker, flk_message_t *message) {
    uint64_t lsn;
    flk_answer_t answer;
    flk_submission_t *submission = waiting_for(relay, &message->frame, &lsn);
    if (message->frame.flags & FLK_FLAG_DEAD_LETTER) {
        take_dead_letter(relay, submission);
        return;
    }
    if (submission == NULL && flk_inflight_recall(relay->table, lsn) == NULL) {
        flk_counter_add(relay->gateway->metrics.stale_verdicts, 1);
        return;
    }
    const char *why = flk_answer_init_verdict(&answer, message);
    if (why == NULL && submission != NULL && !flk_answer_is_about(&answer, submission->pcs_id)) {
        why = "an outcome of another PCS";
    }
    if (why != NULL) {
        refuse_verdict(relay, broker, lsn, submission, why);
    } else {
        flk_redrive_progress(relay);
        if (submission != NULL) {
            flk_settle_end(relay, submission, &answer);
            return;
        }
        if (!flk_settle_late(relay, lsn, &answer)) {
            flk_counter_add(relay->gateway->metrics.stale_verdicts, 1);
        }
    }
    flk_answer_fini(&answer);
}

static void take_trouble(flk_relay_t *relay, const flk_frame_t *frame) {
    uint64_t lsn;
    uint32_t retry_ms = frame->retry_ms < FLK_RETRY_MS_MAX ? frame->retry_ms : FLK_RETRY_MS_MAX;
    flk_submission_t *submission = waiting_for(relay, frame, &lsn);
    if (submission == NULL) {
        flk_counter_add(relay->gateway->metrics.stale_verdicts, 1);
        return;
    }
    flk_redrive_trouble(relay, retry_ms);
    if (frame->kind == FLK_BUSY) {
        flk_settle_defer(relay, submission, retry_ms, frame->name); /* it was not tried */
    } else {
        flk_dlq_put_off(relay, submission, retry_ms, frame->name, false);
    }
}

static void take_message(flk_relay_t *relay, broker_t *broker, flk_message_t *message) {
    switch (message->frame.kind) {
    case FLK_VERDICT:
        take_verdict(relay, broker, message);
        break;
    case FLK_UNAVAILABLE:
    case FLK_BUSY:
        take_trouble(relay, &message->frame);
        break;
    default:
        flk_counter_add(relay->gateway->metrics.unknown, 1);
        break;
    }
}

static size_t receive_from(flk_relay_t *relay, broker_t *broker) {
    size_t taken = 0;
    while (taken < FLK_RELAY_BATCH && broker->uplink.socket != NULL) {
        flk_err_t err = flk_link_recv(broker->uplink.socket, false, &relay->message, NULL);
        if (err == FLK_E_AGAIN || err == FLK_E_CLOSED) {
            break;
        }
        taken++;
        if (err != FLK_OK) {
            flk_relay_count_unread(relay, err);
            continue;
        }
        flk_uplink_event_t event = flk_uplink_heard(&broker->uplink, &relay->message.frame, relay->now_ms);
        if (event == FLK_UPLINK_YOURS) {
            take_message(relay, broker, &relay->message);
        } else {
            note(relay, broker, event);
        }
    }
    return taken;
}

size_t flk_brokers_receive(flk_relay_t *relay) {
    size_t taken = 0;
    for (size_t i = 0; i < relay->brokers->len; i++) {
        taken += receive_from(relay, &relay->brokers->all[i]);
    }
    return taken;
}

/* ---- sending ---- */

static broker_t *least_loaded(flk_relay_t *relay) {
    broker_t *best = NULL;
    for (size_t i = 0; i < relay->brokers->len; i++) {
        broker_t *broker = &relay->brokers->all[i];
        bool room = broker->uplink.state == FLK_UPLINK_UP && broker->sent.len < broker->uplink.credit;
        if (room && (best == NULL || broker->sent.len < best->sent.len)) {
            best = broker;
        }
    }
    return best;
}

/* False: the link turned out to be lost. */
static bool send_one(flk_relay_t *relay, broker_t *broker, flk_submission_t *submission) {
    flk_frame_t frame = {.kind = FLK_SUBMIT};
    flk_id_from_lsn(flk_wal_id(relay->gateway->inbox), submission->entry.lsn, &frame.id);
    zmq_msg_t body; /* a second handle on the same bytes: the first stays here, to send again */
    zmq_msg_init(&body);
    FLK_ASSERT(zmq_msg_copy(&body, &submission->pcs) == 0);
    flk_err_t err = flk_link_send(broker->uplink.socket, NULL, &frame, &body);
    zmq_msg_close(&body);
    if (err != FLK_OK) {
        flk_uplink_drop(&broker->uplink, relay->now_ms);
        note(relay, broker, FLK_UPLINK_LOST);
        return false;
    }
    submission->state = FLK_SUBMISSION_SENT;
    flk_list_push(&broker->sent, &submission->by_state);
    return true;
}

void flk_brokers_dispatch(flk_relay_t *relay) {
    while (relay->pending.first != NULL) {
        broker_t *broker = least_loaded(relay);
        if (broker == NULL || !send_one(relay, broker, flk_by_state(relay->pending.first))) {
            break;
        }
    }
}

void flk_brokers_tick(flk_relay_t *relay) {
    for (size_t i = 0; i < relay->brokers->len; i++) {
        broker_t *broker = &relay->brokers->all[i];
        note(relay, broker, flk_uplink_tick(&broker->uplink, relay->now_ms));
    }
}

/* ---- start and stop ---- */

typedef struct adding {
    flk_relay_t *relay;
    flk_err_t err;
    char *errmsg;
} adding_t;

static void add_metrics(flk_relay_t *relay, broker_t *broker) {
    char name[sizeof broker->labels - 16]; /* room for the text around it */
    flk_metrics_t *registry = relay->gateway->registry;
    size_t bytes = flk_escape(broker->uplink.endpoint, FLK_ESCAPE_TEXT, name, sizeof name, NULL);
    snprintf(broker->labels, sizeof broker->labels, "broker=\"%.*s\"", (int)bytes, name);
    broker->up_gauge =
        flk_metrics_gauge(registry, "flk_broker_link_up", broker->labels, "Whether the link to this broker is up.");
    broker->unfit_counter =
        flk_metrics_counter(registry, "flk_verdicts_unfit_total", broker->labels,
                            "Verdicts that were not taken: unreadable, of no known status, or about another PCS.");
}

static void add(void *arg, const char *endpoint, size_t index) {
    adding_t *adding = arg;
    flk_relay_t *relay = adding->relay;
    if (adding->err != FLK_OK) {
        return;
    }
    FLK_ASSERT(index < FLK_BROKERS_MAX); /* the endpoints were checked */
    broker_t *broker = &relay->brokers->all[relay->brokers->len++];
    flk_frame_t greeting = {.kind = FLK_HELLO};
    flk_uplink_own_name("gateway", greeting.name);
    flk_id_random(&greeting.id);
    const flk_settings_t *settings = relay->gateway->settings;
    adding->err =
        flk_uplink_init(&broker->uplink, relay->context, endpoint, relay->gateway->security, &greeting,
                        (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS), relay->now_ms, adding->errmsg);
    if (adding->err != FLK_OK) {
        flk_errmsg_prefix(adding->errmsg, "FLK_FRONTENDS");
        return;
    }
    add_metrics(relay, broker);
}

flk_err_t flk_brokers_init(flk_relay_t *relay, char *errmsg) {
    adding_t adding = {.relay = relay, .errmsg = errmsg};
    relay->brokers = flk_start_alloc(sizeof *relay->brokers);
    (void)flk_settings_each(flk_settings_str(relay->gateway->settings, FLK_SET_FRONTENDS), add, &adding);
    return adding.err;
}

void flk_brokers_fini(flk_relay_t *relay) {
    flk_brokers_t *brokers = relay->brokers;
    relay->brokers = NULL;
    for (size_t i = 0; brokers != NULL && i < brokers->len; i++) {
        flk_uplink_fini(&brokers->all[i].uplink);
    }
    free(brokers);
}

int flk_brokers_poll(const flk_brokers_t *brokers, zmq_pollitem_t *items) {
    int len = 0;
    for (size_t i = 0; i < brokers->len; i++) {
        if (brokers->all[i].uplink.socket != NULL) {
            items[len++] = (zmq_pollitem_t){.socket = brokers->all[i].uplink.socket, .events = ZMQ_POLLIN};
        }
    }
    return len;
}

bool flk_brokers_linked(const flk_brokers_t *brokers) {
    return atomic_load(&brokers->linked) > 0;
}

bool flk_brokers_were_linked(const flk_brokers_t *brokers, uint64_t ms) {
    if (flk_brokers_linked(brokers)) {
        return true;
    }
    uint64_t lost_ms = atomic_load(&brokers->lost_ms);
    return lost_ms != 0 && flk_mono_ms() <= lost_ms + ms;
}
