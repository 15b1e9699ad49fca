/* SPDX-License-Identifier: MIT */
/* flk-broker: settings, sockets, admin pages, then the loop in a thread of its own until a signal to stop. */
#include <string.h>

#include "broker/broker.h"
#include "common/http/admin.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/program/notify.h"
#include "common/program/program.h"
#include "common/thread.h"
#include "proto/endpoint.h"

enum { QUEUE_COUNT_MOST = 1000000, QUEUE_BYTES_MOST = 512 << 20 }; /* unless a setting asks for more */

static flk_err_t check_address(const flk_security_t *security, const char *setting, const char *endpoint,
                               char *errmsg) {
    if (strchr(endpoint, ',') != NULL) {
        flk_errmsg(errmsg, "%s: a broker binds one endpoint, not a list", setting);
        return FLK_E_CONFIG;
    }
    return flk_endpoint_check(security, setting, endpoint, errmsg);
}

/* All that comes before the first socket. */
static flk_err_t prepare(const flk_settings_t *settings, flk_security_t **security, char *errmsg) {
    const unsigned guests = FLK_ROLE_BIT(FLK_ROLE_GATEWAY) | FLK_ROLE_BIT(FLK_ROLE_WORKER);
    const char *frontend = flk_settings_str(settings, FLK_SET_FRONTENDS);
    const char *backend = flk_settings_str(settings, FLK_SET_BACKENDS);
    const char *admin = flk_settings_str(settings, FLK_SET_ADMIN_LISTEN);
    flk_err_t err = flk_security_load(settings, FLK_ROLE_NONE, guests, security, errmsg);
    err = err != FLK_OK ? err : check_address(*security, "FLK_FRONTENDS", frontend, errmsg);
    err = err != FLK_OK ? err : check_address(*security, "FLK_BACKENDS", backend, errmsg);
    return err != FLK_OK ? err : flk_err_at(flk_admin_check(admin, errmsg), "FLK_ADMIN_LISTEN", errmsg);
}

static flk_err_t check(const flk_settings_t *settings, char *errmsg) {
    flk_security_t *security = NULL;
    flk_err_t err = prepare(settings, &security, errmsg);
    flk_security_destroy(&security);
    return err;
}

static void *run_loop(void *broker) {
    flk_broker_run(broker);
    return NULL;
}

static flk_err_t run(flk_broker_t *broker, char *errmsg) {
    pthread_t loop;
    flk_err_t err = flk_thread_start(&loop, "flk-loop", run_loop, broker, errmsg);
    if (err != FLK_OK) {
        return err;
    }
    flk_log(FLK_LOG_INFO, "broker_started", FLK_S("frontend", flk_broker_frontend(broker)),
            FLK_S("backend", flk_broker_backend(broker)));
    flk_notify(FLK_NOTIFY_READY);
    while (flk_program_wait(0) != FLK_WAKE_STOP) { /* there are no keys or policy here to read again */
    }
    flk_notify(FLK_NOTIFY_STOPPING);
    flk_broker_stop(broker);
    pthread_join(loop, NULL);
    return FLK_OK;
}

/* A queued delivery takes a quarter of a KiB beside its body. */
static uint64_t count_max(const flk_settings_t *settings) {
    uint64_t wanted = flk_settings_uint(settings, FLK_SET_QUEUE_COUNT_MAX);
    return wanted != FLK_SETTING_AUTO ? wanted : flk_machine_share_bytes(4, (uint64_t)QUEUE_COUNT_MOST << 10) >> 10;
}

static uint64_t bytes_max(const flk_settings_t *settings) {
    uint64_t wanted = flk_settings_uint(settings, FLK_SET_QUEUE_BYTES_MAX);
    return wanted != FLK_SETTING_AUTO ? wanted : flk_machine_share_bytes(4, QUEUE_BYTES_MOST);
}

static flk_err_t start_broker(const flk_settings_t *settings, const flk_security_t *security, flk_metrics_t *metrics,
                              flk_broker_t **broker, char *errmsg) {
    flk_broker_options_t options = {
        .frontend = flk_settings_str(settings, FLK_SET_FRONTENDS),
        .backend = flk_settings_str(settings, FLK_SET_BACKENDS),
        .security = security,
        .heartbeat_ms = (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
        .count_max = count_max(settings),
        .bytes_max = bytes_max(settings),
        .metrics = metrics,
    };
    return flk_broker_new(&options, broker, errmsg);
}

static flk_err_t start_admin(const flk_settings_t *settings, flk_metrics_t *metrics, flk_broker_t *broker,
                             flk_admin_t **admin, char *errmsg) {
    flk_admin_options_t options = {
        .metrics = metrics,
        .ready = flk_broker_ready,
        .ready_arg = broker,
        .user = flk_settings_str(settings, FLK_SET_METRICS_USER),
        .pass = flk_settings_str(settings, FLK_SET_METRICS_PASS),
    };
    flk_err_t err = flk_admin_start(flk_settings_str(settings, FLK_SET_ADMIN_LISTEN), &options, admin, errmsg);
    return flk_err_at(err, "FLK_ADMIN_LISTEN", errmsg);
}

static flk_err_t serve(const flk_settings_t *settings, char *errmsg) {
    flk_metrics_t *metrics = flk_program_metrics();
    flk_admin_t *admin = NULL;
    flk_broker_t *broker = NULL;
    flk_security_t *security = NULL;
    flk_err_t err = prepare(settings, &security, errmsg);
    if (err == FLK_OK) {
        err = start_broker(settings, security, metrics, &broker, errmsg);
    }
    if (err == FLK_OK) {
        err = start_admin(settings, metrics, broker, &admin, errmsg);
    }
    if (err == FLK_OK) {
        err = run(broker, errmsg);
    }
    flk_admin_stop(&admin);
    flk_broker_destroy(&broker);
    flk_security_destroy(&security);
    flk_metrics_destroy(&metrics);
    return err;
}

static const flk_start_t start_as = {
    .program = FLK_PROGRAM_BROKER,
    .summary = "queues submissions and hands them to workers",
    .check = check,
    .serve = serve,
};

int main(int argc, char **argv) {
    flk_program_begin();
    return flk_program_run(&start_as, argc, argv);
}
