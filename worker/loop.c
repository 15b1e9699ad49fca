/* SPDX-License-Identifier: MIT */
/* A turn: wait for a message or a timer, take the deliveries that have arrived (at most FLK_BATCH_MAX, without
 * waiting for more), look after the uplinks, run the batch, send its answers.
 *
 * Failures: a lost broker gets no more answers; it, or the one in its place, delivers again. When the store fails, its
 * deliveries are UNAVAILABLE; until it answers again it is probed each second, and the brokers hand out one delivery
 * at a time. While the store blocks this thread, the pulse thread speaks for it (pulse.h).
 *
 * Stopping: GOODBYE to each broker that knows us, then turns as before until each has said GOODBYE, which it does
 * when it holds nothing of ours any more, or until drain_ms have passed. */
#include "worker/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/beat.h"
#include "common/log.h"
#include "common/thread.h"
#include "proto/uplink.h"

enum { HEALTH_MS = 1000, HEALTH_IDLE_MS = 10000, RETRY_MS = 1000, FAILING_CREDIT = 1 };

struct flk_loop {
    flk_id_t instance;
    uint32_t heartbeat_ms, drain_ms, credit, beat_ms_max;
    const flk_worker_metrics_t *metrics;
    flk_rulebook_t *book;
    const flk_rules_t *rules; /* NULL before the first turn */
    flk_store_t *store;
    flk_batch_t *batch;
    struct {
        uint64_t delivery;
        size_t uplink;
    } origin[FLK_BATCH_MAX]; /* of each job of the batch */
    flk_message_t message;
    size_t uplinks_len, first_uplink; /* whose messages are taken first; moves on each turn */
    flk_uplink_t uplinks[FLK_BROKERS_MAX];
    int wake_fd;
    bool draining, store_failed; /* failed: at least once */
    uint64_t drain_until_ms, health_at_ms;

    pthread_t thread;
    bool started;
    atomic_bool stop, linked, store_ok;
    flk_beat_t beat;
    pthread_mutex_t why_mutex;
    char why[FLK_ERRMSG_BYTES]; /* guarded by why_mutex */
};

/* ---- messages ---- */

static void note_uplink(flk_loop_t *loop, const flk_uplink_t *uplink, flk_uplink_event_t event) {
    if (event == FLK_UPLINK_MET) {
        flk_log(FLK_LOG_INFO, "broker_met", FLK_S("broker", uplink->endpoint));
    } else if (event == FLK_UPLINK_LOST) {
        flk_log(loop->draining ? FLK_LOG_INFO : FLK_LOG_WARN, "broker_lost", FLK_S("broker", uplink->endpoint));
    }
}

/* A control frame, or WORK, which becomes a job. */
static void take_message(flk_loop_t *loop, size_t u, uint64_t now_ms) {
    flk_uplink_t *uplink = &loop->uplinks[u];
    const flk_frame_t *frame = &loop->message.frame;
    if (loop->draining && frame->kind == FLK_PONG && !frame->known) {
        flk_uplink_drop(uplink, now_ms); /* it forgot us: no reason to introduce ourselves again */
        return;
    }
    bool known = uplink->state == FLK_UPLINK_UP && frame->kind == FLK_WELCOME; /* it only confirms another credit */
    flk_uplink_event_t event = flk_uplink_heard(uplink, frame, now_ms);
    if (event != FLK_UPLINK_YOURS) {
        note_uplink(loop, uplink, known ? FLK_UPLINK_NOTHING : event);
        return;
    }
    if (frame->kind != FLK_WORK) {
        flk_counter_add(loop->metrics->malformed, 1);
        return;
    }
    size_t i = flk_batch_len(loop->batch);
    loop->origin[i].delivery = frame->delivery;
    loop->origin[i].uplink = u;
    flk_batch_add(loop->batch, loop->rules, &frame->id, zmq_msg_data(&loop->message.body),
                  zmq_msg_size(&loop->message.body));
}

/* Takes the messages that have arrived on one uplink, until the batch is full. Bad messages count against a bound as
 * well, so that a flood of them cannot hold the thread. */
static void take_arrived(flk_loop_t *loop, size_t u, uint64_t now_ms) {
    for (int taken = 0; taken < 2 * FLK_BATCH_MAX && flk_batch_len(loop->batch) < FLK_BATCH_MAX; taken++) {
        if (loop->uplinks[u].socket == NULL) {
            return;
        }
        switch (flk_link_recv(loop->uplinks[u].socket, false, &loop->message, NULL)) {
        case FLK_OK:
            take_message(loop, u, now_ms);
            break;
        case FLK_E_INVALID:
        case FLK_E_NOT_FOUND:
            flk_counter_add(loop->metrics->malformed, 1);
            break;
        default:
            return;
        }
    }
}

