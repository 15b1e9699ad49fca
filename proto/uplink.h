/* SPDX-License-Identifier: MIT */
/* The connecting side of a link (gateway → broker, worker → broker, agent → gateway): it connects, introduces itself,
 * keeps the link alive, notices its loss and starts again. One owner thread; never blocks.
 *
 *            connect                 WELCOME
 *   DOWN ───────────────▶ GREETING ───────────▶ UP
 *    ▲  back-off            │  ▲                │ │
 *    └──────────────────────┘  └── PONG unknown ┘ │
 *    └──── 3 periods of silence, GOODBYE, failed send ┘
 *
 * Over CURVE the other side must be a server that is trusted, and must let us in. ZeroMQ does not tell which of the two
 * failed. So a link that is silent for half a second, then longer, is made anew with the next trusted key. That is how
 * a server's new key is found, and how a late entry of our own key takes effect. A server that is no longer trusted is
 * left.
 *
 * A name is looked up beside the loop (proto/resolve.h) before each connect. A link whose name now stands for other
 * addresses, or that finds nothing at one of several, is made anew with the next one. While no name server answers,
 * the addresses of before serve.
 *
 * Each arrival in UP is a new acquaintance: the other side may have lost all it held, so the owner sends again. */
#ifndef FLK_PROTO_UPLINK_H
#define FLK_PROTO_UPLINK_H

#include "proto/link.h"
#include "proto/resolve.h"

enum {
    FLK_ENDPOINT_BYTES = 128, /* with its NUL */
    FLK_BROKERS_MAX = 16,     /* that one gateway or worker connects to */
    FLK_UPLINK_MISSES = 3,
    FLK_UPLINK_BACKOFF_MS_MIN = 100,
    FLK_UPLINK_BACKOFF_MS_MAX = 2000,
    FLK_UPLINK_TRY_MS_MIN = 500,
    FLK_UPLINK_TRY_MS_MAX = 5000
};

typedef enum flk_uplink_state { FLK_UPLINK_DOWN, FLK_UPLINK_GREETING, FLK_UPLINK_UP } flk_uplink_state_t;

typedef struct flk_uplink {
    void *context;
    char endpoint[FLK_ENDPOINT_BYTES];
    char host[FLK_HOST_BYTES];       /* of the endpoint, when it is a name; else "" */
    const char *port;                /* … and its port, in `endpoint` */
    char address[FLK_ADDRESS_BYTES]; /* that this socket dials, of a name */
    size_t address_turn;             /* which of the name's addresses: counted round and round */
    const flk_security_t *security;
    flk_server_t server;  /* that this socket trusts, or tries */
    flk_frame_t greeting; /* HELLO or READY, said at every acquaintance */
    uint32_t heartbeat_ms;

    void *socket; /* NULL while DOWN */
    flk_uplink_state_t state;
    uint32_t credit;      /* from WELCOME; 0 unless UP */
    uint64_t heard_ms;    /* last frame from the other side, or the connect */
    uint64_t spoke_ms;    /* last greeting or PING */
    uint64_t retry_at_ms; /* DOWN: not before */
    uint32_t backoff_ms;
    bool complained; /* that it cannot be made */
    uint32_t tries;  /* of keys since it was up last */
} flk_uplink_t;

/* By which a greeting introduces this process: "HOST:PID" as printable ASCII; with `role` where no host is known. A
 * pod's host is the pod's name. */
void flk_uplink_own_name(const char *role, char name[FLK_NAME_MAX + 1]);

typedef enum flk_uplink_event {
    FLK_UPLINK_NOTHING, /* handled here */
    FLK_UPLINK_MET,     /* now UP: send outstanding messages here again */
    FLK_UPLINK_LOST,    /* no longer UP: outstanding messages must go elsewhere */
    FLK_UPLINK_YOURS,   /* not a control frame: the owner's */
} flk_uplink_event_t;

/* Copies its arguments but for `security`, which it keeps; connects at the first tick. Errors: FLK_E_CONFIG (endpoint
 * too long, or refused by flk_link_connect's rules). */
FLK_MUST_CHECK flk_err_t flk_uplink_init(flk_uplink_t *uplink, void *context, const char *endpoint,
                                         const flk_security_t *security, const flk_frame_t *greeting,
                                         uint32_t heartbeat_ms, uint64_t now_ms, char *errmsg);
/* Says GOODBYE when UP and closes. */
void flk_uplink_fini(flk_uplink_t *uplink);

/* Connects, greets, pings and counts misses as time asks for; call at least each quarter of heartbeat_ms. MET never,
 * LOST perhaps. */
FLK_MUST_CHECK flk_uplink_event_t flk_uplink_tick(flk_uplink_t *uplink, uint64_t now_ms);

/* Takes note of a received frame and answers the control frames. */
FLK_MUST_CHECK flk_uplink_event_t flk_uplink_heard(flk_uplink_t *uplink, const flk_frame_t *frame, uint64_t now_ms);

/* For the owner whose send failed: closes, to connect anew after the back-off. */
void flk_uplink_drop(flk_uplink_t *uplink, uint64_t now_ms);

#endif
