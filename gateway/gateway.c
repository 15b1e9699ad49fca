/* SPDX-License-Identifier: MIT */
/* Start: the logs, the metrics that read them, the relay. Stop: the relay's thread first, so that nothing new reaches
 * the logs; then the logs, whose last groups go to the arrivals; then the submissions that are left there. */
#include "gateway/gateway.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/http/listener.h"
#include "common/io.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/program/program.h"
#include "gateway/ingest.h"
#include "proto/endpoint.h"

enum {
    INFLIGHT_BYTES_MOST = 512 << 20, /* unless a setting asks for more */
    UNLINKED_HEARTBEATS = 30,        /* longer than any broker is away that is only replaced */
};

static void on_sync(void *arg, double seconds, size_t records) {
    flk_gateway_t *gateway = arg;
    flk_histogram_observe(gateway->metrics.wal_sync_seconds, seconds);
    flk_histogram_observe(gateway->metrics.wal_group_size, (double)records);
}

/* From the dead-letter log's writer. */
static void on_stored(void *arg, flk_submission_t *submission, flk_err_t err) {
    flk_gateway_t *gateway = arg;
    submission->dlq_err = err;
    flk_arrivals_push(&gateway->arrivals, submission, submission);
}

static flk_err_t log_dir(const flk_settings_t *settings, const char *name, char *dir, size_t dir_bytes, char *errmsg) {
    int bytes = snprintf(dir, dir_bytes, "%s/%s", flk_settings_str(settings, FLK_SET_DATA_DIR), name);
    if (bytes < 0 || (size_t)bytes >= dir_bytes) {
        flk_errmsg(errmsg, "FLK_DATA_DIR is longer than a path may be");
        return FLK_E_CONFIG;
    }
    return FLK_OK;
}

_Static_assert(FLK_SETTING_AUTO == FLK_WAL_RETAINED_AUTO, "FLK_WAL_RETAINED_BYTES is handed on as it is");

static flk_err_t open_logs(flk_gateway_t *gateway, char *errmsg) {
    const flk_settings_t *settings = gateway->settings;
    const uint64_t held_bytes_max = flk_settings_uint(settings, FLK_SET_FEED_HOLD_BYTES);
    char dir[4096];
    flk_wal_options_t options = {
        .dir = dir,
        .segment_bytes_max = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_BYTES),
        .segment_age_ms = flk_settings_uint(settings, FLK_SET_WAL_SEGMENT_AGE_S) * 1000,
        .retention_ms = flk_settings_uint(settings, FLK_SET_WAL_RETENTION_S) * 1000,
        .retained_bytes_max = flk_settings_uint(settings, FLK_SET_WAL_RETAINED_BYTES),
        .held_bytes_max = held_bytes_max == 0 ? 1 : held_bytes_max,
        .low_water_bytes = flk_settings_uint(settings, FLK_SET_WAL_LOW_WATER_BYTES),
        .stop_asked = flk_program_stop_asked,
        .on_commit = flk_ingest_committed,
        .on_commit_arg = gateway,
    };
    flk_err_t err = log_dir(settings, "inbox", dir, sizeof dir, errmsg);
    if (err == FLK_OK) {
        err = flk_wal_open(&options, &gateway->inbox, errmsg);
    }
    if (err != FLK_OK) {
        flk_errmsg_prefix(errmsg, "inbox log (FLK_DATA_DIR)");
        return err;
    }
    err = log_dir(settings, "dlq", dir, sizeof dir, errmsg);
    return err != FLK_OK ? err : flk_dlq_open(dir, &options, on_stored, gateway, &gateway->dlq, errmsg);
}

static void report_recovery(const flk_gateway_t *gateway) {
    flk_wal_stats_t stats;
    flk_wal_stats(gateway->inbox, &stats);
    flk_log(stats.damaged_records > 0 ? FLK_LOG_ERROR : FLK_LOG_INFO, "inbox_open", FLK_U("unacked", stats.unacked),
            FLK_U("segments", stats.segments), FLK_U("torn_bytes", stats.torn_bytes),
            FLK_U("damaged_records", stats.damaged_records), FLK_U("quarantined", stats.quarantined));
}

static uint64_t inflight_bytes_max(const flk_settings_t *settings) {
    uint64_t wanted = flk_settings_uint(settings, FLK_SET_INFLIGHT_BYTES_MAX);
    return wanted != FLK_SETTING_AUTO ? wanted : flk_machine_share_bytes(4, INFLIGHT_BYTES_MOST);
}