static flk_err_t send_unavailable(void *socket, const flk_job_t *job, uint64_t delivery, const char *reason) {
    flk_frame_t frame = {.kind = FLK_UNAVAILABLE, .id = job->submission, .delivery = delivery, .retry_ms = RETRY_MS};
    snprintf(frame.name, sizeof frame.name, "%s", reason);
    return flk_link_send(socket, NULL, &frame, NULL);
}

static void name_key(const flk_keyring_t *keyring, const flk_job_t *job, flk_frame_t *frame) {
    _Static_assert((int)FLK_KEY_ID_BYTES == (int)sizeof frame->key, "a header holds the id of a key");
    if (job->decoded && job->signature.fault == FLK_SIGNATURE_GOOD && job->signature.key < flk_keyring_len(keyring)) {
        snprintf(frame->key, sizeof frame->key, "%s", flk_keyring_id(keyring, job->signature.key));
    }
}

static flk_err_t send_answer(const flk_loop_t *loop, void *socket, const flk_job_t *job, uint64_t delivery) {
    flk_frame_t frame = {.kind = FLK_VERDICT,
                         .id = job->submission,
                         .delivery = delivery,
                         .status = job->status,
                         .flags = job->flags,
                         .cpu_us = flk_batch_cpu_us(loop->batch)};
    uint8_t body[FLK_OUTCOME_BYTES];
    _Static_assert((int)FLK_PROBLEM_BYTES <= (int)FLK_OUTCOME_BYTES, "body holds either");
    if (job->state == FLK_JOB_UNAVAILABLE) {
        return send_unavailable(socket, job, delivery, job->reason);
    }
    FLK_ASSERT(job->state != FLK_JOB_ADMITTED); /* a batch that was run has none */
    name_key(loop->rules->keyring, job, &frame);
    size_t bytes = job->state == FLK_JOB_SETTLED ? flk_outcome_encode(&job->outcome, body)
                                                 : flk_problem_encode(&job->problem, body);
    return bytes != 0 ? flk_link_send_copy(socket, NULL, &frame, body, bytes)
                      : send_unavailable(socket, job, delivery, "answer that cannot be sent");
}

static void send_answers(flk_loop_t *loop) {
    for (size_t i = 0; i < flk_batch_len(loop->batch); i++) {
        flk_uplink_t *uplink = &loop->uplinks[loop->origin[i].uplink];
        flk_err_t err = FLK_E_UNAVAILABLE;
        if (uplink->socket != NULL) {
            err = send_answer(loop, uplink->socket, flk_batch_job(loop->batch, i), loop->origin[i].delivery);
        }
        if (err != FLK_OK) {
            flk_counter_add(loop->metrics->unsent, 1);
        }
        if (err != FLK_OK && uplink->socket != NULL) {
            flk_uplink_drop(uplink, flk_mono_ms()); /* meeting anew tells the broker to deliver again */
            note_uplink(loop, uplink, FLK_UPLINK_LOST);
        }
    }
}

/* ---- store ---- */

/* Tells the brokers how many deliveries this thread may hold. One that answers UNAVAILABLE is quick to answer, and
 * would draw the work of all others to itself: so it takes one at a time while its store fails. */
static void offer_credit(flk_loop_t *loop, uint32_t credit) {
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        flk_uplink_t *uplink = &loop->uplinks[u];
        uplink->greeting.credit = credit;
        bool said = uplink->state != FLK_UPLINK_UP || loop->draining || /* a READY would take our GOODBYE back */
                    flk_link_send(uplink->socket, NULL, &uplink->greeting, NULL) == FLK_OK;
        if (!said) {
            flk_uplink_drop(uplink, flk_mono_ms());
            note_uplink(loop, uplink, FLK_UPLINK_LOST);
        }
    }
}

static void note_store(flk_loop_t *loop, flk_err_t err, const char *errmsg) {
    bool was_ok = atomic_load(&loop->store_ok);
    if (err == FLK_OK) {
        if (!was_ok && loop->store_failed) {
            offer_credit(loop, loop->credit);
            flk_log(FLK_LOG_INFO, "store_back", FLK_S("store", loop->store->ops->name));
        }
    } else {
        pthread_mutex_lock(&loop->why_mutex);
        snprintf(loop->why, sizeof loop->why, "store %s", errmsg);
        pthread_mutex_unlock(&loop->why_mutex);
        if (was_ok || !loop->store_failed) {
            offer_credit(loop, FAILING_CREDIT);
            flk_log(FLK_LOG_ERROR, "store_unavailable", FLK_S("store", loop->store->ops->name), FLK_S("error", errmsg));
        }
    }
    loop->store_failed = loop->store_failed || err != FLK_OK;
    atomic_store(&loop->store_ok, err == FLK_OK);
    loop->health_at_ms = flk_mono_ms() + (err == FLK_OK ? HEALTH_IDLE_MS : HEALTH_MS);
}

