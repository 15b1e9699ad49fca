/* SPDX-License-Identifier: MIT */
/* The ZAP handler (ZeroMQ RFC 27) of one context: it decides which CURVE clients come in, and which stay. libzmq asks
 * it about each client key before the handshake ends; a ROUTER's owner asks it about each message, so that a key that
 * is taken out of its list ends its owner's connections, too.
 *
 * Life: after the context, before the first listener (flk_link_bind takes it); it ends after the last listener is
 * closed, before the context. In a process without a key it is there and does nothing. */
#ifndef FLK_PROTO_ZAP_H
#define FLK_PROTO_ZAP_H

#include "common/metrics.h"
#include "proto/link.h"

/* Answers from a thread of its own: neither the disk nor a flood of strangers holds up a loop. `security` (NULL: no
 * key) and metrics are kept until flk_zap_stop. Errors: FLK_E_NOMEM, FLK_E_CONFIG. */
FLK_MUST_CHECK flk_err_t flk_zap_start(void *context, const flk_security_t *security, flk_metrics_t *metrics,
                                       flk_zap_t **zap, char *errmsg);
void flk_zap_stop(flk_zap_t **zap);

const flk_security_t *flk_zap_security(const flk_zap_t *zap); /* NULL gives NULL */
/* For flk_link_bind: from now on `socket` is judged by the lists that `role` stands for. Its owner's thread. */
void flk_zap_guard(flk_zap_t *zap, void *socket, flk_role_t role);

/* Whether the sender of a message that flk_link_recv gave (also of one that it could not read) may still speak on
 * this socket. If not, that is counted, and its connection is cut. True for sockets that are not guarded. The owner's
 * thread. */
FLK_MUST_CHECK bool flk_zap_admits(flk_zap_t *zap, void *socket, const flk_message_t *message);

/* The key of a message's sender, "" over a plain link. Borrowed from the message. */
const char *flk_zap_user(const flk_message_t *message);
/* Rises whenever some key came or went; 0 without CURVE. Then owners ask flk_zap_keeps about the peers they know. */
uint64_t flk_zap_generation(const flk_zap_t *zap);
/* Whether a peer with that key (of flk_zap_user) is still allowed on this socket. */
FLK_MUST_CHECK bool flk_zap_keeps(flk_zap_t *zap, const void *socket, const char *user);

#endif
