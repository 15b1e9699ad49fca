/* SPDX-License-Identifier: MIT */
/* Carries parcels to a door of the cluster, several under way at once. One implementation a transport; the end point's
 * scheme picks it. Everything happens on the caller's thread; only flk_sender_turn waits. */
#ifndef FLK_AGENT_SEND_TRANSPORT_H
#define FLK_AGENT_SEND_TRANSPORT_H

#include "agent/send/parcel.h"
#include "proto/security.h"

typedef struct flk_sender flk_sender_t; /* Each transport's own struct begins with it. */

/* Gives a parcel back with what its try came to. Called by flk_sender_turn. May call flk_sender_send. */
typedef void flk_sender_reply_fn(void *arg, flk_parcel_t *parcel, const flk_reply_t *reply);

typedef struct flk_sender_options {
    const char *endpoint;           /* http://, https://, tcp:// or ipc:// */
    const char *ca_file;            /* https: NULL = the system's */
    const flk_security_t *security; /* tcp://; NULL: no key; kept */
    uint32_t heartbeat_ms;
    uint32_t parallel;   /* parcels under way at once */
    uint32_t timeout_ms; /* of one try */
    flk_sender_reply_fn *on_reply;
    void *on_reply_arg;
} flk_sender_options_t;

/* Errors: FLK_E_CONFIG with ENDPOINT named. Connects when there is something to send. Strings are copied or kept until
 * flk_sender_close, which forgets what is under way without a reply. */
FLK_MUST_CHECK flk_err_t flk_sender_open(const flk_sender_options_t *options, flk_sender_t **sender, char *errmsg);
void flk_sender_close(flk_sender_t **sender);

/* Parcels that may be sent now without going over `parallel`. */
uint32_t flk_sender_room(const flk_sender_t *sender);

/* Starts a try; needs room. The sender keeps the parcel until its reply; one always comes within timeout_ms and a little. */
void flk_sender_send(flk_sender_t *sender, flk_parcel_t *parcel);

/* Does what can be done, waiting up to timeout_ms for replies or for one of `fds` to be readable; calls on_reply.
 * Returns early on a signal. */
void flk_sender_turn(flk_sender_t *sender, uint32_t timeout_ms, const int *fds, size_t fds_len);

/* ---- for transports ---- */
enum { FLK_SENDER_FDS_MAX = 4 };
typedef struct flk_sender_ops {
    void (*close)(flk_sender_t *sender);
    void (*send)(flk_sender_t *sender, flk_parcel_t *parcel);
    void (*turn)(flk_sender_t *sender, uint32_t timeout_ms, const int *fds, size_t fds_len);
} flk_sender_ops_t;
struct flk_sender {
    const flk_sender_ops_t *ops;
    flk_sender_options_t options;
    uint32_t under_way;
};
/* Counts the parcel out and gives it back. */
void flk_sender_finish(flk_sender_t *sender, flk_parcel_t *parcel, const flk_reply_t *reply);
/* What an HTTP status means for a parcel: the same at both doors. */
flk_reply_kind_t flk_reply_kind_of(unsigned status);

FLK_MUST_CHECK flk_err_t flk_sender_http_open(const flk_sender_options_t *options, flk_sender_t **sender, char *errmsg);
FLK_MUST_CHECK flk_err_t flk_sender_zmq_open(const flk_sender_options_t *options, flk_sender_t **sender, char *errmsg);

#endif