/* A batch of duplicates needs no put, so only a probe tells that a store which failed takes writes again. While nothing
 * comes, a probe now and then tells that it fails. */
static void look_after_store(flk_loop_t *loop, uint64_t now_ms) {
    flk_store_tick(loop->store, now_ms);
    if (now_ms >= loop->health_at_ms) {
        char errmsg[FLK_ERRMSG_BYTES] = "";
        flk_err_t err = flk_store_health(loop->store, errmsg);
        note_store(loop, err, errmsg);
    }
}

/* Silence counts only while this thread listens: messages that a broker sent meanwhile are still to come. */
static void forgive_silence(flk_loop_t *loop, uint64_t held_ms) {
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        loop->uplinks[u].heard_ms += held_ms;
    }
}

static void run_batch(flk_loop_t *loop) {
    if (flk_batch_len(loop->batch) == 0) {
        return;
    }
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_err_t err = flk_batch_run(loop->batch, loop->rules, loop->store, errmsg);
    if (err != FLK_OK) {
        note_store(loop, err, errmsg);
    } else if (atomic_load(&loop->store_ok)) {
        loop->health_at_ms = flk_mono_ms() + HEALTH_IDLE_MS;
    }
    send_answers(loop);
    flk_batch_clear(loop->batch);
}

/* ---- turns ---- */

static void turn_to_rules(flk_loop_t *loop) {
    const flk_rules_t *rules = flk_rulebook_turn_to(loop->book, loop->rules);
    if (rules != loop->rules) {
        loop->rules = rules;
        flk_store_set_ttl(loop->store, rules->ttl_ms);
    }
}

/* While it drains, an uplink that is no longer UP has left for good. */
static void look_after_uplinks(flk_loop_t *loop, uint64_t now_ms) {
    bool linked = false;
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        flk_uplink_t *uplink = &loop->uplinks[u];
        if (uplink->state == FLK_UPLINK_UP || !loop->draining) {
            note_uplink(loop, uplink, flk_uplink_tick(uplink, now_ms));
        }
        linked = linked || uplink->state == FLK_UPLINK_UP;
    }
    atomic_store(&loop->linked, linked);
}

static void wait_for_events(flk_loop_t *loop) {
    zmq_pollitem_t polls[FLK_BROKERS_MAX + 1];
    int polls_len = 0;
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        if (loop->uplinks[u].socket != NULL) {
            polls[polls_len++] = (zmq_pollitem_t){.socket = loop->uplinks[u].socket, .events = ZMQ_POLLIN};
        }
    }
    polls[polls_len++] = (zmq_pollitem_t){.fd = loop->wake_fd, .events = ZMQ_POLLIN};
    /* The uplinks ask for a tick each quarter of the heartbeat. */
    (void)zmq_poll(polls, polls_len, (long)(loop->heartbeat_ms / 4 + 1));
    uint64_t wakes;
    if (read(loop->wake_fd, &wakes, sizeof wakes) < 0) {
        FLK_ASSERT(errno == EAGAIN);
    }
}

static void begin_drain(flk_loop_t *loop, uint64_t now_ms) {
    loop->draining = true;
    loop->drain_until_ms = now_ms + loop->drain_ms;
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        flk_uplink_t *uplink = &loop->uplinks[u];
        flk_frame_t goodbye = {.kind = FLK_GOODBYE, .id = loop->instance};
        if (uplink->state != FLK_UPLINK_UP || flk_link_send(uplink->socket, NULL, &goodbye, NULL) != FLK_OK) {
            flk_uplink_drop(uplink, now_ms);
        }
    }
}

static bool turn(flk_loop_t *loop) {
    wait_for_events(loop);
    uint64_t now_ms = flk_mono_ms();
    flk_beat_turn(&loop->beat, now_ms);
    turn_to_rules(loop);
    for (size_t i = 0; i < loop->uplinks_len; i++) {
        take_arrived(loop, (loop->first_uplink + i) % loop->uplinks_len, now_ms);
    }
    loop->first_uplink = (loop->first_uplink + 1) % loop->uplinks_len;
    if (!loop->draining && atomic_load(&loop->stop)) {
        begin_drain(loop, now_ms); /* after taking: a WELCOME on its way makes the broker one to say GOODBYE to */
    }
    look_after_uplinks(loop, now_ms);
    run_batch(loop);
    look_after_store(loop, now_ms);
    forgive_silence(loop, flk_mono_ms() - now_ms);
    return !loop->draining || (atomic_load(&loop->linked) && now_ms < loop->drain_until_ms);
}

