/* SPDX-License-Identifier: MIT */
#include "gateway/gateway.h"

#include <math.h>

#include "common/io.h"

static const double group_bounds[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};

static flk_wal_stats_t inbox_stats(void *arg) {
    const flk_gateway_t *gateway = arg;
    flk_wal_stats_t stats;
    flk_wal_stats(gateway->inbox, &stats);
    return stats;
}

static double read_inflight(void *arg) {
    const flk_gateway_t *gateway = arg;
    return (double)flk_relay_inflight(gateway->relay);
}

static double read_admitted(void *arg) {
    flk_gateway_t *gateway = arg;
    return (double)atomic_load(&gateway->admitted);
}

static double read_dlq(void *arg) {
    const flk_gateway_t *gateway = arg;
    return (double)flk_dlq_len(gateway->dlq);
}

static double read_healthy(void *arg) {
    const flk_gateway_t *gateway = arg;
    return flk_wal_healthy(gateway->inbox) ? 1 : 0;
}

static double read_free(void *arg) {
    const flk_gateway_t *gateway = arg;
    uint64_t bytes;
    flk_err_t err = flk_io_free_bytes(flk_settings_str(gateway->settings, FLK_SET_DATA_DIR), &bytes, NULL);
    return err == FLK_OK ? (double)bytes : (double)NAN;
}

#define INBOX_READ(name, expression)                                                                                   \
    static double read_##name(void *arg) {                                                                             \
        flk_wal_stats_t stats = inbox_stats(arg);                                                                      \
        return (double)(expression);                                                                                   \
    }
INBOX_READ(unacked, stats.unacked)
INBOX_READ(bytes, stats.bytes)
INBOX_READ(segments, stats.segments)
INBOX_READ(oldest, (double)stats.oldest_unacked_ms / 1000.0)
INBOX_READ(records, stats.records_total)
INBOX_READ(recovered, stats.recovered)
INBOX_READ(sync_failures, stats.sync_failures + stats.write_failures)
INBOX_READ(torn, stats.torn_bytes)
INBOX_READ(damaged, stats.damaged_records)
INBOX_READ(quarantined, stats.quarantined)
#undef INBOX_READ

static void add_counters(flk_gateway_metrics_t *m, flk_metrics_t *r) {
    static const char rejected[] = "flk_rejected_total";
    static const char rejected_help[] = "Submissions refused for good, by status.";
    m->ingest = flk_metrics_counter(r, "flk_ingest_total", NULL, "Submissions observed at both doors.");
    m->accepted = flk_metrics_counter(r, "flk_accepted", NULL, "First verdicts 200.");
    m->escalated = flk_metrics_counter(r, "flk_escalated", NULL, "First verdicts 202.");
    m->dedup_hits = flk_metrics_counter(r, "flk_dedup_hits", NULL, "Duplicates answered with the stored outcome.");
    m->conflicts = flk_metrics_counter(r, "flk_dedup_conflicts_total", NULL,
                                       "Duplicates whose signed content differs from the first one's.");
    m->rejected_400 = flk_metrics_counter(r, rejected, "code=\"400\"", rejected_help);
    m->rejected_401 = flk_metrics_counter(r, rejected, "code=\"401\"", rejected_help);
    m->rejected_413 = flk_metrics_counter(r, rejected, "code=\"413\"", rejected_help);
    m->throttled = flk_metrics_counter(r, "flk_throttled_total", NULL,
                                       "Submissions over TOKEN_RATE, or over an agent's credit (429, BUSY).");
    m->refused =
        flk_metrics_counter(r, "flk_refused_total", NULL, "Submissions refused before they were durable (503).");
    m->unavailable = flk_metrics_counter(r, "flk_unavailable_total", NULL,
                                         "Submissions put off because a part behind the log was unavailable.");
    m->timeouts = flk_metrics_counter(r, "flk_timeouts_total", NULL, "Submissions without a verdict in time (503).");
    m->redriven = flk_metrics_counter(r, "flk_redriven_total", NULL, "Un-acked records submitted again from the log.");
    m->dead_letters =
        flk_metrics_counter(r, "flk_dead_letters_total", NULL, "Submissions put into the dead-letter queue.");
    m->stale_verdicts = flk_metrics_counter(r, "flk_stale_verdicts_total", NULL,
                                            "Answers to submissions that were settled before, or that are not ours.");
    m->http_refused = flk_metrics_counter(r, "flk_http_refused_total", NULL,
                                          "HTTP requests that were refused before their body was a submission.");
    m->unreadable =
        flk_metrics_gauge(r, "flk_wal_unreadable_records", NULL, "Un-acked records that the re-drive cannot read.");
    m->malformed = flk_metrics_counter(r, "flk_zmq_malformed_total", NULL, "Malformed ZeroMQ messages.");
    m->unknown = flk_metrics_counter(r, "flk_zmq_unknown_total", NULL, "ZeroMQ messages of an unknown kind.");
    m->unroutable = flk_metrics_counter(r, "flk_zmq_unroutable_total", NULL, "Answers whose agent was gone.");
}

