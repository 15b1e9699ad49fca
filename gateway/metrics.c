/* SPDX-License-Identifier: MIT */
#include "gateway/metrics.h"

#include <math.h>

#include "common/io.h"
#include "gateway/gateway.h"

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
INBOX_READ(given_up, stats.given_up_bytes)
INBOX_READ(held, stats.held_bytes)
INBOX_READ(broken, stats.holds_broken)
INBOX_READ(torn, stats.torn_bytes)
INBOX_READ(damaged, stats.damaged_records)
INBOX_READ(quarantined, stats.quarantined)
#undef INBOX_READ

void flk_gateway_metrics_register(flk_gateway_t *gateway) {
    flk_metrics_t *r = gateway->registry;
    flk_gateway_metrics_t *m = &gateway->metrics;
#define REGISTER_COUNTER(field, name, labels, help) m->field = flk_metrics_counter(r, name, labels, help);
    FLK_GATEWAY_COUNTERS(REGISTER_COUNTER)
#undef REGISTER_COUNTER
#define REGISTER_READ(field, name, help) flk_metrics_gauge_fn(r, name, NULL, help, read_##field, gateway);
    FLK_GATEWAY_READ_GAUGES(REGISTER_READ)
#undef REGISTER_READ
#define REGISTER_READ(field, name, help) flk_metrics_counter_fn(r, name, NULL, help, read_##field, gateway);
    FLK_GATEWAY_READ_COUNTERS(REGISTER_READ)
#undef REGISTER_READ
    flk_latency_register(&m->latency, r);
    m->wal_sync_seconds = flk_metrics_histogram(r, "flk_wal_sync_seconds", NULL, "fdatasync of the inbox log.",
                                                flk_latency_bounds, flk_latency_bounds_len);
    m->wal_group_size = flk_metrics_histogram(r, "flk_wal_group_records", NULL, "Records covered by one sync.",
                                              group_bounds, FLK_COUNT_OF(group_bounds));
    m->unreadable =
        flk_metrics_gauge(r, "flk_wal_unreadable_records", NULL, "Un-acked records that the re-drive cannot read.");
}
