/* SPDX-License-Identifier: MIT */
/* One turn: take the arrivals, drain the brokers, drain the door, run due timers, send pending submissions; poll only
 * when all of that found nothing.
 *
 * Failures, and the reaction to each:
 *   the log could not make the record durable   503, never counted as accepted
 *   malformed                                   400 or 413 at the door, before the log
 *   no broker, no worker, no verdict in time    503 at the deadline; the record goes on and is acked by a late verdict
 *   a broker lost                               its submissions are sent to another, or to the same one when it is back
 *   UNAVAILABLE, BUSY                           503; the record stays un-acked and is driven again, with back-off
 *   no verdict that fits, ever                  a dead letter after FLK_UNSETTLED_TRIES, at FLK_UNSETTLED_AGE_S
 *   dead letter                                 into its own log first, then acked and answered 202
 *   the log hangs                               the HTTP door answers 503 by itself, the relay answers agents; records
 *                                               that the log took go on once it is back
 *   no memory for one more                      503 at the door, before the log */
#include "gateway/relay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/program/notify.h"
#include "common/thread.h"
#include "gateway/arrive.h"
#include "gateway/brokers.h"
#include "gateway/dlq_orders.h"
#include "gateway/dlq_put.h"
#include "gateway/redrive.h"
#include "gateway/relay_internal.h"
#include "gateway/settle.h"
#include "gateway/zmq_door.h"

enum { TICK_MS = 50, SWEEP_MS = 1000, SILENT_TIMEOUTS = 60 }; /* the last: of FLK_REQUEST_TIMEOUT_MS */

static void take_arrival(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->state == FLK_SUBMISSION_DEAD) {
        flk_dlq_put_end(relay, submission);
        return;
    }
    if (submission->dlq_lsn != 0) {
        flk_dlq_orders_arrived(relay, submission);
    }
    flk_relay_arrive(relay, submission);
}

static size_t take_arrivals(flk_relay_t *relay) {
    size_t taken = 0;
    flk_submission_t *submission = flk_arrivals_take(&relay->gateway->arrivals);
    while (submission != NULL) {
        flk_submission_t *next = submission->queue_next;
        submission->queue_next = NULL;
        take_arrival(relay, submission);
        submission = next;
        taken++;
    }
    return taken;
}

/* ---- time ---- */

static void run_deadlines(flk_relay_t *relay) {
    flk_submission_t *submission;
    while ((submission = flk_by_age(relay->watched.first)) != NULL && submission->deadline_ms <= relay->now_ms) {
        flk_answer_t answer;
        flk_answer_init_problem(
            &answer, 503, "", "no verdict in time; the record is kept and will be verified, send again for the outcome",
            FLK_RETRY_MS);
        if (flk_settle_tell(relay->gateway, submission, &answer)) {
            flk_counter_add(relay->gateway->metrics.timeouts, 1);
        }
        if (submission->state == FLK_SUBMISSION_PENDING || submission->state == FLK_SUBMISSION_SENT) {
            flk_settle_detach(relay, submission);
        } else {
            flk_list_remove(&submission->by_age); /* a log's writer still has it */
        }
    }
}

/* Places are for submissions whose client waits. The others are in the log. */
static void make_room(flk_relay_t *relay) {
    size_t enough = relay->gateway->inflight_max - relay->gateway->inflight_max / 8;
    size_t bound = FLK_RELAY_BATCH;
    while (relay->detached.first != NULL && atomic_load(&relay->gateway->admitted) > enough && bound-- > 0) {
        flk_settle_let_go(relay, flk_by_age(relay->detached.first));
    }
}

/* Brokers answer everything, or lose their link; one that neither answers nor goes has lost the submission all the
 * same. The re-drive sends it again: with the same id, so that is harmless where it still waits. */
static void end_silence(flk_relay_t *relay) {
    flk_list_t *lists[] = {&relay->detached, &relay->driven};
    const uint64_t silence_ms = SILENT_TIMEOUTS * relay->gateway->request_timeout_ms;
    for (size_t i = 0; i < FLK_COUNT_OF(lists); i++) {
        flk_submission_t *submission;
        size_t bound = FLK_RELAY_BATCH;
        while ((submission = flk_by_age(lists[i]->first)) != NULL && bound-- > 0 &&
               submission->deadline_ms + silence_ms <= relay->now_ms) {
            flk_dlq_put_off(relay, submission, 0, "no broker answered for it", false);
        }
    }
}

static void poll_sockets(flk_relay_t *relay) {
    zmq_pollitem_t items[FLK_BROKERS_MAX + 2];
    int len = 0;
    items[len++] = (zmq_pollitem_t){.fd = relay->gateway->arrivals.wake_fd, .events = ZMQ_POLLIN};
    len += flk_zmq_door_poll(relay, items + len);
    len += flk_brokers_poll(relay->brokers, items + len);
    if (zmq_poll(items, len, TICK_MS) > 0 && (items[0].revents & ZMQ_POLLIN)) {
        flk_arrivals_slept(&relay->gateway->arrivals);
    }
}