void flk_gateway_count_unread(flk_gateway_t *gateway, flk_err_t err) {
    const flk_gateway_metrics_t *m = &gateway->metrics;
    flk_counter_add(err == FLK_E_NOT_FOUND ? m->unknown : m->malformed, 1);
}

void flk_gateway_metrics_init(flk_gateway_t *gateway) {
    flk_metrics_t *r = gateway->registry;
    flk_gateway_metrics_t *m = &gateway->metrics;
    add_counters(m, r);
    m->request_seconds_http =
        flk_metrics_histogram(r, "flk_request_seconds", "door=\"http\"", "From the request to its answer.",
                              flk_latency_bounds, flk_latency_bounds_len);
    m->request_seconds_zmq =
        flk_metrics_histogram(r, "flk_request_seconds", "door=\"zmq\"", "From the request to its answer.",
                              flk_latency_bounds, flk_latency_bounds_len);
    m->wal_sync_seconds = flk_metrics_histogram(r, "flk_wal_sync_seconds", NULL, "fdatasync of the inbox log.",
                                                flk_latency_bounds, flk_latency_bounds_len);
    m->wal_group_size = flk_metrics_histogram(r, "flk_wal_group_records", NULL, "Records covered by one sync.",
                                              group_bounds, FLK_COUNT_OF(group_bounds));
    flk_metrics_gauge_fn(r, "flk_inflight", NULL, "Submissions on their way to a verdict.", read_inflight, gateway);
    flk_metrics_gauge_fn(r, "flk_admitted", NULL, "Submissions in memory, of FLK_INFLIGHT_MAX.", read_admitted,
                         gateway);
    flk_metrics_gauge_fn(r, "flk_dlq_records", NULL, "Dead letters that wait for a person.", read_dlq, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_healthy", NULL, "Whether the inbox log makes records durable.", read_healthy,
                         gateway);
    flk_metrics_gauge_fn(r, "flk_wal_unacked", NULL, "Durable records without an ack.", read_unacked, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_bytes", NULL, "Inbox log on disk.", read_bytes, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_free_bytes", NULL, "Free on the disk of the inbox log.", read_free, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_segments", NULL, "Inbox segments on disk.", read_segments, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_oldest_unacked_seconds", NULL, "Age of the oldest un-acked record.", read_oldest,
                         gateway);
    flk_metrics_counter_fn(r, "flk_wal_recovered_total", NULL, "Un-acked records found at start.", read_recovered,
                           gateway);
    flk_metrics_counter_fn(r, "flk_wal_records_total", NULL, "Records appended.", read_records, gateway);
    flk_metrics_counter_fn(r, "flk_wal_failures_total", NULL, "Failed writes and syncs.", read_sync_failures, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_torn_bytes", NULL, "Bytes cut from the tail at start.", read_torn, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_damaged_records", NULL, "Damaged places found at start.", read_damaged, gateway);
    flk_metrics_gauge_fn(r, "flk_wal_quarantined_segments", NULL, "Segments set aside at start.", read_quarantined,
                         gateway);
}