static void *loop_main(void *arg) {
    flk_loop_t *loop = arg;
    flk_beat_start(&loop->beat, "verify thread", loop->beat_ms_max);
    flk_gauge_add(loop->metrics->threads, 1);
    while (turn(loop)) {
    }
    flk_gauge_add(loop->metrics->threads, -1);
    flk_beat_stop(&loop->beat);
    return NULL;
}

/* ---- other threads ---- */

static flk_err_t open_uplinks(flk_loop_t *loop, const flk_loop_options_t *options, char *errmsg) {
    flk_frame_t ready = {.kind = FLK_READY, .id = loop->instance, .credit = options->credit};
    snprintf(ready.name, sizeof ready.name, "%s", options->name);
    for (size_t u = 0; u < options->endpoints_len; u++) {
        flk_err_t err = flk_uplink_init(&loop->uplinks[u], options->context, options->endpoints[u], options->security,
                                        &ready, options->heartbeat_ms, flk_mono_ms(), errmsg);
        if (err != FLK_OK) {
            flk_errmsg_prefix(errmsg, "FLK_BACKENDS");
            return err;
        }
        loop->uplinks_len++;
    }
    return FLK_OK;
}

flk_err_t flk_loop_new(const flk_loop_options_t *options, flk_store_t *store, flk_loop_t **out, char *errmsg) {
    FLK_ASSERT(options->endpoints_len >= 1 && options->endpoints_len <= FLK_BROKERS_MAX);
    flk_loop_t *loop = calloc(1, sizeof *loop);
    if (loop == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    flk_id_random(&loop->instance);
    loop->heartbeat_ms = options->heartbeat_ms;
    loop->drain_ms = options->drain_ms;
    loop->beat_ms_max = options->vouch_ms;
    loop->credit = options->credit;
    loop->metrics = options->metrics;
    loop->book = options->book;
    flk_message_init(&loop->message);
    pthread_mutex_init(&loop->why_mutex, NULL);
    atomic_init(&loop->store_ok, false);
    snprintf(loop->why, sizeof loop->why, "store not reached yet");
    flk_beat_turn(&loop->beat, flk_mono_ms());
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->batch = flk_batch_new(options->metrics);
    flk_err_t err = FLK_OK;
    if (loop->wake_fd < 0 || loop->batch == NULL) {
        flk_errmsg(errmsg, "out of memory or descriptors");
        err = FLK_E_NOMEM;
    } else {
        err = open_uplinks(loop, options, errmsg);
    }
    if (err != FLK_OK) {
        flk_loop_destroy(&loop);
        return err;
    }
    loop->store = store;
    *out = loop;
    return FLK_OK;
}

flk_err_t flk_loop_start(flk_loop_t *loop, char *errmsg) {
    flk_err_t err = flk_thread_start(&loop->thread, "flk-verify", loop_main, loop, errmsg);
    loop->started = err == FLK_OK;
    return err;
}

void flk_loop_stop(flk_loop_t *loop) {
    uint64_t one = 1;
    atomic_store(&loop->stop, true);
    FLK_ASSERT(write(loop->wake_fd, &one, sizeof one) == sizeof one);
}

void flk_loop_join(flk_loop_t *loop) {
    if (loop->started) {
        pthread_join(loop->thread, NULL);
        loop->started = false;
    }
}

void flk_loop_destroy(flk_loop_t **out) {
    flk_loop_t *loop = *out;
    if (loop == NULL) {
        return;
    }
    FLK_ASSERT(!loop->started);
    for (size_t u = 0; u < loop->uplinks_len; u++) {
        flk_uplink_fini(&loop->uplinks[u]);
    }
    if (loop->rules != NULL) {
        flk_rulebook_leave(loop->book, loop->rules);
    }
    if (loop->store != NULL) {
        flk_store_close(&loop->store);
    }
    flk_batch_destroy(&loop->batch);
    flk_message_fini(&loop->message);
    pthread_mutex_destroy(&loop->why_mutex);
    if (loop->wake_fd >= 0) {
        close(loop->wake_fd);
    }
    free(loop);
    *out = NULL;
}

const flk_id_t *flk_loop_instance(const flk_loop_t *loop) {
    return &loop->instance;
}

uint64_t flk_loop_turn_ms(const flk_loop_t *loop) {
    return atomic_load(&loop->beat.turned_ms);
}

bool flk_loop_linked(const flk_loop_t *loop) {
    return atomic_load(&loop->linked);
}

bool flk_loop_store_ok(flk_loop_t *loop, char *why) {
    if (atomic_load(&loop->store_ok)) {
        return true;
    }
    pthread_mutex_lock(&loop->why_mutex);
    snprintf(why, FLK_ERRMSG_BYTES, "%s", loop->why);
    pthread_mutex_unlock(&loop->why_mutex);
    return false;
}
