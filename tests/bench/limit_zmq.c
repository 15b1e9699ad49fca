/* SPDX-License-Identifier: MIT */
/* limit_zmq CREDIT [OUTSTANDING SECONDS WARM_SECONDS RECORD_BYTES]: the limit of the ZeroMQ door. Records go from a
 * DEALER through a ROUTER and another ROUTER to a worker's DEALER, which sends them back; three processes over TCP, as
 * gateway's clients, broker and worker are. The worker may hold CREDIT records at once: it asks for each by an empty
 * message, and with each answer for one more. Nothing is kept, checked, timed or encrypted. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include "tests/bench/outstanding.h"

enum { ENDPOINT_BYTES = 64, ROUTE_BYTES_MAX = 64 };

typedef struct sockets {
    void *context, *front, *back;
    char front_at[ENDPOINT_BYTES], back_at[ENDPOINT_BYTES];
} sockets_t;

static void must(int result, const char *what) {
    if (result < 0) {
        fprintf(stderr, "limit_zmq: %s: %s\n", what, zmq_strerror(zmq_errno()));
        exit(1);
    }
}

static void *open_socket(void *context, int type) {
    void *socket = zmq_socket(context, type);
    must(socket == NULL ? -1 : zmq_setsockopt(socket, ZMQ_LINGER, &(int){0}, sizeof(int)), "socket");
    return socket;
}

/* ---- the broker's part ---- */

/* The receivers of the next records: a queue of credits, the longest unused first. */
typedef struct credits {
    zmq_msg_t routes[256];
    unsigned head, tail;
} credits_t;

static void take_answers(const sockets_t *sockets, credits_t *credits) {
    zmq_msg_t route, client, body;
    zmq_msg_init(&route);
    zmq_msg_init(&client);
    zmq_msg_init(&body);
    while (zmq_msg_recv(&route, sockets->back, ZMQ_DONTWAIT) >= 0) {
        zmq_msg_t *credit = &credits->routes[credits->tail++ % FLK_COUNT_OF(credits->routes)];
        zmq_msg_init(credit);
        zmq_msg_move(credit, &route);
        must(zmq_msg_recv(&client, sockets->back, 0), "receive");
        if (zmq_msg_more(&client)) {
            must(zmq_msg_recv(&body, sockets->back, 0), "receive");
            must(zmq_msg_send(&client, sockets->front, ZMQ_SNDMORE), "send");
            must(zmq_msg_send(&body, sockets->front, 0), "send");
        }
    }
}

static void hand_out(const sockets_t *sockets, credits_t *credits) {
    zmq_msg_t client, body;
    zmq_msg_init(&client);
    zmq_msg_init(&body);
    while (credits->head != credits->tail && zmq_msg_recv(&client, sockets->front, ZMQ_DONTWAIT) >= 0) {
        must(zmq_msg_recv(&body, sockets->front, 0), "receive");
        must(
            zmq_msg_send(&credits->routes[credits->head++ % FLK_COUNT_OF(credits->routes)], sockets->back, ZMQ_SNDMORE),
            "send");
        must(zmq_msg_send(&client, sockets->back, ZMQ_SNDMORE), "send");
        must(zmq_msg_send(&body, sockets->back, 0), "send");
    }
}

static void bind_any(void *socket, char endpoint[ENDPOINT_BYTES]) {
    size_t bytes = ENDPOINT_BYTES;
    must(zmq_bind(socket, "tcp://127.0.0.1:*"), "bind");
    must(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint, &bytes), "endpoint");
}

static void run_broker(int endpoints_fd) {
    static credits_t credits;
    sockets_t sockets = {.context = zmq_ctx_new()};
    sockets.front = open_socket(sockets.context, ZMQ_ROUTER);
    sockets.back = open_socket(sockets.context, ZMQ_ROUTER);
    bind_any(sockets.front, sockets.front_at);
    bind_any(sockets.back, sockets.back_at);
    must((int)write(endpoints_fd, &sockets, sizeof sockets), "pipe");
    for (;;) {
        zmq_pollitem_t items[] = {{sockets.back, 0, ZMQ_POLLIN, 0}, {sockets.front, 0, ZMQ_POLLIN, 0}};
        must(zmq_poll(items, credits.head != credits.tail ? 2 : 1, -1), "poll");
        take_answers(&sockets, &credits);
        hand_out(&sockets, &credits);
    }
}

/* ---- worker and client ---- */

static void run_worker(const char *endpoint, int credit) {
    void *socket = open_socket(zmq_ctx_new(), ZMQ_DEALER);
    zmq_msg_t client, body;
    zmq_msg_init(&client);
    zmq_msg_init(&body);
    must(zmq_connect(socket, endpoint), "connect");
    for (int i = 0; i < credit; i++) {
        must(zmq_send(socket, "", 0, 0), "send");
    }
    for (;;) {
        must(zmq_msg_recv(&client, socket, 0), "receive");
        must(zmq_msg_recv(&body, socket, 0), "receive");
        must(zmq_msg_send(&client, socket, ZMQ_SNDMORE), "send");
        must(zmq_msg_send(&body, socket, 0), "send");
    }
}

static void run_client(const char *endpoint, const outstanding_t *load) {
    void *context = zmq_ctx_new(), *socket = open_socket(context, ZMQ_DEALER);
    char echo[RECORD_BYTES_MAX];
    must(zmq_setsockopt(socket, ZMQ_RCVTIMEO, &(int){20000}, sizeof(int)), "timeout");
    must(zmq_connect(socket, endpoint), "connect");
    for (unsigned slot = 0; slot < load->slots; slot++) {
        must(zmq_send(socket, outstanding_record(slot), load->record_bytes, 0), "send");
    }
    while (outstanding_running()) {
        int bytes = zmq_recv(socket, echo, sizeof echo, 0);
        must(bytes, "no echo");
        int slot = outstanding_answered(echo, (size_t)bytes);
        if (slot >= 0) {
            must(zmq_send(socket, outstanding_record((unsigned)slot), load->record_bytes, 0), "send");
        }
    }
    outstanding_print();
    zmq_close(socket);
    zmq_ctx_term(context);
}

static pid_t start(void) {
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
    }
    return pid;
}

int main(int argc, char **argv) {
    int endpoints[2];
    sockets_t sockets;
    outstanding_t load;
    must(pipe(endpoints), "pipe");
    pid_t broker = start();
    if (broker == 0) {
        run_broker(endpoints[1]);
    }
    must(read(endpoints[0], &sockets, sizeof sockets) == sizeof sockets ? 0 : -1, "broker");
    pid_t worker = start();
    if (worker == 0) {
        run_worker(sockets.back_at, argc > 1 ? atoi(argv[1]) : 32);
    }
    outstanding_open(&load, argc - 2, argv + 2);
    run_client(sockets.front_at, &load);
    kill(broker, SIGKILL);
    kill(worker, SIGKILL);
    while (wait(NULL) > 0) {
    }
    return 0;
}
