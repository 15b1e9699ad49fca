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
 *   dead letter                                 into its own log first, then acked and answered 202 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/log.h"
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

/* ---- the end of a submission ---- */

static void release(flk_relay_t *relay, flk_submission_t *submission) {
    flk_ages_remove(submission);
    submission->state = FLK_SUBMISSION_SETTLED;
    if (submission->door != FLK_DOOR_LOG) {
        atomic_fetch_sub_explicit(&relay->gateway->admitted, 1, memory_order_relaxed);
    }
    flk_submission_unref(&submission);
}

void flk_relay_answer(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer) {
    if (submission->door == FLK_DOOR_LOG || !flk_submission_claim(submission)) {
        return;
    }
    atomic_fetch_sub_explicit(&relay->gateway->awaited, 1, memory_order_relaxed);
    if (submission->door == FLK_DOOR_ZMQ) {
        double seconds = (double)(flk_mono_ns() - submission->began_ns) * 1e-9;
        flk_histogram_observe(relay->gateway->metrics.request_seconds_zmq, seconds);
        flk_zmq_door_answer(relay, submission, answer);
        return;
    }
    submission->answer.status = answer->status;
    submission->answer.flags = answer->flags;
    submission->answer.retry_ms = answer->retry_ms;
    submission->answer.problem = answer->problem;
    if (answer->status == FLK_STATUS_ACCEPTED || answer->status == FLK_STATUS_ESCALATED) {
        zmq_msg_move(&submission->answer.outcome, &answer->outcome);
    }
    FLK_ASSERT(sem_post(&submission->done) == 0);
}

static void answer_problem(flk_relay_t *relay, flk_submission_t *submission, uint16_t status, const char *field,
                           const char *detail, uint32_t retry_ms) {
    flk_answer_t answer;
    flk_answer_problem(&answer, status, field, detail, retry_ms);
    flk_relay_answer(relay, submission, &answer);
}

/* Each submission is counted once: here, with its first and only verdict. */
static void count(flk_gateway_metrics_t *metrics, uint16_t status, uint32_t flags) {
    if (flags & FLK_FLAG_CONFLICT) {
        flk_counter_add(metrics->conflicts, 1);
    }
    if (flags & FLK_FLAG_DUPLICATE) {
        flk_counter_add(metrics->dedup_hits, 1);
    } else if (status == FLK_STATUS_ACCEPTED) {
        flk_counter_add(metrics->accepted, 1);
    } else if (status == FLK_STATUS_ESCALATED) {
        flk_counter_add(metrics->escalated, 1);
    } else if (status == 401) {
        flk_counter_add(metrics->rejected_401, 1);
    } else if (status == 413) {
        flk_counter_add(metrics->rejected_413, 1);
    } else {
        flk_counter_add(metrics->rejected_400, 1);
    }
}

static void leave_table(flk_relay_t *relay, flk_submission_t *submission) {
    flk_brokers_unlist(relay, submission);
    flk_inflight_remove(relay->table, submission);
    atomic_store_explicit(&relay->inflight, flk_inflight_len(relay->table), memory_order_relaxed);
    if (submission->door == FLK_DOOR_LOG) {
        relay->redrive.outstanding--;
    }
}

/* Acks, counts and answers; the submission is in no table any more. */
static void finish(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer) {
    flk_wal_ack(relay->gateway->inbox, submission->entry.lsn,
                (flk_wal_mark_t){.status = answer->status, .flags = (uint16_t)answer->flags});
    count(&relay->gateway->metrics, answer->status, answer->flags);
    flk_relay_answer(relay, submission, answer);
    release(relay, submission);
}

void flk_relay_settle(flk_relay_t *relay, flk_submission_t *submission, uint16_t status, uint32_t flags,
                      zmq_msg_t *outcome, const flk_problem_t *problem) {
    leave_table(relay, submission);
    flk_answer_t answer = {.status = status, .flags = flags};
    zmq_msg_init(&answer.outcome);
    if (problem != NULL) {
        answer.problem = *problem;
    } else {
        zmq_msg_move(&answer.outcome, outcome);
    }
    finish(relay, submission, &answer);
    zmq_msg_close(&answer.outcome);
}

void flk_relay_forget(flk_relay_t *relay, flk_submission_t *submission) {
    leave_table(relay, submission);
    release(relay, submission);
}

void flk_relay_defer(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why) {
    flk_counter_add(relay->gateway->metrics.unavailable, 1);
    answer_problem(relay, submission, 503, "", why, retry_ms);
    flk_relay_forget(relay, submission);
}

/* ---- arrival ---- */

static void enter_table(flk_relay_t *relay, flk_submission_t *submission) {
    flk_submission_t *other = flk_inflight_find(relay->table, submission->entry.lsn);
    if (other != NULL) {
        /* Its door was so slow that the re-drive took it up: the one with a client goes on; a verdict for either settles it. */
        flk_relay_forget(relay, other);
    }
    flk_inflight_insert(relay->table, submission);
    atomic_store_explicit(&relay->inflight, flk_inflight_len(relay->table), memory_order_relaxed);
    if (submission->door == FLK_DOOR_LOG) {
        relay->redrive.outstanding++;
        flk_ages_move(&relay->driven, submission);
    } else {
        flk_ages_move(atomic_load(&submission->claimed) ? &relay->detached : &relay->watched, submission);
    }
    submission->state = FLK_SUBMISSION_PENDING;
    flk_submissions_push(&relay->pending, submission);
}

