/* SPDX-License-Identifier: MIT */
/* One submission on its way through the gateway, from either door or from the log.
 *
 *   door thread            log's writer         relay thread
 *   -----------            ------------         ------------
 *   new -> parsed -------> synced ------------> ARRIVING -> PENDING <-> SENT -> SETTLED (log acked, answered)
 *           └─ no PCS: answered, never logged      │    link lost, WELCOME │        ▲ ▲
 *                                                  │                       └─ DEAD ─┘ │ until its own log has it
 *                                                  └─ not durable: answered ──────────┘
 *
 * From the append on only the log's writer and then the relay thread touch a submission. The relay tells the client;
 * the HTTP door only claims that for itself when it is late. PENDING, SENT and DEAD ones are in the in-flight table;
 * a submission that is let go of before its end (503) goes to SETTLED too, and its record stays in the log. */
#ifndef FLK_GATEWAY_SUBMISSION_H
#define FLK_GATEWAY_SUBMISSION_H

#include <stdatomic.h>

#include "common/list.h"
#include "common/wal/wal.h"
#include "gateway/answer.h"
#include "proto/body.h"
#include "proto/inbox_format.h"
#include "proto/link.h"

typedef enum flk_door { FLK_DOOR_HTTP, FLK_DOOR_ZMQ, FLK_DOOR_LOG } flk_door_t;

typedef enum flk_submission_state {
    FLK_SUBMISSION_ARRIVING, /* not yet in the in-flight table */
    FLK_SUBMISSION_PENDING,  /* waits for a broker with credit */
    FLK_SUBMISSION_SENT,     /* a broker has it */
    FLK_SUBMISSION_DEAD,     /* a dead letter that its log does not hold yet */
    FLK_SUBMISSION_SETTLED,
} flk_submission_state_t;

typedef struct flk_submission flk_submission_t;
/* Tells the client its answer; the relay calls it once, when it has claimed that. The content of `answer` may be moved.
 * Never blocks. */
typedef void flk_tell_fn(flk_submission_t *submission, flk_answer_t *answer);

struct flk_submission {
    flk_wal_entry_t entry; /* first: the log hands this pointer back */
    atomic_int refs;       /* the relay's, and the HTTP door's until its client is told */
    flk_door_t door;
    flk_submission_state_t state;

    char *json;    /* HTTP and re-driven JSON: the body as it came; heap; until the log has it */
    zmq_msg_t pcs; /* the body as msgpack: a broker is sent this */
    flk_err_t parse_err;
    flk_pcs_fault_t fault; /* when parse_err says so */
    uint8_t pcs_id[FLK_PCS_ID_BYTES];

    /* Answering: the thread that claims it does so once. */
    atomic_bool claimed;
    flk_tell_fn *tell;              /* NULL: no client, the re-drive's */
    void *client;                   /* for `tell` */
    struct flk_gateway *gateway;    /* HTTP: the gateway of the door */
    flk_route_t route;              /* ZeroMQ: where to */
    flk_id_t client_id;             /* ZeroMQ: the agent's own id */
    uint64_t began_ns, deadline_ms; /* monotonic */

    /* The relay's. */
    struct flk_submission *queue_next; /* in the arrivals */
    struct flk_submission *hash_next;  /* in-flight table, by LSN */
    flk_node_t by_state;               /* PENDING; SENT: those of that broker; DEAD: to be tried again */
    flk_node_t by_age;                 /* watched, detached or driven; see relay_internal.h */
    flk_dead_letter_t dead_letter;     /* DEAD: why */
    flk_err_t dlq_err;                 /* DEAD: whether its log holds it */
    uint64_t dlq_lsn;                  /* replayed from the dead-letter log: its record there; else 0 */
};

/* Out of memory gives NULL. Starts with one reference. */
flk_submission_t *flk_submission_new(flk_door_t door);
void flk_submission_ref(flk_submission_t *submission);
void flk_submission_unref(flk_submission_t **submission); /* frees with the last reference; NULL is allowed */

/* Takes `json` (heap). Sets the log entry to it. */
void flk_submission_set_json(flk_submission_t *submission, char *json, size_t json_bytes);
/* Moves `body` in. Sets the log entry to it. */
void flk_submission_set_msgpack(flk_submission_t *submission, zmq_msg_t *body);

/* Parses and checks the body (JSON becomes msgpack) and fills pcs_id, or parse_err and fault. `reader` and the scratch
 * that belongs to it are the calling thread's own. */
void flk_submission_parse(flk_submission_t *submission, flk_pcs_reader_t *reader);

/* Initialises `answer` with the refusal of a submission that is no PCS: 400 or 413 with the field at fault. */
void flk_submission_refusal(const flk_submission_t *submission, flk_answer_t *answer);

/* Frees the JSON text once the log has it: no thread reads it any more. */
void flk_submission_drop_json(flk_submission_t *submission);

/* True for the one caller that may answer. */
FLK_MUST_CHECK bool flk_submission_claim(flk_submission_t *submission);

#endif
