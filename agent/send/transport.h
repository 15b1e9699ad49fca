/* SPDX-License-Identifier: MIT */
/* Carries parcels to a door of the cluster, several under way at once. transport.c opens the implementation that the
 * end point's scheme names (transport_http.c, transport_zmq.c). All work happens on the caller's thread; only
 * flk_transport_turn waits. */
#ifndef FLK_AGENT_SEND_TRANSPORT_H
#define FLK_AGENT_SEND_TRANSPORT_H

#include "agent/send/parcel.h"
#include "agent/send/reply.h"
#include "proto/security.h"

typedef struct flk_transport flk_transport_t; /* Each transport's own struct begins with it. */

/* Gives a parcel back with the result of its try. Called by flk_transport_turn. May call flk_transport_send. */
typedef void flk_transport_reply_fn(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply);

typedef struct flk_transport_options {
    const char *endpoint;           /* http://, https://, tcp:// or ipc:// */
    const char *ca_file;            /* https: NULL = the system's */
    const flk_security_t *security; /* tcp://; NULL: no key; kept */
    uint32_t heartbeat_ms;
    uint32_t parallel;   /* parcels under way at once */
    uint32_t timeout_ms; /* of one try */
    flk_transport_reply_fn *on_reply;
    void *on_reply_arg;
} flk_transport_options_t;

/* Errors: FLK_E_CONFIG with ENDPOINT named. Connects when there is something to send. Strings are copied or kept until
 * flk_transport_close, which forgets parcels under way without a reply. */
FLK_MUST_CHECK flk_err_t flk_transport_open(const flk_transport_options_t *options, flk_transport_t **transport,
                                            char *errmsg);
void flk_transport_close(flk_transport_t **transport);

/* Parcels that may be sent now without going over `parallel`. */
uint32_t flk_transport_room(const flk_transport_t *transport);

/* Starts a try; needs room. The transport keeps the parcel until its reply; one always comes within timeout_ms and a
 * little. */
void flk_transport_send(flk_transport_t *transport, flk_parcel_t *parcel);

/* Works for one turn, waiting up to timeout_ms for replies or for one of `fds` to be readable; calls on_reply.
 * Returns early on a signal. */
void flk_transport_turn(flk_transport_t *transport, uint32_t timeout_ms, const int *fds, size_t fds_len);

/* ---- for transports ---- */
enum { FLK_TRANSPORT_FDS_MAX = 4 };
typedef struct flk_transport_ops {
    void (*close)(flk_transport_t *transport);
    void (*send)(flk_transport_t *transport, flk_parcel_t *parcel);
    void (*turn)(flk_transport_t *transport, uint32_t timeout_ms, const int *fds, size_t fds_len);
} flk_transport_ops_t;
struct flk_transport {
    const flk_transport_ops_t *ops;
    flk_transport_options_t options;
    uint32_t under_way;
};
/* Counts the parcel out and gives it back. */
static inline void flk_transport_finish(flk_transport_t *transport, flk_parcel_t *parcel, const flk_reply_t *reply) {
    FLK_ASSERT(transport->under_way > 0);
    transport->under_way--;
    transport->options.on_reply(transport->options.on_reply_arg, parcel, reply);
}

/* As flk_transport_open, each for its own schemes. */
FLK_MUST_CHECK flk_err_t flk_transport_http_open(const flk_transport_options_t *options, flk_transport_t **transport,
                                                 char *errmsg);
FLK_MUST_CHECK flk_err_t flk_transport_zmq_open(const flk_transport_options_t *options, flk_transport_t **transport,
                                                char *errmsg);

#endif
