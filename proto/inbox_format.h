/* SPDX-License-Identifier: MIT */
/* The contents of a gateway's log records, and of the order file beside them: for the gateway, flk-replay and
 * flk-follow. Both logs are kept for weeks and read by later versions: add, never renumber. */
#ifndef FLK_PROTO_INBOX_FORMAT_H
#define FLK_PROTO_INBOX_FORMAT_H

/* The kind of a record in the inbox: how its body is encoded. */
typedef enum flk_body_kind { FLK_BODY_JSON = 1, FLK_BODY_MSGPACK = 2 } flk_body_kind_t;

/* The kind of a record in the dead-letter log, whose bodies are all msgpack: why it is there. */
typedef enum flk_dead_letter {
    FLK_DEAD_LETTER_LOST = 2,      /* it took its workers with it */
    FLK_DEAD_LETTER_UNSETTLED = 3, /* no verdict was ever taken for it, while others had theirs */
} flk_dead_letter_t;

/* The status in the ack of a dead letter that left the queue. No client is answered so. */
typedef enum flk_dlq_status { FLK_DLQ_REPLAYED = 303, FLK_DLQ_PURGED = 410 } flk_dlq_status_t;

/* An order from flk-replay to the running gateway, a file of this name in DATA_DIR/dlq: a line "replay" or "purge",
 * the LSNs of dead letters in rising order, a line each, and a line "end". flk-replay writes the file under another
 * name and links it into place, so that there is one order at a time. The gateway removes the file when the order is
 * carried out. */
#define FLK_DLQ_ORDER_NAME   "order"
#define FLK_DLQ_ORDER_REPLAY "replay"
#define FLK_DLQ_ORDER_PURGE  "purge"
#define FLK_DLQ_ORDER_END    "end"

#endif
