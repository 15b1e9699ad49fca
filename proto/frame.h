/* SPDX-License-Identifier: MIT */
/* The header frame: the only encoder and decoder of the messages between peers (PROTOCOL.md). A message is [routing
 * frames] header [body]; the header is a msgpack array [protocol, kind, id, fields…]. */
#ifndef FLK_PROTO_FRAME_H
#define FLK_PROTO_FRAME_H

#include <string.h>

#include "common/err.h"

enum {
    FLK_PROTOCOL = 1,
    FLK_ID_BYTES = 16,
    FLK_KEY_NAME_MAX = 32, /* bytes of the id of a key */
    FLK_NAME_MAX = 64,     /* bytes of a peer's name or a reason, printable ASCII */
    FLK_INSTANCES_MAX = 1024,
    FLK_FRAME_BYTES = 160, /* enough for any header but a PING with instances */
    FLK_FRAME_BYTES_MAX = FLK_FRAME_BYTES + FLK_INSTANCES_MAX * FLK_ID_BYTES,
};

/* SUBMIT, WORK, VERDICT, BUSY, UNAVAILABLE: the submission, for ever the same however often it is sent: for a gateway
 * its log's id and the LSN, both big-endian. Else: the sender's instance, random at each start. */
typedef struct flk_id {
    uint8_t bytes[FLK_ID_BYTES];
} flk_id_t;
void flk_id_from_lsn(uint64_t log_id, uint64_t lsn, flk_id_t *id);
bool flk_id_to_lsn(const flk_id_t *id, uint64_t log_id, uint64_t *lsn); /* false: another log's */
void flk_id_random(flk_id_t *id);
bool flk_id_equal(const flk_id_t *a, const flk_id_t *b);
enum { FLK_ID_TEXT_BYTES = 2 * FLK_ID_BYTES + 1 };
void flk_id_print(const flk_id_t *id, char out[FLK_ID_TEXT_BYTES]); /* lowercase hex */

/* The routing id that a ROUTER puts before a message; kept by value. libzmq's own ids have 5 bytes; peers may choose up
 * to 32 here. */
typedef struct flk_route {
    uint8_t bytes;
    uint8_t id[33];
} flk_route_t;
static inline bool flk_route_equal(const flk_route_t *a, const flk_route_t *b) {
    return a->bytes == b->bytes && memcmp(a->id, b->id, a->bytes) == 0;
}

/* kind, number, body, fields after [protocol, kind, id] */
typedef enum flk_kind {
    FLK_HELLO = 1,   /* gateway -> broker, agent -> gateway: name */
    FLK_WELCOME = 2, /* the answer to HELLO and READY: credit, heartbeat_ms */
    FLK_READY = 3,   /* worker -> broker: credit, name */
    FLK_SUBMIT = 4,  /* agent -> gateway -> broker; body PCS */
    FLK_WORK = 5,    /* broker -> worker: delivery, attempt; body PCS */
    FLK_VERDICT = 6, /* worker -> broker -> gateway -> agent: delivery, status, flags, key, cpu_us; body outcome (200,
                        202) or problem */
    FLK_UNAVAILABLE = 7, /* the same way: delivery, retry_ms, name = reason: tried, but a needed part is down */
    FLK_BUSY = 8,        /* broker -> gateway -> agent: retry_ms, name = reason: not admitted */
    FLK_PING = 9,        /* instances: those for which the sender vouches beside itself */
    FLK_PONG = 10,       /* known: false asks the peer to introduce itself again */
    FLK_GOODBYE = 11,    /* a peer that stops: takes no more, finishes all that it holds */
} flk_kind_t;
const char *flk_kind_name(unsigned kind); /* "SUBMIT"; "unknown" */

enum {
    FLK_FLAG_DUPLICATE = 1,   /* the outcome was in the store already, put there for another submission */
    FLK_FLAG_CONFLICT = 2,    /* … and for other signed content */
    FLK_FLAG_DEAD_LETTER = 4, /* given up by the broker */
};

typedef struct flk_frame {
    flk_kind_t kind;
    flk_id_t id;
    uint64_t delivery; /* the broker's number for one delivery; 0 where it does not apply */
    uint32_t attempt;  /* 1 for the first delivery */
    uint32_t status;   /* HTTP status code */
    uint32_t flags;
    uint32_t credit; /* WELCOME: submissions that may be outstanding; READY: deliveries that may be held */
    uint32_t heartbeat_ms;
    uint32_t retry_ms;
    bool known;
    char name[FLK_NAME_MAX + 1];
    char key[FLK_KEY_NAME_MAX + 1]; /* VERDICT: id of the key that verified; "" = none, not told, an older worker */
    uint32_t cpu_us;                /* VERDICT: of the worker's thread; 0 likewise */
    const uint8_t *instances;       /* instances_len ids; borrowed from the encoded bytes when decoded */
    uint32_t instances_len;
} flk_frame_t;

/* Writes the header and returns its bytes. `out` has FLK_FRAME_BYTES, or FLK_FRAME_BYTES_MAX for a PING with
 * instances. */
size_t flk_frame_encode(const flk_frame_t *frame, uint8_t *out);

/* FLK_E_INVALID: not a header (errmsg says why). FLK_E_NOT_FOUND: well-formed, but a kind or protocol that this version
 * does not know: count and ignore. Further elements after the known fields are ignored. */
FLK_MUST_CHECK flk_err_t flk_frame_decode(const void *data, size_t data_bytes, flk_frame_t *frame, char *errmsg);

#endif
