/* SPDX-License-Identifier: MIT */
/* The gateway's metrics: field or reader, name, (labels,) help in one place. Any thread. */
#ifndef FLK_GATEWAY_METRICS_H
#define FLK_GATEWAY_METRICS_H

#include "common/metrics.h"
#include "gateway/latency.h"

/* Each submission that a door observes is counted in `ingest`, and ends in exactly one of
 *   throttled, refused            it never had a record, or lost it with the log
 *   rejected_400, rejected_413    it is no PCS, and never had a record
 *   accepted, escalated, dedup_hits, rejected_*   by the verdict that settled its record
 *   (none yet)                    its record is un-acked: it waits, or is driven again until it has a verdict
 * so in one life of the process, between requests,
 *   ingest + recovered = throttled + refused + accepted + escalated + dedup_hits + rejected_* + flk_wal_unacked
 * where `recovered` are the un-acked records of the life before. The other counters are events, and one submission
 * may have many: a timeout, then unavailable at each re-drive. A request that is no submission (405, 413 by its
 * length, an incomplete body) is in flk_http_refused_total only. */
#define FLK_REJECTED_HELP     "Submissions refused for good, by status."
#define FLK_DEAD_LETTERS_HELP "Submissions put into the dead-letter queue, by reason."
#define FLK_GATEWAY_COUNTERS(X)                                                                                        \
    X(ingest, "flk_ingest_total", NULL, "Submissions observed at both doors.")                                         \
    X(accepted, "flk_accepted", NULL, "First verdicts 200.")                                                           \
    X(escalated, "flk_escalated", NULL, "First verdicts 202.")                                                         \
    X(dedup_hits, "flk_dedup_hits", NULL, "Duplicates answered with the stored outcome.")                              \
    X(conflicts, "flk_dedup_conflicts_total", NULL, "Duplicates whose signed content differs from the first one's.")   \
    X(rejected_400, "flk_rejected_total", "code=\"400\"", FLK_REJECTED_HELP)                                           \
    X(rejected_401, "flk_rejected_total", "code=\"401\"", FLK_REJECTED_HELP)                                           \
    X(rejected_413, "flk_rejected_total", "code=\"413\"", FLK_REJECTED_HELP)                                           \
    X(throttled, "flk_throttled_total", NULL, "Submissions over TOKEN_RATE, or over an agent's credit (429, BUSY).")   \
    X(refused, "flk_refused_total", NULL, "Submissions refused before they were durable (503).")                       \
    X(unavailable, "flk_unavailable_total", NULL,                                                                      \
      "Submissions put off because a part behind the log was unavailable.")                                            \
    X(timeouts, "flk_timeouts_total", NULL, "Submissions without a verdict in time (503).")                            \
    X(redriven, "flk_redriven_total", NULL, "Un-acked records submitted again from the log.")                          \
    X(dead_letters, "flk_dead_letters_total", "reason=\"workers_lost\"", FLK_DEAD_LETTERS_HELP)                        \
    X(dead_letters_unsettled, "flk_dead_letters_total", "reason=\"unsettled\"", FLK_DEAD_LETTERS_HELP)                 \
    X(stale_verdicts, "flk_stale_verdicts_total", NULL,                                                                \
      "Answers to submissions that were settled before, or that are not ours.")                                        \
    X(http_refused, "flk_http_refused_total", NULL,                                                                    \
      "HTTP requests that were refused before their body was a submission.")                                           \
    X(address_throttled, "flk_http_address_throttled_total", NULL,                                                     \
      "HTTP requests whose client sent more than FLK_HTTP_ADDRESS_BYTES (429).")                                       \
    X(malformed, "flk_zmq_malformed_total", NULL, "Malformed ZeroMQ messages.")                                        \
    X(unknown, "flk_zmq_unknown_total", NULL, "ZeroMQ messages of an unknown kind.")                                   \
    X(unroutable, "flk_zmq_unroutable_total", NULL, "Answers whose agent was gone.")

/* Read at each scrape by read_FIELD in metrics.c. */
#define FLK_GATEWAY_READ_GAUGES(X)                                                                                     \
    X(inflight, "flk_inflight", "Submissions on their way to a verdict.")                                              \
    X(admitted, "flk_admitted", "Submissions in memory, of FLK_INFLIGHT_MAX.")                                         \
    X(dlq, "flk_dlq_records", "Dead letters that wait for a person.")                                                  \
    X(healthy, "flk_wal_healthy", "Whether the inbox log makes records durable.")                                      \
    X(unacked, "flk_wal_unacked", "Durable records without an ack.")                                                   \
    X(bytes, "flk_wal_bytes", "Inbox log on disk.")                                                                    \
    X(free, "flk_wal_free_bytes", "Free on the disk of the inbox log.")                                                \
    X(segments, "flk_wal_segments", "Inbox segments on disk.")                                                         \
    X(held, "flk_wal_held_bytes", "Inbox segments that only the holds of those that follow the log keep.")             \
    X(oldest, "flk_wal_oldest_unacked_seconds", "Age of the oldest un-acked record.")                                  \
    X(torn, "flk_wal_torn_bytes", "Bytes cut from the tail at start.")                                                 \
    X(damaged, "flk_wal_damaged_records", "Damaged places found at start.")                                            \
    X(quarantined, "flk_wal_quarantined_segments", "Segments set aside at start.")

#define FLK_GATEWAY_READ_COUNTERS(X)                                                                                   \
    X(recovered, "flk_wal_recovered_total", "Un-acked records found at start.")                                        \
    X(records, "flk_wal_records_total", "Records appended.")                                                           \
    X(given_up, "flk_wal_given_up_bytes_total", "Settled segments removed before their time, for want of space.")      \
    X(broken, "flk_wal_holds_broken_total", "Holds that were broken: their readers meet a gap.")                       \
    X(sync_failures, "flk_wal_failures_total", "Failed writes and syncs.")

typedef struct flk_gateway_metrics {
#define FLK_METRICS_COUNTER(field, name, labels, help) flk_counter_t *field;
    FLK_GATEWAY_COUNTERS(FLK_METRICS_COUNTER)
#undef FLK_METRICS_COUNTER
    flk_gauge_t *unreadable; /* records that the last pass of the re-drive could not read */
    flk_latency_t latency;
    flk_histogram_t *wal_sync_seconds, *wal_group_size;
} flk_gateway_metrics_t;

struct flk_gateway;
/* Registers all of them; the registry keeps `gateway` until it goes. */
void flk_gateway_metrics_register(struct flk_gateway *gateway);

#endif
