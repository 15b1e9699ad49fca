/* SPDX-License-Identifier: MIT */
/* Bind or connect: check the endpoint, make the socket, set every option and its keys, then bind or connect.
 * Receive: [route] header [body]; header decoded in place, body moved out, never copied.
 * Send: [route] header [body], never blocking.
 *
 * Failures in libzmq, and the reaction to each:
 * - A ROUTER without MANDATORY drops messages that it cannot route; with MANDATORY but without DONTWAIT it may block
 *   for ever on a departed peer with a full pipe. So both are always set.
 * - A send that succeeded is no delivery: messages in the pipe of a dead peer are gone. Callers keep each message until
 *   the peer answers.
 * - A peer that ignores its credit is slowed down by TCP (RCVHWM), and one that never reads loses its answers
 *   (SNDHWM): memory stays bounded either way. Peers that keep the protocol never reach these marks.
 * - A message of several bad parts is read to its end, so that the next one starts where it should. */
#include "proto/link.h"

#include <errno.h>
#include <string.h>

#include "proto/zap.h"

enum {
    LINGER_MS = 500,          /* time of a closing socket for its last frames: GOODBYE */
    ZMTP_HEARTBEAT_MS = 2000, /* under the application's own: ends half-open connections */
    ZMTP_TIMEOUT_MS = 6000,
    HANDSHAKE_MS = 5000,
    CONNECT_MS = 3000,
    RECONNECT_MS = 100, /* doubled up to… */
    /* … 1 s, not the 30 s of a public network: a restarted broker must be found before the gateway's deadline of
     * 5 s, and one refused SYN a second costs nobody anything. */
    RECONNECT_MS_MAX = 1000,
    SEND_MESSAGES_MAX = 65536,
    RECV_MESSAGES_MAX = 1000,
    BACKLOG = 1024,
    KEEPALIVE_IDLE_S = 30,
};

/* ---- sockets ---- */

