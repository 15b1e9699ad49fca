/* SPDX-License-Identifier: MIT */
/* A reply: the result of one try to deliver a parcel, in words that both transports share.
 *
 * A PCS ends only by an answer about itself that proves to be a gateway's. Everything else that may come back
 * (nothing at all, a proxy's page, a redirect, a full queue) says nothing about the PCS, so it waits and is tried
 * again. */
#ifndef FLK_AGENT_SEND_REPLY_H
#define FLK_AGENT_SEND_REPLY_H

#include "common/base.h"
#include "common/pcs/verdict.h"

typedef enum flk_reply_kind {
    FLK_REPLY_VERDICT,   /* 200 or 202: answered for ever */
    FLK_REPLY_REFUSED,   /* a gateway refused this PCS, and will refuse the same bytes again: 400, 401, 413 */
    FLK_REPLY_MISPLACED, /* a gateway says that no PCS go to this address: ENDPOINT is wrong */
    FLK_REPLY_LATER,     /* anything else */
    FLK_REPLY_EXPIRED,   /* LATER, and the PCS is older than allowed; set by the delivery loop */
} flk_reply_kind_t;

enum {
    FLK_REPLY_TEXT_BYTES = 256,
    FLK_STATUS_BAD_SIGNATURE = 401,
    FLK_REPLY_RETRY_MS_MAX = 3600 * 1000, /* a door may ask for more, in vain */
};

typedef struct flk_reply {
    flk_reply_kind_t kind;
    unsigned status;                 /* HTTP status; 0 = no answer came */
    bool duplicate, conflict;        /* VERDICT */
    uint32_t reasons;                /* VERDICT: bits 1 << flk_reason_t */
    char rules[FLK_RULES_BYTES];     /* VERDICT: names of rules, as an outcome has them */
    uint32_t retry_ms;               /* LATER: the wait that the door asks for; 0 = none */
    char text[FLK_REPLY_TEXT_BYTES]; /* all but VERDICT: one line for people, printable ASCII */
} flk_reply_t;

/* Fills `text`, replacing all that is not printable ASCII. */
void flk_reply_say(flk_reply_t *reply, const char *format, ...) FLK_PRINTF(2, 3);

/* The meaning of an HTTP status for a parcel: the same at both doors. `ours`: the body proves that a gateway sent
 * it. */
flk_reply_kind_t flk_reply_kind_of(unsigned status, bool ours);

#endif
