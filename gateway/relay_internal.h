/* SPDX-License-Identifier: MIT */
/* The state that the relay's parts share, all on its one thread. Each part calls only parts that stand below it:
 *   relay.c                             the loop
 *   zmq_door.c, brokers.c, dlq_orders.c the door for agents; the links to brokers; a person's orders on dead letters
 *   redrive.c, ingest.c, dlq_put.c      records out of the log; submissions into the log; dead letters into theirs
 *   arrive.c                            a submission comes from the log: refused, or pending
 *   settle.c                            how submissions end: acked, counted, answered, let go
 *   admission.c, arrivals.c, inflight.c, tries.c, dlq.c, submission.c, answer.c */
#ifndef FLK_GATEWAY_RELAY_INTERNAL_H
#define FLK_GATEWAY_RELAY_INTERNAL_H

#include <pthread.h>

#include "common/beat.h"
#include "common/list.h"
#include "common/wal/cursor.h"
#include "gateway/gateway.h"
#include "gateway/inflight.h"
#include "gateway/tries.h"
#include "proto/zap.h"

enum {
    FLK_RELAY_BATCH = 256,    /* messages from one socket in one turn */
    FLK_REDRIVE_WINDOW = 256, /* records from the log on their way at once */
    FLK_RETRY_MS = 1000,      /* told to clients when no better time is known */
    FLK_RETRY_MS_MAX = 60000, /* also when a broker or worker asks for more */
};

struct flk_relay {
    flk_gateway_t *gateway;
    void *context; /* ZeroMQ */
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    uint64_t now_ms; /* of this turn, monotonic */
    flk_zap_t *zap;  /* decides which agents may speak at the door */
    flk_pcs_reader_t *reader;
    flk_message_t message; /* the one being handled */
    flk_beat_t beat;

    /* The submissions: settle.c takes them off again. */
    flk_inflight_t *table;
    flk_list_t pending;    /* by state: in the table, for no broker yet */
    flk_list_t dlq_failed; /* by state: dead letters that their log did not take */
    flk_list_t watched;    /* by age: a client waits; agents' by deadline, the HTTP door watches its own too */
    flk_list_t detached; /* by age: in the table, but no client waits any more: the first to go when places are short */
    flk_list_t driven;   /* by age: in the table, from the log */
    flk_tries_t tries;   /* of those that find no verdict */

    /* The parts' own; fields are commented in their .c. */
    struct flk_brokers *brokers;
    struct flk_zmq_door *door;
    struct flk_redrive *redrive;
    struct flk_dlq_orders *orders;
};

/* The submission at a node of such a list; NULL gives NULL. */
static inline flk_submission_t *flk_by_state(flk_node_t *node) {
    return node == NULL ? NULL : FLK_CONTAINER_OF(node, flk_submission_t, by_state);
}
static inline flk_submission_t *flk_by_age(flk_node_t *node) {
    return node == NULL ? NULL : FLK_CONTAINER_OF(node, flk_submission_t, by_age);
}

/* Counts a ZeroMQ message that flk_link_recv could not read, by its error. */
static inline void flk_relay_count_unread(flk_relay_t *relay, flk_err_t err) {
    const flk_gateway_metrics_t *metrics = &relay->gateway->metrics;
    flk_counter_add(err == FLK_E_NOT_FOUND ? metrics->unknown : metrics->malformed, 1);
}

#endif
