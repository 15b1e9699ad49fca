/* SPDX-License-Identifier: MIT */
/* ZeroMQ sockets as every peer sets them, and whole messages over them. One thread owns a socket. */
#ifndef FLK_PROTO_LINK_H
#define FLK_PROTO_LINK_H

#include <zmq.h>

#include "proto/frame.h"
#include "proto/security.h"

enum { FLK_LINK_MESSAGE_BYTES_MAX = (1 << 20) + 4096 };

typedef struct flk_zap flk_zap_t; /* see proto/zap.h */

/* A ROUTER bound to `endpoint`, or a DEALER connected to it: MANDATORY (ROUTER), IMMEDIATE (DEALER), ZMTP heartbeats,
 * keep-alive, reconnect back-off, MAXMSGSIZE, high-water marks that only a peer outside the protocol reaches (credit
 * bounds the messages under way), LINGER bounded. Errors, with endpoint and reason: FLK_E_CONFIG; FLK_E_LOCKED, another
 * process listens there. */

/* Over TCP, with CURVE when the process has a key: `zap` then decides, for `role`, which clients come in. NULL: no
 * key. */
FLK_MUST_CHECK flk_err_t flk_link_bind(void *context, const char *endpoint, flk_zap_t *zap, flk_role_t role,
                                       void **socket, char *errmsg);

/* One of the servers that are trusted. */
typedef struct flk_server {
    size_t turn;                    /* its number, counted round and round */
    char key[FLK_CURVE_TEXT_BYTES]; /* filled in by flk_link_connect; "" over a plain link */
} flk_server_t;
/* FLK_E_UNAVAILABLE: no server is trusted, for now. */
FLK_MUST_CHECK flk_err_t flk_link_connect(void *context, const char *endpoint, const flk_security_t *security,
                                          flk_server_t *server, void **socket, char *errmsg);
/* The same by `address`, an endpoint that the name in `endpoint` stands for; the rules are those of `endpoint`. */
FLK_MUST_CHECK flk_err_t flk_link_connect_at(void *context, const char *endpoint, const char *address,
                                             const flk_security_t *security, flk_server_t *server, void **socket,
                                             char *errmsg);
void flk_link_close(void **socket);

typedef struct flk_message {
    flk_route_t route; /* ROUTER only */
    flk_frame_t frame; /* decoded header; borrows from `head` */
    zmq_msg_t head;    /* with the sender's properties */
    zmq_msg_t body;    /* size 0 when there was none */
} flk_message_t;

void flk_message_init(flk_message_t *message);
void flk_message_fini(flk_message_t *message);

/* Receives one message without blocking; the earlier content of `message` is freed. FLK_E_AGAIN: none there.
 * FLK_E_INVALID: one came, was malformed, and is gone; FLK_E_NOT_FOUND: one of an unknown kind or protocol came and is
 * gone (route is valid in both). FLK_E_CLOSED: the context ends. */
FLK_MUST_CHECK flk_err_t flk_link_recv(void *socket, bool router, flk_message_t *message, char *errmsg);

/* Sends header and, when not NULL, body without blocking. `route` NULL for a DEALER. On FLK_OK `body` is moved away
 * (left empty); on an error it is untouched. FLK_E_UNAVAILABLE: no such peer any more (ROUTER) or none connected
 * (DEALER), or one that does not read. FLK_E_NOMEM. FLK_E_CLOSED: the context ends. */
FLK_MUST_CHECK flk_err_t flk_link_send(void *socket, const flk_route_t *route, const flk_frame_t *frame,
                                       zmq_msg_t *body);

/* The same with the body copied from memory; no body when body_bytes is 0. */
FLK_MUST_CHECK flk_err_t flk_link_send_copy(void *socket, const flk_route_t *route, const flk_frame_t *frame,
                                            const void *body, size_t body_bytes);

#endif
