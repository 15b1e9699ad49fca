/* SPDX-License-Identifier: MIT */
/* Starts the parts in order (dead-letter log, relay, inbox log, HTTP door), waits for a signal, drains, stops them in reverse. */
#include <signal.h>
#include <stdio.h>

#include <sodium.h>

#include "common/log.h"
#include "gateway/http_door.h"
#include "gateway/ingest.h"

static const char summary[] =
    "flk-gateway: takes PCS over HTTP and ZeroMQ, makes them durable, relays them to brokers.";

static void on_sync(void *arg, double seconds, size_t records) {
    flk_gateway_t *gateway = arg;
    flk_histogram_observe(gateway->metrics.wal_sync_seconds, seconds);
    flk_histogram_observe(gateway->metrics.wal_group_size, (double)records);
}

/* The dead-letter log hands a burial back to the relay, with its result where parsing left its own. */
static void on_buried(void *arg, flk_submission_t *submission, flk_err_t err) {
    flk_gateway_t *gateway = arg;
    submission->parse_err = err;
    flk_relay_push(gateway->relay, submission, submission);
}

static flk_err_t open_logs(flk_gateway_t *gateway, char *errmsg) {
    const flk_settings_t *settings = gateway->settings;
    const char *data_dir = flk_settings_str(settings, FLK_SET_DATA_DIR);
    char dir[4096];
    flk_wal_options_t options = {
        .dir = dir,
        .segment_bytes_max = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_BYTES),
        .segment_age_ms = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_AGE_S) * 1000,
        .retention_ms = flk_settings_uint(settings, FLK_SET_WAL_RETENTION_S) * 1000,
        .retained_bytes_max = flk_settings_uint(settings, FLK_SET_WAL_RETAINED_BYTES),
        .low_water_bytes = flk_settings_uint(settings, FLK_SET_WAL_LOW_WATER_BYTES),
        .on_commit = flk_ingest_committed,
        .on_commit_arg = gateway,
    };
    if (snprintf(dir, sizeof dir, "%s/inbox", data_dir) >= (int)sizeof dir) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than a path may be");
        return FLK_E_CONFIG;
    }
    flk_err_t err = flk_wal_open(&options, &gateway->inbox, errmsg);
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "inbox log (FLK_DATA_DIR)");
        return err;
    }
    snprintf(dir, sizeof dir, "%s/dlq", data_dir);
    return flk_dlq_open(dir, &options, on_buried, gateway, &gateway->dlq, errmsg);
}

static void log_recovery(const flk_gateway_t *gateway) {
    flk_wal_stats_t stats;
    flk_wal_stats(gateway->inbox, &stats);
    flk_log(stats.damaged_records > 0 ? FLK_LOG_ERROR : FLK_LOG_INFO, "inbox_open", FLK_U("unacked", stats.unacked),
            FLK_U("segments", stats.segments), FLK_U("torn_bytes", stats.torn_bytes),
            FLK_U("damaged_records", stats.damaged_records), FLK_U("quarantined", stats.quarantined));
}

/* SIGTERM and SIGINT end the wait; SIGHUP has nothing to reload here. */
static void wait_for_signal(const sigset_t *signals) {
    int signal_number;
    do {
        FLK_ASSERT(sigwait(signals, &signal_number) == 0);
    } while (signal_number == SIGHUP);
    flk_log(FLK_LOG_INFO, "draining", FLK_I("signal", signal_number));
}

static int serve(flk_gateway_t *gateway, const sigset_t *signals) {
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_http_door_t *door = NULL;
    flk_err_t err = open_logs(gateway, errmsg);
    if (err == FLK_OK) {
        flk_gateway_metrics_init(gateway);
        flk_wal_on_sync(gateway->inbox, on_sync, gateway);
        log_recovery(gateway);
        err = flk_relay_start(gateway, &gateway->relay, errmsg);
    }
    if (err == FLK_OK) {
        err = flk_http_door_start(gateway, &door, errmsg);
    }
    if (err == FLK_OK) {
        flk_log(FLK_LOG_INFO, "ready", FLK_S("http", flk_settings_str(gateway->settings, FLK_SET_HTTP_LISTEN)),
                FLK_S("zmq", flk_settings_str(gateway->settings, FLK_SET_ZMQ_LISTEN)));
        wait_for_signal(signals);
        atomic_store(&gateway->draining, true);
        flk_relay_drain(gateway->relay, gateway->request_timeout_ms);
    } else {
        fprintf(stderr, "flk-gateway: %s\n", errmsg);
    }
    flk_http_door_stop(&door);
    flk_relay_stop(gateway->relay);
    flk_wal_close(&gateway->inbox);
    flk_dlq_close(&gateway->dlq);
    flk_relay_destroy(&gateway->relay);
    return err == FLK_OK ? 0 : 1;
}

int main(int argc, char **argv) {
    flk_settings_t *settings;
    int status = flk_settings_start(FLK_PROGRAM_GATEWAY, summary, argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    sigset_t signals; /* blocked in every thread, taken by sigwait in this one */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    FLK_ASSERT(sodium_init() >= 0);

    flk_gateway_t gateway = {
        .settings = settings,
        .registry = flk_metrics_new(),
        .request_timeout_ms = flk_settings_uint(settings, FLK_SET_REQUEST_TIMEOUT_MS),
        .inflight_max = flk_settings_uint(settings, FLK_SET_INFLIGHT_MAX),
    };
    flk_throttle_init(&gateway.throttle, flk_settings_uint(settings, FLK_SET_TOKEN_RATE));
    status = serve(&gateway, &signals);
    if (status == 0) {
        flk_log(FLK_LOG_INFO, "stopped");
    }
    flk_metrics_destroy(&gateway.registry);
    flk_settings_destroy(&settings);
    return status;
}