static void refuse_malformed(flk_relay_t *relay, flk_submission_t *submission) {
    flk_answer_t answer;
    uint16_t status = submission->parse_err == FLK_E_TOO_LARGE ? 413 : 400;
    flk_answer_problem(&answer, status, submission->fault.field, submission->fault.reason, 0);
    zmq_msg_init(&answer.outcome);
    finish(relay, submission, &answer);
}

static void answer_dead_letter(flk_relay_t *relay, flk_submission_t *submission, uint32_t flags) {
    flk_answer_t answer = {.status = FLK_STATUS_ESCALATED, .flags = flags};
    flk_err_t err = flk_dlq_outcome(submission, relay->reader, &answer.outcome);
    if (err == FLK_OK) {
        finish(relay, submission, &answer);
        zmq_msg_close(&answer.outcome);
    } else {
        answer_problem(relay, submission, 503, "", flk_err_text(err), 1000);
        release(relay, submission);
    }
}

void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->entry.err != FLK_OK) {
        flk_counter_add(relay->gateway->metrics.refused, 1);
        answer_problem(relay, submission, 503, "", "the inbox log could not make the record durable", 1000);
        release(relay, submission);
    } else if (submission->parse_err == FLK_E_NOMEM) {
        flk_counter_add(relay->gateway->metrics.unavailable, 1);
        answer_problem(relay, submission, 503, "", "out of memory", 1000);
        release(relay, submission);
    } else if (submission->parse_err != FLK_OK) {
        refuse_malformed(relay, submission);
    } else if (flk_dlq_contains(relay->gateway->dlq, submission->pcs_id)) {
        answer_dead_letter(relay, submission, FLK_FLAG_DUPLICATE | FLK_FLAG_DEAD_LETTER);
    } else {
        enter_table(relay, submission);
    }
}

/* A burial came back from the dead-letter log; the submission is in no table. */
static void buried(flk_relay_t *relay, flk_submission_t *submission) {
    if (submission->parse_err != FLK_OK) {
        answer_problem(relay, submission, 503, "", "the dead-letter log could not make the record durable", 1000);
        release(relay, submission);
        return;
    }
    flk_dlq_remember(relay->gateway->dlq, submission->pcs_id);
    flk_counter_add(relay->gateway->metrics.dead_letters, 1);
    answer_dead_letter(relay, submission, FLK_FLAG_DEAD_LETTER);
}

static size_t take_arrivals(flk_relay_t *relay) {
    size_t taken = 0;
    flk_submission_t *submission = take_queue(relay);
    while (submission != NULL) {
        flk_submission_t *next = submission->queue_next;
        submission->queue_next = NULL;
        if (submission->state == FLK_SUBMISSION_BURYING) {
            buried(relay, submission);
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
    flk_submission_t *submission = relay->watched.oldest;
    while (submission != NULL && submission->deadline_ms <= relay->now_ms) {
        flk_counter_add(relay->gateway->metrics.timeouts, 1);
        answer_problem(relay, submission, 503, "",
                       "no verdict in time; the record is kept and will be verified, send again for the outcome", 1000);
        if (submission->state == FLK_SUBMISSION_ARRIVING) {
            flk_ages_remove(submission); /* still with the log's writer */
        } else {
            flk_ages_move(&relay->detached, submission);
        }
        submission = relay->watched.oldest;
    }
}

/* Places are for those who wait. What nobody waits for is in the log. */
static void make_room(flk_relay_t *relay) {
    size_t enough = relay->gateway->inflight_max - relay->gateway->inflight_max / 8;
    size_t bound = FLK_RELAY_BATCH;
    while (relay->detached.oldest != NULL && atomic_load(&relay->gateway->admitted) > enough && bound-- > 0) {
        flk_relay_forget(relay, relay->detached.oldest);
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
            flk_brokers_tick(relay);
            run_deadlines(relay);
            make_room(relay);
        }
        if (relay->now_ms - swept_ms >= 1000) {
            swept_ms = relay->now_ms;
            flk_zmq_door_tick(relay);
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
    flk_err_t err = flk_zmq_door_init(mine, errmsg);
    if (err == FLK_OK) {
        err = flk_brokers_init(mine, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_redrive_init(mine);
    }
    if (err != FLK_OK) {
        return err;
    }
    int failed = pthread_create(&mine->thread, NULL, run, mine);
    if (failed != 0) {
        flk_errmsg(errmsg, "cannot start the relay thread: %s", strerror(failed));
        return FLK_E_NOMEM;
    }
    mine->started = true;
    return FLK_OK;
}

void flk_relay_drain(flk_relay_t *relay, uint64_t grace_ms) {
    uint64_t until_ms = flk_mono_ms() + grace_ms;
    while (atomic_load(&relay->gateway->awaited) > 0 && flk_mono_ms() < until_ms) {
        usleep(5000);
    }
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
}

/* Whatever is left stays un-acked in the log and is driven again at the next start. */
static void abandon(flk_relay_t *relay) {
    flk_ages_t *ages[] = {&relay->watched, &relay->detached, &relay->driven};
    flk_submission_t *submission = take_queue(relay);
    while (submission != NULL) {
        flk_submission_t *next = submission->queue_next;
        answer_problem(relay, submission, 503, "", "the gateway is shutting down; the record is kept", 1000);
        release(relay, submission);
        submission = next;
    }
    for (size_t i = 0; i < FLK_COUNT_OF(ages); i++) {
        while (ages[i]->oldest != NULL) {
            answer_problem(relay, ages[i]->oldest, 503, "", "the gateway is shutting down; the record is kept", 1000);
            flk_relay_forget(relay, ages[i]->oldest);
        }
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
        abandon(mine);
    }
    flk_brokers_fini(mine);
    flk_zmq_door_fini(mine);
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
