/* SPDX-License-Identifier: MIT */
/* The relay's own parts, all on its one thread:
 *   relay.c      the loop, the queue into it, arrival and settling of submissions
 *   brokers.c    the links: sending what is pending, taking verdicts
 *   zmq_door.c   the door for agents
 *   redrive.c    un-acked records from the log */
#ifndef FLK_GATEWAY_RELAY_INTERNAL_H
#define FLK_GATEWAY_RELAY_INTERNAL_H

#include <pthread.h>

#include "gateway/gateway.h"
#include "gateway/inflight.h"
#include "proto/uplink.h"

enum {
    FLK_BROKERS_MAX = 16,
    FLK_RELAY_BATCH = 256,    /* messages from one socket in one turn */
    FLK_REDRIVE_WINDOW = 256, /* records from the log on their way at once */
    FLK_DOOR_CREDIT = 1024,   /* what an agent may have outstanding */
    FLK_RELAY_TICK_MS = 50,
};

/* One broker. `sent` are the submissions that it has. */
typedef struct flk_broker_link {
    flk_uplink_t uplink;
    flk_submissions_t sent;
    flk_gauge_t *up;
    char labels[160]; /* of that gauge */
} flk_broker_link_t;

/* A pass over the un-acked records, oldest first. Between passes, and after trouble, it rests. */
typedef struct flk_redrive {
    flk_wal_cursor_t *cursor;
    bool running;
    size_t outstanding; /* records of the log that are in the table */
    uint64_t rest_until_ms;
    uint32_t backoff_ms;
    uint64_t horizon; /* younger records than this LSN are still their door's */
    uint64_t next_horizon;
    uint64_t next_horizon_ms;
    uint64_t unreadable_lsn; /* the last one that was logged as unreadable */
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

    void *door; /* ROUTER, or NULL */
    flk_id_t door_instance;
    struct flk_agents *agents; /* who introduced themselves at the door */
    flk_broker_link_t brokers[FLK_BROKERS_MAX];
    size_t brokers_len;
    flk_inflight_t *table;
    flk_submissions_t pending; /* in the table, for no broker yet */
    flk_ages_t watched;        /* whose client waits, by deadline */
    flk_ages_t detached;       /* in the table, but nobody waits any more: the first to go when places are short */
    flk_ages_t driven;         /* in the table, from the log */
    flk_pcs_reader_t *reader;
    flk_message_t message; /* the one being handled */
    flk_redrive_t redrive;
    uint64_t now_ms; /* of this turn */
};

/* ---- relay.c ---- */
/* A submission has passed its gates: refuse it, or put it into the table as pending. Takes it. */
void flk_relay_arrive(flk_relay_t *relay, flk_submission_t *submission);
/* The end of a submission that is in the table: a final answer, acked in the log. `outcome` (200, 202) is moved. */
void flk_relay_settle(flk_relay_t *relay, flk_submission_t *submission, uint16_t status, uint32_t flags,
                      zmq_msg_t *outcome, const flk_problem_t *problem);
/* Passing trouble with a submission in the table: 503 to the client; the record stays un-acked, for the re-drive. */
void flk_relay_defer(flk_relay_t *relay, flk_submission_t *submission, uint32_t retry_ms, const char *why);
/* Tells the client, if nobody has yet. What `answer` holds is moved. */
void flk_relay_answer(flk_relay_t *relay, flk_submission_t *submission, flk_answer_t *answer);
/* Lets go of a submission that is in the table without settling it: the re-drive finds it in the log. */
void flk_relay_forget(flk_relay_t *relay, flk_submission_t *submission);

/* ---- brokers.c ---- */
FLK_MUST_CHECK flk_err_t flk_brokers_init(flk_relay_t *relay, char *errmsg);
void flk_brokers_fini(flk_relay_t *relay);
FLK_MUST_CHECK size_t flk_brokers_receive(flk_relay_t *relay); /* messages taken */
void flk_brokers_tick(flk_relay_t *relay);
void flk_brokers_dispatch(flk_relay_t *relay); /* sends what is pending, as credit allows */
/* Takes a submission off the list of its state. */
void flk_brokers_unlist(flk_relay_t *relay, flk_submission_t *submission);

/* ---- zmq_door.c ---- */
FLK_MUST_CHECK flk_err_t flk_zmq_door_init(flk_relay_t *relay, char *errmsg);
void flk_zmq_door_tick(flk_relay_t *relay); /* each second */
void flk_zmq_door_fini(flk_relay_t *relay);
FLK_MUST_CHECK size_t flk_zmq_door_receive(flk_relay_t *relay);
/* Sends an answer to the agent behind a submission; what `answer` holds is moved. */
void flk_zmq_door_answer(flk_relay_t *relay, const flk_submission_t *submission, flk_answer_t *answer);

/* ---- redrive.c ---- */
FLK_MUST_CHECK flk_err_t flk_redrive_init(flk_relay_t *relay);
void flk_redrive_fini(flk_relay_t *relay);
void flk_redrive_tick(flk_relay_t *relay);                       /* takes some records when it may */
void flk_redrive_trouble(flk_relay_t *relay, uint32_t retry_ms); /* a 503-class answer: rest, longer each time */
void flk_redrive_progress(flk_relay_t *relay);                   /* a verdict: no more trouble */

#endif
