/* SPDX-License-Identifier: MIT */
/* flk-broker: settings, sockets, admin pages, then the loop until SIGTERM or SIGINT. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "broker/broker.h"
#include "common/http/admin.h"
#include "common/log.h"
#include "common/notify.h"
#include "common/settings.h"

static flk_broker_t *broker; /* for the signal handler */

static void on_signal(int number) {
    (void)number;
    flk_broker_stop(broker);
}

static void handle_signal(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(number, &action, NULL);
}

static void run_broker(void) {
    handle_signal(SIGHUP, SIG_IGN); /* there are no keys or policy here to read again */
    handle_signal(SIGPIPE, SIG_IGN);
    handle_signal(SIGTERM, on_signal);
    handle_signal(SIGINT, on_signal);
    flk_log(FLK_LOG_INFO, "broker_started", FLK_S("frontend", flk_broker_frontend(broker)),
            FLK_S("backend", flk_broker_backend(broker)));
    flk_notify(FLK_NOTIFY_READY);
    flk_broker_run(broker);
    flk_notify(FLK_NOTIFY_STOPPING);
    handle_signal(SIGTERM, SIG_IGN); /* it is ending already, and the handler must not meet a freed broker */
    handle_signal(SIGINT, SIG_IGN);
}

static flk_err_t start_broker(const flk_settings_t *settings, const flk_security_t *security, flk_metrics_t *metrics,
                              char *errmsg) {
    flk_broker_options_t options = {
        .frontend = flk_settings_str(settings, FLK_SET_FRONTENDS),
        .backend = flk_settings_str(settings, FLK_SET_BACKENDS),
        .security = security,
        .heartbeat_ms = (uint32_t)flk_settings_uint(settings, FLK_SET_HEARTBEAT_MS),
        .count_max = flk_settings_uint(settings, FLK_SET_QUEUE_COUNT_MAX),
        .bytes_max = flk_settings_uint(settings, FLK_SET_QUEUE_BYTES_MAX),
        .metrics = metrics,
    };
    if (strchr(options.frontend, ',') != NULL || strchr(options.backend, ',') != NULL) {
        flk_errmsg(errmsg, "FLK_FRONTENDS and FLK_BACKENDS: a broker binds one endpoint each, not a list");
        return FLK_E_CONFIG;
    }
    return flk_broker_new(&options, &broker, errmsg);
}

static flk_err_t start_admin(const flk_settings_t *settings, flk_metrics_t *metrics, flk_admin_t **admin,
                             char *errmsg) {
    flk_admin_options_t options = {
        .metrics = metrics,
        .ready = flk_broker_ready,
        .ready_arg = broker,
        .user = flk_settings_str(settings, FLK_SET_METRICS_USER),
        .pass = flk_settings_str(settings, FLK_SET_METRICS_PASS),
    };
    return flk_admin_start(flk_settings_str(settings, FLK_SET_ADMIN_LISTEN), &options, admin, errmsg);
}

int main(int argc, char **argv) {
    flk_settings_t *settings;
    int status =
        flk_settings_start(FLK_PROGRAM_BROKER, "queues submissions and hands them to workers", argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    flk_descriptors_raise();
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_metrics_t *metrics = flk_metrics_new();
    flk_admin_t *admin = NULL;
    flk_security_t *security;
    flk_err_t err = flk_security_load(
        settings, FLK_ROLE_NONE, FLK_ROLE_BIT(FLK_ROLE_GATEWAY) | FLK_ROLE_BIT(FLK_ROLE_WORKER), &security, errmsg);
    if (err == FLK_OK) {
        err = start_broker(settings, security, metrics, errmsg);
    }
    if (err == FLK_OK) {
        err = start_admin(settings, metrics, &admin, errmsg);
    }
    if (err == FLK_OK) {
        run_broker();
    } else {
        fprintf(stderr, "flk-broker: %s\n", errmsg);
    }
    flk_admin_stop(&admin);
    flk_broker_destroy(&broker);
    flk_security_destroy(&security);
    flk_metrics_destroy(&metrics);
    flk_settings_destroy(&settings);
    return err == FLK_OK ? 0 : 1;
}
