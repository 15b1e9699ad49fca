/* SPDX-License-Identifier: MIT */
/* An uplink repeats its greeting each period until it is welcomed. The pulse's greeting is the PING, and no broker
 * welcomes a PING: so the uplink sends it for ever, reconnecting underneath as it does for any peer. */
#include "worker/pulse.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/thread.h"
#include "proto/uplink.h"

struct flk_pulse {
    uint32_t heartbeat_ms, vouch_ms;
    const flk_worker_metrics_t *metrics;
    flk_loop_t *const *loops;
    size_t loops_len;
    flk_message_t message;
    size_t uplinks_len;
    flk_uplink_t uplinks[FLK_BROKERS_MAX];
    pthread_t thread;
    bool started;
    atomic_bool stop;
    int wake_fd;
    uint8_t instances[FLK_INSTANCES_MAX * FLK_ID_BYTES]; /* of the threads that are vouched for now */
};

static uint32_t vouch(flk_pulse_t *pulse, uint64_t now_ms) {
    uint32_t len = 0;
    for (size_t i = 0; i < pulse->loops_len; i++) {
        if (now_ms - flk_loop_turn_ms(pulse->loops[i]) <= pulse->vouch_ms) {
            memcpy(pulse->instances + FLK_ID_BYTES * (len++), flk_loop_instance(pulse->loops[i])->bytes, FLK_ID_BYTES);
        }
    }
    return len;
}

static void read_answers(flk_pulse_t *pulse, flk_uplink_t *uplink, uint64_t now_ms) {
    for (int taken = 0; taken < FLK_BATCH_MAX && uplink->socket != NULL; taken++) {
        flk_err_t err = flk_link_recv(uplink->socket, false, &pulse->message, NULL);
        if (err != FLK_OK && err != FLK_E_INVALID && err != FLK_E_NOT_FOUND) {
            return;
        }
        const flk_frame_t *frame = &pulse->message.frame;
        if (err != FLK_OK || frame->kind == FLK_WELCOME ||
            flk_uplink_heard(uplink, frame, now_ms) == FLK_UPLINK_YOURS) {
            flk_counter_add(pulse->metrics->malformed, 1);
        }
    }
}

static void turn(flk_pulse_t *pulse) {
    zmq_pollitem_t polls[FLK_BROKERS_MAX + 1];
    int polls_len = 0;
    for (size_t u = 0; u < pulse->uplinks_len; u++) {
        if (pulse->uplinks[u].socket != NULL) {
            polls[polls_len++] = (zmq_pollitem_t){.socket = pulse->uplinks[u].socket, .events = ZMQ_POLLIN};
        }
    }
    polls[polls_len++] = (zmq_pollitem_t){.fd = pulse->wake_fd, .events = ZMQ_POLLIN};
    (void)zmq_poll(polls, polls_len, (long)(pulse->heartbeat_ms / 4 + 1));
    uint64_t now_ms = flk_mono_ms();
    uint32_t instances_len = vouch(pulse, now_ms);
    for (size_t u = 0; u < pulse->uplinks_len; u++) {
        flk_uplink_t *uplink = &pulse->uplinks[u];
        read_answers(pulse, uplink, now_ms);
        uplink->greeting.instances_len = instances_len;
        FLK_ASSERT(flk_uplink_tick(uplink, now_ms) == FLK_UPLINK_NOTHING); /* never UP, so never LOST */
    }
}

static void *pulse_main(void *arg) {
    flk_pulse_t *pulse = arg;
    while (!atomic_load(&pulse->stop)) {
        turn(pulse);
    }
    return NULL;
}

static flk_err_t open_uplinks(flk_pulse_t *pulse, const flk_loop_options_t *options, char *errmsg) {
    flk_frame_t ping = {.kind = FLK_PING, .instances = pulse->instances};
    flk_id_random(&ping.id);
    for (size_t u = 0; u < options->endpoints_len; u++) {
        flk_err_t err = flk_uplink_init(&pulse->uplinks[u], options->context, options->endpoints[u], options->security,
                                        &ping, options->heartbeat_ms, flk_mono_ms(), errmsg);
        if (err != FLK_OK) {
            flk_errmsg_prefix(errmsg, "FLK_BACKENDS");
            return err;
        }
        pulse->uplinks_len++;
    }
    return FLK_OK;
}

flk_err_t flk_pulse_start(const flk_loop_options_t *options, flk_loop_t *const *loops, size_t loops_len,
                          flk_pulse_t **out, char *errmsg) {
    FLK_ASSERT(loops_len <= FLK_INSTANCES_MAX);
    flk_pulse_t *pulse = calloc(1, sizeof *pulse);
    if (pulse == NULL) {
        flk_errmsg(errmsg, "out of memory");
        return FLK_E_NOMEM;
    }
    pulse->heartbeat_ms = options->heartbeat_ms;
    pulse->vouch_ms = options->vouch_ms;
    pulse->metrics = options->metrics;
    pulse->loops = loops;
    pulse->loops_len = loops_len;
    flk_message_init(&pulse->message);
    flk_err_t err = open_uplinks(pulse, options, errmsg);
    pulse->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (err == FLK_OK && pulse->wake_fd < 0) {
        flk_errmsg(errmsg, "out of memory or descriptors");
        err = FLK_E_NOMEM;
    }
    if (err == FLK_OK) {
        err = flk_thread_start(&pulse->thread, "flk-pulse", pulse_main, pulse, errmsg);
    }
    pulse->started = err == FLK_OK;
    if (err != FLK_OK) {
        flk_pulse_stop(&pulse);
    }
    *out = pulse;
    return err;
}

void flk_pulse_stop(flk_pulse_t **out) {
    flk_pulse_t *pulse = *out;
    if (pulse == NULL) {
        return;
    }
    if (pulse->started) {
        uint64_t one = 1;
        atomic_store(&pulse->stop, true);
        FLK_ASSERT(write(pulse->wake_fd, &one, sizeof one) == sizeof one);
        pthread_join(pulse->thread, NULL);
    }
    for (size_t u = 0; u < pulse->uplinks_len; u++) {
        flk_uplink_fini(&pulse->uplinks[u]);
    }
    flk_message_fini(&pulse->message);
    if (pulse->wake_fd >= 0) {
        close(pulse->wake_fd);
    }
    free(pulse);
    *out = NULL;
}
