/* SPDX-License-Identifier: MIT */
/* One CURVE handshake with a listener, as a peer would make it, and nothing after it. One thread; blocks. */
#ifndef FLK_AGENT_FLK_DOCTOR_HANDSHAKE_H
#define FLK_AGENT_FLK_DOCTOR_HANDSHAKE_H

#include "proto/security.h"

typedef enum flk_handshake {
    FLK_HANDSHAKE_DONE,       /* both sides have proven their keys, and ours is let in */
    FLK_HANDSHAKE_REFUSED,    /* it does not let our key in */
    FLK_HANDSHAKE_OTHER_KEY,  /* it answers, but has another key than the one that we trust, or no CURVE */
    FLK_HANDSHAKE_NO_ANSWER,  /* nobody took the connection */
    FLK_HANDSHAKE_IMPOSSIBLE, /* no key of a server to trust, or no memory or descriptors */
} flk_handshake_t;

/* With the turn-th trusted server key; `security` has a key, `endpoint` is TCP. Takes up to timeout_ms. */
flk_handshake_t flk_handshake_try(const char *endpoint, const flk_security_t *security, size_t turn,
                                  unsigned timeout_ms);

#endif
