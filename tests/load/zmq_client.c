/* SPDX-License-Identifier: MIT */
/* One DEALER with up to `outstanding` submissions under way. It waits on the socket's file descriptor, whose wait can
 * be shorter than the milliseconds of zmq_poll; that one tells of changes only, so each turn first sends, then receives
 * until nothing is left, then waits. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/uplink.h"
#include "tests/load/load.h"

typedef struct client {
    const load_options_t *options;
    const load_body_t *bodies;
    flk_uplink_t uplink;
    flk_message_t message;
    uint64_t *due_ns; /* a slot each; 0: free */
    size_t next;
    unsigned busy, slot;
} client_t;

static void send_due(client_t *client) {
    const load_options_t *options = client->options;
    uint64_t due_ns;
    while (client->uplink.state == FLK_UPLINK_UP && client->busy < options->outstanding && window_due(&due_ns)) {
        while (client->due_ns[client->slot] != 0) {
            client->slot = (client->slot + 1) % options->outstanding;
        }
        const load_body_t *body = &client->bodies[client->next++ % options->distinct];
        flk_frame_t submit = {.kind = FLK_SUBMIT};
        memcpy(submit.id.bytes, &client->slot, sizeof client->slot);
        if (flk_link_send_copy(client->uplink.socket, NULL, &submit, body->bytes, body->bytes_len) != FLK_OK) {
            return;
        }
        client->due_ns[client->slot] = due_ns;
        client->busy++;
    }
}

static void take_answers(client_t *client) {
    char errmsg[FLK_ERRMSG_BYTES];
    uint64_t now_ms = flk_mono_ms();
    while (client->uplink.socket != NULL &&
           flk_link_recv(client->uplink.socket, false, &client->message, errmsg) == FLK_OK) {
        const flk_frame_t *frame = &client->message.frame;
        if (flk_uplink_heard(&client->uplink, frame, now_ms) != FLK_UPLINK_YOURS) {
            continue;
        }
        unsigned slot;
        memcpy(&slot, frame->id.bytes, sizeof slot);
        window_count(client->due_ns[slot], frame->kind == FLK_VERDICT ? frame->status : 503);
        client->due_ns[slot] = 0;
        client->busy--;
    }
}

static void wait_for_more(const client_t *client) {
    struct pollfd item = {.fd = -1, .events = POLLIN};
    size_t fd_bytes = sizeof item.fd;
    bool full = client->busy == client->options->outstanding;
    struct timespec wait = {.tv_nsec = full ? 10000000 : (long)window_wait_ns()};
    if (client->uplink.socket != NULL) {
        zmq_getsockopt(client->uplink.socket, ZMQ_FD, &item.fd, &fd_bytes);
    }
    if (client->uplink.state == FLK_UPLINK_UP && !full && client->options->rate <= 0) {
        return; /* closed loop: there is something to send */
    }
    ppoll(&item, 1, &wait, NULL);
}

int zmq_run(const load_options_t *options, const load_body_t *bodies) {
    static const flk_security_options_t plain = {.key_file = "", .key_dir = "", .plaintext = true};
    char errmsg[FLK_ERRMSG_BYTES];
    flk_security_t *security;
    if (flk_security_new(&plain, &security, errmsg) != FLK_OK) {
        fprintf(stderr, "flk-load: %s\n", errmsg);
        return 2;
    }
    void *context = zmq_ctx_new();
    client_t client = {.options = options, .bodies = bodies};
    flk_frame_t hello = {.kind = FLK_HELLO, .name = "flk-load"};
    flk_id_random(&hello.id);
    flk_message_init(&client.message);
    if (flk_uplink_init(&client.uplink, context, options->zmq, security, &hello, 1000, flk_mono_ms(), errmsg) !=
        FLK_OK) {
        fprintf(stderr, "flk-load: %s\n", errmsg);
        return 2;
    }
    client.due_ns = flk_start_alloc(options->outstanding * sizeof *client.due_ns);
    window_open(options);
    while (window_running()) {
        if (flk_uplink_tick(&client.uplink, flk_mono_ms()) == FLK_UPLINK_LOST) {
            memset(client.due_ns, 0, options->outstanding * sizeof *client.due_ns);
            client.busy = 0;
        }
        send_due(&client);
        take_answers(&client);
        wait_for_more(&client);
    }
    int status = window_print();
    free(client.due_ns);
    flk_message_fini(&client.message);
    flk_uplink_fini(&client.uplink);
    zmq_ctx_term(context);
    flk_security_destroy(&security);
    return status;
}
