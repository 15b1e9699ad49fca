/* SPDX-License-Identifier: MIT */
/* One turn: take what the log's writer and the HTTP threads pushed, drain the brokers, drain the door, run what is due,
 * send what is pending; poll only when all of that found nothing.
 *
 * What may go wrong, and what is done:
 *   the log could not make the record durable   503, never counted as accepted
 *   malformed                                   400 or 413, the record is acked: driving it again would change nothing
 *   no broker, no worker, no verdict in time    503 at the deadline; the record goes on and is acked by a late verdict
 *   a broker lost                               what it had is sent to another, or to the same one when it is back
 *   UNAVAILABLE, BUSY                           503; the record stays un-acked and is driven again, with back-off
 *   dead letter                                 into its own log first, then acked and answered 202
 *   the log hangs                               the HTTP door answers 503 by itself, the relay answers agents; what the
 *                                               log took goes on once it is back
 *   no memory for one more                      503 at the door, before the log */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
#include "common/notify.h"
#include "common/thread.h"
#include "gateway/dlq_orders.h"
#include "gateway/relay_internal.h"

/* ---- into the relay ---- */

static void wake(flk_relay_t *relay) {
    uint64_t one = 1;
    ssize_t wrote = write(relay->wake_fd, &one, sizeof one);
    FLK_ASSERT(wrote == (ssize_t)sizeof one || errno == EAGAIN); /* EAGAIN: it is awake as it is */
}

void flk_relay_push(flk_relay_t *relay, flk_submission_t *newest, flk_submission_t *oldest) {
    flk_submission_t *head = atomic_load_explicit(&relay->queue, memory_order_relaxed);
    do {
        oldest->queue_next = head;
    } while (!atomic_compare_exchange_weak_explicit(&relay->queue, &head, newest, memory_order_release,
                                                    memory_order_relaxed));
    if (head == NULL) {
        wake(relay);
    }
}

/* Takes the whole queue, oldest first. */
static flk_submission_t *take_queue(flk_relay_t *relay) {
    flk_submission_t *newest = atomic_exchange_explicit(&relay->queue, NULL, memory_order_acquire);
    flk_submission_t *oldest = NULL;
    while (newest != NULL) {
        flk_submission_t *next = newest->queue_next;
        newest->queue_next = oldest;
        oldest = newest;
        newest = next;
    }
    return oldest;
}

/* ---- arrival ---- */

/* From now on only the record waits, so the text that it came as need not be kept. */
void flk_relay_detach(flk_relay_t *relay, flk_submission_t *submission) {
    flk_submission_drop_json(submission);
    flk_list_push(&relay->detached, &submission->by_age);
}

static void enter_table(flk_relay_t *relay, flk_submission_t *submission) {
    flk_inflight_insert(relay->table, submission);
    atomic_store_explicit(&relay->inflight, flk_inflight_len(relay->table), memory_order_relaxed);
    submission->state = FLK_SUBMISSION_PENDING;
    flk_list_push(&relay->pending, &submission->by_state);
    if (submission->door == FLK_DOOR_LOG) {
        flk_submission_drop_json(submission);
        flk_list_push(&relay->driven, &submission->by_age);
    } else if (atomic_load(&submission->claimed)) {
        flk_relay_detach(relay, submission);
    } else if (submission->by_age.list == NULL) { /* an agent's is there since it came, by its deadline */
        flk_list_push(&relay->watched, &submission->by_age);
    }
}

static void refuse_malformed(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    uint16_t status = submission->parse_err == FLK_E_TOO_LARGE ? 413 : 400;
    if (submission->door == FLK_DOOR_LOG) {
        flk_log(FLK_LOG_WARN, "record_malformed", FLK_U("lsn", submission->entry.lsn),
                FLK_S("field", submission->fault.field), FLK_S("why", submission->fault.reason));
    }
    flk_answer_problem(&answer, status, submission->fault.field, submission->fault.reason, 0);
    flk_relay_settle(relay, submission, &answer);
}

/* Never counted as accepted, and not among what is put off either: there is no record. */
static void refuse_lost(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    flk_counter_add(relay->gateway->metrics.refused, 1);
    flk_answer_problem(&answer, 503, "", "the inbox log could not make the record durable", FLK_RETRY_MS);
    flk_relay_tell(relay, submission, &answer);
    flk_relay_forget(relay, submission);
}

void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->exhumed_lsn != 0) {
        flk_orders_arrived(relay, submission);
    }
    if (submission->entry.err != FLK_OK) {
        refuse_lost(relay, submission);
    } else if (submission->parse_err == FLK_E_NOMEM) {
        flk_relay_defer(relay, submission, 0, "out of memory");
    } else if (submission->parse_err != FLK_OK) {
        refuse_malformed(relay, submission);
    } else if (flk_inflight_find(relay->table, submission->entry.lsn) != NULL) {
        /* Its door was so slow that the re-drive took the record up. */
        flk_relay_defer(relay, submission, 0, "the record is being verified; send again for the outcome");
    } else if (flk_dlq_contains(relay->gateway->dlq, submission->pcs_id)) {
        flk_burial_settle(relay, submission, FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
    } else {
        enter_table(relay, submission);
    }
}

static size_t take_arrivals(flk_relay_t *relay) {
    size_t taken = 0;
    flk_submission_t *submission = take_queue(relay);
    while (submission != NULL) {
        flk_submission_t *next = submission->queue_next;
        submission->queue_next = NULL;
        if (submission->state == FLK_SUBMISSION_BURYING) {
            flk_burial_end(relay, submission);
        } else {
            flk_relay_arrive(relay, submission);
        }
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
        flk_answer_problem(&answer, 503, "",
                           "no verdict in time; the record is kept and will be verified, send again for the outcome",
                           FLK_RETRY_MS);
        if (flk_relay_tell(relay, submission, &answer)) {
            flk_counter_add(relay->gateway->metrics.timeouts, 1);
        }
        if (submission->state == FLK_SUBMISSION_PENDING || submission->state == FLK_SUBMISSION_SENT) {
            flk_relay_detach(relay, submission);
        } else {
            flk_list_remove(&submission->by_age); /* a log's writer still has it */
        }
    }
}

