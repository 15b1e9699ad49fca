/* SPDX-License-Identifier: MIT */
/* The pages of a cluster at one moment, and the rates between two moments. */
#ifndef FLK_AGENT_FLK_CLUSTER_SNAPSHOT_H
#define FLK_AGENT_FLK_CLUSTER_SNAPSHOT_H

#include "agent/flk/cluster/cluster_file.h"

/* One number a process tells: id, metric (summed over its labels). */
#define FLK_SNAPSHOT_METRICS(X)                                                                                        \
    X(INGEST, "flk_ingest_total")                                                                                      \
    X(ACCEPTED, "flk_accepted")                                                                                        \
    X(ESCALATED, "flk_escalated")                                                                                      \
    X(DUPLICATES, "flk_dedup_hits")                                                                                    \
    X(INFLIGHT, "flk_inflight")                                                                                        \
    X(WAL_UNACKED, "flk_wal_unacked")                                                                                  \
    X(WAL_BYTES, "flk_wal_bytes")                                                                                      \
    X(QUEUE_DEPTH, "flk_broker_queue_depth")                                                                           \
    X(BROKER_INFLIGHT, "flk_broker_inflight")                                                                          \
    X(OLDEST_SECONDS, "flk_broker_oldest_seconds")                                                                     \
    X(WORKERS, "flk_broker_workers")                                                                                   \
    X(REDELIVERIES, "flk_broker_redeliveries_total")                                                                   \
    X(DEAD_LETTERS, "flk_broker_dead_letters_total")                                                                   \
    X(VERDICTS, "flk_worker_verdicts_total")                                                                           \
    X(FEED_READERS, "flk_feed_requests")                                                                               \
    X(FEED_EVENTS, "flk_feed_events_total")                                                                            \
    X(FOLLOW_SINKS, "flk_follow_sinks")                                                                                \
    X(FOLLOW_GAPS, "flk_follow_gaps_total")                                                                            \
    X(FOLLOW_FAILURES, "flk_follow_failures_total")                                                                    \
    X(THREADS, "flk_worker_threads")                                                                                   \
    X(CPU_SECONDS, "process_cpu_seconds_total")                                                                        \
    X(RESIDENT_BYTES, "process_resident_memory_bytes")

typedef enum flk_snapshot_metric {
#define FLK_SNAPSHOT_ID(id, name) FLK_SNAP_##id,
    FLK_SNAPSHOT_METRICS(FLK_SNAPSHOT_ID)
#undef FLK_SNAPSHOT_ID
        FLK_SNAPSHOT_LEN
} flk_snapshot_metric_t;
const char *flk_snapshot_metric_name(flk_snapshot_metric_t metric);

typedef enum flk_member_state {
    FLK_MEMBER_DOWN,
    FLK_MEMBER_NOT_READY,
    FLK_MEMBER_LOCKED,
    FLK_MEMBER_READY
} flk_member_state_t;
const char *flk_member_state_name(flk_member_state_t state); /* "down", "not ready", "no access", "ready" */

typedef struct flk_member_snapshot {
    flk_member_state_t state;   /* LOCKED: ready, but /metrics refused METRICS_USER and METRICS_PASS */
    char why[FLK_ERRMSG_BYTES]; /* NOT_READY */
    uint64_t taken_ns;          /* of /metrics; monotonic */
    bool has[FLK_SNAPSHOT_LEN];
    double value[FLK_SNAPSHOT_LEN];
} flk_member_snapshot_t;

/* Asks one process for /readyz and /metrics; blocks up to two seconds. */
void flk_snapshot_take(const flk_cluster_member_t *member, const char *user, const char *pass,
                       flk_member_snapshot_t *snapshot);

/* Per second between two snapshots; 0 when either lacks the metric or the process started anew between them. */
double flk_snapshot_rate(const flk_member_snapshot_t *before, const flk_member_snapshot_t *after,
                         flk_snapshot_metric_t metric);

#endif
