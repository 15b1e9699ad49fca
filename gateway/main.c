/* SPDX-License-Identifier: MIT */
/* Starts the gateway and its HTTP door, waits for a signal, drains, stops them in reverse. */
#include <signal.h>
#include <stdio.h>

#include <sodium.h>

#include "common/log.h"
#include "common/notify.h"
#include "gateway/http_door.h"

enum { EXIT_FAILED = 1, EXIT_CONFIG = 2 };

static const char summary[] = "takes PCS over HTTP and ZeroMQ, makes them durable, relays them to brokers";

static void block_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, signals, NULL); /* in every thread; sigwait takes them in this one */
    signal(SIGPIPE, SIG_IGN);
}

/* SIGTERM and SIGINT end the wait; SIGHUP has nothing to reload here. */
static void wait_for_signal(const sigset_t *signals) {
    int signal_number;
    do {
        FLK_ASSERT(sigwait(signals, &signal_number) == 0);
    } while (signal_number == SIGHUP);
    flk_log(FLK_LOG_INFO, "draining", FLK_I("signal", signal_number));
}

static flk_err_t serve(const flk_settings_t *settings, const sigset_t *signals, char *errmsg) {
    flk_gateway_t gateway;
    flk_http_door_t *door = NULL;
    flk_err_t err = flk_gateway_start(&gateway, settings, errmsg);
    if (err == FLK_OK) {
        err = flk_http_door_start(&gateway, &door, errmsg);
    }
    if (err == FLK_OK) {
        flk_log(FLK_LOG_INFO, "ready", FLK_S("http", flk_settings_str(settings, FLK_SET_HTTP_LISTEN)),
                FLK_S("zmq", flk_settings_str(settings, FLK_SET_ZMQ_LISTEN)));
        flk_notify(FLK_NOTIFY_READY);
        wait_for_signal(signals);
        flk_notify(FLK_NOTIFY_STOPPING);
        flk_gateway_drain(&gateway);
    }
    flk_http_door_stop(&door);
    flk_gateway_stop(&gateway);
    return err;
}

int main(int argc, char **argv) {
    flk_settings_t *settings;
    int status = flk_settings_start(FLK_PROGRAM_GATEWAY, summary, argc, argv, &settings);
    if (status >= 0) {
        return status;
    }
    sigset_t signals;
    char errmsg[FLK_ERRMSG_BYTES] = "";
    flk_descriptors_raise();
    block_signals(&signals);
    FLK_ASSERT(sodium_init() >= 0);
    flk_err_t err = serve(settings, &signals, errmsg);
    if (err == FLK_OK) {
        flk_log(FLK_LOG_INFO, "stopped");
    } else {
        fprintf(stderr, "flk-gateway: %s\n", errmsg);
    }
    flk_settings_destroy(&settings);
    return err == FLK_OK ? 0 : err == FLK_E_CONFIG ? EXIT_CONFIG : EXIT_FAILED;
}