/* Places are for those who wait. What nobody waits for is in the log. */
static void make_room(flk_relay_t *relay) {
    size_t enough = relay->gateway->inflight_max - relay->gateway->inflight_max / 8;
    size_t bound = FLK_RELAY_BATCH;
    while (relay->detached.first != NULL && atomic_load(&relay->gateway->admitted) > enough && bound-- > 0) {
        flk_relay_forget(relay, flk_by_age(relay->detached.first));
    }
}

static void poll_sockets(flk_relay_t *relay) {
    zmq_pollitem_t items[FLK_BROKERS_MAX + 2];
    int len = 0;
    items[len++] = (zmq_pollitem_t){.fd = relay->wake_fd, .events = ZMQ_POLLIN};
    if (relay->door != NULL) {
        items[len++] = (zmq_pollitem_t){.socket = relay->door, .events = ZMQ_POLLIN};
    }
    for (size_t i = 0; i < relay->brokers_len; i++) {
        if (relay->brokers[i].uplink.socket != NULL) {
            items[len++] = (zmq_pollitem_t){.socket = relay->brokers[i].uplink.socket, .events = ZMQ_POLLIN};
        }
    }
    if (zmq_poll(items, len, FLK_RELAY_TICK_MS) > 0 && (items[0].revents & ZMQ_POLLIN)) {
        uint64_t woken;
        ssize_t got = read(relay->wake_fd, &woken, sizeof woken);
        FLK_ASSERT(got == (ssize_t)sizeof woken || errno == EAGAIN || errno == EINTR);
    }
}

static void *run(void *arg) {
    flk_relay_t *relay = arg;
    uint64_t ticked_ms = 0, swept_ms = 0;
    while (!atomic_load_explicit(&relay->stopping, memory_order_acquire)) {
        relay->now_ms = flk_mono_ms();
        size_t busy = take_arrivals(relay);
        busy += flk_brokers_receive(relay);
        busy += flk_zmq_door_receive(relay);
        if (relay->now_ms - ticked_ms >= FLK_RELAY_TICK_MS / 2) {
            ticked_ms = relay->now_ms;
            flk_zmq_door_judge(relay);
            flk_brokers_tick(relay);
            run_deadlines(relay);
            make_room(relay);
            flk_orders_tick(relay);
            flk_notify_alive(relay->now_ms);
        }
        if (relay->now_ms - swept_ms >= FLK_RELAY_SWEEP_MS) {
            swept_ms = relay->now_ms;
            flk_zmq_door_tick(relay);
            flk_burial_tick(relay);
            flk_orders_look(relay);
        }
        flk_redrive_tick(relay);
        flk_brokers_dispatch(relay);
        if (busy == 0) {
            poll_sockets(relay);
        }
    }
    return NULL;
}

/* ---- start and stop ---- */

flk_err_t flk_relay_start(struct flk_gateway *gateway, flk_relay_t **relay, char *errmsg) {
    flk_relay_t *mine = flk_start_alloc(sizeof *mine);
    *relay = mine;
    mine->gateway = gateway;
    flk_message_init(&mine->message);
    mine->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    mine->context = zmq_ctx_new();
    mine->reader = flk_pcs_reader_new();
    mine->table = flk_inflight_new(gateway->inflight_max + FLK_REDRIVE_WINDOW);
    if (mine->wake_fd < 0 || mine->context == NULL || mine->reader == NULL) {
        flk_errmsg(errmsg, "out of file descriptors or memory at start: %s", strerror(errno));
        return FLK_E_NOMEM;
    }
    mine->now_ms = flk_mono_ms();
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
        err = flk_orders_init(mine, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    err = flk_thread_start(&mine->thread, "flk-relay", run, mine, errmsg);
    mine->started = err == FLK_OK;
    return err;
}

void flk_relay_stop(flk_relay_t *relay) {
    if (relay == NULL) {
        return;
    }
    if (relay->started) {
        atomic_store_explicit(&relay->stopping, true, memory_order_release);
        wake(relay);
        pthread_join(relay->thread, NULL);
        relay->started = false;
    }
    flk_redrive_fini(relay); /* its cursor reads the log, which is closed next */
    flk_orders_fini(relay);
}

static void abandon(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    flk_answer_problem(&answer, 503, "", "the gateway is shutting down; the record is kept", FLK_RETRY_MS);
    flk_relay_tell(relay, submission, &answer);
    flk_relay_forget(relay, submission);
}

/* Whatever is left stays un-acked in the log and is driven again at the next start. */
static void abandon_all(flk_relay_t *relay) {
    flk_list_t *ages[] = {&relay->watched, &relay->detached, &relay->driven};
    flk_submission_t *submission = take_queue(relay);
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
    while (relay->unburied.first != NULL) {
        abandon(relay, flk_by_state(relay->unburied.first));
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
    if (mine->wake_fd >= 0) {
        close(mine->wake_fd);
    }
    free(mine);
}

bool flk_relay_linked(const flk_relay_t *relay) {
    return atomic_load_explicit(&relay->linked, memory_order_relaxed) > 0;
}

size_t flk_relay_inflight(const flk_relay_t *relay) {
    return atomic_load_explicit(&relay->inflight, memory_order_relaxed);
}
