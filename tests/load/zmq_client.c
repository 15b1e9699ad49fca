/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/uplink.h"
#include "tests/load/load.h"

int zmq_run(const load_options_t *options, const load_body_t *bodies) {
    char errmsg[FLK_ERRMSG_BYTES];
    void *context = zmq_ctx_new();
    flk_uplink_t uplink;
    flk_message_t message;
    flk_frame_t hello = {.kind = FLK_HELLO, .name = "flk-load"};
    flk_id_random(&hello.id);
    flk_message_init(&message);
    if (flk_uplink_init(&uplink, context, options->zmq, false, &hello, 1000, flk_mono_ms(), errmsg) != FLK_OK) {
        fprintf(stderr, "flk-load: %s\n", errmsg);
        return 2;
    }
    uint64_t *sent_ns = flk_start_alloc(options->outstanding * sizeof *sent_ns); /* 0: free */
    size_t next = 0;
    unsigned busy = 0, slot_at = 0;
    window_open(options);
    while (window_running()) {
        uint64_t now_ms = flk_mono_ms();
        if (flk_uplink_tick(&uplink, now_ms) == FLK_UPLINK_LOST) {
            memset(sent_ns, 0, options->outstanding * sizeof *sent_ns);
            busy = 0;
        }
        while (uplink.state == FLK_UPLINK_UP && busy < options->outstanding) {
            while (sent_ns[slot_at] != 0) {
                slot_at = (slot_at + 1) % options->outstanding;
            }
            const load_body_t *body = &bodies[next++ % options->distinct];
            flk_frame_t submit = {.kind = FLK_SUBMIT};
            memcpy(submit.id.bytes, &slot_at, sizeof slot_at);
            if (flk_link_send_copy(uplink.socket, NULL, &submit, body->bytes, body->bytes_len) != FLK_OK) {
                break;
            }
            sent_ns[slot_at] = flk_mono_ns();
            busy++;
        }
        zmq_pollitem_t item = {.socket = uplink.socket, .events = ZMQ_POLLIN};
        zmq_poll(&item, uplink.socket != NULL, 10);
        while (uplink.socket != NULL && flk_link_recv(uplink.socket, false, &message, errmsg) == FLK_OK) {
            if (flk_uplink_heard(&uplink, &message.frame, now_ms) != FLK_UPLINK_YOURS) {
                continue;
            }
            unsigned slot;
            memcpy(&slot, message.frame.id.bytes, sizeof slot);
            window_count(sent_ns[slot], message.frame.kind == FLK_VERDICT ? message.frame.status : 503);
            sent_ns[slot] = 0;
            busy--;
        }
    }
    window_print();
    free(sent_ns);
    flk_message_fini(&message);
    flk_uplink_fini(&uplink);
    zmq_ctx_term(context);
    return 0;
}
