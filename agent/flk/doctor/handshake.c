/* SPDX-License-Identifier: MIT */
/* A DEALER with our key connects, and libzmq's own monitor tells how far it gets.
 *
 * The listener has another key: it hangs up without a word, which is a disconnect after a connect. It does not let us
 * in: it says so (HANDSHAKE_FAILED_AUTH). It is silent: the deadline. */
#include "agent/flk/doctor/handshake.h"

#include <string.h>
#include <zmq.h>

static const char events_at[] = "inproc://handshake";

static void set_int(void *socket, int option, int value) {
    FLK_ASSERT(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

/* The next event within the deadline; 0: none came. */
static unsigned next_event(void *monitor, uint64_t deadline_ms) {
    uint64_t now_ms = flk_mono_ms();
    uint8_t head[6], address[256];
    uint16_t event;
    set_int(monitor, ZMQ_RCVTIMEO, deadline_ms > now_ms ? (int)(deadline_ms - now_ms) : 0);
    if (zmq_recv(monitor, head, sizeof head, 0) != (int)sizeof head) {
        return 0;
    }
    (void)zmq_recv(monitor, address, sizeof address, 0); /* the second part: which connection; there is only one */
    memcpy(&event, head, sizeof event);                  /* in the order of this machine's bytes, as libzmq has it */
    return event;
}

static flk_handshake_t watch(void *monitor, unsigned timeout_ms) {
    uint64_t deadline_ms = flk_mono_ms() + timeout_ms;
    flk_handshake_t reached = FLK_HANDSHAKE_NO_ANSWER;
    for (unsigned event; (event = next_event(monitor, deadline_ms)) != 0;) {
        if (event == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
            return FLK_HANDSHAKE_DONE;
        }
        if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
            return FLK_HANDSHAKE_REFUSED;
        }
        if (event == ZMQ_EVENT_CONNECTED) {
            reached = FLK_HANDSHAKE_OTHER_KEY; /* until it proves the one that we trust */
        } else if (reached == FLK_HANDSHAKE_OTHER_KEY) {
            return reached; /* a disconnect, or a failure that is not about us */
        }
    }
    return reached;
}

static flk_handshake_t shake(void *context, void *socket, const char *endpoint, const flk_security_t *security,
                             size_t turn, unsigned timeout_ms) {
    static const int events = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL;
    char server[FLK_CURVE_TEXT_BYTES];
    set_int(socket, ZMQ_LINGER, 0);
    if (flk_security_enter(security, socket, turn, server, NULL) != FLK_OK ||
        zmq_socket_monitor(socket, events_at, events) != 0) {
        return FLK_HANDSHAKE_IMPOSSIBLE;
    }
    flk_handshake_t reached = FLK_HANDSHAKE_IMPOSSIBLE;
    void *monitor = zmq_socket(context, ZMQ_PAIR);
    if (monitor != NULL) {
        set_int(monitor, ZMQ_LINGER, 0);
        if (zmq_connect(monitor, events_at) == 0 && zmq_connect(socket, endpoint) == 0) {
            reached = watch(monitor, timeout_ms);
        }
        zmq_close(monitor);
    }
    return reached;
}

flk_handshake_t flk_handshake_try(const char *endpoint, const flk_security_t *security, size_t turn,
                                  unsigned timeout_ms) {
    flk_handshake_t reached = FLK_HANDSHAKE_IMPOSSIBLE;
    void *context = zmq_ctx_new();
    void *socket = context != NULL ? zmq_socket(context, ZMQ_DEALER) : NULL;
    if (socket != NULL) {
        reached = shake(context, socket, endpoint, security, turn, timeout_ms);
        zmq_close(socket);
    }
    if (context != NULL) {
        zmq_ctx_term(context);
    }
    return reached;
}