/* The checks of the settings that need nothing opened. */
static flk_err_t check_settings(const flk_settings_t *settings, const flk_security_t *security, char *errmsg) {
    const char *zmq = flk_settings_str(settings, FLK_SET_ZMQ_LISTEN);
    const char *brokers = flk_settings_str(settings, FLK_SET_FRONTENDS);
    const char *http = flk_settings_str(settings, FLK_SET_HTTP_LISTEN);
    flk_err_t err = strcmp(zmq, "off") == 0 ? FLK_OK : flk_endpoint_check(security, "FLK_ZMQ_LISTEN", zmq, errmsg);
    err = err != FLK_OK ? err : flk_endpoints_check(security, "FLK_FRONTENDS", brokers, errmsg);
    err = err != FLK_OK ? err : flk_err_at(flk_http_listener_check(http, errmsg), "FLK_HTTP_LISTEN", errmsg);
    return err != FLK_OK ? err
                         : flk_err_at(flk_io_check_dir(flk_settings_str(settings, FLK_SET_DATA_DIR), errmsg),
                                      "FLK_DATA_DIR", errmsg);
}

static flk_err_t load_security(const flk_settings_t *settings, flk_security_t **security, char *errmsg) {
    const unsigned guests = FLK_ROLE_BIT(FLK_ROLE_AGENT) | FLK_ROLE_BIT(FLK_ROLE_ADMIN);
    flk_err_t err = flk_security_load(settings, FLK_ROLE_BROKER, guests, security, errmsg);
    return err == FLK_OK ? check_settings(settings, *security, errmsg) : err;
}

flk_err_t flk_gateway_check(const flk_settings_t *settings, char *errmsg) {
    flk_security_t *security = NULL;
    flk_err_t err = load_security(settings, &security, errmsg);
    flk_security_destroy(&security);
    return err;
}

flk_err_t flk_gateway_start(flk_gateway_t *gateway, const flk_settings_t *settings, char *errmsg) {
    *gateway = (flk_gateway_t){
        .settings = settings,
        .registry = flk_program_metrics(),
        .arrivals.wake_fd = -1,
        .request_timeout_ms = flk_settings_uint(settings, FLK_SET_REQUEST_TIMEOUT_MS),
        .inflight_max = flk_settings_uint(settings, FLK_SET_INFLIGHT_MAX),
        .inflight_bytes_max = inflight_bytes_max(settings),
        .unlinked_ms_max = UNLINKED_HEARTBEATS * flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
    };
    flk_throttle_init(&gateway->throttle, flk_settings_uint(settings, FLK_SET_TOKEN_RATE));
    flk_err_t err = load_security(settings, &gateway->security, errmsg);
    if (err == FLK_OK) {
        err = flk_arrivals_init(&gateway->arrivals, errmsg);
    }
    if (err == FLK_OK) {
        err = open_logs(gateway, errmsg);
    }
    if (err != FLK_OK) {
        return err;
    }
    flk_gateway_metrics_register(gateway);
    flk_wal_on_sync(gateway->inbox, on_sync, gateway);
    report_recovery(gateway);
    return flk_relay_start(gateway, &gateway->relay, errmsg);
}

void flk_gateway_drain(flk_gateway_t *gateway) {
    enum { LOOK_US = 5000 };
    uint64_t until_ms = flk_mono_ms() + gateway->request_timeout_ms;
    atomic_store(&gateway->draining, true);
    while (atomic_load(&gateway->awaited) > 0 && flk_mono_ms() < until_ms) {
        usleep(LOOK_US);
    }
}

void flk_gateway_stop(flk_gateway_t *gateway) {
    flk_relay_stop(gateway->relay);
    flk_wal_close(&gateway->inbox);
    flk_dlq_close(&gateway->dlq);
    flk_relay_destroy(&gateway->relay);
    flk_arrivals_fini(&gateway->arrivals);
    flk_security_destroy(&gateway->security);
    flk_metrics_destroy(&gateway->registry);
}

bool flk_gateway_ready(void *arg, char *why) {
    flk_gateway_t *gateway = arg;
    if (atomic_load(&gateway->draining)) {
        flk_errmsg(why, "draining");
    } else if (flk_wal_fault(gateway->inbox) == FLK_E_NO_SPACE) {
        flk_errmsg(why, "the disk of the inbox log has less than FLK_WAL_LOW_WATER_BYTES free");
    } else if (!flk_wal_healthy(gateway->inbox)) {
        flk_errmsg(why, "the inbox log cannot make records durable");
    } else if (!flk_relay_was_linked(gateway->relay, gateway->unlinked_ms_max)) {
        flk_errmsg(why, "no broker is linked");
    } else {
        return true;
    }
    return false;
}