static void set(void *socket, int option, int value) {
    FLK_ASSERT(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

/* libzmq takes "*" for the addresses of IPv4 alone unless it is told. A kernel without IPv6 makes it go back to IPv4.
 */
static bool wants_ipv6(const char *address) {
    return strchr(address, '[') != NULL || strncmp(address, "tcp://*:", strlen("tcp://*:")) == 0;
}

static void set_options(void *socket, int type, const char *address) {
    set(socket, ZMQ_LINGER, LINGER_MS);
    set(socket, ZMQ_SNDHWM, SEND_MESSAGES_MAX);
    set(socket, ZMQ_RCVHWM, RECV_MESSAGES_MAX);
    set(socket, ZMQ_HEARTBEAT_IVL, ZMTP_HEARTBEAT_MS);
    set(socket, ZMQ_HEARTBEAT_TIMEOUT, ZMTP_TIMEOUT_MS);
    set(socket, ZMQ_HEARTBEAT_TTL, ZMTP_TIMEOUT_MS);
    set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set(socket, ZMQ_TCP_KEEPALIVE, 1);
    set(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    set(socket, ZMQ_IPV6, wants_ipv6(address));
    int64_t message_bytes_max = FLK_LINK_MESSAGE_BYTES_MAX;
    FLK_ASSERT(zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &message_bytes_max, sizeof message_bytes_max) == 0);
    if (type == ZMQ_ROUTER) {
        set(socket, ZMQ_ROUTER_MANDATORY, 1);
        set(socket, ZMQ_BACKLOG, BACKLOG);
    } else {
        set(socket, ZMQ_IMMEDIATE, 1);
        set(socket, ZMQ_CONNECT_TIMEOUT, CONNECT_MS);
        set(socket, ZMQ_RECONNECT_IVL, RECONNECT_MS);
        set(socket, ZMQ_RECONNECT_IVL_MAX, RECONNECT_MS_MAX);
    }
}

static flk_err_t make_socket(void *context, int type, const char *endpoint, const char *address,
                             const flk_security_t *security, void **socket, char *errmsg) {
    *socket = NULL;
    flk_err_t err = flk_security_check(security, endpoint, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    *socket = zmq_socket(context, type);
    if (*socket == NULL) {
        flk_errmsg(errmsg, "cannot make a socket for %s: %s", endpoint, zmq_strerror(errno));
        return FLK_E_NOMEM;
    }
    set_options(*socket, type, address);
    return FLK_OK;
}

static flk_err_t attached(int result, const char *step, const char *endpoint, void **socket, char *errmsg) {
    if (result != 0) {
        flk_err_t err = flk_err_of_listen(errno);
        flk_errmsg(errmsg, "cannot %s %s: %s", step, endpoint, zmq_strerror(errno));
        flk_link_close(socket);
        return err;
    }
    return FLK_OK;
}

flk_err_t flk_link_bind(void *context, const char *endpoint, flk_zap_t *zap, flk_role_t role, void **socket,
                        char *errmsg) {
    const flk_security_t *security = flk_zap_security(zap);
    flk_err_t err = make_socket(context, ZMQ_ROUTER, endpoint, endpoint, security, socket, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    if (flk_security_covers(security, endpoint)) {
        flk_security_serve(security, *socket, role);
        flk_zap_guard(zap, *socket, role);
    }
    return attached(zmq_bind(*socket, endpoint), "listen on", endpoint, socket, errmsg);
}

flk_err_t flk_link_connect(void *context, const char *endpoint, const flk_security_t *security, flk_server_t *server,
                           void **socket, char *errmsg) {
    return flk_link_connect_at(context, endpoint, endpoint, security, server, socket, errmsg);
}

flk_err_t flk_link_connect_at(void *context, const char *endpoint, const char *address, const flk_security_t *security,
                              flk_server_t *server, void **socket, char *errmsg) {
    flk_err_t err = make_socket(context, ZMQ_DEALER, endpoint, address, security, socket, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    server->key[0] = '\0';
    if (flk_security_covers(security, endpoint)) {
        err = flk_security_enter(security, *socket, server->turn, server->key, errmsg);
        if (err != FLK_OK) {
            flk_link_close(socket);
            return err;
        }
    }
    return attached(zmq_connect(*socket, address), "connect to", endpoint, socket, errmsg);
}

void flk_link_close(void **socket) {
    if (*socket != NULL) {
        FLK_ASSERT(zmq_close(*socket) == 0);
        *socket = NULL;
    }
}

/* ---- messages ---- */

void flk_message_init(flk_message_t *message) {
    memset(message, 0, sizeof *message);
    zmq_msg_init(&message->head);
    zmq_msg_init(&message->body);
}

void flk_message_fini(flk_message_t *message) {
    zmq_msg_close(&message->head);
    zmq_msg_close(&message->body);
}

/* Receives one part; the earlier content of `part` is freed. */
static flk_err_t recv_part(void *socket, zmq_msg_t *part, bool *more) {
    while (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0) {
        if (errno == EINTR) {
            continue;
        }
        FLK_ASSERT(errno == EAGAIN || errno == ETERM);
        *more = false;
        return errno == EAGAIN ? FLK_E_AGAIN : FLK_E_CLOSED;
    }
    *more = zmq_msg_more(part) != 0;
    return FLK_OK;
}

/* Reads the parts that nobody asked for, and says so. */
static flk_err_t drain(void *socket, bool more, const char *what, char *errmsg) {
    zmq_msg_t part;
    zmq_msg_init(&part);
    flk_err_t err = FLK_OK;
    while (more && err == FLK_OK) {
        err = recv_part(socket, &part, &more);
    }
    zmq_msg_close(&part);
    flk_errmsg(errmsg, "%s", what);
    return err == FLK_E_CLOSED ? FLK_E_CLOSED : FLK_E_INVALID;
}

static flk_err_t recv_route(void *socket, flk_route_t *route, bool *more, char *errmsg) {
    zmq_msg_t part; /* up to 33 bytes live inside it: no heap */
    zmq_msg_init(&part);
    flk_err_t err = recv_part(socket, &part, more);
    size_t bytes = zmq_msg_size(&part);
    if (err == FLK_OK && bytes > sizeof route->id) {
        route->bytes = 0;
        err = drain(socket, *more, "routing id of more than 33 bytes", errmsg);
    } else if (err == FLK_OK) {
        route->bytes = (uint8_t)bytes;
        memcpy(route->id, zmq_msg_data(&part), bytes);
    }
    zmq_msg_close(&part);
    return err;
}

static void empty(zmq_msg_t *part) {
    zmq_msg_close(part);
    zmq_msg_init(part);
}

flk_err_t flk_link_recv(void *socket, bool router, flk_message_t *message, char *errmsg) {
    bool more = true;
    empty(&message->head); /* a message without one must not be taken for the sender's of the last one */
    flk_err_t err = router ? recv_route(socket, &message->route, &more, errmsg) : FLK_OK;
    if (err != FLK_OK) {
        return err;
    }
    if (!more) {
        return drain(socket, false, "no header", errmsg);
    }
    err = recv_part(socket, &message->head, &more);
    if (err != FLK_OK) {
        return err;
    }
    if (more) {
        err = recv_part(socket, &message->body, &more);
        if (err != FLK_OK) {
            return err;
        }
        if (more) {
            return drain(socket, true, "more than two parts", errmsg);
        }
    } else {
        empty(&message->body);
    }
    return flk_frame_decode(zmq_msg_data(&message->head), zmq_msg_size(&message->head), &message->frame, errmsg);
}

static flk_err_t send_failed(void) {
    FLK_ASSERT(errno == EAGAIN || errno == EHOSTUNREACH || errno == ETERM);
    return errno == ETERM ? FLK_E_CLOSED : FLK_E_UNAVAILABLE;
}

static flk_err_t send_route(void *socket, const flk_route_t *route) {
    while (zmq_send(socket, route->id, route->bytes, ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return send_failed();
        }
    }
    return FLK_OK;
}

/* On FLK_OK libzmq has taken the content and left `part` empty. */
static flk_err_t send_part(void *socket, zmq_msg_t *part, int more) {
    while (zmq_msg_send(part, socket, more | ZMQ_DONTWAIT) < 0) {
        if (errno != EINTR) {
            return send_failed();
        }
    }
    return FLK_OK;
}

flk_err_t flk_link_send(void *socket, const flk_route_t *route, const flk_frame_t *frame, zmq_msg_t *body) {
    uint8_t bytes[FLK_FRAME_BYTES_MAX];
    size_t head_bytes = flk_frame_encode(frame, bytes);
    zmq_msg_t head; /* made before the first part is sent: running out of memory later would leave half a message */
    if (zmq_msg_init_size(&head, head_bytes) != 0) {
        return FLK_E_NOMEM;
    }
    memcpy(zmq_msg_data(&head), bytes, head_bytes);
    bool has_body = body != NULL && zmq_msg_size(body) > 0;
    flk_err_t err = route == NULL ? FLK_OK : send_route(socket, route);
    if (err == FLK_OK) {
        err = send_part(socket, &head, has_body ? ZMQ_SNDMORE : 0);
    }
    if (err == FLK_OK && has_body) {
        err = send_part(socket, body, 0);
    }
    zmq_msg_close(&head);
    return err;
}

flk_err_t flk_link_send_copy(void *socket, const flk_route_t *route, const flk_frame_t *frame, const void *body,
                             size_t body_bytes) {
    if (body_bytes == 0) { /* `body` may be NULL then */
        return flk_link_send(socket, route, frame, NULL);
    }
    zmq_msg_t copy;
    if (zmq_msg_init_size(&copy, body_bytes) != 0) {
        return FLK_E_NOMEM;
    }
    memcpy(zmq_msg_data(&copy), body, body_bytes);
    flk_err_t err = flk_link_send(socket, route, frame, &copy);
    zmq_msg_close(&copy);
    return err;
}