static void *run_relay(void *arg) {
    flk_relay_t *relay = arg;
    uint64_t ticked_ms = 0, swept_ms = 0;
    flk_beat_start(&relay->beat, "relay", FLK_BEAT_MS_MAX);
    while (!atomic_load_explicit(&relay->stopping, memory_order_acquire)) {
        relay->now_ms = flk_mono_ms();
        flk_beat_turn(&relay->beat, relay->now_ms);
        size_t busy = take_arrivals(relay);
        busy += flk_brokers_receive(relay);
        busy += flk_zmq_door_receive(relay);
        if (relay->now_ms - ticked_ms >= TICK_MS / 2) {
            ticked_ms = relay->now_ms;
            flk_zmq_door_judge(relay);
            flk_brokers_tick(relay);
            run_deadlines(relay);
            make_room(relay);
            flk_dlq_orders_tick(relay);
            flk_notify_alive(relay->now_ms);
        }
        if (relay->now_ms - swept_ms >= SWEEP_MS) {
            swept_ms = relay->now_ms;
            flk_zmq_door_sweep(relay);
            flk_dlq_put_tick(relay);
            flk_dlq_orders_look(relay);
            end_silence(relay);
        }
        flk_redrive_tick(relay, flk_brokers_linked(relay->brokers));
        flk_brokers_dispatch(relay);
        if (busy == 0) {
            poll_sockets(relay);
        }
    }
    flk_beat_stop(&relay->beat);
    return NULL;
}

/* ---- start and stop ---- */

flk_err_t flk_relay_start(struct flk_gateway *gateway, flk_relay_t **relay, char *errmsg) {
    flk_relay_t *mine = flk_start_alloc(sizeof *mine);
    *relay = mine;
    mine->gateway = gateway;
    flk_message_init(&mine->message);
    mine->context = zmq_ctx_new();
    mine->reader = flk_pcs_reader_new();
    mine->table = flk_inflight_new(gateway->inflight_max + FLK_REDRIVE_WINDOW);
    if (mine->context == NULL || mine->reader == NULL) {
        flk_errmsg(errmsg, "out of file descriptors or memory at start: %s", strerror(errno));
        return FLK_E_NOMEM;
    }
    mine->now_ms = flk_mono_ms();
    flk_tries_init(&mine->tries, (uint32_t)flk_settings_uint(gateway->settings, FLK_SET_UNSETTLED_TRIES),
                   flk_settings_uint(gateway->settings, FLK_SET_UNSETTLED_AGE_S) * 1000, mine->now_ms);
    flk_err_t err = flk_zap_start(mine->context, gateway->security, gateway->registry, &mine->zap, errmsg);
    if (err == FLK_OK) {
        err = flk_zmq_door_init(mine, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_brokers_init(mine, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_redrive_init(mine);
    }
    if (err == FLK_OK) {
        err = flk_dlq_orders_init(mine, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    err = flk_thread_start(&mine->thread, "flk-relay", run_relay, mine, errmsg);
    mine->started = err == FLK_OK;
    return err;
}

void flk_relay_stop(flk_relay_t *relay) {
    if (relay == NULL) {
        return;
    }
    if (relay->started) {
        atomic_store_explicit(&relay->stopping, true, memory_order_release);
        flk_arrivals_wake(&relay->gateway->arrivals);
        pthread_join(relay->thread, NULL);
        relay->started = false;
    }
    flk_redrive_fini(relay); /* its cursor reads the log, which is closed next */
    flk_dlq_orders_fini(relay);
}

static void abandon(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    flk_answer_init_problem(&answer, 503, "", "the gateway is shutting down; the record is kept", FLK_RETRY_MS);
    flk_settle_tell(relay->gateway, submission, &answer);
    flk_settle_forget(relay, submission);
}

/* A submission left over stays un-acked in the log and is driven again at the next start. */
static void abandon_all(flk_relay_t *relay) {
    flk_list_t *ages[] = {&relay->watched, &relay->detached, &relay->driven};
    flk_submission_t *submission = flk_arrivals_take(&relay->gateway->arrivals);
    while (submission != NULL) {
        flk_submission_t *next = submission->queue_next;
        abandon(relay, submission);
        submission = next;
    }
    for (size_t i = 0; i < FLK_COUNT_OF(ages); i++) {
        while (ages[i]->first != NULL) {
            abandon(relay, flk_by_age(ages[i]->first));
        }
    }
    while (relay->dlq_failed.first != NULL) {
        abandon(relay, flk_by_state(relay->dlq_failed.first));
    }
}

void flk_relay_destroy(flk_relay_t **relay) {
    flk_relay_t *mine = *relay;
    *relay = NULL;
    if (mine == NULL) {
        return;
    }
    FLK_ASSERT(!mine->started);
    if (mine->table != NULL) {
        abandon_all(mine);
    }
    flk_brokers_fini(mine);
    flk_zmq_door_fini(mine);
    flk_zap_stop(&mine->zap);
    flk_message_fini(&mine->message);
    flk_inflight_destroy(&mine->table);
    flk_pcs_reader_destroy(&mine->reader);
    if (mine->context != NULL) {
        zmq_ctx_term(mine->context);
    }
    free(mine);
}

bool flk_relay_was_linked(const flk_relay_t *relay, uint64_t ms) {
    return flk_brokers_were_linked(relay->brokers, ms);
}

size_t flk_relay_inflight(const flk_relay_t *relay) {
    return flk_inflight_len(relay->table);
}
