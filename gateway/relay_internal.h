/* SPDX-License-Identifier: MIT */
/* The relay's own parts, all on its one thread:
 *   relay.c      the loop, the queue into it, arrival of submissions
 *   settle.c     how submissions end: acked, counted, answered, let go
 *   burial.c     dead letters on their way into their log
 *   brokers.c    the links: sending what is pending, taking verdicts
 *   zmq_door.c   the door for agents
 *   redrive.c    un-acked records from the log
 *   orders.c     dead letters that a person wants back, or gone */
#ifndef FLK_GATEWAY_RELAY_INTERNAL_H
#define FLK_GATEWAY_RELAY_INTERNAL_H

#include <pthread.h>

#include "common/list.h"
#include "gateway/gateway.h"
#include "gateway/inflight.h"
#include "proto/uplink.h"
#include "proto/zap.h"

enum {
    FLK_RELAY_BATCH = 256,    /* messages from one socket in one turn */
    FLK_REDRIVE_WINDOW = 256, /* records from the log on their way at once */
    FLK_RELAY_TICK_MS = 50,
    FLK_RELAY_SWEEP_MS = 1000,
    FLK_RETRY_MS = 1000,      /* told to clients where nobody knows better */
    FLK_RETRY_MS_MAX = 60000, /* whatever a broker or worker may ask for */
};

/* One broker. */
typedef struct flk_broker_link {
    flk_uplink_t uplink;
    flk_list_t sent; /* by state: what it has */
    bool up;
    flk_gauge_t *up_gauge;
    char labels[192]; /* of that gauge */
} flk_broker_link_t;

/* Passes over the un-acked records, oldest first, with a rest between them and after trouble. */
typedef struct flk_redrive {
    flk_wal_cursor_t *cursor;
    bool running;              /* a pass is under way, though it may rest */
    uint64_t rest_until_ms;    /* between passes */
    uint64_t trouble_until_ms; /* after a 503-class answer */
    uint32_t backoff_ms;
    uint64_t horizon; /* younger records than this LSN are still their door's */
    uint64_t next_horizon;
    uint64_t next_horizon_ms;
    size_t unreadable;          /* records, or places where some should be, that this pass could not read */
    size_t unreadable_reported; /* … the last one that was logged */
    char unreadable_why[FLK_ERRMSG_BYTES];
} flk_redrive_t;

struct flk_relay {
    flk_gateway_t *gateway;
    void *context; /* ZeroMQ */
    pthread_t thread;
    bool started;
    int wake_fd;                       /* eventfd: the queue went from empty to not */
    _Atomic(flk_submission_t *) queue; /* stack by queue_next, newest first */
    atomic_bool stopping;
    atomic_size_t linked;   /* brokers that are up */
    atomic_size_t inflight; /* the table's length, for other threads */

    flk_zap_t *zap;           /* judges who may speak at the door */
    uint64_t keys_generation; /* of the lists by which the known agents were judged */
    void *door;               /* ROUTER, or NULL */
    flk_id_t door_instance;
    struct flk_agents *agents; /* who is known at the door */
    flk_broker_link_t brokers[FLK_BROKERS_MAX];
    size_t brokers_len;
    flk_inflight_t *table;
    flk_list_t pending;  /* by state: in the table, for no broker yet */
    flk_list_t unburied; /* by state: dead letters that their log did not take */
    flk_list_t watched;  /* by age: whose client waits; agents' by deadline, the HTTP door watches its own too */
    flk_list_t detached; /* by age: in the table, but nobody waits any more: the first to go when places are short */
    flk_list_t driven;   /* by age: in the table, from the log */
    flk_pcs_reader_t *reader;
    flk_message_t message; /* the one being handled */
    flk_redrive_t redrive;
    struct flk_orders *orders;
    uint64_t now_ms; /* of this turn */
};

/* The submission at a node of such a list; NULL gives NULL. */
static inline flk_submission_t *flk_by_state(flk_node_t *node) {
    return node == NULL ? NULL : FLK_CONTAINER_OF(node, flk_submission_t, by_state);
}
static inline flk_submission_t *flk_by_age(flk_node_t *node) {
    return node == NULL ? NULL : FLK_CONTAINER_OF(node, flk_submission_t, by_age);
}

/* ---- relay.c ---- */
/* A submission has passed its gates: refuse it, or put it into the table as pending. Takes it. */
void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission);
/* Its client waits no more: only its record does. */
void flk_relay_detach(flk_relay_t *relay, flk_submission_t *submission);

/* ---- settle.c: all but _ack and _tell take the submission ---- */
/* Acks a record and counts its verdict. False, and nothing is counted: it was settled before. */
bool flk_relay_ack(flk_relay_t *relay, uint64_t lsn, const flk_answer_t *answer);
/* Tells the client; false when it was told before, or there is none. What `answer` holds is moved. */
bool flk_relay_tell(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer);
/* A final answer: acks, counts, tells, lets go. What `answer` holds is moved or freed. */
void flk_relay_settle(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer);
/* No answer for now: 503 to the client; the record stays un-acked, for the re-drive. `retry_ms` 0: nobody knows. */
void flk_relay_defer(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why);
/* Lets go without a word: the re-drive finds the record in the log, if there is one. */
void flk_relay_forget(flk_relay_t *relay, flk_submission_t *submission);

/* ---- burial.c ---- */
void flk_burial_begin(flk_relay_t *relay, flk_submission_t *submission); /* of one that a broker gave up; takes it */
void flk_burial_end(flk_relay_t *relay, flk_submission_t *submission);   /* back from the dead-letter log */
void flk_burial_tick(flk_relay_t *relay);                                /* each second: tries failed ones again */
/* The answer for a dead letter: from the broker, or, with FLK_FLAG_DUPLICATE, for one that is buried. */
void flk_burial_settle(flk_relay_t *relay, flk_submission_t *submission, uint32_t flags);

/* ---- brokers.c ---- */
FLK_MUST_CHECK flk_err_t flk_brokers_init(flk_relay_t *relay, char *errmsg);
void flk_brokers_fini(flk_relay_t *relay);
FLK_MUST_CHECK size_t flk_brokers_receive(flk_relay_t *relay); /* messages taken */
void flk_brokers_tick(flk_relay_t *relay);
void flk_brokers_dispatch(flk_relay_t *relay); /* sends what is pending, as credit allows */

/* ---- zmq_door.c ---- */
FLK_MUST_CHECK flk_err_t flk_zmq_door_init(flk_relay_t *relay, char *errmsg);
void flk_zmq_door_tick(flk_relay_t *relay);  /* each second */
void flk_zmq_door_judge(flk_relay_t *relay); /* each tick: puts out those whose key is gone */
void flk_zmq_door_fini(flk_relay_t *relay);
FLK_MUST_CHECK size_t flk_zmq_door_receive(flk_relay_t *relay);
/* Sends an answer to the agent behind a submission and gives its credit back; what `answer` holds is moved. */
void flk_zmq_door_tell(flk_relay_t *relay, const flk_submission_t *submission, flk_answer_t *answer);

/* ---- redrive.c ---- */
FLK_MUST_CHECK flk_err_t flk_redrive_init(flk_relay_t *relay);
void flk_redrive_fini(flk_relay_t *relay);
void flk_redrive_tick(flk_relay_t *relay);                       /* takes some records when it may */
void flk_redrive_trouble(flk_relay_t *relay, uint32_t retry_ms); /* a 503-class answer: rest, longer each time */
void flk_redrive_progress(flk_relay_t *relay);                   /* a verdict: no more trouble */

#endif
