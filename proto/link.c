/* SPDX-License-Identifier: MIT */
/* Bind or connect: check the endpoint, make the socket, set every option, then bind or connect.
 * Receive: [route] header [body]; header decoded in place, body moved out, never copied.
 * Send: [route] header [body], never blocking.
 *
 * What libzmq does when things fail, and what is done about it here:
 * - A ROUTER without MANDATORY drops what it cannot route; with MANDATORY but without DONTWAIT it may block for ever on a
 *   departed peer whose pipe is full. So always both.
 * - A send that succeeded is no delivery: whatever lay in the pipe of a peer that died is gone. Callers keep what they
 *   sent until the peer answers.
 * - A peer that ignores its credit is slowed down by TCP (RCVHWM), and one that never reads loses its answers (SNDHWM): memory
 *   stays bounded either way. Peers that keep the protocol never reach these marks.
 * - A message of several bad parts is read to its end, so that the next one starts where it should. */
#include "proto/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

enum {
    LINGER_MS = 500,          /* what a closing socket may take to send its last frames: GOODBYE */
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

/* ---- endpoints ---- */

/* 127.0.0.0/8, ::1 or localhost in "host:port". */
static bool is_loopback(const char *host_port) {
    char host[64];
    const char *colon = strrchr(host_port, ':');
    size_t host_bytes = colon == NULL ? 0 : (size_t)(colon - host_port);
    if (host_bytes == 0 || host_bytes >= sizeof host) {
        return false;
    }
    memcpy(host, host_port, host_bytes);
    host[host_bytes] = '\0';
    struct in_addr ipv4;
    if (inet_pton(AF_INET, host, &ipv4) == 1) {
        return ntohl(ipv4.s_addr) >> 24 == 127;
    }
    return strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

static flk_err_t check_endpoint(const char *endpoint, bool plaintext, char *errmsg) {
    static const char tcp[] = "tcp://";
    if (strncmp(endpoint, "ipc://", 6) == 0 || strncmp(endpoint, "inproc://", 9) == 0) {
        return FLK_OK;
    }
    if (strncmp(endpoint, tcp, sizeof tcp - 1) != 0) {
        flk_errmsg(errmsg, "endpoint '%s' is not tcp://HOST:PORT or ipc://PATH", endpoint);
        return FLK_E_CONFIG;
    }
    if (!plaintext && !is_loopback(endpoint + sizeof tcp - 1)) {
        flk_errmsg(errmsg,
                   "endpoint '%s' is beyond loopback and would not be encrypted: set FLK_PLAINTEXT=1 to allow it",
                   endpoint);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

/* ---- sockets ---- */

static void set(void *socket, int option, int value) {
    FLK_ASSERT(zmq_setsockopt(socket, option, &value, sizeof value) == 0);
}

static void set_options(void *socket, int type, const char *endpoint) {
    set(socket, ZMQ_LINGER, LINGER_MS);
    set(socket, ZMQ_SNDHWM, SEND_MESSAGES_MAX);
    set(socket, ZMQ_RCVHWM, RECV_MESSAGES_MAX);
    set(socket, ZMQ_HEARTBEAT_IVL, ZMTP_HEARTBEAT_MS);
    set(socket, ZMQ_HEARTBEAT_TIMEOUT, ZMTP_TIMEOUT_MS);
    set(socket, ZMQ_HEARTBEAT_TTL, ZMTP_TIMEOUT_MS);
    set(socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS);
    set(socket, ZMQ_TCP_KEEPALIVE, 1);
    set(socket, ZMQ_TCP_KEEPALIVE_IDLE, KEEPALIVE_IDLE_S);
    set(socket, ZMQ_IPV6, strchr(endpoint, '[') != NULL);
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

typedef int attach_fn(void *socket, const char *endpoint); /* zmq_bind or zmq_connect */

static flk_err_t open_socket(void *context, int type, const char *endpoint, bool plaintext, attach_fn *attach,
                             const char *step, void **socket, char *errmsg) {
    *socket = NULL;
    flk_err_t err = check_endpoint(endpoint, plaintext, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    *socket = zmq_socket(context, type);
    if (*socket == NULL) {
        flk_errmsg(errmsg, "cannot make a socket for %s: %s", endpoint, zmq_strerror(errno));
        return FLK_E_CONFIG;
    }
    set_options(*socket, type, endpoint);
    if (attach(*socket, endpoint) != 0) {
        flk_errmsg(errmsg, "cannot %s %s: %s", step, endpoint, zmq_strerror(errno));
        flk_link_close(socket);
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

flk_err_t flk_link_bind(void *context, const char *endpoint, bool plaintext, void **socket, char *errmsg) {
    return open_socket(context, ZMQ_ROUTER, endpoint, plaintext, zmq_bind, "listen on", socket, errmsg);
}

flk_err_t flk_link_connect(void *context, const char *endpoint, bool plaintext, void **socket, char *errmsg) {
    return open_socket(context, ZMQ_DEALER, endpoint, plaintext, zmq_connect, "connect to", socket, errmsg);
}

void flk_link_close(void **socket) {
    if (*socket != NULL) {
        FLK_ASSERT(zmq_close(*socket) == 0);
        *socket = NULL;
    }
}

bool flk_route_equal(const flk_route_t *a, const flk_route_t *b) {
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
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

/* Receives one part; what `part` held is freed. */
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

flk_err_t flk_link_recv(void *socket, bool router, flk_message_t *message, char *errmsg) {
    bool more = true;
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
        zmq_msg_close(&message->body);
        zmq_msg_init(&message->body);
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
