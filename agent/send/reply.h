/* SPDX-License-Identifier: MIT */
/* A reply: the result of one try to deliver a parcel, in words that both transports share. */
#ifndef FLK_AGENT_SEND_REPLY_H
#define FLK_AGENT_SEND_REPLY_H

#include "common/base.h"
#include "common/pcs/verdict.h"

typedef enum flk_reply_kind {
    FLK_REPLY_VERDICT, /* 200 or 202: answered for ever */
    FLK_REPLY_REFUSED, /* the same bytes will be refused again */
    FLK_REPLY_LATER,   /* busy, unavailable, or no answer */
} flk_reply_kind_t;

enum { FLK_REPLY_TEXT_BYTES = 256 };

typedef struct flk_reply {
    flk_reply_kind_t kind;
    unsigned status;                 /* HTTP status; 0 = no answer came */
    bool duplicate;                  /* VERDICT */
    uint32_t reasons;                /* VERDICT: bits 1 << flk_reason_t */
    uint32_t retry_ms;               /* LATER: what the door asks for; 0 = nothing */
    char text[FLK_REPLY_TEXT_BYTES]; /* REFUSED, LATER: one line for people, printable ASCII */
} flk_reply_t;

/* Fills `text`, replacing what is not printable ASCII. */
void flk_reply_say(flk_reply_t *reply, const char *format, ...) FLK_PRINTF(2, 3);

/* The meaning of an HTTP status for a parcel: the same at both doors. */
flk_reply_kind_t flk_reply_kind_of(unsigned status);

#endif
